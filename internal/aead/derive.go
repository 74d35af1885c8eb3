package aead

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding"
	"encoding/binary"
	"hash"
)

// Derive returns n bytes of HKDF-SHA256, RFC 5869, from a key, a salt and the
// info: at most 255 * 32 bytes, with a salt of at most 64. The caller owns and
// wipes them.
//
// It gives what crypto/hkdf gives, and leaves no copy of the key behind. The
// states of crypto/hmac and crypto/hkdf stay on the heap and the stack with the
// key in them, raw or masked with 0x36 and 0x5c, out of reach of any wipe.
func Derive(key, salt []byte, info string, n int) []byte {
	if n > 255*sha256.Size || len(salt) > sha256.BlockSize {
		panic("aead: derived key or salt too long")
	}
	h := newHMAC(max(len(key), sha256.Size+len(info)+1))
	defer h.wipe()
	prk := h.sum(make([]byte, 0, sha256.Size), salt, key)
	defer clear(prk)
	return h.expand(prk, info, n)
}

// Expand is the second half of [Derive] alone: HKDF-Expand of RFC 5869, with
// SHA-256, from a key of at most 64 bytes that is uniformly random.
func Expand(key []byte, info string, n int) []byte {
	if n > 255*sha256.Size || len(key) > sha256.BlockSize {
		panic("aead: derived key or its key too long")
	}
	h := newHMAC(sha256.Size + len(info) + 1)
	defer h.wipe()
	return h.expand(key, info, n)
}

// Digest is SHA-256 of a secret, and leaves no copy of it behind. crypto/sha256
// copies the last block of what it hashes into its state, and that onto the stack:
// a stack that the garbage collector makes smaller is left as it is.
func Digest(secret []byte) (sum [sha256.Size]byte) {
	h := newHMAC(len(secret))
	defer h.wipe()
	h.hashPadded(append(h.work, secret...))
	copy(sum[:], h.hashed())
	return sum
}

func (h *hmacState) expand(prk []byte, info string, n int) []byte {
	out := make([]byte, 0, n+sha256.Size)
	msg := make([]byte, 0, sha256.Size+len(info)+1)
	for i := byte(1); len(out) < n; i++ {
		msg = append(append(msg, info...), i)
		out = h.sum(out, prk, msg)
		msg = append(msg[:0], out[len(out)-sha256.Size:]...)
	}
	clear(msg[:cap(msg)])
	clear(out[n:cap(out)])
	return out[:n:n]
}

// hmacState computes HMAC-SHA256, RFC 2104, in buffers that can be wiped. It
// gives the hash whole blocks only, padding included: then the hash copies
// none of them into its own state, and its sum is that state, which is read
// without the copies on the stack that Sum makes.
type hmacState struct {
	hash  hash.Hash
	work  []byte // the padded message
	state []byte // the marshaled state of the hash
}

func newHMAC(maxMessage int) *hmacState {
	return &hmacState{
		hash:  sha256.New(),
		work:  make([]byte, 0, sha256.BlockSize+max(maxMessage, sha256.Size)+9+sha256.BlockSize),
		state: make([]byte, 0, 128),
	}
}

// sum appends the HMAC of the message to out, which has room for it. The key
// is no longer than a block.
func (h *hmacState) sum(out, key, msg []byte) []byte {
	h.hashPadded(append(h.mask(key, 0x36), msg...))
	h.hashPadded(append(h.mask(key, 0x5c), h.hashed()...))
	return append(out, h.hashed()...)
}

// mask returns, in work, the key filled up to a block with zeros and XORed
// with the pad.
func (h *hmacState) mask(key []byte, pad byte) []byte {
	block := h.work[:sha256.BlockSize]
	for i := range block {
		block[i] = pad
	}
	subtle.XORBytes(block, block, key)
	return block
}

// hashPadded hashes the message, with the padding of FIPS 180-4 section 5.1.1
// appended to it.
func (h *hmacState) hashPadded(msg []byte) {
	bits := uint64(len(msg)) * 8
	msg = append(msg, 0x80)
	for len(msg)%sha256.BlockSize != sha256.BlockSize-8 {
		msg = append(msg, 0)
	}
	h.hash.Reset()
	h.hash.Write(binary.BigEndian.AppendUint64(msg, bits))
	h.state, _ = h.hash.(encoding.BinaryAppender).AppendBinary(h.state[:0])
}

// hashed returns the sum, which the state holds behind four bytes of magic.
func (h *hmacState) hashed() []byte {
	return h.state[4:][:sha256.Size]
}

func (h *hmacState) wipe() {
	WipeState(h.hash)
	clear(h.work[:cap(h.work)])
	clear(h.state[:cap(h.state)])
	burnStack()
}

// burnStack overwrites the stack below its caller, where portable versions of
// the hash keep the words of a block.
//
//go:noinline
func burnStack() {
	var frame [1024]byte
	burn(&frame)
}

//go:noinline
func burn(frame *[1024]byte) {
	clear(frame[:])
}
