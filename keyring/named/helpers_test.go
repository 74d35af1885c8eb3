package named_test

import (
	"context"
	"crypto/cipher"
	"errors"
	"strings"
	"testing"

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
