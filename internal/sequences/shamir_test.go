package sequences_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/sealwright/sealwright/shamir"
)

// TestShamir splits a secret and combines any shares of it, in any order, some
// of them spoilt. The oracle is the secret.
func TestShamir(t *testing.T) {
	quick(t, "500", "30")
	splits, combined, refused := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 1, 70).Draw(t, "secret")
		n := rapid.IntRange(2, 40).Draw(t, "shares")
		k := rapid.IntRange(2, n).Draw(t, "threshold")
		needed := k
		if *plant == "threshold" {
			needed = min(n, k+1)
		}
		shares, err := shamir.Split(secret, n, needed)
		if err != nil {
			t.Fatal(err)
		}
		splits++
		for range 8 {
			given := make([][]byte, 0, n)
			for _, i := range rapid.Permutation(numbers(n)).Draw(t, "order")[:rapid.IntRange(2, n).Draw(t, "given")] {
				given = append(given, bytes.Clone(shares[i]))
			}
			var want error
			wrong := len(given) < k // too few give something, and hardly ever the secret
			last := given[len(given)-1]
			switch index(6).Draw(t, "fault") {
			case 0:
				want = shamir.ErrDuplicate
				given = append(given, bytes.Clone(given[0]))
			case 1:
				want = shamir.ErrZero
				last[len(last)-1] = 0
			case 2:
				want = shamir.ErrSize
				given[len(given)-1] = last[1:]
			case 3:
				want = shamir.ErrCount
				given = given[:1]
			case 4:
				if len(given) >= k { // every byte of the secret hangs on every share
					wrong = true
					last[rapid.IntRange(0, len(secret)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "by")
				}
			}
			got, err := shamir.Combine(given)
			switch {
			case want != nil:
				if !errors.Is(err, want) || got != nil {
					t.Fatalf("%x, %v, want %v", got, err, want)
				}
				refused++
			case err != nil:
				t.Fatal(err)
			case wrong && len(given) >= k && bytes.Equal(got, secret):
				t.Fatal("a spoilt share, and yet the secret")
			case !wrong && !bytes.Equal(got, secret):
				t.Fatalf("%d of %d shares, threshold %d: %x, want %x", len(given), n, k, got, secret)
			default:
				combined++
			}
		}
	})
	t.Logf("GUARANTEE 12 shamir-sequences: splits=%d combined=%d refused=%d wrong=0", splits, combined, refused)
}

func numbers(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}
