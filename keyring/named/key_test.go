package named_test

import (
	"bytes"
	"crypto/cipher"
	"crypto/fips140"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// encrypting are the types that encrypt, in this process.
func encrypting() (types []named.Type) {
	for _, t := range named.Types() {
		if t.Encrypts() && !(fips140.Enabled() && strings.Contains(string(t), "chacha")) && t != named.RSA3072 && t != named.RSA4096 {
			types = append(types, t)
		}
	}
	return types
}

func TestEncrypt(t *testing.T) {
	h := open(t, nil)
	for _, kind := range encrypting() {
		for _, derived := range []bool{false, true} {
			if derived && !kind.Derives() {
				continue
			}
			name := fmt.Sprintf("%s-%v", kind, derived)
			t.Run(name, func(t *testing.T) {
				if kind == named.RSA2048 && testing.Short() {
					h.rsa()
					encryptWith(t, h, "rsa")
					return
				}
				h.create(name, named.Spec{Type: kind, Derived: derived})
				encryptWith(t, h, name)
			})
		}
	}
}

// encryptWith shows that only what was encrypted decrypts, in every form.
func encryptWith(t *testing.T, h *house, name string) {
	key := h.key(name)
	info := key.Info()
	m := named.Message{Plaintext: []byte("hunter2")}
	var c named.Ciphertext
	if info.Type.TakesAAD() {
		m.AAD, c.AAD = []byte("ada"), []byte("ada")
	}
	if info.Derived {
		m.Context, c.Context = []byte("tenant 1"), []byte("tenant 1")
	}
	c.Text = must(key.Encrypt(m))(t)
	if again := must(key.Encrypt(m))(t); again == c.Text {
		t.Error("two encryptions are the same")
	}
	if got, err := key.Decrypt(c); string(got) != "hunter2" || err != nil {
		t.Errorf("decrypted %q, %v", got, err)
	}
	if appended := must(key.AppendEncrypt([]byte("before "), m))(t); !bytes.HasPrefix(appended, []byte("before vault:v1:")) {
		t.Errorf("appended %q", appended)
	}

	// Bytes are the same ciphertext in another form.
	binary := must(key.EncryptBinary([]byte("head"), m))(t)[4:]
	b := c
	b.Text, b.Binary = "", binary
	if got, err := key.Decrypt(b); string(got) != "hunter2" || err != nil {
		t.Errorf("decrypted %q from bytes, %v", got, err)
	}
	b.Text, b.Binary = must(named.Text(binary))(t), nil
	if got, err := key.Decrypt(b); string(got) != "hunter2" || err != nil {
		t.Errorf("decrypted %q from the text of the bytes, %v", got, err)
	}
	if back := must(named.Binary(b.Text))(t); !bytes.Equal(back, binary) {
		t.Error("text and bytes are not each other's")
	}

	// Nothing that was changed decrypts.
	step := 1
	if info.Type == named.RSA2048 && testing.Short() {
		step = 36 // an operation with the private half each
	}
	for i := 0; i < len(binary)-4; i += step {
		bad := bytes.Clone(binary)
		bad[4+i] ^= 0x80
		w := c
		w.Text, w.Binary = "", bad
		if _, err := key.Decrypt(w); !errors.Is(err, named.ErrCorrupt) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	other := c
	if info.Type.TakesAAD() {
		other.AAD = []byte("bob")
		_, err := key.Decrypt(other)
		wantError(t, err, named.ErrCorrupt, "does not authenticate")
	}
	if info.Derived {
		other = c
		other.Context = []byte("tenant 2")
		_, err := key.Decrypt(other)
		wantError(t, err, named.ErrCorrupt, "does not authenticate")
		other.Context = nil
		_, err = key.Decrypt(other)
		wantError(t, err, named.ErrInput, "context is missing")
	}

	if info.Type == named.RSA2048 && testing.Short() {
		return // before a rotation, which would make another key
	}

	// After a rotation the old one decrypts, and is rewrapped.
	must(h.Rotate(t.Context(), name))(t)
	key = h.key(name)
	next := c
	next.Text = must(key.Rewrap(c))(t)
	if !strings.HasPrefix(next.Text, "vault:v2:") {
		t.Errorf("rewrapped to %s", next.Text)
	}
	for _, c := range []named.Ciphertext{c, next} {
		if got, err := key.Decrypt(c); string(got) != "hunter2" || err != nil {
			t.Errorf("decrypted %q, %v", got, err)
		}
	}
	m.Version = 1
	if old := must(key.Encrypt(m))(t); !strings.HasPrefix(old, "vault:v1:") {
		t.Errorf("asked for version 1: %s", old)
	}
	m.Plaintext, m.Version = nil, 0
	data, text, err := key.DataKey(512, m)
	if len(data) != 64 || err != nil {
		t.Fatalf("data key of %d bytes, %v", len(data), err)
	}
	c.Text = text
	if got, err := key.Decrypt(c); !bytes.Equal(got, data) || err != nil {
		t.Errorf("the data key decrypts to other bytes: %v", err)
	}
}

// What can't be is refused, with words that say why.
func TestEncryptRefused(t *testing.T) {
	h := open(t, nil)
	h.create("aes", named.Spec{})
	h.create("derived", named.Spec{Derived: true})
	h.create("ed", named.Spec{Type: named.Ed25519})
	h.rsa()
	for range 2 {
		must(h.Rotate(t.Context(), "aes"))(t)
	}
	must(h.Configure(t.Context(), "aes", func(s *named.Settings) error {
		s.MinDecryptionVersion, s.MinEncryptionVersion = 2, 3
		return nil
	}))(t)
	for name, tc := range map[string]struct {
		key   string
		m     named.Message
		kind  error
		words string
	}{
		"signing key":          {"ed", named.Message{}, named.ErrType, "ed25519 keys do not encrypt"},
		"negative version":     {"aes", named.Message{Version: -1}, named.ErrInput, "negative"},
		"too low a version":    {"aes", named.Message{Version: 2}, named.ErrPolicy, "below min_encryption_version, 3"},
		"too high a version":   {"aes", named.Message{Version: 4}, named.ErrVersion, "the key has 1 to 3"},
		"context for nothing":  {"aes", named.Message{Context: []byte("c")}, named.ErrInput, "not derived"},
		"nonce for nothing":    {"aes", named.Message{Nonce: make([]byte, 12)}, named.ErrInput, "takes none"},
		"no context":           {"derived", named.Message{}, named.ErrInput, "context is missing"},
		"long context":         {"derived", named.Message{Context: make([]byte, named.MaxContext+1)}, named.ErrLimit, "65536"},
		"long plaintext":       {"aes", named.Message{Plaintext: make([]byte, named.MaxMessage+1)}, named.ErrLimit, "data key"},
		"long associated data": {"aes", named.Message{AAD: make([]byte, named.MaxMessage+1)}, named.ErrLimit, "more than"},
		"RSA takes no AAD":     {"rsa", named.Message{AAD: []byte("a")}, named.ErrType, "no associated data"},
		"RSA has room for 190": {"rsa", named.Message{Plaintext: make([]byte, 191)}, named.ErrLimit, "190 bytes at most"},
	} {
		_, err := h.key(tc.key).Encrypt(tc.m)
		t.Run(name, func(t *testing.T) { wantError(t, err, tc.kind, tc.words) })
	}
	if _, err := h.key("aes").Encrypt(named.Message{}); err != nil {
		t.Errorf("an empty plaintext: %v", err)
	}
	_, _, err := h.key("aes").DataKey(100, named.Message{})
	wantError(t, err, named.ErrInput, "128, 256 or 512")
	_, _, err = h.key("aes").DataKey(0, named.Message{Plaintext: []byte("p")})
	wantError(t, err, named.ErrInput, "is drawn")
}

func TestDecryptRefused(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{})
	h.create("ed", named.Spec{Type: named.Ed25519})
	old := must(h.key("k").Encrypt(named.Message{}))(t)
	must(h.Rotate(t.Context(), "k"))(t)
	must(h.Configure(t.Context(), "k", func(s *named.Settings) error { s.MinDecryptionVersion = 2; return nil }))(t)
	key := h.key("k")
	for text, tc := range map[string]struct {
		kind  error
		words string
	}{
		old:                      {named.ErrPolicy, "below min_decryption_version, 2"},
		"vault:v3:AAAA":          {named.ErrVersion, "too new: the latest is 2"},
		"vault:v2:":              {named.ErrInput, "too short"},
		"vault:v2:AAAA":          {named.ErrInput, "too short"},
		"vault:v2:***":           {named.ErrInput, "not in base64"},
		"hello":                  {named.ErrInput, "no prefix"},
		"vault:v2:" + old[9:]:    {named.ErrCorrupt, "does not authenticate"},
		strings.Repeat("x", 100): {named.ErrInput, "no prefix"},
	} {
		_, err := key.Decrypt(named.Ciphertext{Text: text})
		wantError(t, err, tc.kind, tc.words)
		_, err = key.Rewrap(named.Ciphertext{Text: text})
		wantError(t, err, tc.kind, tc.words)
	}
	_, err := key.Decrypt(named.Ciphertext{Text: old, Binary: []byte{0, 0, 0, 1}})
	wantError(t, err, named.ErrInput, "not both")
	_, err = key.Decrypt(named.Ciphertext{Binary: []byte(old)})
	wantError(t, err, named.ErrInput, "is it text?")
	_, err = key.Decrypt(named.Ciphertext{Binary: []byte{}})
	wantError(t, err, named.ErrInput, "too short")
	_, err = h.key("ed").Decrypt(named.Ciphertext{Text: old})
	wantError(t, err, named.ErrType, "ed25519 keys do not decrypt")
}

// A version is not used more often with random nonces than is safe, whoever loads
// the key again meanwhile; a rotation begins anew.
func TestExhausted(t *testing.T) {
	h := open(t, func(c *named.Config) { c.CacheFor = -1 })
	h.create("k", named.Spec{})
	h.key("k").SetSpent(1<<32 - 1)
	if _, err := h.key("k").Encrypt(named.Message{}); err != nil {
		t.Fatal(err)
	}
	must(h.Configure(t.Context(), "k", func(s *named.Settings) error { s.DeletionAllowed = true; return nil }))(t)
	h.key("k").SetSpent(1 << 32)
	_, err := h.key("k").Encrypt(named.Message{})
	wantError(t, err, named.ErrExhausted, "rotate the key")
	must(h.Rotate(t.Context(), "k"))(t)
	if _, err := h.key("k").Encrypt(named.Message{}); err != nil {
		t.Error(err)
	}
}

// A batch keeps the errors of its items apart.
func TestBatch(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{})
	key := h.key("k")
	good := must(key.Encrypt(named.Message{Plaintext: []byte("p")}))(t)
	results := must(named.Batch([]named.Ciphertext{{Text: good}, {Text: "vault:v9:AAAA"}, {Text: good, AAD: []byte("x")}}, key.Decrypt))(t)
	if len(results) != 3 || string(results[0].Value) != "p" || results[0].Err != nil {
		t.Errorf("%v", results)
	}
	wantError(t, results[1].Err, named.ErrVersion, "too new")
	wantError(t, results[2].Err, named.ErrCorrupt, "authenticate")
	if _, err := named.Batch(make([]named.Message, named.MaxBatch), key.Encrypt); err != nil {
		t.Error(err)
	}
	_, err := named.Batch(make([]named.Message, named.MaxBatch+1), key.Encrypt)
	wantError(t, err, named.ErrLimit, "split the batch")
}

func TestConvergent(t *testing.T) {
	if fips140.Enabled() {
		_, err := open(t, nil).Create(t.Context(), "k", named.Spec{Derived: true, Convergent: true})
		wantError(t, err, named.ErrNotApproved, "nonces")
		return
	}
	h := open(t, nil)
	for _, kind := range []named.Type{named.AES128, named.AES256, named.ChaCha20Poly1305, named.XChaCha20Poly1305} {
		name := string(kind)
		h.create(name, named.Spec{Type: kind, Derived: true, Convergent: true})
		m := named.Message{Plaintext: []byte("p"), Context: []byte("c")}
		key := h.key(name)
		text := must(key.Encrypt(m))(t)
		for range 3 {
			if again := must(key.Encrypt(m))(t); again != text {
				t.Fatalf("%s: %s and %s", kind, text, again)
			}
		}
		if got, err := key.Decrypt(named.Ciphertext{Text: text, Context: m.Context}); string(got) != "p" || err != nil {
			t.Errorf("%s: %q, %v", kind, got, err)
		}
		if other := must(key.Encrypt(named.Message{Plaintext: []byte("q"), Context: m.Context}))(t); other[:25] == text[:25] {
			t.Errorf("%s: two plaintexts have one nonce", kind)
		}
		m.Nonce = make([]byte, 12)
		_, err := key.Encrypt(m)
		wantError(t, err, named.ErrInput, "nonce")
	}
}

// A plaintext beside one row's associated data and beside another's had the same
// nonce, as in Vault: whoever saw both could compute the key that authenticates,
// and alter every ciphertext of the context.
func TestConvergentNonceServesTwoAAD(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("there is no convergent encryption")
	}
	h := open(t, nil)
	h.create("k", named.Spec{Derived: true, Convergent: true})
	of := func(aad, plaintext string) string {
		m := named.Message{Plaintext: []byte(plaintext), Context: []byte("c"), AAD: []byte(aad)}
		text := must(h.key("k").Encrypt(m))(t)
		if again := must(h.key("k").Encrypt(m))(t); again != text {
			t.Errorf("%q: %s and %s", aad, text, again)
		}
		if got, err := h.key("k").Decrypt(named.Ciphertext{Text: text, Context: m.Context, AAD: m.AAD}); string(got) != plaintext || err != nil {
			t.Errorf("%q: %q, %v", aad, got, err)
		}
		return text[len("vault:v1:"):][:16] // 12 bytes
	}
	seen := map[string]string{}
	for _, m := range [][2]string{{"", "p"}, {"row 1", "p"}, {"row 2", "p"}, {"p", ""}, {"row 1", "row 1p"}, {"", "row 1p"}} {
		nonce, what := of(m[0], m[1]), m[1]+" beside "+m[0]
		if before, used := seen[nonce]; used {
			t.Errorf("%q and %q have one nonce", before, what)
		}
		seen[nonce] = what
	}
}

// Without the host's AEADs their types are refused, in words that say what to do.
func TestNoAEAD(t *testing.T) {
	h := open(t, func(c *named.Config) { c.AEADs = nil })
	_, err := h.Create(t.Context(), "k", named.Spec{Type: named.XChaCha20Poly1305})
	if fips140.Enabled() {
		wantError(t, err, named.ErrNotApproved, "choose aes256-gcm96")
		return
	}
	wantError(t, err, named.ErrConfig, "golang.org/x/crypto")
	// A key from a time when there was one is kept, and says so when it is used.
	with := open(t, func(c *named.Config) { c.Keyring, c.Store = h.ring.Keyring, h.store })
	with.create("k", named.Spec{Type: named.XChaCha20Poly1305})
	_, err = h.key("k").Encrypt(named.Message{})
	wantError(t, err, named.ErrConfig, "Config.AEADs has no xchacha20-poly1305")
	swapped := open(t, func(c *named.Config) {
		c.Keyring, c.Store = h.ring.Keyring, h.store
		c.AEADs[named.XChaCha20Poly1305] = newChaCha
	})
	_, err = swapped.key("k").Encrypt(named.Message{})
	wantError(t, err, named.ErrConfig, "want 24")
}

// What the host does with its map of AEADs after New is its own affair.
func TestKeepsItsAEADs(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("they are not approved")
	}
	var aeads map[named.Type]func([]byte) (cipher.AEAD, error)
	h := open(t, func(c *named.Config) { aeads = c.AEADs })
	clear(aeads)
	h.create("k", named.Spec{Type: named.XChaCha20Poly1305})
	if _, err := h.key("k").Encrypt(named.Message{}); err != nil {
		t.Error(err)
	}
}
