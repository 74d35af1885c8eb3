package migrate_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// giteaValue is what an older gitea stored of a secret: the hex of AES-CFB, under
// the SHA-256 of its passphrase, of the secret's base64.
func giteaValue(t *testing.T, passphrase, secret string) []byte {
	t.Helper()
	key := sha256.Sum256([]byte(passphrase))
	inside := base64.StdEncoding.EncodeToString([]byte(secret))
	return []byte(hex.EncodeToString(legacyEncrypt(t, migrate.AESCFB, key[:], inside, "", "")))
}

// The values of a known server became their own base64, and authentic at that:
// base64 passes as what a token may look like.
func TestRewrapLegacyBecameItsBase64(t *testing.T) {
	const passphrase = "correct horse"
	printable := func(p []byte) bool {
		return len(p) > 0 && !bytes.ContainsFunc(p, func(r rune) bool { return r < 32 || r > 126 })
	}
	cfg := migrate.LegacyConfig{Cipher: migrate.AESCFB, KeyForm: migrate.SHA256Key, Encoding: migrate.Hex, Valid: printable}
	_, kr := newKeyring(t, 1, 1)
	src := &memSource{}
	for i := range 20 {
		id := fmt.Sprintf("%04d", i)
		src.put(id, giteaValue(t, passphrase, "value of "+id))
	}
	before := string(src.stored("0000"))
	legacy := func(cfg migrate.LegacyConfig) *migrate.Legacy {
		t.Helper()
		l, err := migrate.NewLegacy(kr, []byte(passphrase), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}

	// Nobody said that it reads what the server means.
	_, _, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Legacy: legacy(cfg)})
	if !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "give LegacyConfig a Sample, or set Confirm") {
		t.Errorf("neither a sample nor a confirmation: %v", err)
	}

	// A sample shows it at once, and what to do.
	cfg.Sample = &migrate.LegacySample{Stored: src.stored("0000"), Plaintext: []byte("value of 0000")}
	if _, err := migrate.NewLegacy(kr, []byte(passphrase), cfg); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "set Inner to Base64") || strings.Contains(err.Error(), "value of") {
		t.Errorf("a sample of another plaintext: %v", err)
	}

	// So does who looks at what would be written.
	cfg.Sample = nil
	asked := 0
	refuse := func(sample []migrate.Adoption) error {
		asked++
		if len(sample) != 10 || sample[0].ID != "0000" {
			t.Errorf("asked about %d values, from %q on", len(sample), sample[0].ID)
		}
		if !bytes.HasPrefix(sample[0].Plaintext, []byte("value of ")) {
			return errors.New("that is no token of ours")
		}
		return nil
	}
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Legacy: legacy(cfg), Confirm: refuse})
	if asked != 1 || items != nil || p.Items != 0 || err == nil || !strings.Contains(err.Error(), "not confirmed, and nothing of them was changed: that is no token of ours") {
		t.Errorf("asked %d times; %+v, %v, %v", asked, p, items, err)
	}
	if src.puts != 0 || string(src.stored("0000")) != before {
		t.Fatalf("%d values were changed before anybody agreed", src.puts)
	}

	// And with the inside named it is right.
	cfg.Inner = migrate.Base64
	cfg.Sample = &migrate.LegacySample{Stored: src.stored("0000"), Plaintext: []byte("value of 0000")}
	if p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Legacy: legacy(cfg), Confirm: refuse}); err != nil || items != nil || p.Legacy != 20 || asked != 2 {
		t.Fatalf("asked %d times; %+v, %v, %v", asked, p, items, err)
	}
	for _, it := range src.items {
		if got, err := kr.DecryptString(string(it.Ciphertext), it.AAD); got != "value of "+it.ID || err != nil {
			t.Errorf("item %s: %q, %v", it.ID, got, err)
		}
	}
}

func TestLegacySampleRefused(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	stored := legacyEncrypt(t, migrate.AESGCM, []byte(legacyKey), "value of x", "", "zz")
	for name, tt := range map[string]struct {
		sample migrate.LegacySample
		text   string
	}{
		"another":   {migrate.LegacySample{Stored: stored, Plaintext: []byte("value of y")}, "the sample reads as another plaintext than the one given"},
		"no legacy": {migrate.LegacySample{Stored: []byte("value of x"), Plaintext: []byte("value of x")}, "the sample does not read: migrate: not a legacy value"},
		"empty":     {migrate.LegacySample{}, "the sample does not read"},
	} {
		_, err := migrate.NewLegacy(kr, []byte(legacyKey), migrate.LegacyConfig{Cipher: migrate.AESGCM, Sample: &tt.sample})
		if !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "value of") {
			t.Errorf("%s: %v; want %q", name, err, tt.text)
		}
	}
}

// A function of the host's reads what no cipher here does.
func TestLegacyFunction(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	errForeign := errors.New("canary: not ours")
	rot := func(b []byte) []byte {
		out := bytes.Clone(b)
		for i := range out {
			out[i] ^= 0x55
		}
		return out
	}
	decrypt := func(stored, aad []byte) ([]byte, error) {
		id, ok := bytes.CutPrefix(rot(stored), []byte("bound to "+string(aad)+": "))
		clear(stored) // its own copy
		if !ok {
			return nil, errForeign
		}
		return id, nil
	}
	for name, encoding := range map[string]migrate.Encoding{"binary": migrate.Binary, "text": migrate.Text, "base64": migrate.Base64} {
		t.Run(name, func(t *testing.T) {
			src := &memSource{}
			for _, id := range []string{"a", "b"} {
				stored := rot([]byte("bound to " + id + ": value of " + id))
				if encoding == migrate.Base64 {
					stored = []byte(base64.StdEncoding.EncodeToString(stored))
				}
				src.put(id, stored)
			}
			src.put("c", rot([]byte("bound to a: value of a"))) // moved
			l, err := migrate.NewLegacy(kr, nil, migrate.LegacyConfig{Decrypt: decrypt, Encoding: encoding})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := l.Decrypt(nil, src.stored("a"), []byte("a")); string(got) != "value of a" || err != nil {
				t.Errorf("read: %q, %v", got, err)
			}
			p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Legacy: l})
			if err != nil || p.Legacy != 2 || len(items) != 1 || !errors.Is(items[0], migrate.ErrLegacy) || strings.Contains(items[0].Error(), "canary") {
				t.Errorf("%+v, %v, %v", p, items, err)
			}
			for _, id := range []string{"a", "b"} {
				if got, err := l.Decrypt(nil, src.stored(id), []byte(id)); string(got) != "value of "+id || err != nil {
					t.Errorf("item %s: %q, %v", id, got, err)
				}
				if text := bytes.HasPrefix(src.stored(id), []byte("sw1.")); text != (encoding != migrate.Binary) {
					t.Errorf("item %s became %q", id, src.stored(id))
				}
			}
		})
	}
	owner.Seal()
}

// What stands in clear today is encrypted. What begins like the keyring's is not
// taken for clear, whatever term it names: it would be encrypted twice.
func TestLegacyClear(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	_, retired := newKeyring(t, 9, 9)
	src := &memSource{}
	src.put("a", []byte("value of a"))
	src.put("b", encryptString(t, retired, "value of b", "b"))
	src.put("c", encrypt(t, retired, "value of c", "c"))
	src.put("d", encryptString(t, kr, "value of d", "d"))
	src.put("e", nil)
	src.put("f", []byte("sw1.but no base64"))
	l, err := migrate.NewLegacy(kr, nil, migrate.LegacyConfig{Cipher: migrate.Clear, Encoding: migrate.Text, Valid: func([]byte) bool { return true },
		Sample: &migrate.LegacySample{Stored: []byte("x"), Plaintext: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	before := src.items
	before = append(before[:0:0], before...)
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Legacy: l})
	want := migrate.Progress{After: "f", Done: true, Elapsed: p.Elapsed, Items: 5, Bytes: p.Bytes, Rewrapped: 1, Legacy: 1, Current: 1, Failed: 3, Empty: 1}
	if diff := cmp.Diff(want, p); diff != "" || err != nil {
		t.Errorf("%v, progress (-want +got):\n%s", err, diff)
	}
	if len(items) != 3 || !errors.Is(items[0], keyring.ErrUnknownTerm) || !errors.Is(items[1], keyring.ErrUnknownTerm) {
		t.Errorf("errors of items: %v", items)
	}
	for i, it := range src.items {
		if it.ID != "a" && !bytes.Equal(it.Ciphertext, before[i].Ciphertext) {
			t.Errorf("item %s was changed", it.ID)
		}
	}
	if got, err := kr.DecryptString(string(src.stored("a")), []byte("a")); got != "value of a" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// NULL and empty columns were called corrupt.
func TestRewrapEmptyIsNotCorrupt(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := filled(t, kr, 4)
	src.put("0000", nil)
	src.put("0002", []byte{})
	src.put("0009", nil)
	install(t, owner, 2, 2)
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{PageSize: 2})
	want := migrate.Progress{After: "0009", Done: true, Elapsed: p.Elapsed, Items: 2, Rewrapped: 2, Bytes: p.Bytes, Empty: 3}
	if diff := cmp.Diff(want, p); diff != "" || err != nil || items != nil {
		t.Errorf("%v, %v, progress (-want +got):\n%s", err, items, diff)
	}
	if c, err := migrate.Count(t.Context(), kr, src); err != nil || c.Empty != 3 || c.Unknown.Items != 0 || c.Total().Items != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}
