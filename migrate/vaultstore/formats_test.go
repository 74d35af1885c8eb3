package vaultstore_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
	"github.com/sealwright/sealwright/migrate/vaultstore"
	"github.com/sealwright/sealwright/shamir"
)

// TestOldFormats: entries of version 1, a legacy seal whose shares are of the root
// key, one of one share, a store from before keyrings, a keyring with little in
// it.
func TestOldFormats(t *testing.T) {
	t.Run("entries of version 1", func(t *testing.T) {
		b := newBench(t, "vault-shamir-5of3")
		for key, value := range b.raw {
			if bytes.Equal(value[:min(5, len(value))], []byte{0, 0, 0, 1, 2}) && key != "core/keyring" {
				text := b.open(b.dek, key)
				b.raw[key] = aead(b.dek).Seal([]byte{0, 0, 0, 1, 1}, nil, text, nil)
			}
		}
		text := b.open(b.root, "core/keyring")
		b.raw["core/keyring"] = aead(b.root).Seal([]byte{0, 0, 0, 1, 1}, nil, text, nil)
		sameContents(t, b.opened(keysOf(t, "vault-shamir-5of3")), "vault-shamir-5of3")
	})
	t.Run("a legacy seal", func(t *testing.T) {
		b := newBench(t, "vault-shamir-5of3")
		delete(b.raw, "core/hsm/barrier-unseal-keys")
		delete(b.raw, "core/shamir-kek")
		b.raw["core/seal-config"] = []byte(`{"type":"","secret_shares":5,"secret_threshold":3,"pgp_keys":null,"nonce":"","backup":false,"stored_shares":0}`)
		parts, err := shamir.Split(b.root, 5, 3)
		if err != nil {
			t.Fatal(err)
		}
		s := b.opened(vaultstore.Keys{Shares: parts[1:4]})
		if sameContents(t, s, "vault-shamir-5of3"); s.Info().OpenedBy != "legacy" {
			t.Error(s.Info().OpenedBy)
		}
		if d := diagnose(t, b.raw.files(t), vaultstore.Options{Keys: vaultstore.Keys{Shares: parts[1:4]}}); !d.Healthy() {
			t.Error("it is healthy")
		}
		found(t, diagnose(t, b.raw.files(t), vaultstore.Options{Keys: vaultstore.Keys{Shares: parts[:2]}}), vaultstore.SharesMissing)
	})
	t.Run("one share", func(t *testing.T) {
		b := newBench(t, "shamir-5of3")
		kek := bytes.Repeat([]byte{9}, 32)
		b.storeByShares(kek)
		b.seal(b.dek, b.term, "core/shamir-kek", kek)
		b.config("core/seal-config", "shamir", 1, 1)
		sameContents(t, b.opened(vaultstore.Keys{Shares: [][]byte{kek}}), "shamir-5of3")
		if d := diagnose(t, b.raw.files(t), vaultstore.Options{Keys: vaultstore.Keys{Shares: [][]byte{kek}}}); !d.Healthy() {
			t.Error("it is healthy")
		}
	})
	t.Run("before keyrings", func(t *testing.T) {
		b := newBench(t, "vault-shamir-5of3")
		delete(b.raw, "core/keyring")
		b.seal(b.root, 1, "barrier/init", fmt.Appendf(nil, `{"Version":1,"Key":%q}`, base64.StdEncoding.EncodeToString(b.dek)))
		sameContents(t, b.opened(keysOf(t, "vault-shamir-5of3")), "vault-shamir-5of3")
	})
	t.Run("a keyring with little in it", func(t *testing.T) {
		b := newBench(t, "static")
		var keys []map[string]any
		if err := json.Unmarshal(b.keyring["Keys"], &keys); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			delete(k, "InstallTime")
			delete(k, "Version")
			k["encryptions"] = "many"
		}
		for n := 3; n <= 3000; n++ {
			keys = append(keys, map[string]any{"Term": n, "Value": b.dek, "InstallTime": "2026-11-22T00:50:14.09+02:00"})
		}
		b.seal(b.root, 1, "core/keyring", b.must(json.Marshal(map[string]any{"Keys": keys, "Later": true})))
		s := b.opened(keysOf(t, "static"))
		if terms := s.Info().Terms; len(terms) != 3000 || terms[2999] != 3000 {
			t.Error(len(terms))
		}
	})
	t.Run("by the root key alone", func(t *testing.T) {
		b := newBench(t, "static")
		sameContents(t, b.opened(vaultstore.Keys{RootKey: b.root}), "static")
		if _, err := vaultstore.Open(t.Context(), fixture("static"), vaultstore.Keys{RootKey: make([]byte, 32)}); !errors.Is(err, vaultstore.ErrRootKey) {
			t.Error(err)
		}
	})
}

// TestBlobsOfSeals: the ways in which seals store the root key: a data key that a
// KMS wrapped, split or not, as Azure's text, alone, of several seals, and by
// transit; each in every kind of storage, or in one where a part is enough.
func TestBlobsOfSeals(t *testing.T) {
	server := new(transittest.Server)
	cfg := server.Config("autounseal")
	w, err := transit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	encrypt := func(plain []byte) []byte {
		body := `{"plaintext":"` + base64.StdEncoding.EncodeToString(plain) + `"}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, transittest.Address+"/v1/transit/encrypt/autounseal", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Vault-Token", transittest.RootToken)
		resp, err := cfg.HTTPClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Data struct{ Ciphertext string } `json:"data"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return []byte(answer.Data.Ciphertext)
	}
	b := newBench(t, "static")
	dek := bytes.Repeat([]byte{3}, 32)
	sealed := aead(dek).Seal(nil, nil, b.storedKeys(), nil)
	wrapped := encrypt(dek)
	several := append([]byte("multiwrapvalue:1"), 0, 0, 0, 0)
	body := slices.Concat(msg(1, 2), msg(2, blobBy(another(), b.storedKeys())), msg(2, msg(1, encrypt(b.storedKeys()), 5, msg(3, "transit/v1"))))
	binary.BigEndian.PutUint32(several[16:], uint32(len(body)))
	for i, c := range []struct {
		name, kind string
		blob       []byte
	}{
		{"transit", "transit", msg(1, encrypt(b.storedKeys()), 5, msg(3, "transit/v1"))},
		{"transit, no id", "transit", msg(1, encrypt(b.storedKeys()))},
		{"envelope", "awskms", msg(1, sealed[12:], 2, sealed[:12], 5, msg(1, 1, 3, "arn:aws:kms:eu-west-1:1:key/2", 5, wrapped))},
		{"envelope, in one", "gcpckms", msg(1, sealed, 4, 1, 5, msg(3, "projects/p/cryptoKeys/k", 5, wrapped), 6, "path")},
		{"azure's text", "azurekeyvault", msg(1, sealed[12:], 2, sealed[:12], 5, msg(3, "0123", 5, base64.RawURLEncoding.EncodeToString(wrapped)))},
		{"several seals", "multiseal", append(several, body...)},
		{"with fields ahead", "transit", msg(31, "later", 1, encrypt(b.storedKeys()), 5, msg(3, "v1", 40, 7), 32, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "static")
			b.raw["core/hsm/barrier-unseal-keys"] = c.blob
			b.raw["core/recovery-key"] = msg(1, encrypt(bytes.Repeat([]byte{5}, 32)), 5, msg(3, "v1"))
			b.config("core/seal-config", c.kind, 1, 1)
			keys := seals(vaultstore.KMS{Kind: c.kind, Wrapper: w})
			for n, kind := range []string{"file", "raft", "snapshot"} {
				if !exhaustive() && n != i%3 {
					continue
				}
				path := kinds[kind](t, b.raw)
				s, err := vaultstore.Open(t.Context(), path, keys)
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				sameContents(t, s, "static")
				s.Close()
				if d := diagnose(t, path, vaultstore.Options{Keys: keys}); !d.Healthy() {
					t.Errorf("%s: it is healthy", kind)
				}
				if _, err := vaultstore.Open(t.Context(), path, seals(static(t))); !errors.Is(err, vaultstore.ErrSeal) { // and by nothing else
					t.Errorf("%s: %v", kind, err)
				}
			}
		})
	}
}
