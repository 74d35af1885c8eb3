package shamir

import (
	"crypto/subtle"
	"math/bits"
)

// planeOf returns bits of x, so many that the values of every polynomial of
// degree below the threshold add up to zero over x and the places that differ
// from x in these bits alone. It returns 0 if x has not so many.
//
// For d bits these are 2^d places, a plane over GF(2), and squares are linear
// over GF(2). So x^e is a product of as many linear functions as e has bits
// set; multiplied out along a plane, its terms depend on that many directions
// at most, and each comes an even number of times if there are d directions
// and e has fewer bits. Every e below threshold < 2^d has.
func planeOf(x, threshold int) (plane int) {
	for range bits.Len(uint(threshold)) {
		rest := x &^ plane
		if rest == 0 {
			return 0
		}
		plane |= rest & -rest
	}
	return plane
}

// addPlane sets dst to the value at x: the sum of the values at all other
// places of its plane, which are below x.
func addPlane(dst []byte, values [][]byte, x, plane int) {
	base := x &^ plane
	bits := plane & (plane - 1) // some of those of the plane, counting down
	subtle.XORBytes(dst, values[base][:len(dst)], values[base|bits])
	for bits = (bits - 1) & plane; bits > 0; bits = (bits - 1) & plane {
		subtle.XORBytes(dst, dst, values[base|bits])
	}
}
