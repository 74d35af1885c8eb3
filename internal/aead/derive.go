package aead

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Derive returns n bytes of HKDF-SHA256, RFC 5869, from a key, a salt and the
// info: at most 255 * 32 bytes. The caller owns and wipes them.
//
// It gives what crypto/hkdf gives, and leaves no copy of the key behind. The
// states of crypto/hmac stay on the heap with the key in them, raw or masked
// with 0x36 and 0x5c, out of reach of any wipe; here every buffer is our own,
// and the hash is one call over it.
func Derive(key, salt []byte, info string, n int) []byte {
	if n > 255*sha256.Size {
		panic("aead: derived key too long")
	}
	size := sha256.BlockSize + max(len(key), sha256.Size+len(info)+1, sha256.Size)
	work := make([]byte, 0, size)
	var prk, block [sha256.Size]byte
	hmac(&prk, work, salt, key)
	out := make([]byte, 0, n+sha256.Size)
	msg := make([]byte, 0, sha256.Size+len(info)+1)
	for i := byte(1); len(out) < n; i++ {
		msg = append(append(msg, info...), i)
		hmac(&block, work, prk[:], msg)
		out = append(out, block[:]...)
		msg = append(msg[:0], block[:]...)
	}
	clear(out[n:])
	clear(msg[:cap(msg)])
	clear(prk[:])
	clear(block[:])
	burnStack()
	return out[:n:n]
}

// hmac sets sum to HMAC-SHA256, RFC 2104, of the message. It works in work,
// which has room for a block and the message or a sum, and clears it.
func hmac(sum *[sha256.Size]byte, work, key, msg []byte) {
	if len(key) > sha256.BlockSize {
		long := sha256.Sum256(key)
		key = long[:]
		defer clear(long[:])
	}
	inner := append(mask(work, key, 0x36), msg...)
	*sum = sha256.Sum256(inner)
	clear(inner)
	outer := append(mask(work, key, 0x5c), sum[:]...)
	*sum = sha256.Sum256(outer)
	clear(outer)
}

// mask returns, in work, the key filled up to a block with zeros and XORed
// with the pad.
func mask(work, key []byte, pad byte) []byte {
	block := work[:sha256.BlockSize]
	for i := range block {
		block[i] = pad
	}
	subtle.XORBytes(block, block, key)
	return block
}

// burnStack overwrites the stack below its caller, where the hash kept its
// input and its state.
//
//go:noinline
func burnStack() {
	var frame [4096]byte
	burn(&frame)
}

//go:noinline
func burn(frame *[4096]byte) {
	clear(frame[:])
}
