package named_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/secret/secrettest"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
)

// While the keyring is sealed nothing works, and afterwards everything does again.
func TestSealed(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{Type: named.Ed25519, Settings: named.Settings{DeletionAllowed: true, Exportable: true, AllowPlaintextBackup: true}})
	h.create("aes", named.Spec{})
	ed, aes := h.key("k"), h.key("aes")
	text := must(aes.Encrypt(named.Message{Plaintext: []byte("p")}))(t)
	backup := must(h.Backup(t.Context(), "k"))(t).Reveal()
	h.ring.Seal()
	ctx := t.Context()
	for name, f := range map[string]func() error{
		"create":    func() error { _, err := h.Create(ctx, "other", named.Spec{}); return err },
		"read":      func() error { _, err := h.Read(ctx, "k"); return err },
		"list":      func() error { _, err := h.List(ctx, "", 1); return err },
		"configure": func() error { _, err := h.Configure(ctx, "k", func(*named.Settings) error { return nil }); return err },
		"rotate":    func() error { _, err := h.Rotate(ctx, "k"); return err },
		"due":       func() error { _, err := h.RotateDue(ctx); return err },
		"trim":      func() error { _, err := h.Trim(ctx, "k", 1); return err },
		"delete":    func() error { return h.Delete(ctx, "k") },
		"export":    func() error { _, err := h.Export(ctx, "k", named.SigningKey, 0); return err },
		"backup":    func() error { _, err := h.Backup(ctx, "k"); return err },
		"restore":   func() error { _, err := h.Restore(ctx, "other", backup, false); return err },
		"replace":   func() error { _, err := h.Restore(ctx, "other", backup, true); return err },
		"wrapping":  func() error { _, err := h.WrappingKey(ctx); return err },
		"import":    func() error { _, err := h.Import(ctx, "other", named.Spec{}, named.Material{}); return err },
		"version":   func() error { _, err := h.ImportVersion(ctx, "k", 0, named.Material{}); return err },
		"key":       func() error { _, err := h.Key(ctx, "k"); return err },
		"encrypt":   func() error { _, err := aes.Encrypt(named.Message{}); return err },
		"binary":    func() error { _, err := aes.EncryptBinary(nil, named.Message{}); return err },
		"decrypt":   func() error { _, err := aes.Decrypt(named.Ciphertext{Text: text}); return err },
		"rewrap":    func() error { _, err := aes.Rewrap(named.Ciphertext{Text: text}); return err },
		"datakey":   func() error { _, _, err := aes.DataKey(0, named.Message{}); return err },
		"sign":      func() error { _, err := ed.Sign(named.Input{}); return err },
		"verify":    func() error { _, err := ed.Verify(named.Input{}, "vault:v1:AAAA"); return err },
		"mac":       func() error { _, err := ed.MAC(named.Input{}); return err },
		"verifymac": func() error { _, err := ed.VerifyMAC(named.Input{}, "vault:v1:AAAA"); return err },
		"public":    func() error { _, err := ed.PublicKey(0, nil); return err },
	} {
		if err := f(); !errors.Is(err, keyring.ErrSealed) {
			t.Errorf("%s: %v, want keyring.ErrSealed", name, err)
		}
	}
	h.ring.Unseal()
	if got, err := h.key("aes").Decrypt(named.Ciphertext{Text: text}); string(got) != "p" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := aes.Decrypt(named.Ciphertext{Text: text}); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("a Key of before the Seal: %v", err)
	}
}

// Seal wipes what is in memory, also of a key that was rotated since, and of one
// that is in use as soon as it is not.
func TestSealWipes(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{})
	old := h.key("k")
	old.Encrypt(named.Message{})
	must(h.Rotate(t.Context(), "k"))(t)
	key := h.key("k")
	raw := append(old.Raw(), key.Raw()...)
	if len(raw) != 6 || bytes.Equal(raw[0], make([]byte, 32)) {
		t.Fatalf("%d secrets", len(raw))
	}
	leave := key.Enter()
	h.ring.Seal()
	wiped := func(raw [][]byte) bool {
		for _, b := range raw {
			if !bytes.Equal(b, make([]byte, len(b))) {
				return false
			}
		}
		return true
	}
	if !wiped(old.Raw()) {
		t.Error("a key of before the rotation is not wiped")
	}
	if wiped(key.Raw()) {
		t.Error("a key was wiped while it was used")
	}
	if leave(); !wiped(key.Raw()) {
		t.Error("a key that was in use is not wiped after it")
	}
	if n := h.Live(); n != 0 {
		t.Errorf("%d states are left", n)
	}
}

// What was loaded while the keyring was being sealed does not stay.
func TestSealDuringLoad(t *testing.T) {
	counted := &counting{Store: named.NewMemStore()}
	h := open(t, func(c *named.Config) { c.Store = counted })
	h.create("k", named.Spec{})
	for range 50 {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if key, err := h.Key(context.Background(), "k"); err == nil {
					key.Encrypt(named.Message{Plaintext: []byte("p")})
				} else if !errors.Is(err, keyring.ErrSealed) {
					t.Error(err)
				}
			})
		}
		wg.Go(h.ring.Seal)
		wg.Wait()
		h.ring.Seal()
		if n := h.Live(); n != 0 {
			t.Fatalf("%d states are left after Seal", n)
		}
		h.ring.Unseal()
	}
}

// A key that nobody has any more is wiped without a Seal.
func TestCollected(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{})
	raw := h.key("k").Raw()
	must(h.Rotate(t.Context(), "k"))(t)
	for range 1000 {
		runtime.GC()
		if h.Live() == 0 {
			break
		}
		time.Sleep(time.Millisecond) // for the collector
	}
	if h.Live() != 0 || !bytes.Equal(raw[0], make([]byte, 32)) {
		t.Error("a key that nobody has is not wiped")
	}
}

// Nothing prints a secret, wherever it is nested.
func TestSilent(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{Settings: named.Settings{Exportable: true}})
	key := h.key("k")
	exported := must(h.Export(t.Context(), "k", named.EncryptionKey, 0))(t)
	secrets := map[string][]byte{"exported": []byte(exported[0].Key.Reveal())}
	for i, raw := range key.Raw() {
		secrets[fmt.Sprint("raw ", i)] = raw
	}
	search := secrettest.NewSearch(secrets)
	type nested struct{ inner any }
	for name, v := range map[string]any{
		"Key": key, "a copy": *key, "Keys": h.Keys, "Exported": exported, "a Secret": exported[0].Key, "nested": nested{key},
		"nested twice": &nested{nested{*key}}, "nested secret": nested{exported}, "Info": key.Info(),
	} {
		for sink, text := range secrettest.Sinks(v) {
			for key, form := range search.In(text) {
				t.Errorf("%s in %s shows the %s key as %s", name, sink, key, form)
			}
		}
	}
}
