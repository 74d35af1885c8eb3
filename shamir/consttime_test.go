//go:build valgrind && linux && amd64

package shamir

import (
	"bytes"
	"testing"

	"github.com/sealwright/sealwright/internal/ctgrind"
)

// TestConstantTime has valgrind watch what Split and Combine do with secrets:
// no jump and no address may depend on one.
func TestConstantTime(t *testing.T) {
	const threshold = 3
	findings := 0
	for name, size := range map[string]int{"key": 32, "odd": 77, "long": 2*chunk + 5} {
		secret := bytes.Repeat([]byte{0x5c}, size)
		shares, err := Split(secret, 5, threshold)
		if err != nil {
			t.Fatal(err)
		}
		split := ctgrind.Findings(t, "split "+name, func() {
			ctgrind.Poison(secret)
			for _, share := range shares[:threshold-1] {
				ctgrind.Poison(share[:size]) // as if random
			}
			complete(append([][]byte{secret}, shares...), threshold)
		})
		combine := ctgrind.Findings(t, "combine "+name, func() {
			for _, share := range shares {
				ctgrind.Poison(share[:size])
			}
			if _, err := Combine(shares); err != nil {
				t.Fatal(err)
			}
		})
		if split != 0 || combine != 0 {
			t.Errorf("%s: valgrind found %d in Split, %d in Combine", name, split, combine)
		}
		findings += split + combine
	}

	// A product by way of the logarithms, as Vault had them until 1.13, of what
	// Combine returns, which is as secret as what it was made of.
	shares, err := Split(make([]byte, 32), 5, threshold)
	if err != nil {
		t.Fatal(err)
	}
	planted := ctgrind.Findings(t, "planted", func() {
		for _, share := range shares {
			ctgrind.Poison(share[:32])
		}
		secret, err := Combine(shares)
		if err != nil {
			t.Fatal(err)
		}
		for i, y := range secret {
			secret[i] = powers[(int(logs[y])+int(logs[7]))%255]
		}
	})
	if planted == 0 {
		t.Error("valgrind did not find the planted leak")
	}
	t.Logf("GUARANTEE 12 shamir: ctgrind=%d planted=%d", findings, planted)
}
