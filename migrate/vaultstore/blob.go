package vaultstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
)

// A Blob is what a seal made of a key: the BlobInfo of go-kms-wrapping. Fields
// that are not listed are read over.
//
//	1 ciphertext · 2 iv · 5 key info {1 mechanism · 3 key id · 5 wrapped key}
type Blob struct {
	Ciphertext []byte // with the nonce in front where IV is empty, as the Shamir seal has it
	IV         []byte
	Mechanism  uint64 // the wrapper's own
	KeyID      string // the key, or its version, in the wrapper's own words
	WrappedKey []byte // a data key that the KMS wrapped; empty where the KMS encrypted by itself
}

const maxBlob = 1 << 20

// ParseBlob reads one BlobInfo.
func ParseBlob(message []byte) (*Blob, error) {
	if len(message) > maxBlob {
		return nil, ErrTooLarge
	}
	b := new(Blob)
	for f, err := range fields(message) {
		if err != nil {
			return nil, err
		}
		if f.kind != 2 {
			continue
		}
		switch f.number {
		case 1:
			b.Ciphertext = bytes.Clone(f.bytes)
		case 2:
			b.IV = bytes.Clone(f.bytes)
		case 5:
			if err := b.keyInfo(f.bytes); err != nil {
				return nil, err
			}
		}
	}
	if len(b.Ciphertext) == 0 {
		return nil, errProto
	}
	return b, nil
}

func (b *Blob) keyInfo(message []byte) error {
	for f, err := range fields(message) {
		switch {
		case err != nil:
			return err
		case f.number == 1 && f.kind == 0:
			b.Mechanism = f.value
		case f.number == 3:
			text, err := f.text()
			if err != nil {
				return err
			}
			b.KeyID = text
		case f.number == 5 && f.kind == 2:
			b.WrappedKey = bytes.Clone(f.bytes)
		}
	}
	return nil
}

// marshal is the inverse of ParseBlob, with the key info that the servers write
// also where it is empty.
func (b *Blob) marshal() []byte {
	var info []byte
	if b.Mechanism != 0 {
		info = binary.AppendUvarint([]byte{1 << 3}, b.Mechanism)
	}
	info = appendBytes(info, 3, []byte(b.KeyID))
	info = appendBytes(info, 5, b.WrappedKey)
	message := appendBytes(nil, 1, b.Ciphertext)
	message = appendBytes(message, 2, b.IV)
	message = append(message, 5<<3|2)
	message = binary.AppendUvarint(message, uint64(len(info)))
	return append(message, info...)
}

// sealed returns nonce, ciphertext and tag together, however the writer split
// them.
func (b *Blob) sealed() []byte { return slices.Concat(b.IV, b.Ciphertext) }

// ofShares reports whether a blob is under what shares combine to: such a one
// names no key. No other seal's is like that, but for AWS' and others' of before
// there were data keys in blobs, which are longer.
func (b *Blob) ofShares() bool {
	const stored = len(`[""]`) + 44
	return len(b.IV) == 0 && b.KeyID == "" && len(b.WrappedKey) == 0 && b.Mechanism == 0 &&
		len(b.Ciphertext) <= nonceSize+stored+tagSize && !bytes.HasPrefix(b.Ciphertext, []byte("vault:v"))
}

// looksLike returns the type of the seal that a blob shows to be of, or "".
func (b *Blob) looksLike() string {
	switch {
	case bytes.HasPrefix(b.Ciphertext, []byte("vault:v")):
		return "transit"
	case strings.HasPrefix(b.KeyID, "arn:aws"):
		return "awskms"
	case strings.HasPrefix(b.KeyID, "projects/") && strings.Contains(b.KeyID, "/cryptoKeys/"):
		return "gcpckms"
	case strings.HasPrefix(b.KeyID, "ocid1."):
		return "ocikms"
	}
	return ""
}

// multiHeader begins the entry of several seals, of Vault Enterprise:
//
//	"multiwrapvalue:1" · length u32 · {1 generation · 2 BlobInfo, repeated}
const multiHeader = "multiwrapvalue:1"

// parseBlobs reads what stands at core/hsm/barrier-unseal-keys or
// core/recovery-key: one blob, or one of each of several seals.
func parseBlobs(value []byte) ([]*Blob, error) {
	rest, multi := bytes.CutPrefix(value, []byte(multiHeader))
	if !multi {
		b, err := ParseBlob(value)
		return []*Blob{b}, err
	}
	if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
		return nil, errProto
	}
	var blobs []*Blob
	for f, err := range fields(rest[4 : 4+binary.BigEndian.Uint32(rest)]) {
		if err != nil {
			return nil, err
		}
		if f.number != 2 || f.kind != 2 {
			continue
		}
		b, err := ParseBlob(f.bytes)
		if err != nil {
			return nil, err
		}
		if blobs = append(blobs, b); len(blobs) > 16 {
			return nil, ErrTooLarge
		}
	}
	if len(blobs) == 0 {
		return nil, errProto
	}
	return blobs, nil
}

// parseStoredKeys returns the root key in what a seal opened: a JSON array of
// one key. The caller wipes the text, and owns the key.
func parseStoredKeys(text []byte) ([]byte, error) {
	var keys [][]byte
	if err := json.Unmarshal(text, &keys); err != nil || len(keys) != 1 || !isKeySize(len(keys[0])) {
		for _, k := range keys {
			clear(k)
		}
		return nil, damaged(pathStoredKeys, "what the seal opened is no list of one key")
	}
	return keys[0], nil
}

func isKeySize(n int) bool { return n == 16 || n == 24 || n == 32 }
