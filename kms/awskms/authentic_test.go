package awskms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/seal"
)

func TestAuthenticates(t *testing.T) {
	s := start(t)
	key, other, region := s.CreateKey(), s.CreateKey(), s.CreateMultiRegionKey()
	alias := s.Alias("alias/prod", key)
	id := func(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
	of := func(keyID string) *kms.Blob {
		return &kms.Blob{Type: awskms.Type, KeyID: keyID, Ciphertext: []byte("x")}
	}
	elsewhere := strings.Replace(region, awskmstest.Region, "us-east-1", 1)
	for _, c := range []struct {
		name, configured string
		blob             *kms.Blob
		want             bool
	}{
		{"ARN, its blob", key, of(key), true},
		{"ARN, another key's", key, of(other), false},
		{"ARN, the alias's name", key, of(alias), false},
		{"ARN, another account's", key, of(strings.Replace(key, awskmstest.AccountID, "444455556666", 1)), false},
		{"ARN, no key", key, of(""), false},
		{"ARN, another type", key, &kms.Blob{Type: "gcpckms", KeyID: key}, false},
		{"ARN, no blob", key, nil, false},
		{"id, its blob", id(key), of(key), true},
		{"id, another key's", id(key), of(other), false},
		{"a replica, its blob", region, of(region), true},
		{"a replica, another replica's", region, of(elsewhere), true},
		{"alias ARN, the key it names", alias, of(key), false},
		{"alias ARN, another key's", alias, of(other), false},
		{"alias, the key it names", "alias/prod", of(key), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := with(s, c.configured)
			cfg.Region = awskmstest.Region
			if got := open(t, cfg).Authenticates(c.blob); got != c.want {
				t.Errorf("Authenticates is %v", got)
			}
		})
	}
	if n := s.Requests(""); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestAttackBlobOfAnotherAccountUnderAnID: a key that is configured by its id is
// asked by it, so that a blob cannot lead to an account of its author's choice.
func TestAttackBlobOfAnotherAccountUnderAnID(t *testing.T) {
	s := start(t)
	key := s.CreateKey()
	cfg := with(s, key[strings.LastIndexByte(key, '/')+1:])
	cfg.Region = awskmstest.Region
	w := open(t, cfg)
	blob := wrap(t, w)
	opens(t, w, blob)
	bad := *blob
	bad.KeyID = strings.Replace(key, awskmstest.AccountID, "444455556666", 1)
	_, err := w.Unwrap(t.Context(), &bad, home)
	refused(t, err, kms.ErrWrongKey, "the key "+`"`+key+`" answered`)
}

// TestAttackStoreOfAnotherKeyUnderAnAlias: somebody who can write to the store,
// and who has a KMS key of his own that the server's identity may decrypt with,
// puts a store of his making in place of the server's. The alias stands for
// another key; the blob says which to ask.
func TestAttackStoreOfAnotherKeyUnderAnAlias(t *testing.T) {
	s := start(t)
	ours, theirs := s.CreateKey(), s.CreateKey()
	alias := s.Alias("alias/prod", ours)
	barrier := func(store seal.Store, key string, pins ...string) *seal.Barrier {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"aws": open(t, with(s, key))}, Pins: pins})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	makeStore := func(key string) (*seal.MemStore, string) {
		store := seal.NewMemStore()
		b := barrier(store, key)
		if _, err := b.Init(t.Context(), map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "aws"}}, seal.By{}); err != nil {
			t.Fatal(err)
		}
		return store, b.Status().Slots[0].Fingerprint
	}
	forged, _ := makeStore(theirs)
	honest, pin := makeStore(ours)

	for _, c := range []struct {
		name  string
		store seal.Store
		key   string
		pins  []string
		want  error // nil: it opens
	}{
		{"the forged store, by the alias", forged, alias, nil, seal.ErrUnpinned},
		{"the forged store, by the alias and a pin", forged, alias, []string{pin}, seal.ErrForged},
		{"the forged store, by the ARN", forged, ours, nil, kms.ErrWrongKey},
		{"our store, by the alias", honest, alias, nil, seal.ErrUnpinned},
		{"our store, by the alias and its pin", honest, alias, []string{pin}, nil},
		{"our store, by the ARN", honest, ours, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := barrier(c.store, c.key, c.pins...)
			err := b.Unseal(t.Context())
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("Unseal: %v, want %v", err, c.want)
			}
		})
	}
}
