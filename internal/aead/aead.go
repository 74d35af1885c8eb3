// Package aead is the one authenticated cipher of the module: AES-256-GCM
// with a random 96-bit nonce in front, NIST SP 800-38D.
//
// The standard library offers it through two doors, and each is shut in some
// build: GODEBUG=fips140=only refuses [cipher.NewGCM], and
// GOEXPERIMENT=boringcrypto refuses [cipher.NewGCMWithRandomNonce]. This
// package takes the one that is open. The bytes are the same either way:
//
//	nonce (12) ‖ ciphertext (as long as the plaintext) ‖ tag (16)
//
// No caller chooses a nonce. Under one key at most 2^32 messages may be
// sealed, as SP 800-38D section 8.3 has it; counting them is the caller's
// part. [SealBox] is for keys that nobody counts: it derives a key for each
// box, and commits to it.
//
// Sealing and opening are well defined however the slices overlap.
package aead

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/rand"
	"errors"
	"slices"
	"sync"

	"github.com/sealwright/sealwright/internal/secret"
)

const (
	// KeySize is the length in bytes of a key.
	KeySize = 32

	// Overhead is the number of bytes by which a sealed message is longer than
	// its plaintext: nonce and tag.
	Overhead = nonceSize + tagSize

	// MaxPlaintext is the length in bytes of the longest message that GCM
	// takes: 2^32 - 2 blocks, more than an int holds on small machines.
	MaxPlaintext uint64 = (1<<32 - 2) * aes.BlockSize

	nonceSize = 12
	tagSize   = 16
)

var (
	// ErrCorrupt says that what was sealed is too short or does not
	// authenticate: it was changed, or belongs to other associated data, or,
	// where no commitment tells, to another key.
	ErrCorrupt = errors.New("aead: corrupt")

	// ErrWrongKey says that a box commits to another key than the one given.
	ErrWrongKey = errors.New("aead: wrong key")

	// ErrKeySize says that a key has not [KeySize] bytes.
	ErrKeySize = errors.New("aead: key is not 32 bytes long")
)

// An AEAD seals and opens messages under one key. Its methods are safe for
// concurrent use, except Wipe.
type AEAD struct {
	gcm    cipher.AEAD
	random bool   // whether gcm draws and carries the nonce itself
	place  []byte // where the state of gcm is, if in locked memory
}

// New expands a key of [KeySize] bytes, and keeps no reference to it. The
// expanded key is in locked memory where there is any; the caller wipes it. The
// only error is [ErrKeySize], unless the build has no AES-GCM at all.
func New(key []byte) (*AEAD, error) {
	if len(key) != KeySize {
		return nil, ErrKeySize
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	defer burnStack()      // Portable key expansion works there.
	defer WipeState(block) // GCM works on its own copy of the key schedule.
	a := &AEAD{random: fips140.Enabled()}
	if a.random {
		a.gcm, err = cipher.NewGCMWithRandomNonce(block)
	} else {
		a.gcm, err = cipher.NewGCM(block)
	}
	if err != nil {
		return nil, err
	}
	if !a.random {
		// After a wipe a GCM with a random nonce would go on under a cleared
		// key, and in locked memory soon under another's. The other panics.
		a.gcm, a.place = relocate(a.gcm)
	}
	return a, nil
}

// Seal appends the sealed plaintext to dst and returns the longer slice. It
// allocates nothing if dst has room for len(plaintext) + [Overhead] bytes.
//
// The slices may overlap in any way: sealing in place over plaintext[:0] is
// well defined, and costs a move of the plaintext. The plaintext is at most
// [MaxPlaintext] bytes; Seal panics above it, as crypto/cipher does.
func (a *AEAD) Seal(dst, plaintext, aad []byte) []byte {
	n, size := len(dst), len(plaintext)+Overhead
	if a.random || cap(dst)-n < size || Overlap(dst[n:n+size], plaintext) || Overlap(dst[n:n+size], aad) {
		return a.sealAny(dst, plaintext, aad)
	}
	// What nearly every call takes, with little else in its way.
	nonce := dst[n : n+nonceSize]
	rand.Read(nonce)
	return a.gcm.Seal(dst[:n+nonceSize], nonce, plaintext, aad)
}

func (a *AEAD) sealAny(dst, plaintext, aad []byte) []byte {
	n := len(dst)
	if cap(dst)-n < len(plaintext)+Overhead {
		dst = slices.Grow(dst, len(plaintext)+Overhead)
	}
	out := dst[n : n+len(plaintext)+Overhead]
	if Overlap(out, aad) {
		aad = bytes.Clone(aad)
	}
	if a.random {
		if Overlap(out, plaintext) {
			plaintext = out[:copy(out, plaintext)]
		}
		return a.gcm.Seal(dst, nil, plaintext, aad)
	}
	if Overlap(out, plaintext) {
		plaintext = out[nonceSize:][:copy(out[nonceSize:], plaintext)]
	}
	nonce := out[:nonceSize]
	rand.Read(nonce)
	return a.gcm.Seal(dst[:n+nonceSize], nonce, plaintext, aad)
}

// Open appends the plaintext to dst and returns the longer slice. It allocates
// nothing if dst has room for the plaintext, unless the slices overlap. It
// returns [ErrCorrupt] if sealed does not authenticate; what dst held beyond
// its length is cleared then, and nothing of the plaintext is released.
//
// The slices may overlap in any way; opening in place over sealed[:0] loses
// the sealed message, whether it authenticates or not.
func (a *AEAD) Open(dst, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrCorrupt
	}
	n, size := len(dst), len(sealed)-Overhead
	if a.random || cap(dst)-n < size || Overlap(dst[n:n+size], sealed) || Overlap(dst[n:n+size], aad) {
		return a.openAny(dst, sealed, aad)
	}
	// What nearly every call takes, as in Seal.
	dst, err := a.gcm.Open(dst, sealed[:nonceSize], sealed[nonceSize:], aad)
	if err != nil {
		return nil, ErrCorrupt
	}
	return dst, nil
}

func (a *AEAD) openAny(dst, sealed, aad []byte) ([]byte, error) {
	n, size := len(dst), len(sealed)-Overhead
	if cap(dst)-n < size {
		dst = slices.Grow(dst, size)
	}
	out := dst[n : n+size]
	if Overlap(out, aad) {
		aad = bytes.Clone(aad)
	}
	nonce, rest := sealed[:nonceSize], sealed[nonceSize:]
	if Overlap(out, sealed) && (a.random || Overlap(out, nonce) || !same(out, rest)) {
		sealed = bytes.Clone(sealed)
		nonce, rest = sealed[:nonceSize], sealed[nonceSize:]
	}
	var err error
	if a.random {
		dst, err = a.gcm.Open(dst, nil, sealed, aad)
	} else {
		dst, err = a.gcm.Open(dst, nonce, rest, aad)
	}
	if err != nil {
		return nil, ErrCorrupt
	}
	return dst, nil
}

// Memory returns how expanded keys, and other secrets that stay for long, are
// kept in this process.
func Memory() secret.Posture {
	p := secret.Memory()
	switch {
	case !p.Locked && !p.Undumpable:
	case fips140.Enabled():
		p = secret.Posture{Reason: "in FIPS mode expanded keys are in ordinary memory"}
	case !ownGCM():
		p = secret.Posture{Reason: "expanded keys of this build of Go are in ordinary memory"}
	}
	return p
}

// ownGCM reports whether the layout of the standard library's GCM is one that
// can be moved.
var ownGCM = sync.OnceValue(func() bool {
	a, err := New(make([]byte, KeySize))
	if err != nil {
		return false
	}
	defer a.Wipe()
	return movable(a.gcm)
})

// Wipe clears the expanded key. The caller makes sure that no other method is
// running; any later use panics rather than working with a cleared key.
func (a *AEAD) Wipe() {
	if a.place != nil {
		secret.Free(a.place)
	} else {
		WipeState(a.gcm)
	}
	a.gcm, a.place = nil, nil
}
