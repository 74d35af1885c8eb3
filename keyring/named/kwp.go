package named

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// AES key wrap with padding, RFC 5649 (NIST SP 800-38F, KWP).

// kwpICV is what the alternative initial value begins with; the length follows.
var kwpICV = [4]byte{0xA6, 0x59, 0x59, 0xA6}

// maxWrapped bounds what is unwrapped: each of its half blocks costs six of AES.
const maxWrapped = 16 << 10

// kwpWrap wraps a key, of at least one byte.
func kwpWrap(kek, key []byte) ([]byte, error) {
	if len(key) == 0 || len(key) > maxWrapped {
		return nil, because(ErrInput, "a key of %d bytes is not wrapped", len(key))
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 8+(len(key)+7)/8*8)
	copy(out, kwpICV[:])
	binary.BigEndian.PutUint32(out[4:], uint32(len(key)))
	copy(out[8:], key)
	if len(out) == aes.BlockSize {
		block.Encrypt(out, out)
		return out, nil
	}
	wrapRounds(block, out)
	return out, nil
}

// kwpUnwrap returns the key, for the caller to wipe. Everything that can be wrong
// with it is the same error.
func kwpUnwrap(kek, wrapped []byte) ([]byte, error) {
	if len(wrapped) < 16 || len(wrapped)%8 != 0 || len(wrapped) > 8+maxWrapped {
		return nil, because(ErrInput, "a wrapped key has 16 bytes or more, in eights")
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), wrapped...)
	if len(out) == aes.BlockSize {
		block.Decrypt(out, out)
	} else {
		unwrapRounds(block, out)
	}
	room, n := len(out)-8, int(binary.BigEndian.Uint32(out[4:]))
	ok := subtle.ConstantTimeCompare(out[:4], kwpICV[:])
	if n <= room-8 || n > room {
		ok, n = 0, room
	}
	var padding byte
	for _, b := range out[8+n:] {
		padding |= b
	}
	if ok&subtle.ConstantTimeByteEq(padding, 0) != 1 {
		clear(out)
		return nil, because(ErrCorrupt, "the wrapped key does not unwrap: was it wrapped with AES-KWP under the 32 bytes in front of it?")
	}
	return out[8 : 8+n], nil
}

// wrapRounds is W of RFC 3394 over the initial value and what follows, in place.
func wrapRounds(block cipher.Block, out []byte) {
	var b [aes.BlockSize]byte
	defer clear(b[:])
	n := len(out)/8 - 1
	copy(b[:8], out)
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(b[8:], out[8*i:8*i+8])
			block.Encrypt(b[:], b[:])
			t := binary.BigEndian.Uint64(b[:8]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(b[:8], t)
			copy(out[8*i:], b[8:])
		}
	}
	copy(out, b[:8])
}

// unwrapRounds is its inverse.
func unwrapRounds(block cipher.Block, out []byte) {
	var b [aes.BlockSize]byte
	defer clear(b[:])
	n := len(out)/8 - 1
	copy(b[:8], out)
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			t := binary.BigEndian.Uint64(b[:8]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(b[:8], t)
			copy(b[8:], out[8*i:8*i+8])
			block.Decrypt(b[:], b[:])
			copy(out[8*i:], b[8:])
		}
	}
	copy(out, b[:8])
}
