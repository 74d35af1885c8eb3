//go:build !goexperiment.boringcrypto

package aead_test

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/aead/aeadtest"
)

// TestResidue looks for what deriving and wiping leave of a key in this
// process's memory. What crypto/hkdf leaves is the planted control.
func TestResidue(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: searches memory")
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	masked := aeadtest.Complement(secret)
	if n := aeadtest.Copies(t, masked); n == 0 {
		t.Fatal("the scanner does not find a key that is there")
	}
	salt := []byte("0123456789abcdef")
	derived := aead.Derive(secret, salt, "info", 48)
	maskedDerived := aeadtest.Complement(derived)
	aead.Digest(secret)
	a := newAEAD(t, derived[:32])
	a.Seal(nil, salt, nil)
	clear(secret)
	clear(derived)
	if n := aeadtest.Copies(t, masked); n != 0 {
		t.Errorf("%d copies of the key after Derive and Digest", n)
	}
	if n := aeadtest.Copies(t, maskedDerived); n == 0 {
		t.Error("the scanner does not find an expanded key")
	}
	a.Wipe()
	if n := aeadtest.Copies(t, maskedDerived); n != 0 {
		t.Errorf("%d copies of the derived key after Wipe", n)
	}

	rand.Read(secret)
	masked = aeadtest.Complement(secret)
	if _, err := hkdf.Key(sha256.New, secret, salt, "info", 48); err != nil {
		t.Fatal(err)
	}
	clear(secret)
	if n := aeadtest.Copies(t, masked); n == 0 {
		t.Log("crypto/hkdf leaves no copy either: Derive could give way to it")
	}
}

// TestDigest is SHA-256, whatever the length.
func TestDigest(t *testing.T) {
	for n := range 200 {
		b := make([]byte, n)
		rand.Read(b)
		if aead.Digest(b) != sha256.Sum256(b) {
			t.Errorf("of %d bytes", n)
		}
	}
}
