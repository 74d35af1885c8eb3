package vaultstore_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"context"
	"sync"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

const staticKey = "2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfe"

func static(t testing.TB) vaultstore.Static {
	t.Helper()
	key, err := hex.DecodeString(staticKey)
	if err != nil {
		t.Fatal(err)
	}
	return vaultstore.Static{ID: "20260101-1", Key: key}
}

// shares returns the shares of a fixture, barrier's or recovery's.
func shares(t testing.TB, name string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "stores", "keys", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var in struct {
		Unseal   []string `json:"unseal_keys_b64"`
		Recovery []string `json:"recovery_keys_hex"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, s := range append(in.Unseal, in.Recovery...) {
		share, err := vaultstore.ParseShare(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, share)
	}
	return out
}

func fixture(name string) string { return filepath.Join("testdata", "stores", name) }

// keysOf returns what opens a fixture.
func keysOf(t testing.TB, name string) vaultstore.Keys {
	if name == "static" {
		return vaultstore.Keys{Seals: []vaultstore.Seal{static(t)}}
	}
	return vaultstore.Keys{Shares: shares(t, name)[:3]}
}

var stores = []string{"shamir-5of3", "static", "vault-shamir-5of3"}

// contents are the lists of the fixtures: what is at secret/, which policies and
// mounts there are, and how many terms.
var contents = map[string]struct {
	secrets  map[string]string
	policies []string
	terms    int
	openedBy string
}{
	"shamir-5of3": {map[string]string{"hello": `{"greeting":"world","n":"1"}`}, []string{"default", "response-wrapping"}, 1, "shares"},
	"static": {map[string]string{"hello": `{"greeting":"static"}`, "after-rotate": `{"term":"2"}`},
		[]string{"default", "response-wrapping"}, 2, "static"},
	"vault-shamir-5of3": {map[string]string{"hello": `{"greeting":"vault"}`}, []string{"control-group", "default", "response-wrapping"}, 1, "shares"},
}

// TestTheThreeStoresOpen: each as it is, as vault.db, and as a snapshot; nothing
// is written to the source.
func TestTheThreeStoresOpen(t *testing.T) {
	for _, name := range stores {
		for kind, make := range kinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				path := fixture(name)
				if kind != "file" {
					path = make(t, readRaw(t, path))
				}
				before := census(t, path)
				s, err := vaultstore.Open(t.Context(), path, keysOf(t, name))
				if err != nil {
					t.Fatal(err)
				}
				sameContents(t, s, name)
				if got := string(s.Info().Kind); got != kind {
					t.Errorf("the kind is %s", got)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(before, census(t, path)); diff != "" {
					t.Error("the source was written to", diff)
				}
				if _, err := s.Get("core/mounts"); err == nil {
					t.Error("a closed store gives entries")
				}
			})
		}
	}
}

// sameContents compares what is in a store with the list of its fixture.
func sameContents(t *testing.T, s *vaultstore.Store, name string) {
	t.Helper()
	want := contents[name]
	if info := s.Info(); len(info.Terms) != want.terms {
		t.Errorf("%+v", info)
	}
	mounts, err := s.Mounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	var paths []string
	for _, m := range mounts {
		paths = append(paths, m.Table+" "+m.Path)
		if m.KV() == 0 {
			continue
		}
		err := s.Secrets(t.Context(), &m, func(secret *vaultstore.Secret, key string, err error) error {
			if err != nil {
				return err
			}
			got[secret.Path] = string(secret.Versions[0].Data)
			if v := secret.Versions[0]; v.Number != 1 || v.Created.Year() != 2026 || len(secret.Versions) != 1 {
				t.Errorf("%+v", secret)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want.secrets, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"auth token/", "mounts cubbyhole/", "mounts identity/", "mounts secret/", "mounts sys/"}, paths); diff != "" {
		t.Error(diff)
	}
	var policies []string
	err = s.Policies(t.Context(), func(p *vaultstore.Policy, _ string, err error) error {
		policies = append(policies, p.Name)
		if !strings.Contains(p.Text, "path ") {
			t.Errorf("the policy %s says %.40q", p.Name, p.Text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.policies, policies); diff != "" {
		t.Error(diff)
	}
}

// TestEveryEntryOpens: of the fixtures nothing stays closed, by the key of the
// entry and by no other.
func TestEveryEntryOpens(t *testing.T) {
	for _, name := range stores {
		s, err := vaultstore.Open(t.Context(), fixture(name), keysOf(t, name))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var keys []string
		err = s.Walk(t.Context(), "", func(key string) error {
			keys = append(keys, key)
			if _, err := s.Get(key); err != nil && key != "core/keyring" {
				t.Errorf("%s: %s: %v", name, key, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(keys)
		if diff := cmp.Diff(readRaw(t, fixture(name)).keys(), keys); diff != "" {
			t.Error(name, diff)
		}
	}
}

func TestExportIsReadBack(t *testing.T) {
	for _, name := range stores {
		s, err := vaultstore.Open(t.Context(), fixture(name), keysOf(t, name))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var out bytes.Buffer
		told := vaultstore.Counts{}
		counts, err := s.Export(t.Context(), &out, vaultstore.ExportOptions{Transit: true, Progress: func(c vaultstore.Counts) { told = c }})
		if err != nil {
			t.Fatal(err)
		}
		golden, err := os.ReadFile(filepath.Join("testdata", "exports", name+".ndjson"))
		if err != nil || !bytes.Equal(golden, out.Bytes()) {
			t.Errorf("%s: the export is another than the golden one: %v\n%s", name, err, out.Bytes())
		}
		want := contents[name]
		if counts != told || counts.Secrets != len(want.secrets) || counts.Policies != len(want.policies) || counts.Mounts != 5 || counts.Unreadable != 0 {
			t.Errorf("%s: %+v, told %+v", name, counts, told)
		}
		got := map[string]string{}
		for r, err := range vaultstore.Records(bytes.NewReader(out.Bytes())) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind == vaultstore.RecordSecret {
				got[r.Secret.Path] = string(r.Secret.Versions[0].Data)
			}
		}
		if diff := cmp.Diff(want.secrets, got); diff != "" {
			t.Error(diff)
		}
		cut := bytes.TrimRight(out.Bytes(), "\n")
		cut = cut[:bytes.LastIndexByte(cut, '\n')+1]
		var last error
		for _, err := range vaultstore.Records(bytes.NewReader(cut)) {
			last = err
		}
		if !errors.Is(last, vaultstore.ErrDamaged) {
			t.Errorf("an export without its end: %v", last)
		}
	}
}

// TestTogether: many read a store, also one that was damaged, while one closes it.
// Each gets what there is, or is told that it is closed.
func TestTogether(t *testing.T) {
	for kind, make := range kinds {
		for name, open := range map[string]func(context.Context, string, vaultstore.Keys) (*vaultstore.Store, error){
			"open": vaultstore.Open, "salvage": vaultstore.Salvage,
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				s, err := open(t.Context(), make(t, readRaw(t, fixture("static"))), keysOf(t, "static"))
				if err != nil {
					t.Fatal(err)
				}
				want, err := s.Get("core/mounts")
				if err != nil {
					t.Fatal(err)
				}
				var began, ended sync.WaitGroup
				for range 4 {
					began.Add(1)
					ended.Go(func() {
						for i := 0; ; i++ {
							got, err := s.Get("core/mounts")
							if i == 0 {
								began.Done()
							}
							if err != nil {
								return
							}
							if !bytes.Equal(got, want) {
								t.Errorf("an entry of %d bytes, want %d", len(got), len(want))
							}
							_ = s.Walk(t.Context(), "core/", func(string) error { return nil })
							s.Damage()
						}
					})
				}
				began.Wait()
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				ended.Wait()
				if _, err := s.Get("core/mounts"); err == nil {
					t.Error("a closed store gives entries")
				}
			})
		}
	}
}
