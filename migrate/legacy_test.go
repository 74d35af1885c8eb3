package migrate_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/rand"
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

const legacyKey = "0123456789abcdef0123456789abcdef"

func newLegacy(tb testing.TB, kr *keyring.Keyring, cfg migrate.LegacyConfig) *migrate.Legacy {
	tb.Helper()
	l, err := migrate.NewLegacy(kr, []byte(legacyKey), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func isToken(p []byte) bool { return bytes.HasPrefix(p, []byte("value of ")) }

func block(tb testing.TB, key []byte) cipher.Block {
	tb.Helper()
	b, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// legacyEncrypt does what a server did before it had a keyring. A prefix is
// what its random bytes begin with.
func legacyEncrypt(tb testing.TB, c migrate.LegacyCipher, key []byte, plaintext, aad, prefix string) []byte {
	tb.Helper()
	b := block(tb, key)
	iv := make([]byte, 16)
	rand.Read(iv)
	copy(iv, prefix)
	switch c {
	case migrate.AESGCM:
		if fips140.Enabled() && prefix == "" {
			gcm, err := cipher.NewGCMWithRandomNonce(b)
			if err != nil {
				tb.Fatal(err)
			}
			return gcm.Seal(nil, nil, []byte(plaintext), []byte(aad))
		}
		gcm, err := cipher.NewGCM(b)
		if err != nil {
			tb.Skip("this build lets nobody choose a nonce")
		}
		return gcm.Seal(iv[:12:12], iv[:12], []byte(plaintext), []byte(aad))
	case migrate.AESCBC:
		pad := 16 - len(plaintext)%16
		padded := append([]byte(plaintext), bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(b, iv).CryptBlocks(padded, padded)
		return append(iv, padded...)
	case migrate.AESCFB:
		out, stream := iv, make([]byte, 16)
		for i, p := range []byte(plaintext) {
			if i%16 == 0 {
				b.Encrypt(stream, out[i:])
			}
			out = append(out, p^stream[i%16])
		}
		return out
	}
	panic("no such cipher")
}

func TestLegacyDecrypt(t *testing.T) {
	ciphers := map[string]migrate.LegacyCipher{"GCM": migrate.AESGCM, "CBC": migrate.AESCBC, "CFB": migrate.AESCFB}
	sum := sha256.Sum256([]byte("correct horse"))
	keys := map[string]struct {
		text string
		form migrate.KeyForm
		key  []byte
	}{
		"raw 128":    {legacyKey[:16], migrate.RawKey, []byte(legacyKey[:16])},
		"raw 192":    {legacyKey[:24], migrate.RawKey, []byte(legacyKey[:24])},
		"raw 256":    {legacyKey, migrate.RawKey, []byte(legacyKey)},
		"hex":        {hex.EncodeToString([]byte(legacyKey)) + "\n", migrate.HexKey, []byte(legacyKey)},
		"base64":     {base64.StdEncoding.EncodeToString(sum[:]) + "\n", migrate.Base64Key, sum[:]},
		"base64url":  {base64.RawURLEncoding.EncodeToString(sum[:]), migrate.Base64Key, sum[:]},
		"passphrase": {"correct horse", migrate.SHA256Key, sum[:]},
	}
	encodings := map[string]struct {
		encoding migrate.Encoding
		encode   func([]byte) []byte
	}{
		"binary":    {migrate.Binary, func(b []byte) []byte { return b }},
		"hex":       {migrate.Hex, func(b []byte) []byte { return []byte(hex.EncodeToString(b)) }},
		"base64":    {migrate.Base64, func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }},
		"base64url": {migrate.Base64, func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(b)) }},
	}
	_, kr := newKeyring(t, 1, 1)
	for name, c := range ciphers {
		for keyName, k := range keys {
			for encodingName, e := range encodings {
				t.Run(name+", "+keyName+", "+encodingName, func(t *testing.T) {
					l, err := migrate.NewLegacy(kr, []byte(k.text), migrate.LegacyConfig{Cipher: c, KeyForm: k.form, Encoding: e.encoding, Valid: isToken})
					if err != nil {
						t.Fatal(err)
					}
					for n := range 40 {
						want := "value of " + strings.Repeat("x", n)
						stored := e.encode(legacyEncrypt(t, c, k.key, want, "", ""))
						before := bytes.Clone(stored)
						if got, err := l.Decrypt([]byte("head "), stored, []byte("aad")); string(got) != "head "+want || err != nil {
							t.Errorf("%d bytes: %q, %v", n, got, err)
						}
						if !bytes.Equal(stored, before) {
							t.Error("what was stored is changed")
						}
						if got, err := l.DecryptString(string(encryptString(t, kr, want, "aad")), []byte("aad")); got != want || err != nil {
							t.Errorf("the keyring's text: %q, %v", got, err)
						}
						if got, err := l.Decrypt(nil, encrypt(t, kr, want, "aad"), []byte("aad")); string(got) != want || err != nil {
							t.Errorf("the keyring's: %q, %v", got, err)
						}
					}
				})
			}
		}
	}
}

// The vectors are NIST SP 800-38A's, F.2.1 and F.3.13, and of GCM's
// specification, test case 2.
func TestLegacyVectors(t *testing.T) {
	const (
		key   = "2b7e151628aed2a6abf7158809cf4f3c"
		iv    = "000102030405060708090a0b0c0d0e0f"
		plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
		cfb   = "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6"
		cbc   = "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
	)
	// The vectors have no padding: one more block has it, encrypted after the last.
	raw, _ := hex.DecodeString(key)
	last, _ := hex.DecodeString(cbc[len(cbc)-32:])
	padding := bytes.Repeat([]byte{16}, 16)
	cipher.NewCBCEncrypter(block(t, raw), last).CryptBlocks(padding, padding)

	_, kr := newKeyring(t, 1, 1)
	for name, tt := range map[string]struct {
		cipher             migrate.LegacyCipher
		key, stored, plain string
	}{
		"GCM": {migrate.AESGCM, strings.Repeat("0", 32), strings.Repeat("0", 24) + "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf", strings.Repeat("0", 32)},
		"CFB": {migrate.AESCFB, key, iv + cfb, plain},
		"CBC": {migrate.AESCBC, key, iv + cbc + hex.EncodeToString(padding), plain},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := migrate.NewLegacy(kr, []byte(tt.key), migrate.LegacyConfig{Cipher: tt.cipher, KeyForm: migrate.HexKey, Encoding: migrate.Hex, Valid: func([]byte) bool { return true }})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := l.Decrypt(nil, []byte(tt.stored), nil); hex.EncodeToString(got) != tt.plain || err != nil {
				t.Errorf("%x, %v", got, err)
			}
		})
	}
}

// A binary legacy value may begin like one of the keyring's.
func TestLegacyLooksLikeOurs(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	long := "value of " + strings.Repeat("x", 200)
	for name, c := range map[string]migrate.LegacyCipher{"GCM": migrate.AESGCM, "CBC": migrate.AESCBC, "CFB": migrate.AESCFB} {
		for prefixName, prefix := range map[string]string{"version": "\x01", "stream": "\x02", "term": "\x01\x00\x00\x00\x01", "text": "sw1."} {
			for _, plaintext := range []string{"value of x", long} {
				t.Run(fmt.Sprint(name, ", ", prefixName, ", ", len(plaintext)), func(t *testing.T) {
					l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: c, Valid: isToken})
					stored := legacyEncrypt(t, c, []byte(legacyKey), plaintext, "", prefix)
					got, err := l.Decrypt(nil, stored, nil)
					if len(prefix) >= 4 { // nobody can tell it from a ciphertext: it is not read as anything
						if got != nil || err == nil || errors.Is(err, migrate.ErrLegacy) {
							t.Errorf("%q, %v", got, err)
						}
					} else if string(got) != plaintext || err != nil {
						t.Errorf("%q, %v", got, err)
					}
				})
			}
		}
	}
}

// What is the keyring's is never read as a legacy value: an attacker could
// make of it what they like.
func TestLegacyNeverForOurs(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	anything := func([]byte) bool { return true }
	for _, c := range []migrate.LegacyCipher{migrate.AESCBC, migrate.AESCFB} {
		l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: c, Valid: anything})
		stored := encrypt(t, kr, strings.Repeat("x", 27), "aad") // 96 bytes: whole blocks
		for i := 9; i < len(stored); i++ {
			stored[i] ^= 1
			if got, err := l.Decrypt(nil, stored, []byte("aad")); got != nil || !errors.Is(err, keyring.ErrCorrupt) || errors.Is(err, migrate.ErrLegacy) {
				t.Fatalf("cipher %d, byte %d: %q, %v", c, i, got, err)
			}
			stored[i] ^= 1
		}
		if got, err := l.Decrypt(nil, stored, []byte("another row")); got != nil || !errors.Is(err, keyring.ErrCorrupt) {
			t.Errorf("moved to another row: %q, %v", got, err)
		}
	}
}

// Nor does Rewrap read it so, which would make what it finds authentic.
func TestRewrapLegacyNeverForOurs(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	damaged := encrypt(t, kr, "value of a", "a")
	damaged[len(damaged)-1] ^= 1
	src := &memSource{}
	src.put("a", bytes.Clone(damaged))
	install(t, owner, 2, 2)
	l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: migrate.AESCFB, Valid: func([]byte) bool { return true }})
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Legacy: l, Confirm: func([]migrate.Adoption) error { return nil }})
	if err != nil || p.Failed != 1 || len(items) != 1 || !errors.Is(items[0], keyring.ErrCorrupt) || !bytes.Equal(src.stored("a"), damaged) {
		t.Errorf("%+v, %v, %v", p, items, err)
	}
}

func TestLegacyRefuses(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	_, other := newKeyring(t, 9, 9)
	for name, c := range map[string]migrate.LegacyCipher{"GCM": migrate.AESGCM, "CBC": migrate.AESCBC, "CFB": migrate.AESCFB} {
		l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: c, Valid: isToken})
		text := newLegacy(t, kr, migrate.LegacyConfig{Cipher: c, Valid: isToken, Encoding: migrate.Base64})
		wrongKey := legacyEncrypt(t, c, []byte(legacyKey[:16]), "value of x", "", "zz")
		for what, tt := range map[string]struct {
			l      *migrate.Legacy
			stored []byte
			also   error
			text   string
		}{
			"another key":       {l, wrongKey, nil, "migrate: not a legacy value: another key or cipher, or it was altered"},
			"not valid":         {l, legacyEncrypt(t, c, []byte(legacyKey), "other", "", "zz"), nil, "migrate: not a legacy value"},
			"nothing":           {l, nil, keyring.ErrCorrupt, "keyring: decrypt: corrupt: the data was altered, or its associated data is other; migrate: not a legacy value"},
			"too short":         {l, []byte("zzzz"), nil, "migrate: not a legacy value"},
			"not base64":        {text, []byte("!!!!"), nil, "migrate: not a legacy value"},
			"a keyring's, lost": {l, encrypt(t, other, "value of x", ""), keyring.ErrUnknownTerm, "keyring: decrypt: term 9: unknown term"},
			"its text":          {text, encryptString(t, other, "value of x", ""), keyring.ErrUnknownTerm, "keyring: decrypt: term 9: unknown term"},
		} {
			got, err := tt.l.Decrypt(nil, tt.stored, nil)
			lost := errors.Is(tt.also, keyring.ErrUnknownTerm)
			if got != nil || errors.Is(err, migrate.ErrLegacy) == lost || tt.also != nil && !errors.Is(err, tt.also) || !strings.HasPrefix(err.Error(), tt.text) {
				t.Errorf("%s, %s: %q, %v; want %q", name, what, got, err, tt.text)
			}
			if _, err := tt.l.DecryptString(string(tt.stored), nil); err == nil || errors.Is(err, migrate.ErrLegacy) == lost {
				t.Errorf("%s, %s, as a string: %v", name, what, err)
			}
		}
	}
}

// Every padding is tried: only the right ones pass, and bytes under the last
// are compared too.
func TestLegacyPadding(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: migrate.AESCBC, Valid: func([]byte) bool { return true }})
	iv := bytes.Repeat([]byte{'z'}, 16)
	for pad := range 256 {
		for flaw := range 17 { // which byte from the end is not pad; 0: none
			plain := bytes.Repeat([]byte{byte(pad)}, 16)
			if flaw > 0 {
				plain[16-flaw] ^= 0x80
			}
			want := -1
			if last := int(plain[15]); last >= 1 && last <= 16 {
				want = 16 - last
				for _, p := range plain[want:] {
					if p != byte(last) {
						want = -1
						break
					}
				}
			}
			stored := make([]byte, 16)
			cipher.NewCBCEncrypter(block(t, []byte(legacyKey)), iv).CryptBlocks(stored, plain)
			got, err := l.Decrypt(nil, append(bytes.Clone(iv), stored...), nil)
			if want < 0 && !errors.Is(err, migrate.ErrLegacy) || want >= 0 && (err != nil || !bytes.Equal(got, plain[:want])) {
				t.Fatalf("padding %d, flaw %d: %x, %v", pad, flaw, got, err)
			}
		}
	}
}

// The limit that Legacy states: under CFB a plaintext can be changed by who
// has no key, as far as Valid lets it.
func TestLegacyMalleable(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: migrate.AESCFB, Valid: isToken})
	stored := legacyEncrypt(t, migrate.AESCFB, []byte(legacyKey), "value of bob", "", "zz")
	stored[16+9] ^= 'b' ^ 'r'
	if got, err := l.DecryptString(string(stored), nil); got != "value of rob" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	stored[16] ^= 1
	if got, err := l.DecryptString(string(stored), nil); got != "" || !errors.Is(err, migrate.ErrLegacy) {
		t.Errorf("what is not valid: %q, %v", got, err)
	}
}

func TestLegacyAAD(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: migrate.AESGCM, AAD: func(aad []byte) []byte { return append([]byte("old/"), aad...) }})
	stored := legacyEncrypt(t, migrate.AESGCM, []byte(legacyKey), "value", "old/row", "")
	if got, err := l.Decrypt(nil, stored, []byte("row")); string(got) != "value" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := l.Decrypt(nil, stored, []byte("other")); got != nil || !errors.Is(err, migrate.ErrLegacy) {
		t.Errorf("another row: %q, %v", got, err)
	}
}

func TestLegacySealed(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: migrate.AESGCM})
	owner.Seal()
	for name, stored := range map[string][]byte{
		"binary": legacyEncrypt(t, migrate.AESGCM, []byte(legacyKey), "value", "", ""),
		"text":   append([]byte("sw1."), make([]byte, 60)...),
	} {
		if got, err := l.Decrypt(nil, stored, nil); got != nil || !errors.Is(err, keyring.ErrSealed) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestNewLegacyRefuses(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	valid := func([]byte) bool { return true }
	for name, tt := range map[string]struct {
		key  string
		cfg  migrate.LegacyConfig
		text string
	}{
		"nothing":          {legacyKey, migrate.LegacyConfig{}, "the field Cipher is AESGCM"},
		"nothing, no key":  {"", migrate.LegacyConfig{}, "the field Cipher is AESGCM"},
		"two ways":         {"", migrate.LegacyConfig{Cipher: migrate.AESGCM, Decrypt: func(b, _ []byte) ([]byte, error) { return b, nil }}, "both set"},
		"clear, a key":     {legacyKey, migrate.LegacyConfig{Cipher: migrate.Clear, Valid: valid}, "take no key here"},
		"clear, no Valid":  {"", migrate.LegacyConfig{Cipher: migrate.Clear}, "set Valid"},
		"inner text":       {legacyKey, migrate.LegacyConfig{Cipher: migrate.AESGCM, Inner: migrate.Text}, "Inner has the number 3"},
		"no cipher":        {legacyKey, migrate.LegacyConfig{Valid: valid}, "the field Cipher is AESGCM, AESCBC, AESCFB or Clear, or Decrypt is set"},
		"CBC, no Valid":    {legacyKey, migrate.LegacyConfig{Cipher: migrate.AESCBC}, "set Valid"},
		"CFB, no Valid":    {legacyKey, migrate.LegacyConfig{Cipher: migrate.AESCFB}, "set Valid"},
		"CFB, AAD":         {legacyKey, migrate.LegacyConfig{Cipher: migrate.AESCFB, Valid: valid, AAD: func([]byte) []byte { return nil }}, "only AESGCM has associated data"},
		"short key":        {"canary", migrate.LegacyConfig{Cipher: migrate.AESGCM}, "the key has 6 bytes in its KeyForm: AES takes 16, 24 or 32"},
		"not hex":          {"canary", migrate.LegacyConfig{Cipher: migrate.AESGCM, KeyForm: migrate.HexKey}, "the key is not hex"},
		"not base64":       {"canary!", migrate.LegacyConfig{Cipher: migrate.AESGCM, KeyForm: migrate.Base64Key}, "the key is not base64"},
		"no passphrase":    {"", migrate.LegacyConfig{Cipher: migrate.AESGCM, KeyForm: migrate.SHA256Key}, "the passphrase is empty"},
		"no such form":     {legacyKey, migrate.LegacyConfig{Cipher: migrate.AESGCM, KeyForm: 9}, "no KeyForm has the number 9"},
		"no such encoding": {legacyKey, migrate.LegacyConfig{Cipher: migrate.AESGCM, Encoding: 9}, "no Encoding has the number 9"},
	} {
		l, err := migrate.NewLegacy(kr, []byte(tt.key), tt.cfg)
		if l != nil || !errors.Is(err, seal.ErrConfig) || !strings.HasPrefix(err.Error(), "migrate: legacy: seal: configuration: ") ||
			!strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", name, err, tt.text)
		}
	}
}

// Neither a Legacy nor its errors show the key.
func TestLegacySilent(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	l := newLegacy(t, kr, migrate.LegacyConfig{Cipher: migrate.AESGCM})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, text := range []string{fmt.Sprintf(verb, l), fmt.Sprintf(verb, *l), fmt.Sprintf(verb, struct{ l *migrate.Legacy }{l})} {
			for _, form := range []string{"%s", "%x", "%d", "%#v"} {
				if secret := strings.Trim(fmt.Sprintf(form, []byte(legacyKey)[:8]), "[]"); strings.Contains(text, secret) {
					t.Errorf("%s shows the key: %s", verb, text)
				}
			}
		}
	}
}

func TestRewrapLegacy(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg    migrate.LegacyConfig
		encode func([]byte) []byte
		decode func(*keyring.Keyring, []byte, []byte) (string, error)
	}{
		"binary": {
			migrate.LegacyConfig{Cipher: migrate.AESCBC, Valid: isToken},
			func(b []byte) []byte { return b },
			func(kr *keyring.Keyring, b, aad []byte) (string, error) {
				p, err := kr.Decrypt(nil, b, aad)
				return string(p), err
			},
		},
		"text": {
			migrate.LegacyConfig{Cipher: migrate.AESGCM, Encoding: migrate.Base64},
			func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) },
			func(kr *keyring.Keyring, b, aad []byte) (string, error) { return kr.DecryptString(string(b), aad) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			owner, kr := newKeyring(t, 1, 1)
			src := &memSource{}
			for i := range 300 {
				id := fmt.Sprintf("%04d", i)
				src.put(id, tt.encode(legacyEncrypt(t, tt.cfg.Cipher, []byte(legacyKey), "value of "+id, "", "")))
			}
			src.put("0007", tt.encode([]byte("zz, altered by somebody")))
			if name == "binary" {
				src.put("0008", encrypt(t, kr, "value of 0008", "0008"))
			} else {
				src.put("0008", encryptString(t, kr, "value of 0008", "0008"))
			}
			install(t, owner, 2, 2)
			p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Legacy: newLegacy(t, kr, tt.cfg), Confirm: func([]migrate.Adoption) error { return nil }})
			want := migrate.Progress{After: "0299", Done: true, Elapsed: p.Elapsed, Items: 300, Bytes: p.Bytes, Rewrapped: 299, Legacy: 298, Failed: 1}
			if diff := cmp.Diff(want, p); diff != "" || err != nil {
				t.Errorf("%v; progress (-want +got):\n%s", err, diff)
			}
			if len(items) != 1 || !errors.Is(items[0], migrate.ErrLegacy) || items[0].Error() != `migrate: item "0007": `+migrate.ErrLegacy.Error() {
				t.Errorf("errors of items: %v", items)
			}
			for _, it := range src.items {
				got, err := tt.decode(kr, it.Ciphertext, it.AAD)
				if it.ID == "0007" {
					if !errors.Is(err, keyring.ErrFormat) {
						t.Errorf("the altered item: %q, %v", got, err)
					}
				} else if got != "value of "+it.ID || err != nil {
					t.Errorf("item %s: %q, %v", it.ID, got, err)
				}
			}
		})
	}
}

func FuzzLegacy(f *testing.F) {
	_, kr := newKeyring(f, 1, 1)
	var all []*migrate.Legacy
	for _, c := range []migrate.LegacyCipher{migrate.AESGCM, migrate.AESCBC, migrate.AESCFB} {
		for _, e := range []migrate.Encoding{migrate.Binary, migrate.Hex, migrate.Base64} {
			all = append(all, newLegacy(f, kr, migrate.LegacyConfig{Cipher: c, Encoding: e, Valid: isToken}))
		}
		stored := legacyEncrypt(f, c, []byte(legacyKey), "value of x", "", "")
		f.Add(stored)
		f.Add([]byte(hex.EncodeToString(stored)))
		f.Add([]byte(base64.StdEncoding.EncodeToString(stored)))
	}
	f.Add(encrypt(f, kr, "value of x", ""))
	f.Add(encryptString(f, kr, "value of x", ""))
	f.Fuzz(func(t *testing.T, stored []byte) {
		before := bytes.Clone(stored)
		for _, l := range all {
			if got, err := l.Decrypt(nil, stored, nil); err == nil && !isToken(got) {
				t.Errorf("%q is not valid", got)
			}
		}
		if !bytes.Equal(stored, before) {
			t.Error("the input was changed")
		}
	})
}
