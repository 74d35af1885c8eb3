//go:build !goexperiment.boringcrypto

package keyring_test

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/aead/aeadtest"
	"github.com/sealwright/sealwright/keyring"
)

// TestNothingLeftInMemory uses a keyring in every way, and looks for its keys
// in the memory of this process while it is open, and those of another one
// after it is sealed. It takes two, since the search for a key that is there
// leaves copies in what the runtime saves of registers.
//
// What the code leaves is there every time. What the runtime saved of a register
// when it interrupted a goroutine is there by chance, so three keyrings may try.
func TestNothingLeftInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: searches memory")
	}
	open, after := keysInMemory(t, false), keysInMemory(t, true)
	tries := 1
	for ; tries < 3 && slices.Max(slices.Collect(maps.Values(after))) > 0; tries++ {
		after = keysInMemory(t, true)
	}
	sum := 0
	for name, n := range open {
		if gone := name != "term" && name != "epoch" && name != "open stream"; (n == 0) != gone {
			t.Errorf("while open, %d copies of the key of the %s", n, name)
		}
		sum += n
	}
	left := 0
	for name, n := range after {
		if n != 0 {
			t.Errorf("after Seal, %d copies of the key of the %s", n, name)
		}
		left += n
	}
	t.Logf("GUARANTEE 18 keyring-memory: build=%s keys=%d copies-while-open=%d copies-after-seal=%d tries=%d", aeadtest.Build, len(open), sum, left, tries)
}

// keysInMemory counts the copies of each key of a keyring, open or sealed.
func keysInMemory(t *testing.T, sealed bool) map[string]int {
	o := keyring.New()
	k := o.Keyring()
	ts := []keyring.Term{{Number: 1, Active: true}}
	key := ts[0].Key[:]
	rand.Read(key)
	term := aeadtest.Complement(key)
	derived := func(salt []byte, label, more string) []byte {
		key := aeadtest.Complement(term)
		okm := aead.Derive(key, salt, "sealwright/keyring/v1/"+label+"\x00\x20"+store+"\x00\x00\x00\x01"+more, 48)
		defer clear(key)
		defer clear(okm)
		return aeadtest.Complement(okm[:32])
	}
	install(t, o, ts)

	ciphertext := encrypt(t, k, "plaintext", "aad")
	wantDecrypt(t, k, ciphertext, "aad", "plaintext")
	wantDecrypt(t, k, encrypt(t, k, "plaintext", "aad"), "aad", "plaintext")
	var open header
	w, err := k.NewWriter(&open, []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	closed := writeStream(t, k, pattern(100), "aad")
	readStream(t, k, closed, "aad")
	if _, err := k.Derive(1, "", 32); err != nil {
		t.Fatal(err)
	}
	forge := func(at int) []byte { // with an epoch of another process
		other := keyring.New()
		ts := []keyring.Term{{Number: 1, Active: true}}
		key := aeadtest.Complement(term)
		copy(ts[0].Key[:], key)
		clear(key)
		install(t, other, ts)
		forged := encrypt(t, other.Keyring(), "plaintext", "aad")
		other.Seal()
		forged[at] ^= 1
		_, err := k.Decrypt(nil, forged, []byte("aad"))
		wantError(t, err, keyring.ErrCorrupt, "")
		return forged
	}
	sum := sha256.Sum256([]byte("aad"))
	keys := map[string][]byte{
		"term":              term,
		"epoch":             derived(ciphertext[9:25], "message", ""),
		"open stream":       derived(open[9:25], "stream", string(sum[:])),
		"closed stream":     derived(closed[9:25], "stream", string(sum[:])),
		"forged message":    derived(forge(60)[9:25], "message", ""),
		"forged commitment": derived(forge(30)[9:25], "message", ""),
	}
	if sealed {
		o.Seal()
	}
	counts := make(map[string]int)
	for name, key := range keys {
		counts[name] = aeadtest.Copies(t, key)
	}
	runtime.KeepAlive(w)
	return counts
}

// header keeps the first bytes that are written to it.
type header [41]byte

func (h *header) Write(p []byte) (int, error) {
	copy(h[:], p)
	return len(p), nil
}
