// Package shamir splits a secret into shares of which any threshold restore
// it and fewer say nothing of it, and combines them again: Shamir's secret
// sharing over GF(2^8), with the share bytes of HashiCorp Vault and OpenBao.
//
// Use it for keys. A larger secret is better encrypted under a fresh key, and
// the key split.
//
// # Shares
//
// Each byte of the secret is the value at x = 0 of a polynomial of its own, of
// degree threshold-1, over the field of AES (0x11B). A share is the values of
// all polynomials at one x, in the order of the secret's bytes, followed by
// one byte x: a 32-byte key has shares of 33 bytes. [Split] gives the shares
// x = 1, 2, 3…; [Combine] takes any x but 0, as Vault draws them at random.
//
// # What Combine cannot tell
//
// A share carries neither the threshold nor a check. Combine uses all shares
// it is given, and returns a wrong secret, not an error, where one of them is
// wrong or too few are given. Package seal knows each share by a commitment
// and names the wrong one before it combines anything.
//
// # Constant time
//
// Time and memory accesses depend on the sizes, the threshold and the x of the
// shares, which are public, and on no byte of a secret or of the rest of a
// share. Nothing secret is kept: no buffer holds coefficients, and what is
// returned is the only copy made.
package shamir

import (
	"crypto/rand"
	"errors"
	"fmt"
)

const (
	// MaxShares is the largest number of shares: the field has 255 x beside 0.
	MaxShares = 255

	// MaxSecretSize is the size in bytes of the largest secret.
	MaxSecretSize = 1 << 20
)

var (
	// ErrCount is returned for a number of shares, or a threshold, that is out
	// of range.
	ErrCount = errors.New("shamir: number of shares out of range")

	// ErrSize is returned for a secret or a share that is too short or too
	// long, and for shares of different lengths.
	ErrSize = errors.New("shamir: size out of range")

	// ErrZero is returned for a share with x = 0, which nobody has made: it
	// would be the secret itself.
	ErrZero = errors.New("shamir: share with x = 0")

	// ErrDuplicate is returned for two shares with the same x.
	ErrDuplicate = errors.New("shamir: duplicate share")
)

// Split returns shares of the secret, each one byte longer than it, of which
// any threshold restore it in [Combine]. Share i has x = i+1.
//
// It returns [ErrCount] unless 2 <= threshold <= shares <= [MaxShares], and
// [ErrSize] unless the secret has from 1 to [MaxSecretSize] bytes. The secret
// is neither kept nor changed. The caller owns the shares, which lie side by
// side in one array: wipe every one, also those that are not handed out.
func Split(secret []byte, shares, threshold int) ([][]byte, error) {
	if threshold < 2 || threshold > shares || shares > MaxShares {
		return nil, fmt.Errorf("%w: threshold %d of %d shares, need 2 <= threshold <= shares <= %d", ErrCount, threshold, shares, MaxShares)
	}
	if len(secret) == 0 || len(secret) > MaxSecretSize {
		return nil, fmt.Errorf("%w: secret of %d bytes, need 1 to %d", ErrSize, len(secret), MaxSecretSize)
	}
	size := len(secret) + 1
	array := make([]byte, shares*size)
	random := array[:(threshold-1)*len(secret)]
	rand.Read(random)
	values := make([][]byte, 1+shares) // by x
	values[0] = secret
	for x := shares; x > 0; x-- {
		share := array[(x-1)*size : x*size : x*size]
		if 1 < x && x < threshold {
			copy(share, random[(x-1)*len(secret):]) // from the last on, since they overlap
		}
		share[len(secret)] = byte(x)
		values[x] = share
	}
	complete(values, threshold)
	values[0] = nil // whoever keeps the shares does not keep the secret
	return values[1:], nil
}

// complete computes the values at x = threshold and on, given the secret, at
// x = 0, and the threshold-1 random shares before them. To choose these at
// random is to choose the coefficients at random: with the secret's byte they
// make threshold points, and through those runs exactly one polynomial.
func complete(values [][]byte, threshold int) {
	size := len(values[0])
	p := points{n: threshold, y: values[:threshold]}
	for x := range threshold {
		p.x[x] = byte(x)
	}
	p.prepare()
	for x := threshold; x < len(values); x++ {
		if plane := planeOf(x, threshold); plane != 0 {
			addPlane(values[x][:size], values, x, plane)
		} else {
			p.evaluate(values[x][:size], byte(x))
		}
	}
}

// Combine returns the secret that the shares were split from, if there are at
// least threshold of them and all are right. It cannot tell whether they are:
// see the package comment.
//
// It returns [ErrCount] for fewer than two shares, [ErrSize] for shares that
// differ in length or do not have from 2 to [MaxSecretSize]+1 bytes, [ErrZero]
// for x = 0 and [ErrDuplicate] for an x that comes twice. The shares are
// neither kept nor changed. The caller owns the secret.
func Combine(shares [][]byte) ([]byte, error) {
	if len(shares) < 2 {
		return nil, fmt.Errorf("%w: %d to combine, need the threshold, at least 2", ErrCount, len(shares))
	}
	size := len(shares[0]) - 1
	if size < 1 || size > MaxSecretSize {
		return nil, fmt.Errorf("%w: share 1 has %d bytes, need 2 to %d", ErrSize, size+1, MaxSecretSize+1)
	}
	p := points{n: len(shares), y: shares}
	var at [MaxShares + 1]int // the number of the share with this x, from 1
	for i, share := range shares {
		if len(share) != size+1 {
			return nil, fmt.Errorf("%w: share %d has %d bytes and share 1 has %d, need equal", ErrSize, i+1, len(share), size+1)
		}
		x := share[size]
		if x == 0 {
			return nil, fmt.Errorf("%w: share %d", ErrZero, i+1)
		}
		if at[x] != 0 {
			return nil, fmt.Errorf("%w: shares %d and %d have x = %d", ErrDuplicate, at[x], i+1, x)
		}
		at[x] = i + 1
		p.x[i] = x
	}
	p.prepare()
	secret := make([]byte, size)
	p.evaluate(secret, 0)
	return secret, nil
}
