package named_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// A key of every type goes through a backup, and does afterwards what it did.
func TestBackup(t *testing.T) {
	h := open(t, nil)
	_, err := h.Restore(t.Context(), "k", "e30=", false)
	wantError(t, err, named.ErrInput, "no key of a transit engine")
	for _, kind := range named.Types() {
		if fips140.Enabled() && strings.Contains(string(kind), "chacha") || kind == named.RSA4096 || kind == named.RSA3072 {
			continue
		}
		if kind == named.RSA2048 && testing.Short() { // TestRecording restores one
			continue
		}
		h.create(string(kind), named.Spec{Type: kind, Settings: named.Settings{Exportable: true}})
		_, err := h.Backup(t.Context(), string(kind))
		wantError(t, err, named.ErrPolicy, "allow_plaintext_backup")
		must(h.Configure(t.Context(), string(kind), func(s *named.Settings) error { s.AllowPlaintextBackup = true; return nil }))(t)
		must(h.Rotate(t.Context(), string(kind)))(t)
		must(h.Configure(t.Context(), string(kind), func(s *named.Settings) error { s.MinDecryptionVersion = 2; return nil }))(t)
		mac := must(h.key(string(kind)).MAC(named.Input{Data: []byte("d")}))(t)
		backup := must(h.Backup(t.Context(), string(kind)))(t)
		_, err = h.Restore(t.Context(), "", backup.Reveal(), false)
		wantError(t, err, named.ErrExists, "exists already")
		copied := string(kind) + "-copy"
		info := must(h.Restore(t.Context(), copied, backup.Reveal(), false))(t)
		if info.Latest != 2 || len(info.Versions) != 2 || info.Restore == nil || info.Backup == nil || info.MinDecryptionVersion != 2 {
			t.Errorf("%s: restored %+v", kind, info)
		}
		if ok, err := h.key(copied).VerifyMAC(named.Input{Data: []byte("d")}, mac); !ok || err != nil {
			t.Errorf("%s: the MAC is valid: %v, %v", kind, ok, err)
		}
		for _, what := range []named.ExportKind{named.EncryptionKey, named.SigningKey, named.MACKey, named.PublicKey} {
			a, err := h.Export(t.Context(), string(kind), what, 0)
			b, errb := h.Export(t.Context(), copied, what, 0)
			if (err == nil) != (errb == nil) || len(a) != len(b) || len(a) > 0 && a[0].Key.Reveal() != b[0].Key.Reveal() {
				t.Errorf("%s: the %s is another: %v, %v", kind, what, err, errb)
			}
		}
		must(h.Restore(t.Context(), copied, backup.Reveal(), true))(t)
	}
}

// Keys of the first versions of convergent encryption, and of its first key
// derivation, come out of an old Vault and work as there.
func TestOldVault(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	restore := func(h *house, name string, kdf, policy, version int) error {
		text := must(json.Marshal(map[string]any{"policy": map[string]any{
			"name": name, "type": 0, "derived": true, "kdf": kdf, "convergent_encryption": policy != 0 || version != 0, "convergent_version": policy,
			"latest_version": 1, "min_decryption_version": 1, "keys": map[string]any{"1": map[string]any{"key": key, "time": "2016-01-01T00:00:00Z", "convergent_version": version}},
		}}))(t)
		_, err := h.Restore(t.Context(), "", base64.StdEncoding.EncodeToString(text), false)
		return err
	}
	h := open(t, nil)
	if err := restore(h, "counter", 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	m, c := named.Message{Plaintext: []byte("p"), Context: []byte("c")}, named.Ciphertext{Context: []byte("c")}
	c.Text = must(h.key("counter").Encrypt(m))(t)
	if got, err := h.key("counter").Decrypt(c); string(got) != "p" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if fips140.Enabled() {
		return
	}
	nonce := bytes.Repeat([]byte{9}, 12)
	for name, tc := range map[string]struct {
		policy, version int
		nonce           []byte
		inFront         int
	}{"v1": {1, 0, nonce, 0}, "v2": {2, 0, nil, 12}, "v2-of-its-own": {-1, 2, nil, 12}, "v3": {-1, 3, nil, 12}} {
		if err := restore(h, name, 1, tc.policy, tc.version); err != nil {
			t.Fatal(err)
		}
		m.Nonce, c.Nonce = tc.nonce, tc.nonce
		text := must(h.key(name).Encrypt(m))(t)
		c.Text = text
		if again := must(h.key(name).Encrypt(m))(t); again != text || len(unbase64(t, text[9:])) != tc.inFront+1+16 {
			t.Errorf("%s: %s and %s", name, text, again)
		}
		if got, err := h.key(name).Decrypt(c); string(got) != "p" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		must(h.Rotate(t.Context(), name))(t)
		want := 3
		if tc.policy == 1 {
			want = 1 // whose callers bring their nonces
		}
		if got := h.key(name).Info().Versions[1].ConvergentVersion; got != want {
			t.Errorf("%s: rotated to convergent version %d", name, got)
		}
	}
	m.Nonce = nil
	_, err := h.key("v1").Encrypt(m)
	wantError(t, err, named.ErrInput, "want 12")
	c.Nonce = nil
	_, err = h.key("v1").Decrypt(c)
	wantError(t, err, named.ErrInput, "0 bytes, want the 12")
}

func TestRestoreRefused(t *testing.T) {
	h := open(t, nil)
	key := map[string]any{"key": make([]byte, 32), "time": "2026-01-01T00:00:00Z"}
	for words, change := range map[string]map[string]any{
		"soft-deleted":          {"soft_deleted": true},
		"begin otherwise":       {"version_template": "enc:{{version}}:"},
		"no version 2":          {"latest_version": 2},
		"no versions, or too":   {"latest_version": 0, "keys": map[string]any{}},
		"too many":              {"latest_version": 1 << 20},
		"number 12":             {"type": 12},
		"elsewhere":             {"type": 10},
		"whole seconds":         {"auto_rotate_period": 1},
		"from 1h0m0s":           {"auto_rotate_period": 1_000_000_000},
		"not of type":           {"type": 8},
		"the public key":        {"type": 1},
		"private key is none":   {"type": 3, "keys": map[string]any{"1": map[string]any{"rsa_key": map[string]any{"N": 1, "E": 3, "D": 3, "Primes": []int{1}}, "time": "2026-01-01T00:00:00Z"}}},
		"halves of the key":     {"type": 2, "keys": map[string]any{"1": map[string]any{"key": make([]byte, 64), "time": "2026-01-01T00:00:00Z"}}},
		"letters, digits":       {"name": "a/b"},
		"min_decryption":        {"min_decryption_version": 7},
		"convergent encryption": {"convergent_encryption": true},
	} {
		policy := map[string]any{"name": "k", "type": 0, "latest_version": 1, "min_decryption_version": 1, "keys": map[string]any{"1": key}}
		for field, value := range change {
			policy[field] = value
		}
		text := base64.StdEncoding.EncodeToString(must(json.Marshal(map[string]any{"policy": policy}))(t))
		if _, err := h.Restore(t.Context(), "", text, false); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want words: %s", err, words)
		}
	}
	_, err := h.Restore(t.Context(), "", "%", false)
	wantError(t, err, named.ErrInput, "not in base64")
	_, err = h.Restore(t.Context(), "", strings.Repeat("A", 8<<20+1), false)
	wantError(t, err, named.ErrLimit, "longer than any")
	if names := must(h.List(t.Context(), "", 10))(t); len(names) > 0 {
		t.Errorf("restored %v", names)
	}
}

func TestExportRefused(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{})
	h.create("open", named.Spec{Type: named.ECDSAP256, Settings: named.Settings{Exportable: true}})
	h.create("derived", named.Spec{Type: named.Ed25519, Derived: true})
	for range 2 {
		must(h.Rotate(t.Context(), "open"))(t)
	}
	must(h.Configure(t.Context(), "open", func(s *named.Settings) error { s.MinDecryptionVersion = 2; return nil }))(t)
	for _, tc := range []struct {
		name    string
		what    named.ExportKind
		version int
		kind    error
		words   string
	}{
		{"k", named.EncryptionKey, 0, named.ErrPolicy, "exportable is not set"},
		{"k", named.MACKey, 0, named.ErrPolicy, "exportable is not set"},
		{"k", named.PublicKey, 0, named.ErrType, "have no public-key"},
		{"open", named.EncryptionKey, 0, named.ErrType, "have no encryption-key"},
		{"open", "all", 0, named.ErrInput, "unknown kind"},
		{"open", named.SigningKey, 1, named.ErrPolicy, "below min_decryption_version"},
		{"open", named.SigningKey, 4, named.ErrVersion, "the latest is 3"},
		{"open", named.SigningKey, -2, named.ErrInput, "negative"},
		{"derived", named.PublicKey, 0, named.ErrType, "in each context"},
		{"nowhere", named.PublicKey, 0, named.ErrNotFound, "no such key"},
	} {
		_, err := h.Export(t.Context(), tc.name, tc.what, tc.version)
		wantError(t, err, tc.kind, tc.words)
	}
	for version, want := range map[int][]int{0: {2, 3}, 2: {2}, named.LatestVersion: {3}} {
		out := must(h.Export(t.Context(), "open", named.SigningKey, version))(t)
		if len(out) != len(want) || out[0].Version != want[0] {
			t.Errorf("version %d: %v", version, out)
		}
	}
}
