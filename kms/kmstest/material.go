package kmstest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"slices"

	"github.com/sealwright/sealwright/kms"
)

// material is the secret of one version. It encrypts without a nonce, so that a
// Fake is deterministic: what it writes is
//
//	id (8) ‖ tag (32) ‖ plaintext ⊕ stream(tag)
//
// where the tag is an HMAC of associated data and plaintext.
type material struct{ key, id []byte }

func newMaterial(name string) material {
	key := sha256.Sum256([]byte("sealwright/kmstest/" + name))
	id := sha256.Sum256(key[:])
	return material{key[:], id[:8]}
}

func (m material) seal(plaintext, aad []byte) []byte {
	tag := m.mac("tag", aad, plaintext)
	out := make([]byte, len(plaintext))
	subtle.XORBytes(out, plaintext, m.stream(len(plaintext), tag))
	return slices.Concat(m.id, tag, out)
}

// open returns the plaintext, or the sentinel to fail with.
func (m material) open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < 8+sha256.Size {
		return nil, kms.ErrCorrupt
	}
	if !bytes.Equal(sealed[:8], m.id) {
		return nil, kms.ErrWrongKey
	}
	tag, sealed := sealed[8:8+sha256.Size], sealed[8+sha256.Size:]
	out := make([]byte, len(sealed))
	subtle.XORBytes(out, sealed, m.stream(len(sealed), tag))
	if !hmac.Equal(tag, m.mac("tag", aad, out)) {
		return nil, kms.ErrCorrupt
	}
	return out, nil
}

// stream returns n bytes that depend on parts.
func (m material) stream(n int, parts ...[]byte) []byte {
	var out []byte
	for i := uint32(0); len(out) < n; i++ {
		block := binary.BigEndian.AppendUint32(nil, i)
		out = append(out, m.mac("stream", append(parts[:len(parts):len(parts)], block)...)...)
	}
	return out[:n]
}

func (m material) mac(purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(purpose))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write(p)
	}
	return h.Sum(nil)
}
