package migrate_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A server's old code often takes what it does not know for clear. A value of the
// keyring's under a term that this process does not have went to it, came back as
// it was, and was given out as the plaintext, or encrypted once more and counted
// as adopted.
func TestLegacyOldCodeTakesAnything(t *testing.T) {
	whatever := func(stored, _ []byte) ([]byte, error) { return stored, nil }
	anything := func([]byte) bool { return true }
	clearSample := &migrate.LegacySample{Stored: []byte("x"), Plaintext: []byte("x")}
	ways := map[string]struct {
		key string
		cfg migrate.LegacyConfig
	}{
		"binary": {"", migrate.LegacyConfig{Decrypt: whatever}},
		"text":   {"", migrate.LegacyConfig{Decrypt: whatever, Encoding: migrate.Text}},
		"clear":  {"", migrate.LegacyConfig{Cipher: migrate.Clear, Encoding: migrate.Text, Valid: anything, Sample: clearSample}},
		"CFB":    {legacyKey, migrate.LegacyConfig{Cipher: migrate.AESCFB, Valid: anything}},
	}
	for _, tt := range []struct {
		name string
		ours func(t *testing.T) (mine, theirs *keyring.Keyring) // what this process has, and what wrote the value
		want error
	}{
		{"the record was restored from an older one", func(t *testing.T) (_, _ *keyring.Keyring) {
			_, older := newKeyring(t, 2, 2)
			_, lost := newKeyring(t, 3, 3)
			return older, lost
		}, keyring.ErrUnknownTerm},
		{"another replica has rotated", func(t *testing.T) (_, _ *keyring.Keyring) {
			_, behind := newKeyring(t, 1, 1)
			_, ahead := newKeyring(t, 2, 2)
			return behind, ahead
		}, keyring.ErrUnknownTerm},
		{"its term was retired", func(t *testing.T) (_, _ *keyring.Keyring) {
			owner := keyring.New()
			if err := owner.Install("a store", terms(2, 2)[1:]); err != nil {
				t.Fatal(err)
			}
			_, before := newKeyring(t, 1, 1)
			return owner.Keyring(), before
		}, keyring.ErrUnknownTerm},
		{"it is a foreign store's", func(t *testing.T) (_, _ *keyring.Keyring) {
			_, mine := newKeyring(t, 1, 1)
			owner := keyring.New()
			if err := owner.Install("a foreign store", terms(1, 1)); err != nil {
				t.Fatal(err)
			}
			return mine, owner.Keyring()
		}, keyring.ErrWrongKey},
	} {
		mine, theirs := tt.ours(t)
		for how, way := range ways {
			l, err := migrate.NewLegacy(mine, []byte(way.key), way.cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(tt.name+", "+how, func(t *testing.T) {
				t.Run("binary", func(t *testing.T) { keepsOurs(t, mine, l, encrypt(t, theirs, "value of a", "a"), tt.want) })
				t.Run("text", func(t *testing.T) { keepsOurs(t, mine, l, encryptString(t, theirs, "value of a", "a"), tt.want) })
			})
		}
	}
}

// Nor is what was cut, altered, or is a stream or of a newer format, given to it.
func TestLegacyOldCodeTakesWhatIsLeft(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	l, err := migrate.NewLegacy(kr, nil, migrate.LegacyConfig{Decrypt: func(stored, _ []byte) ([]byte, error) { return stored, nil }})
	if err != nil {
		t.Fatal(err)
	}
	binary, text := encrypt(t, kr, "value of a", "a"), encryptString(t, kr, "value of a", "a")
	var stream bytes.Buffer
	w, err := kr.NewWriter(&stream, []byte("a"))
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		stored []byte
		want   error
	}{
		"cut":                  {binary[:40], keyring.ErrCorrupt},
		"cut to its term":      {binary[:5], keyring.ErrCorrupt},
		"text, cut":            {text[:20], keyring.ErrCorrupt},
		"text, no base64":      {[]byte("sw1.!"), keyring.ErrCorrupt},
		"text, padded":         {append(bytes.Clone(text), "  "...), keyring.ErrCorrupt},
		"text of a new format": {[]byte("sw1.CQ" + strings.Repeat("A", 100)), keyring.ErrFormat},
		"a stream":             {stream.Bytes(), keyring.ErrFormat},
	} {
		t.Run(name, func(t *testing.T) { keepsOurs(t, kr, l, tt.stored, tt.want) })
	}
	for name, stored := range map[string]string{
		"in clear":                 "hunter2",
		"in clear, with a version": "\x01\x02\x03 any bytes may come, and as many as a ciphertext has at the very least",
		"a version alone":          "\x01",
		"no term":                  "\x01\x00\x00\x00\x00 and more",
	} {
		if got, err := l.Open([]byte(stored), []byte("a")); string(got) != stored || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// keepsOurs fails unless every way refuses a value of the keyring's with the
// keyring's reason, and leaves it as it is.
func keepsOurs(t *testing.T, kr *keyring.Keyring, l *migrate.Legacy, stored []byte, want error) {
	t.Helper()
	refused := func(how, got string, err error) {
		t.Helper()
		if got != "" || !errors.Is(err, want) || errors.Is(err, migrate.ErrLegacy) {
			t.Errorf("%s: %q, %v; want %v", how, got, err, want)
		}
	}
	got, err := l.Open(stored, []byte("a"))
	refused("Open", string(got), err)
	got, err = l.Decrypt(nil, stored, []byte("a"))
	refused("Decrypt", string(got), err)
	text, err := l.DecryptString(string(stored), []byte("a"))
	refused("DecryptString", text, err)
	src := &memSource{}
	src.put("a", bytes.Clone(stored))
	asked := func(sample []migrate.Adoption) error { return fmt.Errorf("asked about %d values", len(sample)) }
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Legacy: l, Confirm: asked})
	if err != nil || p.Failed != 1 || p.Legacy != 0 || p.Rewrapped != 0 || len(items) != 1 || src.puts != 0 || !bytes.Equal(src.stored("a"), stored) {
		t.Errorf("Rewrap: %+v, %v, %v", p, items, err)
		return
	}
	refused("Rewrap", "", items[0])
}

// A sample that the keyring encrypted shows nothing of the old code.
func TestLegacySampleIsOurs(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	_, foreign := newKeyring(t, 9, 9)
	stored := encryptString(t, foreign, "value of a", "a")
	_, err := migrate.NewLegacy(kr, nil, migrate.LegacyConfig{Decrypt: func(stored, _ []byte) ([]byte, error) { return stored, nil }, Sample: &migrate.LegacySample{Stored: stored, Plaintext: stored}})
	if !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "the sample begins as the keyring's values do: give one that the old code stored") {
		t.Errorf("%v", err)
	}
}
