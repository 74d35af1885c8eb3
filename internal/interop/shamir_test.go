package interop_test

import (
	"bytes"
	"crypto/rand"
	mathrand "math/rand/v2"
	"testing"

	vault "github.com/hashicorp/vault/shamir"

	"github.com/sealwright/sealwright/shamir"
)

// TestShamir splits with Vault and combines with Sealwright, and the other way
// round, with any of the shares in any order.
func TestShamir(t *testing.T) {
	implementations := []struct {
		name    string
		split   func([]byte, int, int) ([][]byte, error)
		combine func([][]byte) ([]byte, error)
	}{
		{"combined by vault", shamir.Split, vault.Combine},
		{"split by vault", vault.Split, shamir.Combine},
	}
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for _, i := range implementations {
		t.Run(i.name, func(t *testing.T) {
			sets, wrong := 0, 0
			check := func(n, threshold, size int) {
				t.Helper()
				secret := make([]byte, size)
				rand.Read(secret)
				shares, err := i.split(secret, n, threshold)
				if err != nil {
					t.Fatal(err)
				}
				r.Shuffle(n, func(i, j int) { shares[i], shares[j] = shares[j], shares[i] })
				for _, of := range []int{threshold, threshold + r.IntN(n-threshold+1)} {
					got, err := i.combine(shares[:of])
					if err != nil {
						t.Fatal(err)
					}
					sets++
					if !bytes.Equal(got, secret) {
						wrong++
						t.Errorf("%d of %d, %d bytes, %d shares: not the secret", threshold, n, size, of)
					}
				}
			}
			for n := 2; n <= 12; n++ {
				for threshold := 2; threshold <= n; threshold++ {
					for _, size := range []int{1, 7, 16, 31, 32, 33, 64, 97} {
						check(n, threshold, size)
					}
				}
			}
			for range 50 {
				n := 2 + r.IntN(254)
				check(n, 2+r.IntN(min(n-1, 20)), 1+r.IntN(40))
			}
			check(255, 2, 32)
			check(255, 128, 1)
			check(255, 255, 2)
			check(5, 3, 10_000)
			t.Logf("GUARANTEE 12 shamir: %s: sets=%d wrong=%d", i.name, sets, wrong)
		})
	}
}

// FuzzShamir has both combine the same bytes. What Sealwright takes Vault
// takes too, and makes the same of it.
func FuzzShamir(f *testing.F) {
	f.Add([]byte{7, 1, 8, 2}, 2)
	f.Add([]byte{7, 7, 1, 8, 8, 2, 9, 9, 3}, 3)
	f.Add([]byte{7, 7, 1, 8, 8, 2, 9, 9, 1}, 3)
	f.Add([]byte{7, 7, 1, 8, 8, 0}, 3)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		var shares [][]byte
		for size > 0 && len(data) >= size {
			shares = append(shares, data[:size])
			data = data[size:]
		}
		ours, err := shamir.Combine(shares)
		if err != nil {
			return
		}
		theirs, err := vault.Combine(shares)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, theirs) {
			t.Fatalf("ours %x, theirs %x", ours, theirs)
		}
	})
}
