//go:build !goexperiment.boringcrypto

package named_test

import (
	"testing"

	"github.com/sealwright/sealwright/internal/aead/aeadtest"
	"github.com/sealwright/sealwright/keyring/named"
)

// After Seal nothing is left in this process of a key that was made, used, rotated,
// read and loaded: neither in a buffer of an encoding, nor in a document.
//
// What the runtime saved of a register when it interrupted a goroutine is there by
// chance, so three keys may try.
func TestNothingLeftInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: searches memory")
	}
	var left map[string]int
	for range 3 {
		var sum int
		left, sum = copiesAfterSeal(t)
		if sum == 0 {
			break
		}
	}
	for name, n := range left {
		if n > 0 {
			t.Errorf("after Seal, %d copies of the %s", n, name)
		}
	}
	h := open(t, nil) // the control: what is open is found
	h.create("k", named.Spec{})
	raw := h.key("k").Raw()
	if n := aeadtest.Copies(t, aeadtest.Complement(raw[0])); n == 0 {
		t.Error("no copy of an open key was found")
	}
}

func copiesAfterSeal(t *testing.T) (left map[string]int, sum int) {
	h := open(t, nil)
	ctx := t.Context()
	must(h.Create(ctx, "k", named.Spec{}))(t)
	must(h.Create(ctx, "derived", named.Spec{Derived: true}))(t)
	secrets := map[string][]byte{}
	for _, name := range []string{"k", "derived"} {
		must(h.Rotate(ctx, name))(t)
		must(h.Read(ctx, name))(t)
		key := h.key(name)
		m := named.Message{Plaintext: []byte("p"), AAD: []byte("a")}
		c := named.Ciphertext{AAD: []byte("a")}
		if name == "derived" {
			m.Context, c.Context = []byte("c"), []byte("c")
		}
		c.Text = must(key.Encrypt(m))(t)
		must(key.Decrypt(c))(t)
		must(key.Rewrap(c))(t)
		must(key.MAC(named.Input{Data: []byte("d")}))(t)
		for i, raw := range key.Raw() {
			secrets[name+" "+string(rune('0'+i))] = aeadtest.Complement(raw)
		}
	}
	must(h.RotateDue(ctx))(t)
	h.ring.Seal()
	left = map[string]int{}
	for name, secret := range secrets {
		left[name] = aeadtest.Copies(t, secret)
		sum += left[name]
	}
	return left, sum
}
