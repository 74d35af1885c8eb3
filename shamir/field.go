package shamir

import (
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
// has the bit. Which these are is public and listed once. What is done to the
// y, doubling and adding, is the same for every value.
func dot(dst, w []byte, y [][]byte) {
	var or byte
	for _, w := range w {
		or |= w
	}
	terms := make([]byte, 0, 128) // j of each term, by bit
	ends := make([]int, bits.Len8(or), 8)
	for bit := len(ends) - 1; bit >= 0; bit-- {
		for j, w := range w {
			if w>>bit&1 == 1 {
				terms = append(terms, byte(j))
			}
		}
		ends[bit] = len(terms)
	}

	i := 0
	for ; i+32 <= len(dst); i += 32 {
		a, b, c, d := sum32(terms, ends, y, i)
		binary.LittleEndian.PutUint64(dst[i:], a)
		binary.LittleEndian.PutUint64(dst[i+8:], b)
		binary.LittleEndian.PutUint64(dst[i+16:], c)
		binary.LittleEndian.PutUint64(dst[i+24:], d)
	}
	for ; i < len(dst); i++ {
		dst[i] = sum(terms, ends, y, i)
	}
}

// sum returns the sum of the terms in byte i of the y.
func sum(terms []byte, ends []int, y [][]byte, i int) byte {
	var a uint64
	k := 0
	for bit := len(ends) - 1; bit >= 0; bit-- {
		a = double(a)
		for ; k < ends[bit]; k++ {
			a ^= uint64(y[terms[k]][i])
		}
	}
	return byte(a)
}

// sum32 returns the sum of the terms in the 32 bytes from i on of the y.
func sum32(terms []byte, ends []int, y [][]byte, i int) (a, b, c, d uint64) {
	k := 0
	for bit := len(ends) - 1; bit >= 0; bit-- {
		a, b, c, d = double(a), double(b), double(c), double(d)
		for ; k < ends[bit]; k++ {
			s := y[terms[k]][i : i+32]
			a ^= binary.LittleEndian.Uint64(s)
			b ^= binary.LittleEndian.Uint64(s[8:])
			c ^= binary.LittleEndian.Uint64(s[16:])
			d ^= binary.LittleEndian.Uint64(s[24:])
		}
	}
	return a, b, c, d
}

// double returns twice each of the eight elements in v. No product here
// carries from one byte into the next: 0x1b is multiplied by 0 or 1.
func double(v uint64) uint64 {
	high := v & 0x8080808080808080
	return (v^high)<<1 ^ (high>>7)*0x1b
}
