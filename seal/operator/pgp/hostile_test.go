package pgp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Exhaustive reports whether all trials are to be made, as internal/testlevel has it
// for modules that are not released apart.
func Exhaustive() bool { return os.Getenv("SEALWRIGHT_TESTS") == "whole" }

// TestHostileKeys: what claims to be large costs no more than what was sent.
func TestHostileKeys(t *testing.T) {
	_, text := newKey(t, packet.Config{})
	good, _ := base64.StdEncoding.DecodeString(text)
	secret := append([]byte{5, 0x65, 0, 0, 0, 22, 0, 0, 0, 10}, make([]byte, 64)...)
	secret = append(secret, 0, 0xff, 0xff, 0xff, 0xf0) // 4 GiB of secret numbers, in version 5
	hidden := func(tag byte) []byte { return append([]byte{0xc0 | tag, byte(len(secret))}, secret...) }
	after := func(more ...byte) []byte { return append(bytes.Clone(good), more...) }
	first, rest := good[2:2+int(good[1])], good[2+int(good[1]):]
	within := append([]byte{0xc6, good[1] + byte(len(hidden(7)))}, first...)
	within = append(append(within, hidden(7)...), rest...)
	largest, worst := 0.0, ""
	for name, c := range map[string]struct {
		key  []byte
		says string
	}{
		"a secret key":            {hidden(5), "secret key"},
		"a secret subkey":         {after(hidden(7)...), "secret key"},
		"hidden in another":       {within, ""},
		"hidden without a length": {append(append([]byte{0x80 | 6<<2 | 3}, good[2:]...), hidden(7)...), "not a public key"},
		"subpackets of 4 GiB":     {after(0xc2, 8, 6, 0x10, 27, 10, 0xff, 0xff, 0xff, 0xf0), "not a public key"},
		"a packet of 4 GiB":       {after(0xcd, 0xff, 0xff, 0xff, 0xff, 0xff), "not a public key"},
		"partial lengths":         {after(bytes.Repeat([]byte{0xcd, 0xe0, 'a'}, 10000)...), "not a public key"},
		"a number of 8 KiB":       {[]byte{0xc6, 8, 4, 0x65, 0, 0, 0, 1, 0xff, 0xff}, "not a public key"},
		"thousands of names":      {after(bytes.Repeat([]byte{0xcd, 1, 'a'}, 10000)...), "more than 1000 parts"},
		"a thousand names":        {after(bytes.Repeat([]byte{0xcd, 1, 'a'}, 900)...), ""},
		"a compressed message":    {after(0xc8, 3, 1, 3, 0), "kind 8"},
	} {
		var before, later runtime.MemStats
		text := base64.StdEncoding.EncodeToString(c.key)
		runtime.ReadMemStats(&before)
		_, err := parse(text, today)
		runtime.ReadMemStats(&later)
		if c.says == "" && err != nil || c.says != "" && (!known(err) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		// A small one pays for the tables of the parser.
		if n := float64(later.TotalAlloc-before.TotalAlloc) / float64(16<<10+len(text)); n > largest {
			largest, worst = n, name
		}
	}
	if largest > 200 {
		t.Errorf("%s: %.0f bytes allocated a byte", worst, largest)
	}
	t.Logf("GUARANTEE 27 pgp: keys=11 allocated_a_byte=%.0f", largest)
}

// TestDamagedKeys: a key cut at every byte, and with every byte changed, is
// refused, or is the same key still; or at every fifth byte, where a part is enough.
func TestDamagedKeys(t *testing.T) {
	_, text := newKey(t, packet.Config{})
	good, err := parse(text, today)
	if err != nil {
		t.Fatal(err)
	}
	chosen := func(r *recipient) string {
		key, ok := r.entity.EncryptionKey(today, policy(today))
		if !ok {
			return ""
		}
		return string(key.PublicKey.Fingerprint)
	}
	want := chosen(good)
	b, _ := base64.StdEncoding.DecodeString(text)
	accepted, tried := 0, 0
	try := func(what string, at int, b []byte) {
		tried++
		r, err := parse(base64.StdEncoding.EncodeToString(b), today)
		switch {
		case err == nil && chosen(r) != want:
			t.Errorf("%s at %d: taken for another key", what, at)
		case err == nil:
			accepted++
		case !known(err):
			t.Errorf("%s at %d: %v", what, at, err)
		}
	}
	step := 5
	if Exhaustive() {
		step = 1
	}
	for i := 0; i < len(b); i += step {
		try("cut", i, b[:i])
		for _, bit := range []byte{1, 0x80, 0xff} {
			changed := bytes.Clone(b)
			changed[i] ^= bit
			try("changed", i, changed)
		}
	}
	t.Logf("%d damaged keys, %d of them usable still", tried, accepted)
	if accepted > tried/4 {
		t.Errorf("%d of %d damaged keys are accepted: nothing verifies them", accepted, tried)
	}
}

func known(err error) bool {
	for _, is := range []error{ErrMalformed, ErrTooLarge, ErrExpired, ErrRevoked, ErrWeak, ErrNoEncryption} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// FuzzParse: no text makes a panic, and what is accepted can be encrypted to.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.asc")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		if b, err := unarmor(text); err == nil {
			f.Add(base64.StdEncoding.EncodeToString(b))
		}
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parse(text, today)
		if err != nil {
			if !known(err) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		if n := len(fingerprintOf(r.entity)); n != 40 && n != 64 {
			t.Errorf("a fingerprint of %d characters", n)
		}
		message, err := r.Encrypt(t.Context(), share)
		if err != nil || bytes.Contains(message, []byte(share)) {
			t.Errorf("encrypted: %v", err)
		}
	})
}
