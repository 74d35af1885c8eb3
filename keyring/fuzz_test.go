package keyring_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/keyring"
)

func loadGoldens(t testing.TB) (g goldens) {
	t.Helper()
	text, err := os.ReadFile("testdata/v1.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *goldens) owner(t testing.TB) *keyring.Owner {
	t.Helper()
	ts := terms(2, 2)
	o := keyring.New()
	if err := o.Install(g.Store, ts); err != nil {
		t.Fatal(err)
	}
	return o
}

// FuzzDecrypt decrypts, and rewraps what it could decrypt.
func FuzzDecrypt(f *testing.F) {
	g := loadGoldens(f)
	for _, m := range g.Messages {
		f.Add([]byte(m.Ciphertext), []byte(m.AAD))
	}
	f.Add([]byte{1}, []byte{})
	k := g.owner(f).Keyring()
	f.Fuzz(func(t *testing.T, ciphertext, aad []byte) {
		term, termErr := keyring.TermOf(ciphertext)
		plaintext, err := k.Decrypt(nil, ciphertext, aad)
		out, changed, rewrapErr := k.Rewrap(nil, ciphertext, aad)
		if err != nil {
			if plaintext != nil || rewrapErr == nil && (changed || !bytes.Equal(out, ciphertext)) {
				t.Errorf("%v, and yet %x, %x", err, plaintext, out)
			}
			return
		}
		if termErr != nil || rewrapErr != nil || len(plaintext) != len(ciphertext)-keyring.Overhead || changed != (term == 1) {
			t.Fatalf("term %d, %v; rewrapped %v, %v", term, termErr, changed, rewrapErr)
		}
		if again, err := k.Decrypt(nil, out, aad); err != nil || !bytes.Equal(again, plaintext) {
			t.Errorf("rewrapped to %x, %v", again, err)
		}
	})
}

func FuzzDecryptString(f *testing.F) {
	g := loadGoldens(f)
	for _, m := range g.Messages {
		f.Add(m.Text, []byte(m.AAD))
	}
	k := g.owner(f).Keyring()
	known := make(map[string]bool)
	for _, m := range g.Messages {
		known[m.Text] = true
	}
	f.Fuzz(func(t *testing.T, text string, aad []byte) {
		plaintext, err := k.DecryptString(text, aad)
		if err == nil && !known[text] {
			t.Errorf("forged: %q is %q", text, plaintext)
		}
		keyring.TermOfString(text)
		k.RewrapString(text, aad)
	})
}

func FuzzReader(f *testing.F) {
	g := loadGoldens(f)
	for _, s := range g.Streams {
		f.Add([]byte(s.Ciphertext), []byte(s.AAD))
	}
	k := g.owner(f).Keyring()
	f.Fuzz(func(t *testing.T, stream, aad []byte) {
		r, err := k.NewReader(bytes.NewReader(stream), aad)
		if err != nil {
			return
		}
		plaintext, err := io.ReadAll(r)
		if len(plaintext) > len(stream) {
			t.Errorf("%d bytes of plaintext in %d, %v", len(plaintext), len(stream), err)
		}
	})
}

// TestHostileInputIsBounded measures what hostile input makes the keyring
// allocate: no more than in proportion to its length, whatever it says.
func TestHostileInputIsBounded(t *testing.T) {
	g := loadGoldens(t)
	k := g.owner(t).Keyring()
	var hostile [][]byte
	each := 80
	if !testlevel.Whole() {
		each = 16
	}
	if testing.Short() {
		each = 5
	}
	for _, m := range g.Messages {
		for i := range each {
			b := append(bytes.Clone(m.Ciphertext), make([]byte, 1000)...)
			b[i%len(m.Ciphertext)] ^= byte(1 << (i % 8))
			hostile = append(hostile, b, b[:i], bytes.Repeat([]byte{byte(i)}, i*20))
		}
	}
	const fixed, perByte = 8 << 10, 8
	const streamFixed = 256 << 10 // its two chunks
	worst, largest := uint64(0), 0
	for _, b := range hostile {
		largest = max(largest, len(b))
		text := refText(b)
		for name, op := range map[string]struct {
			f     func()
			fixed uint64
		}{
			"Decrypt":       {func() { k.Decrypt(nil, b, b) }, fixed},
			"Rewrap":        {func() { k.Rewrap(nil, b, b) }, fixed},
			"DecryptString": {func() { k.DecryptString(text, b) }, fixed},
			"RewrapString":  {func() { k.RewrapString(text, b) }, fixed},
			"NewReader": {func() {
				if r, err := k.NewReader(bytes.NewReader(b), b); err == nil {
					io.Copy(io.Discard, r)
				}
			}, streamFixed},
		} {
			n := allocatedBy(op.f)
			if n > op.fixed+perByte*uint64(len(b)) {
				t.Errorf("%s of %d bytes allocates %d", name, len(b), n)
			}
			if name != "NewReader" {
				worst = max(worst, n)
			}
		}
	}
	if testing.Short() {
		return
	}
	t.Logf("GUARANTEE 27 keyring-hostile: inputs=%d largest-input=%d most-allocated=%d limit=%d+%d·n", len(hostile), largest, worst, fixed, perByte)
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
