package kms

import (
	"context"
	"encoding/binary"
	"time"
)

// A Wrapper protects a key with another key that never leaves its KMS. It is
// all a provider must implement.
//
// One call makes at most one request to the KMS: retries, deadlines and
// fail-over belong to the caller, which sees the whole picture. Both methods
// are safe for concurrent use and return errors of this package's taxonomy,
// as an [*Error].
type Wrapper interface {
	// Wrap encrypts key under the KMS key. The key is a multiple of 8 bytes,
	// from 16 to [MaxKeySize] of them; Wrap neither keeps nor changes it. A
	// provider whose KMS can authenticate associated data passes it the
	// binding; the others need not, since a caller binds what it wraps by
	// derivation as well.
	Wrap(ctx context.Context, key []byte, b Binding) (*Blob, error)

	// Unwrap returns the key in the blob, which the caller owns and wipes. It
	// asks the very key and version that the blob names, compares the key that
	// answered with them, and fails with [ErrWrongKey] where they differ, also
	// when the Wrapper is configured for another key than the blob's.
	Unwrap(ctx context.Context, blob *Blob, b Binding) ([]byte, error)
}

// MaxKeySize is the length in bytes of the longest key a Wrapper must take.
// RSA-OAEP with SHA-256 and a 2048-bit key ends at 190.
const MaxKeySize = 128

// A Prober is a [Wrapper] that can tell how its key is, without using it. It
// is cheap and may need a permission of its own, so a failed probe says
// nothing about Unwrap: only a true unwrap of the stored blob does.
type Prober interface {
	Probe(ctx context.Context) (Health, error)
}

// Health is what a KMS says of a key.
type Health struct {
	KeyID    string    // the key, as in [Blob.KeyID]
	Version  string    // the version that Wrap would use now; "" if the KMS has none
	Enabled  bool      // whether the key may be used
	Deletion time.Time // when the KMS will destroy the key; zero if it won't
	Expires  time.Time // when the key, or its material, ceases to work by itself; zero if it doesn't
}

// A Namer is a [Wrapper] whose KMS has more than one [Blob.KeyID] for one key, as
// AWS has one in each region for a multi-Region key. Without it, two that differ
// are two keys.
type Namer interface {
	// SameKey reports whether the key with either KeyID opens what the other
	// has wrapped. It makes no request.
	SameKey(a, b string) bool
}

// An Authenticator is a [Wrapper] that says which blobs prove who made them.
//
// Authenticates is asked of a blob that this Wrapper has unwrapped. It returns
// true where that can only be the work of somebody who may use the very key that
// is configured. It returns false where anybody may have made the blob, as with
// RSA-OAEP, which needs the public key alone; and where the blob had a say in
// which key opened it, as with an alias: whoever brings a blob along brings a key
// of his own with it. Of nil, of a blob of another type or key, and of a Wrapper
// that is no Authenticator, the answer is false too. It makes no request.
type Authenticator interface {
	Authenticates(blob *Blob) bool
}

// Foreign is a [Wrapper] that also opens what another program encrypted with its
// key and bound to nothing: the stored keys of a Vault, which a migration reads.
// Nothing of this project stores such ciphertexts.
type Foreign interface {
	// UnwrapForeign returns what is in a ciphertext as the KMS made it, which the
	// caller wipes. Name is what the program kept beside it of the key or its
	// version, "" if nothing. Only the key that is configured is asked.
	UnwrapForeign(ctx context.Context, ciphertext []byte, name string) ([]byte, error)
}

// A Blob is a wrapped key and the name of what wrapped it. It is no secret. It
// is stored for as long as the data it protects, and never changes meaning.
type Blob struct {
	// Type is the provider: "azurekeyvault", "awskms", "localkms".
	Type string `json:"type"`
	// KeyID is the key in the KMS's own terms, without its version, and
	// resolved: an ARN, never an alias. Two blobs of one Type and KeyID are
	// opened by the same key.
	KeyID string `json:"key_id"`
	// Version is the version of the key that wrapped, if the KMS tells it.
	Version string `json:"version,omitempty"`
	// Ciphertext is the provider's own, with whatever else it needs to unwrap.
	Ciphertext []byte `json:"ciphertext"`
}

// A Binding names the place a wrapped key belongs to. A blob copied to any
// other place does not open there.
type Binding struct {
	Store string // the store's id
	Slot  string // the slot's name
	Path  string // the leaf's place in the slot's tree: "", "1", "2.3"
}

// Map returns the binding as names and values, for a KMS with an encryption
// context. Empty values are left out, as AWS refuses them.
func (b Binding) Map() map[string]string {
	m := map[string]string{"sealwright": "1"}
	for k, v := range map[string]string{"store": b.Store, "slot": b.Slot, "path": b.Path} {
		if v != "" {
			m["sealwright-"+k] = v
		}
	}
	return m
}

// Bytes returns the binding as associated data: each part behind its length as
// four bytes, big endian, so that no two bindings read the same.
func (b Binding) Bytes() []byte {
	out := []byte("sealwright/kms/v1")
	for _, s := range []string{b.Store, b.Slot, b.Path} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(s)))
		out = append(out, s...)
	}
	return out
}
