package named_test

import (
	"context"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/keyringtest"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
)

// A house is named keys and what they stand on.
type house struct {
	*named.Keys
	tb      testing.TB
	ring    *keyringtest.Ring
	store   named.Store
	sources []migrate.Source
}

// open returns keys over a store and a keyring; nil for new ones.
func open(tb testing.TB, change func(*named.Config)) *house {
	tb.Helper()
	h := &house{tb: tb, ring: keyringtest.New(tb)}
	cfg := named.Config{
		Keyring: h.ring.Keyring,
		Store:   named.NewMemStore(),
		Keep:    func(s migrate.Source) { h.sources = append(h.sources, s) },
		AEADs: map[named.Type]func([]byte) (cipher.AEAD, error){
			named.ChaCha20Poly1305:  newChaCha,
			named.XChaCha20Poly1305: newXChaCha,
		},
	}
	if change != nil {
		change(&cfg)
	}
	keys, err := named.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	h.Keys, h.store = keys, cfg.Store
	return h
}

func (h *house) create(name string, spec named.Spec) {
	h.tb.Helper()
	if _, err := h.Create(context.Background(), name, spec); err != nil {
		h.tb.Fatal(err)
	}
}

// rsa restores the key "rsa" from the recording, since one takes long to make.
func (h *house) rsa() {
	h.tb.Helper()
	r := recordedKeys(recording(h.tb))["k-rsa-2048"]
	delete(r.keys, "2")
	must(h.Restore(context.Background(), "rsa", r.backup(h.tb), false))(h.tb)
}

func (h *house) key(name string, texts ...string) *named.Key {
	h.tb.Helper()
	key, err := h.Key(context.Background(), name, texts...)
	if err != nil {
		h.tb.Fatal(err)
	}
	return key
}

// must returns the value, and fails the test on an error.
func must[T any](value T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return value
	}
}

// wantError checks an error's kind, and that its words say what to do.
func wantError(tb testing.TB, err, kind error, words string) {
	tb.Helper()
	if !errors.Is(err, kind) {
		tb.Errorf("error %v, want %v", err, kind)
	} else if !strings.Contains(err.Error(), words) {
		tb.Errorf("error %q does not say %q", err, words)
	}
}

var badAEADs = map[named.Type]func([]byte) (cipher.AEAD, error){named.AES256: newChaCha}

// putWrappingKey stores a key for imports that need not be made: of 4096 bits that
// takes seconds.
func (h *house) putWrappingKey() error {
	der, err := os.ReadFile("testdata/wrapping-key.der")
	if err != nil {
		return err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(private.(*rsa.PrivateKey).Public())
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"format": 1, "name": named.WrappingKeyName, "seq": 1, "type": "rsa-4096", "min_decryption": 1,
		"versions": []any{map[string]any{"key": len(der), "public": len(public), "created": "2026-01-01T00:00:00Z"}}})
	if err != nil {
		return err
	}
	return h.putDocument(named.WrappingKeyName, slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text, der, public))
}

// putDocument encrypts a document as the package does, and stores it.
func (h *house) putDocument(name string, text []byte) error {
	stored, err := h.ring.Encrypt(nil, text, keyring.AAD("named key", name))
	if err != nil {
		return err
	}
	_, revision, err := h.store.Load(context.Background(), name)
	if err != nil && !errors.Is(err, named.ErrNotFound) {
		return err
	}
	_, err = h.store.Swap(context.Background(), name, stored, revision)
	return err
}
