//go:build !goexperiment.boringcrypto

package aead_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
)

// TestResidue looks for what deriving and wiping leave of a key in this
// process's memory. What crypto/hkdf leaves is the planted control.
func TestResidue(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	masked := complement(secret)
	if n := residue(t, masked); n == 0 {
		t.Fatal("the scanner does not find a key that is there")
	}
	salt := []byte("0123456789abcdef")
	derived := aead.Derive(secret, salt, "info", 48)
	maskedDerived := complement(derived)
	a := newAEAD(t, derived[:32])
	a.Seal(nil, salt, nil)
	clear(secret)
	clear(derived)
	if n := residue(t, masked); n != 0 {
		t.Errorf("%d copies of the key after Derive", n)
	}
	if n := residue(t, maskedDerived); n == 0 {
		t.Error("the scanner does not find an expanded key")
	}
	a.Wipe()
	if n := residue(t, maskedDerived); n != 0 {
		t.Errorf("%d copies of the derived key after Wipe", n)
	}

	rand.Read(secret)
	masked = complement(secret)
	if _, err := hkdf.Key(sha256.New, secret, salt, "info", 48); err != nil {
		t.Fatal(err)
	}
	clear(secret)
	if n := residue(t, masked); n == 0 {
		t.Log("crypto/hkdf leaves no copy either: Derive could give way to it")
	}
}

func complement(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}

// residue counts the places in memory that hold a half of the key, raw or
// masked as HMAC masks its key. The key comes as its complement, and is looked
// for in the complement of the memory, so that the search makes no copy of it.
func residue(t *testing.T, key []byte) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var needles [][]byte
	for _, pad := range []byte{0, 0x36, 0x5c} {
		masked := make([]byte, 32)
		subtle.XORBytes(masked, key, bytes.Repeat([]byte{pad}, 32))
		needles = append(needles, masked[:16], masked[16:])
	}
	const chunk, tail = 1 << 20, 15
	buf := make([]byte, chunk+tail)
	ones := bytes.Repeat([]byte{0xff}, len(buf))
	found := 0
	for line := range strings.Lines(string(maps)) {
		var lo, hi int64
		var perm string
		n, _ := fmt.Sscanf(line, "%x-%x %s", &lo, &hi, &perm)
		if n != 3 || !strings.HasPrefix(perm, "rw") || hi-lo > 1<<30 {
			continue // the race detector's shadow is larger
		}
		for ; lo < hi; lo += chunk {
			n, _ := mem.ReadAt(buf[:min(chunk+tail, hi-lo)], lo)
			subtle.XORBytes(buf, buf[:n], ones)
			for _, needle := range needles {
				found += bytes.Count(buf[:n], needle)
			}
			clear(buf)
		}
	}
	return found
}
