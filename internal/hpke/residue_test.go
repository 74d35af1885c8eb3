//go:build !goexperiment.boringcrypto && !race

package hpke

import (
	"testing"

	"github.com/sealwright/sealwright/internal/aead/aeadtest"
	"github.com/sealwright/sealwright/internal/secret"
)

// TestResidue looks for what is left of an exported secret in this process's
// memory. What crypto/hpke leaves is the planted control. What the runtime saved
// of registers and stacks is there by chance, so three secrets may try.
func TestResidue(t *testing.T) {
	k, std := randomKey(t)
	left := func(receive func(enc []byte) []byte) int {
		enc, sent, err := Send(k.PublicKey(), nil, "context")
		if err != nil {
			t.Fatal(err)
		}
		clear(sent)
		var masked []byte
		secret.Do(func() {
			got := receive(enc)
			masked = aeadtest.Complement(got)
			clear(got)
		})
		return aeadtest.Copies(t, masked)
	}
	n := 1
	for try := 0; try < 3 && n > 0; try++ {
		n = left(func(enc []byte) []byte {
			got, err := k.Receive(enc, nil, "context")
			if err != nil {
				t.Fatal(err)
			}
			return got
		})
	}
	if n > 0 {
		t.Errorf("%d copies of an exported secret are left", n)
	}
	if n := left(func(enc []byte) []byte { return stdReceive(t, std, enc, "", "context") }); n == 0 {
		t.Log("crypto/hpke leaves no copy either: this package could give way to it")
	} else {
		t.Logf("crypto/hpke leaves %d copies", n)
	}
}
