package kmstest

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/internal/siv"
)

// material is the secret of one version, and the name that it puts in front of
// what it encrypts:
//
//	id (8) ‖ what package siv makes, 28 bytes longer than the plaintext
type material struct{ key, id []byte }

func newMaterial(name string) material {
	key := sha256.Sum256([]byte("sealwright/kmstest/" + name))
	id := sha256.Sum256(key[:])
	return material{key[:], id[:8]}
}

func (m material) seal(plaintext, aad []byte) []byte {
	return slices.Concat(m.id, siv.Seal(m.key, plaintext, aad))
}

// open returns the plaintext, or the sentinel to fail with.
func (m material) open(sealed, aad []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, m.id)
	if !ok && len(sealed) >= len(m.id) {
		return nil, kms.ErrWrongKey
	}
	plaintext, ok := siv.Open(m.key, rest, aad)
	if !ok {
		return nil, kms.ErrCorrupt
	}
	return plaintext, nil
}

// stream returns n bytes that look random.
func (m material) stream(n int) []byte { return siv.Stream(m.key, n) }
