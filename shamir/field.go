package shamir

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

// The field is GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (0x11B), that of AES.
// Sums are exclusive ors. The product of two public elements goes by
// logarithms; that of a public and a secret one by doublings, in [dot].

// logs and powers are the logarithms to the base 3 and the powers of 3. They
// are indexed by the x of shares and by what follows from x alone, so by
// public values only. There is no logarithm of 0; logs[0] is 0.
var logs, powers = tables()

func tables() (logs [256]byte, powers [255]byte) {
	power := 1
	for i := range powers {
		logs[power], powers[i] = byte(i), byte(power)
		power ^= power << 1 // times 3
		if power > 0xff {
			power ^= 0x11b
		}
	}
	return logs, powers
}

// dot sets each byte of dst to the sum of all w[j]*y[j] at its place. The
// weights w are public, the y secret, and each at least as long as dst.
//
// A weight is a sum of powers of two, so a product is a sum of doublings, and
// as doubling is linear all the products share theirs: from the highest bit of
// the weights to the lowest, double what there is and add the y whose weight
// has the bit. Which these are is public. What is done to the y, doubling and
// adding, is the same for every value of theirs.
func dot(dst, w []byte, y [][]byte) {
	var or byte
	for _, w := range w {
		or |= w
	}
	top := byte(1) << max(0, bits.Len8(or)-1)

	i := 0
	if len(dst) <= 2*block { // as keys are, for which calls would cost most
		for ; i+block <= len(dst); i += block {
			dotBlock(dst[i:i+block], w, y, top, i)
		}
	}
	for ; i < len(dst); i += chunk {
		d := dst[i:min(i+chunk, len(dst))]
		clear(d)
		for bit := top; bit > 0; bit /= 2 {
			if bit < top {
				double(d)
			}
			for j, w := range w {
				if w&bit != 0 {
					subtle.XORBytes(d, d, y[j][i:])
				}
			}
		}
	}
}

const (
	block = 32      // bytes: four registers hold them
	chunk = 4 << 10 // bytes: the nearest cache holds as many of each y
)

// dotBlock is dot for one block, which is the one from i on in the y.
func dotBlock(dst, w []byte, y [][]byte, top byte, i int) {
	var a, b, c, d uint64
	for bit := top; bit > 0; bit /= 2 {
		a, b, c, d = double8(a), double8(b), double8(c), double8(d)
		for j, w := range w {
			if w&bit != 0 {
				y := y[j][i : i+block]
				a ^= binary.LittleEndian.Uint64(y)
				b ^= binary.LittleEndian.Uint64(y[8:])
				c ^= binary.LittleEndian.Uint64(y[16:])
				d ^= binary.LittleEndian.Uint64(y[24:])
			}
		}
	}
	binary.LittleEndian.PutUint64(dst, a)
	binary.LittleEndian.PutUint64(dst[8:], b)
	binary.LittleEndian.PutUint64(dst[16:], c)
	binary.LittleEndian.PutUint64(dst[24:], d)
}

// double doubles each element in d.
func double(d []byte) {
	for ; len(d) >= block; d = d[block:] {
		binary.LittleEndian.PutUint64(d, double8(binary.LittleEndian.Uint64(d)))
		binary.LittleEndian.PutUint64(d[8:], double8(binary.LittleEndian.Uint64(d[8:])))
		binary.LittleEndian.PutUint64(d[16:], double8(binary.LittleEndian.Uint64(d[16:])))
		binary.LittleEndian.PutUint64(d[24:], double8(binary.LittleEndian.Uint64(d[24:])))
	}
	for i, v := range d {
		d[i] = byte(double8(uint64(v)))
	}
}

// double8 returns twice each of the eight elements in v. Nothing carries from
// one byte into the next: 0x1b is multiplied by 0 or 1.
func double8(v uint64) uint64 {
	high := v & 0x8080808080808080
	return (v^high)<<1 ^ (high>>7)*0x1b
}
