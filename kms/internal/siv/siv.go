// Package siv is an authenticated cipher without randomness, for the fakes of
// KMSes: the same key, plaintext and associated data give the same bytes. It
// shows when two plaintexts are the same, so it is not for production. That it
// needs no random nonce also matters in tests: inside a bubble of
// testing/synctest crypto/rand panics under GODEBUG=fips140=only, as the clock
// that its entropy comes from stands still.
//
// It is a synthetic IV in the manner of RFC 5297, made of HMAC-SHA256:
//
//	iv (12) ‖ plaintext ⊕ stream(iv ‖ tag) ‖ tag (16)
//
// where iv and tag are an HMAC of associated data and plaintext. It has the
// lengths of AES-GCM.
package siv

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"slices"
)

// Overhead is the number of bytes by which a sealed message is longer than its
// plaintext.
const Overhead = ivSize + tagSize

const (
	ivSize  = 12
	tagSize = 16
)

// Seal returns the sealed plaintext.
func Seal(key, plaintext, aad []byte) []byte {
	sum := mac(key, "tag", aad, plaintext)[:Overhead]
	out := make([]byte, len(plaintext))
	subtle.XORBytes(out, plaintext, Stream(key, len(plaintext), sum))
	return slices.Concat(sum[:ivSize], out, sum[ivSize:])
}

// Open returns the plaintext, or false if the message was altered or belongs to
// other associated data or another key.
func Open(key, sealed, aad []byte) ([]byte, bool) {
	n := len(sealed) - Overhead
	if n < 0 {
		return nil, false
	}
	sum := slices.Concat(sealed[:ivSize], sealed[ivSize+n:])
	out := make([]byte, n)
	subtle.XORBytes(out, sealed[ivSize:ivSize+n], Stream(key, n, sum))
	if !hmac.Equal(sum, mac(key, "tag", aad, out)[:Overhead]) {
		return nil, false
	}
	return out, true
}

// Stream returns n bytes that depend on key and parts.
func Stream(key []byte, n int, parts ...[]byte) []byte {
	var out []byte
	for i := uint32(0); len(out) < n; i++ {
		block := binary.BigEndian.AppendUint32(nil, i)
		out = append(out, mac(key, "stream", slices.Concat(parts, [][]byte{block})...)...)
	}
	return out[:n]
}

func mac(key []byte, purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write(p)
	}
	return h.Sum(nil)
}
