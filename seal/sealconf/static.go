package sealconf

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/sealwright/sealwright/kms"
)

// A staticWrapper wraps with AES-256-GCM under keys from the configuration, as
// OpenBao's static seal: whoever reads the configuration opens everything.
type staticWrapper struct {
	keys []staticKey // the first wraps
}

type staticKey struct {
	id   string
	same func([]byte) bool
	aead cipher.AEAD // with a random nonce in front
}

// add takes a key as OpenBao does: 64 hex digits, 44 or 43 characters of base64,
// or 32 bytes.
func (w *staticWrapper) add(id, text string) error {
	var key []byte
	var err error
	switch len(text) {
	case 64:
		key, err = hex.DecodeString(text)
	case 44:
		key, err = base64.StdEncoding.DecodeString(text)
	case 43:
		key, err = base64.RawURLEncoding.DecodeString(text)
	case 32:
		key = []byte(text)
	}
	if err != nil || len(key) != 32 {
		return errors.New("a key is 64 hex digits, 44 characters of base64, 43 of URL base64, or 32 bytes")
	}
	for _, k := range w.keys {
		if (k.id == id) != k.same(key) {
			return errors.New("one key has two ids, or one id two keys")
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	w.keys = append(w.keys, staticKey{id, func(other []byte) bool { return subtle.ConstantTimeCompare(other, key) == 1 }, aead})
	return nil
}

func (w *staticWrapper) fail(op, id string, kind error, format string, args ...any) error {
	return &kms.Error{Op: op, Type: "static", KeyID: id, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Wrap implements [kms.Wrapper].
func (w *staticWrapper) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	k := w.keys[0]
	if err := ctx.Err(); err != nil {
		return nil, w.fail("wrap", k.id, kms.ErrUnavailable, "%w", err)
	}
	if len(key) < 16 || len(key) > kms.MaxKeySize || len(key)%8 != 0 {
		return nil, w.fail("wrap", k.id, kms.ErrMisconfigured, "a key of %d bytes", len(key))
	}
	return &kms.Blob{Type: "static", KeyID: k.id, Ciphertext: k.aead.Seal(nil, nil, key, b.Bytes())}, nil
}

// Unwrap implements [kms.Wrapper].
func (w *staticWrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	if blob == nil {
		return nil, w.fail("unwrap", "", kms.ErrCorrupt, "no blob")
	}
	if err := ctx.Err(); err != nil {
		return nil, w.fail("unwrap", blob.KeyID, kms.ErrUnavailable, "%w", err)
	}
	for _, k := range w.keys {
		if blob.Type != "static" || k.id != blob.KeyID {
			continue
		}
		key, err := k.aead.Open(nil, nil, blob.Ciphertext, b.Bytes())
		if err != nil {
			return nil, w.fail("unwrap", k.id, kms.ErrCorrupt, "it does not authenticate")
		}
		return key, nil
	}
	return nil, w.fail("unwrap", blob.KeyID, kms.ErrWrongKey, "the configuration has no key of that id")
}

// Authenticates implements [kms.Authenticator], for the blobs of every key that
// the configuration has.
func (w *staticWrapper) Authenticates(blob *kms.Blob) bool {
	return blob != nil && blob.Type == "static" && slices.ContainsFunc(w.keys, func(k staticKey) bool { return k.id == blob.KeyID })
}
