package named_test

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"math/bits"
	"slices"
	"testing"
)

// ChaCha20-Poly1305 of RFC 8439 and its extended-nonce sibling, as plain as they
// can be, in place of golang.org/x/crypto, which this module does not have.

type chacha struct {
	key      [32]byte
	extended bool
}

func newChaCha(key []byte) (cipher.AEAD, error)  { return makeChaCha(key, false) }
func newXChaCha(key []byte) (cipher.AEAD, error) { return makeChaCha(key, true) }

func makeChaCha(key []byte, extended bool) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, errors.New("bad key size")
	}
	return chacha{[32]byte(key), extended}, nil
}

func (c chacha) NonceSize() int {
	if c.extended {
		return 24
	}
	return 12
}

func (chacha) Overhead() int { return 16 }

// core is the block function before the last addition.
func core(key []byte, counterNonce []byte) (start, s [16]uint32) {
	copy(start[:], []uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574})
	for i := range 8 {
		start[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	for i := range 4 {
		start[12+i] = binary.LittleEndian.Uint32(counterNonce[4*i:])
	}
	s = start
	quarter := func(a, b, c, d int) {
		s[a] += s[b]
		s[d] = bits.RotateLeft32(s[d]^s[a], 16)
		s[c] += s[d]
		s[b] = bits.RotateLeft32(s[b]^s[c], 12)
		s[a] += s[b]
		s[d] = bits.RotateLeft32(s[d]^s[a], 8)
		s[c] += s[d]
		s[b] = bits.RotateLeft32(s[b]^s[c], 7)
	}
	for range 10 {
		for i := range 4 {
			quarter(i, 4+i, 8+i, 12+i)
		}
		for i := range 4 {
			quarter(i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	return start, s
}

func stream(key, nonce, data []byte, counter uint32) []byte {
	out := slices.Clone(data)
	for i := range out {
		if i%64 == 0 {
			in := append(binary.LittleEndian.AppendUint32(nil, counter+uint32(i/64)), nonce...)
			start, s := core(key, in)
			var block []byte
			for j := range s {
				block = binary.LittleEndian.AppendUint32(block, s[j]+start[j])
			}
			for j := i; j < min(i+64, len(out)); j++ {
				out[j] ^= block[j-i]
			}
		}
	}
	return out
}

// inner returns the key and the nonce of the 96-bit kind.
func (c chacha) inner(nonce []byte) (key, short []byte) {
	if !c.extended {
		return c.key[:], nonce
	}
	_, s := core(c.key[:], nonce[:16])
	for _, w := range append(slices.Clone(s[:4]), s[12:]...) {
		key = binary.LittleEndian.AppendUint32(key, w)
	}
	return key, append(make([]byte, 4), nonce[16:]...)
}

func tag(key, nonce, sealed, aad []byte) []byte {
	poly := stream(key, nonce, make([]byte, 32), 0)
	pad := func(b []byte) []byte { return append(slices.Clone(b), make([]byte, (16-len(b)%16)%16)...) }
	msg := append(pad(aad), pad(sealed)...)
	msg = binary.LittleEndian.AppendUint64(msg, uint64(len(aad)))
	msg = binary.LittleEndian.AppendUint64(msg, uint64(len(sealed)))
	le := func(b []byte) *big.Int { b = slices.Clone(b); slices.Reverse(b); return new(big.Int).SetBytes(b) }
	r := slices.Clone(poly[:16])
	for _, i := range []int{3, 7, 11, 15} {
		r[i] &= 15
	}
	for _, i := range []int{4, 8, 12} {
		r[i] &= 252
	}
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	acc := new(big.Int)
	for i := 0; i < len(msg); i += 16 {
		acc.Add(acc, le(append(slices.Clone(msg[i:i+16]), 1)))
		acc.Mod(acc.Mul(acc, le(r)), p)
	}
	acc.Add(acc, le(poly[16:]))
	acc.And(acc, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)))
	out := acc.FillBytes(make([]byte, 16))
	slices.Reverse(out)
	return out
}

func (c chacha) Seal(dst, nonce, plaintext, aad []byte) []byte {
	key, short := c.inner(nonce)
	sealed := stream(key, short, plaintext, 1)
	return append(append(dst, sealed...), tag(key, short, sealed, aad)...)
}

func (c chacha) Open(dst, nonce, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < 16 {
		return nil, errors.New("too short")
	}
	key, short := c.inner(nonce)
	body, got := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
	if subtle.ConstantTimeCompare(tag(key, short, body, aad), got) != 1 {
		return nil, errors.New("message authentication failed")
	}
	return append(dst, stream(key, short, body, 1)...), nil
}

// The vector of RFC 8439, section 2.8.2, and that of XChaCha's draft, A.3.1.
func TestReferenceChaCha(t *testing.T) {
	unhex := func(s string) []byte { return must(hex.DecodeString(s))(t) }
	plaintext := []byte("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")
	key, aad := unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"), unhex("50515253c0c1c2c3c4c5c6c7")
	for name, tc := range map[string]struct {
		make       func([]byte) (cipher.AEAD, error)
		nonce, tag string
	}{
		"ChaCha20-Poly1305":  {newChaCha, "070000004041424344454647", "1ae10b594f09e26a7e902ecbd0600691"},
		"XChaCha20-Poly1305": {newXChaCha, "404142434445464748494a4b4c4d4e4f5051525354555657", "c0875924c1c7987947deafd8780acf49"},
	} {
		a := must(tc.make(key))(t)
		sealed := a.Seal(nil, unhex(tc.nonce), plaintext, aad)
		if got := hex.EncodeToString(sealed[len(sealed)-16:]); got != tc.tag {
			t.Errorf("%s: tag %s, want %s", name, got, tc.tag)
		}
		if got, err := a.Open(nil, unhex(tc.nonce), sealed, aad); err != nil || string(got) != string(plaintext) {
			t.Errorf("%s: opened %q, %v", name, got, err)
		}
	}
}
