package aead

import (
	"crypto/rand"
	"crypto/subtle"
)

// BoxOverhead is the number of bytes by which a box is longer than its
// plaintext: salt, commitment, nonce and tag.
const BoxOverhead = saltSize + commitmentSize + Overhead

const (
	saltSize       = 16
	commitmentSize = 16
)

// SealBox seals one message under a long-lived key of [KeySize] bytes. Each
// box has a key of its own, so there is no limit to their number that anybody
// could reach, and commits to it: a box opens under one key only. The info
// names what the box is for; boxes of different info never open as each other.
//
//	salt (16) ‖ commitment (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16)
//
// Key and commitment are HKDF-SHA256 of the key, the salt and the info: the
// first 32 bytes and the next 16. SealBox returns [ErrKeySize] for a key of
// another length.
func SealBox(key []byte, info string, plaintext, aad []byte) ([]byte, error) {
	box := make([]byte, saltSize, BoxOverhead+len(plaintext))
	rand.Read(box)
	a, commitment, err := boxKey(key, box[:saltSize], info)
	if err != nil {
		return nil, err
	}
	defer a.Wipe()
	return a.Seal(append(box, commitment[:]...), plaintext, aad), nil
}

// OpenBox returns the plaintext of a box, which the caller owns. It returns
// [ErrWrongKey] if the box commits to another key or info, or its salt or
// commitment was changed; [ErrCorrupt] if it is the right key, but the rest of
// the box was changed or belongs to other associated data, or if the box is
// too short; and [ErrKeySize].
func OpenBox(key []byte, info string, box, aad []byte) ([]byte, error) {
	if len(box) < BoxOverhead {
		return nil, ErrCorrupt
	}
	a, commitment, err := boxKey(key, box[:saltSize], info)
	if err != nil {
		return nil, err
	}
	defer a.Wipe()
	if subtle.ConstantTimeCompare(commitment[:], box[saltSize:][:commitmentSize]) != 1 {
		return nil, ErrWrongKey
	}
	return a.Open(nil, box[saltSize+commitmentSize:], aad)
}

func boxKey(key, salt []byte, info string) (a *AEAD, commitment [commitmentSize]byte, err error) {
	if len(key) != KeySize {
		return nil, commitment, ErrKeySize
	}
	okm := Derive(key, salt, info, KeySize+commitmentSize)
	defer clear(okm)
	copy(commitment[:], okm[KeySize:])
	a, err = New(okm[:KeySize])
	return a, commitment, err
}
