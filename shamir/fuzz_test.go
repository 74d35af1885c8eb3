package shamir_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/sealwright/sealwright/shamir"
)

func FuzzSplit(f *testing.F) {
	f.Add([]byte("k"), 2, 2, uint64(1))
	f.Add([]byte("0123456789abcdef0123456789abcdef"), 5, 3, uint64(2))
	f.Add([]byte("0123456789abcdef0123456789abcdef!"), 255, 128, uint64(3))
	f.Add([]byte(nil), 5, 3, uint64(4))
	f.Add([]byte("k"), 300, 1, uint64(5))
	f.Fuzz(func(t *testing.T, secret []byte, n, threshold int, seed uint64) {
		shares, err := shamir.Split(secret, n, threshold)
		if err != nil {
			if !errors.Is(err, shamir.ErrCount) && !errors.Is(err, shamir.ErrSize) {
				t.Fatal(err)
			}
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(n, func(i, j int) { shares[i], shares[j] = shares[j], shares[i] })
		got, err := shamir.Combine(shares[:threshold+r.IntN(n-threshold+1)])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, secret) {
			t.Fatalf("%d of %d: got %x, want %x", threshold, n, got, secret)
		}
	})
}

// FuzzCombine cuts data into shares of one length, and one more of what is
// left. Combine refuses them or agrees with the textbook.
func FuzzCombine(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte{7, 1, 8, 2}, 2)
	f.Add([]byte{7, 7, 1, 8, 8, 2, 9, 9, 3}, 3)
	f.Add([]byte{7, 7, 1, 8, 8, 2, 9, 9, 1}, 3)
	f.Add([]byte{7, 7, 1, 8, 8, 0}, 3)
	f.Add([]byte{7, 7, 1, 8, 8, 2, 3}, 3)
	f.Add([]byte{1, 2, 3}, 1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		var shares [][]byte
		for size > 0 && len(data) > size {
			shares = append(shares, data[:size])
			data = data[size:]
		}
		shares = append(shares, data)
		secret, err := shamir.Combine(shares)
		if err != nil {
			for _, is := range []error{shamir.ErrCount, shamir.ErrSize, shamir.ErrZero, shamir.ErrDuplicate} {
				if errors.Is(err, is) {
					return
				}
			}
			t.Fatal(err)
		}
		want := lagrange(shares)
		if !bytes.Equal(secret, want) {
			t.Fatalf("got %x, want %x", secret, want)
		}
	})
}

// lagrange combines as textbooks do, a byte at a time.
func lagrange(shares [][]byte) []byte {
	size := len(shares[0]) - 1
	secret := make([]byte, size)
	for j, share := range shares {
		w := byte(1)
		for i, other := range shares {
			if i != j {
				w = times(w, divide(other[size], share[size]^other[size]))
			}
		}
		for k := range secret {
			secret[k] ^= times(w, share[k])
		}
	}
	return secret
}

func times(a, b byte) (p byte) {
	for ; b != 0; b >>= 1 {
		if b&1 == 1 {
			p ^= a
		}
		carry := a >> 7
		a = a<<1 ^ 0x1b*carry
	}
	return p
}

func divide(a, b byte) byte {
	for q := range 256 {
		if times(byte(q), b) == a {
			return byte(q)
		}
	}
	panic("division by zero")
}
