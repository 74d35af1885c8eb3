package vaultstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/sealwright/sealwright/kms"
)

// A Seal is an auto seal: it opens what the server had it wrap. [Static] and
// [KMS] are ones; a device that has no Wrapper here can be one by itself.
type Seal interface {
	// Type is what core/seal-config calls the seal: "awskms", "static", …
	Type() string

	// OpenBlob returns what is in a blob, which the caller wipes. A blob of
	// another key is an error like any other.
	OpenBlob(ctx context.Context, b *Blob) ([]byte, error)
}

// A Sealer is a [Seal] that wraps, too. [Repair] wraps a recovery key anew where
// it can.
type Sealer interface {
	Seal
	SealBlob(ctx context.Context, plain []byte) (*Blob, error)
}

// Static is OpenBao's seal "static": an AES-256 key that the configuration has.
// It prints no key.
type Static struct {
	ID  string // current_key_id; "" tries the key on every blob
	Key []byte `json:"-"` // of 32 bytes
}

// Type implements [Seal].
func (Static) Type() string { return "static" }

// OpenBlob implements [Seal].
func (s Static) OpenBlob(_ context.Context, b *Blob) ([]byte, error) {
	if s.ID != "" && b.KeyID != "" && s.ID != b.KeyID {
		return nil, fmt.Errorf("vaultstore: static: the blob is of the key %.100q, and the seal has %.100q", b.KeyID, s.ID)
	}
	plain, err := openGCM(s.Key, b.sealed(), nil)
	if err != nil {
		return nil, fmt.Errorf("vaultstore: static: the key %.100q: %w", s.ID, err)
	}
	return plain, nil
}

// SealBlob implements [Sealer].
func (s Static) SealBlob(_ context.Context, plain []byte) (*Blob, error) {
	a, err := gcm(s.Key)
	if err != nil {
		return nil, fmt.Errorf("vaultstore: static: %w", err)
	}
	out := a.Seal(nil, nil, plain, nil)
	return &Blob{IV: out[:nonceSize:nonceSize], Ciphertext: out[nonceSize:], KeyID: s.ID}, nil
}

// Format writes which key it is, for every verb.
func (s Static) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "static key %q", s.ID) }

// KMS is an auto seal by a Wrapper of this project, which must be a
// [kms.Foreign]: those of awskms, azurekeyvault, gcpckms and transit are. The
// Wrapper is of the key that the server's stanza names, by its own name rather
// than by an alias.
type KMS struct {
	Kind    string // "awskms", "azurekeyvault", "gcpckms", "transit"
	Wrapper kms.Wrapper
}

// Type implements [Seal].
func (k KMS) Type() string { return k.Kind }

// OpenBlob implements [Seal]: the KMS unwraps the data key in the blob, or all
// of the blob where there is none.
func (k KMS) OpenBlob(ctx context.Context, b *Blob) ([]byte, error) {
	w, ok := k.Wrapper.(kms.Foreign)
	if !ok {
		return nil, fmt.Errorf("vaultstore: %s: the Wrapper opens nothing that others wrapped: it is no kms.Foreign", k.Kind)
	}
	if len(b.WrappedKey) == 0 {
		return w.UnwrapForeign(ctx, b.sealed(), b.KeyID)
	}
	wrapped := b.WrappedKey
	if k.Kind == "azurekeyvault" {
		wrapped = fromText(wrapped)
	}
	key, err := w.UnwrapForeign(ctx, wrapped, b.KeyID)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	plain, err := openGCM(key, b.sealed(), nil)
	if err != nil {
		return nil, fmt.Errorf("vaultstore: %s: the data key in the blob: %w", k.Kind, err)
	}
	return plain, nil
}

// fromText undoes the base64 in which older servers kept what Azure answered.
func fromText(b []byte) []byte {
	raw := make([]byte, base64.RawURLEncoding.DecodedLen(len(b)))
	if n, err := base64.RawURLEncoding.Decode(raw, b); err == nil {
		return raw[:n]
	}
	return b
}

// Keys is what may open a store. What does not belong to it is tried and left.
type Keys struct {
	// Shares are Vault's unseal or recovery shares, as [ParseShare] returns them.
	Shares [][]byte `json:"-"`

	// Seals are the auto seals that the store may be under.
	Seals []Seal

	// RootKey is the root key itself, for who has it.
	RootKey []byte `json:"-"`
}

// Format writes how many there are, for every verb.
func (k Keys) Format(f fmt.State, _ rune) {
	io.WriteString(f, fmt.Sprintf("vaultstore.Keys{%d shares, %d seals, root key: %t}", len(k.Shares), len(k.Seals), len(k.RootKey) > 0))
}
