package sealconf

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/sealwright/sealwright/kms"
)

// A staticWrapper wraps with AES-256-GCM under keys from the configuration, as
// OpenBao's static seal: whoever reads the configuration opens everything. It
// keeps no key: each call reads the one it needs.
type staticWrapper struct {
	keys []staticKey // the first wraps
}

type staticKey struct {
	id    string
	field string
	read  func() ([]byte, error) // what is written, or what the file holds now
}

var (
	_ kms.Wrapper       = (*staticWrapper)(nil)
	_ kms.Prober        = (*staticWrapper)(nil)
	_ kms.Authenticator = (*staticWrapper)(nil)
)

// load returns the key, which the caller wipes.
func (k *staticKey) load() ([]byte, error) {
	text, err := k.read()
	if err != nil {
		return nil, err
	}
	defer clear(text)
	key, err := parseStatic(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.field, err)
	}
	return key, nil
}

var errStaticKey = errors.New("a key is 64 hex digits, 44 characters of base64, 43 of URL base64, or 32 bytes")

// parseStatic takes a key as OpenBao does: 64 hex digits, 44 or 43 characters of
// base64, or 32 bytes. A file's white space around it does not count, but 32
// bytes are a key whatever they are.
func parseStatic(text []byte) ([]byte, error) {
	for _, end := range []string{"", "\n", "\r\n"} {
		if raw, ok := bytes.CutSuffix(text, []byte(end)); ok && len(raw) == 32 {
			return bytes.Clone(raw), nil
		}
	}
	text = bytes.TrimSpace(text)
	key := make([]byte, 64)
	n := 0
	err := errStaticKey
	switch len(text) {
	case 64:
		n, err = hex.Decode(key, text)
	case 44:
		n, err = base64.StdEncoding.Decode(key, text)
	case 43:
		n, err = base64.RawURLEncoding.Decode(key, text)
	case 32:
		n, err = copy(key, text), nil
	}
	if err != nil || n != 32 {
		clear(key)
		return nil, errStaticKey // the decoders' words show a character
	}
	return key[:32], nil
}

// version is a fingerprint of a key, for the blob: other bytes under the same id
// are then told from a blob that was altered.
func version(key []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("sealwright static seal 1: version"))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// check refuses a key that cannot be, and one that contradicts those before it.
func (w *staticWrapper) check(i int) error {
	key, err := w.keys[i].load()
	if err != nil {
		return err
	}
	defer clear(key)
	for j := range w.keys[:i] {
		other, err := w.keys[j].load()
		if err != nil {
			continue // a file that is not there yet contradicts nothing
		}
		same := subtle.ConstantTimeCompare(key, other) == 1
		clear(other)
		if (w.keys[i].id == w.keys[j].id) != same {
			return errors.New("one key has two ids, or one id two keys")
		}
	}
	return nil
}

// aead returns the cipher of a key and its version.
func (w *staticWrapper) aead(op string, k *staticKey) (cipher.AEAD, string, error) {
	key, err := k.load()
	if err != nil {
		return nil, "", w.unreadable(op, k.id, err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, "", w.fail(op, k.id, kms.ErrMisconfigured, "%w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, "", w.fail(op, k.id, kms.ErrMisconfigured, "%w", err)
	}
	return aead, version(key), nil
}

// unreadable says what a key that cannot be read now means, as localkms does.
func (w *staticWrapper) unreadable(op, id string, err error) error {
	kind := kms.ErrUnavailable
	switch {
	case errors.Is(err, errStaticKey):
		kind = kms.ErrMisconfigured
	case errors.Is(err, fs.ErrNotExist):
		return w.fail(op, id, kms.ErrKeyGone, "%w: is its volume mounted?", err)
	case errors.Is(err, fs.ErrPermission):
		kind = kms.ErrDenied
	}
	return w.fail(op, id, kind, "%w", err)
}

func (w *staticWrapper) fail(op, id string, kind error, format string, args ...any) error {
	return &kms.Error{Op: op, Type: "static", KeyID: id, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Wrap implements [kms.Wrapper] with the current key.
func (w *staticWrapper) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	k := &w.keys[0]
	if err := ctx.Err(); err != nil {
		return nil, w.fail("wrap", k.id, kms.ErrUnavailable, "%w", err)
	}
	if len(key) < 16 || len(key) > kms.MaxKeySize || len(key)%8 != 0 {
		return nil, w.fail("wrap", k.id, kms.ErrMisconfigured, "a key of %d bytes", len(key))
	}
	aead, version, err := w.aead("wrap", k)
	if err != nil {
		return nil, err
	}
	return &kms.Blob{Type: "static", KeyID: k.id, Version: version, Ciphertext: aead.Seal(nil, nil, key, b.Bytes())}, nil
}

// Unwrap implements [kms.Wrapper] with the key of the blob's id.
func (w *staticWrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	const op = "unwrap"
	if blob == nil {
		return nil, w.fail(op, "", kms.ErrCorrupt, "no blob")
	}
	if err := ctx.Err(); err != nil {
		return nil, w.fail(op, blob.KeyID, kms.ErrUnavailable, "%w", err)
	}
	if blob.Type != "static" {
		return nil, w.fail(op, w.keys[0].id, kms.ErrWrongKey, "the blob is of type %.64q", blob.Type)
	}
	for i := range w.keys {
		if w.keys[i].id != blob.KeyID {
			continue
		}
		aead, version, err := w.aead(op, &w.keys[i])
		if err != nil {
			return nil, err
		}
		if blob.Version != "" && blob.Version != version {
			return nil, w.fail(op, blob.KeyID, kms.ErrWrongKey, "the configuration has another key under this id than the one that wrapped (%.16q, not %q): put the old key back under its id, and give the new one an id of its own, with the old as previous_key", version, blob.Version)
		}
		key, err := aead.Open(nil, nil, blob.Ciphertext, b.Bytes())
		if err != nil {
			return nil, w.fail(op, blob.KeyID, kms.ErrCorrupt, "it does not authenticate")
		}
		return key, nil
	}
	return nil, w.fail(op, blob.KeyID, kms.ErrWrongKey, "the configuration has no key of that id: write it as previous_key_id, with its previous_key, until the slot is wrapped anew")
}

// Probe implements [kms.Prober]: it names the current key, which Wrap would use,
// whatever else opens.
func (w *staticWrapper) Probe(ctx context.Context) (kms.Health, error) {
	k := &w.keys[0]
	if err := ctx.Err(); err != nil {
		return kms.Health{}, w.fail("probe", k.id, kms.ErrUnavailable, "%w", err)
	}
	key, err := k.load()
	if err != nil {
		return kms.Health{}, w.unreadable("probe", k.id, err)
	}
	defer clear(key)
	return kms.Health{KeyID: k.id, Version: version(key), Enabled: true}, nil
}

// Authenticates implements [kms.Authenticator]: only who has the key can make a
// blob, and the configuration says which keys there are.
func (w *staticWrapper) Authenticates(blob *kms.Blob) bool {
	return blob != nil && blob.Type == "static" &&
		slices.ContainsFunc(w.keys, func(k staticKey) bool { return k.id == blob.KeyID })
}
