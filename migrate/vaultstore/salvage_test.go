package vaultstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// many is a fixture with a thousand secrets more, so that it has many pages.
func many(t *testing.T) *bench {
	b := newBench(t, "vault-shamir-5of3")
	b.mountsOf(entryOf("flat/", "kv", "zz", "1", ""))
	for i := range 1000 {
		b.put(fmt.Sprintf("logical/zz/%04d", i), `{"k":"`+fmt.Sprint(i)+`","more":"`+string(bytes.Repeat([]byte("x"), 100))+`"}`)
	}
	return b
}

func count(t *testing.T, s *vaultstore.Store) int { return len(collect(t, s)) }

// TestDamagedVaultDB: with one page overwritten, and with its end cut off, what is
// on other pages is still read, by those who ask for it.
func TestDamagedVaultDB(t *testing.T) {
	b := many(t)
	whole, err := os.ReadFile(b.raw.raft(t, &bbolt.Options{PageSize: 4096, NoSync: true}))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(whole, []byte("logical/zz/0500"))
	spoiled := bytes.Clone(whole)
	copy(spoiled[at/4096*4096:], bytes.Repeat([]byte{0xee}, 4096))
	keys := keysOf(t, "vault-shamir-5of3")
	name := filepath.Join(t.TempDir(), "vault.db")
	write(t, name, spoiled)
	if s, err := vaultstore.Open(t.Context(), name, keys); err != nil {
		t.Error(err)
	} else {
		if _, err := s.Export(t.Context(), new(bytes.Buffer), vaultstore.ExportOptions{}); !errors.Is(err, vaultstore.ErrDamaged) {
			t.Errorf("an export of what is damaged: %v", err)
		}
		s.Close()
	}
	s, err := vaultstore.Salvage(t.Context(), name, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := count(t, s); n < 900 || n >= 1000 || len(s.Damage()) != 1 {
		t.Errorf("%d secrets, %v", n, s.Damage())
	}
	d := diagnose(t, name, vaultstore.Options{Keys: keys})
	if f := found(t, d, vaultstore.StorageDamaged); f.Gravity != lost || !d.Opens || d.Healthy() || d.Entries < 900 {
		t.Errorf("%+v", d)
	}
	if _, err := vaultstore.Repair(t.Context(), name, name+".new", vaultstore.Options{Keys: keys}); !errors.Is(err, vaultstore.ErrDamaged) && !errors.Is(err, vaultstore.ErrNoRepair) {
		t.Error(err)
	}
	write(t, name+"2", whole[:600])
	if _, err := vaultstore.Diagnose(t.Context(), name+"2", vaultstore.Options{}); err != nil {
		t.Error(err)
	}
}

// TestCutSnapshot: what came before the cut is still read.
func TestCutSnapshot(t *testing.T) {
	b := many(t)
	whole, err := os.ReadFile(b.raw.snapshot(t))
	if err != nil {
		t.Fatal(err)
	}
	keys := keysOf(t, "vault-shamir-5of3")
	name := filepath.Join(t.TempDir(), "cut.snap")
	write(t, name, whole[:len(whole)*3/4])
	if _, err := vaultstore.Open(t.Context(), name, keys); !errors.Is(err, vaultstore.ErrDamaged) {
		t.Error(err)
	}
	s, err := vaultstore.Salvage(t.Context(), name, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := count(t, s); n < 500 || n >= 1000 || len(s.Damage()) == 0 {
		t.Errorf("%d secrets, %v", n, s.Damage())
	}
	if d := diagnose(t, name, vaultstore.Options{Keys: keys}); !d.Opens || d.Healthy() {
		t.Error("it is healthy")
	} else {
		found(t, d, vaultstore.StorageDamaged)
	}
	write(t, name+"2", whole[:50])
	d := diagnose(t, name+"2", vaultstore.Options{Keys: keys})
	if f := found(t, d, vaultstore.StorageDamaged); d.Opens || f.Gravity != lost {
		t.Errorf("%+v", f)
	}
}

// TestNothingButData: without all that protects it a store is not one that was
// never initialized.
func TestNothingButData(t *testing.T) {
	r := readRaw(t, fixture("static"))
	for _, key := range r.keys() {
		if strings.HasPrefix(key, "core/") {
			delete(r, key)
		}
	}
	for kind, path := range kinds {
		d := diagnose(t, path(t, r), vaultstore.Options{Keys: seals(static(t))})
		if f := found(t, d, vaultstore.EntryMissing); f.Gravity != lost || f.Key != "core/keyring" || d.Has(vaultstore.NotInitialized) {
			t.Errorf("%s: %+v", kind, f)
		}
		if _, err := vaultstore.Open(t.Context(), path(t, r), seals(static(t))); !errors.Is(err, vaultstore.ErrNotFound) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestVaultDBThatLostItsRoot: whatever page the root was on, and wherever the file
// is cut, what stands on pages that are whole is read, and said to be perhaps old.
func TestVaultDBThatLostItsRoot(t *testing.T) {
	b := many(t)
	whole, err := os.ReadFile(b.raw.raft(t, &bbolt.Options{PageSize: 4096, NoSync: true}))
	if err != nil {
		t.Fatal(err)
	}
	keys := keysOf(t, "vault-shamir-5of3")
	spoiled := bytes.Clone(whole)
	for _, meta := range []int{16, 4096 + 16} {
		root := binary.LittleEndian.Uint64(whole[meta+16:])
		clear(spoiled[root*4096 : root*4096+4096])
	}
	name := filepath.Join(t.TempDir(), "vault.db")
	write(t, name, spoiled)
	if _, err := vaultstore.Open(t.Context(), name, keys); !errors.Is(err, vaultstore.ErrDamaged) {
		t.Error(err)
	}
	s, err := vaultstore.Salvage(t.Context(), name, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := count(t, s); n != 1000 || len(s.Damage()) != 2 {
		t.Errorf("%d secrets, %v", n, s.Damage())
	}
	d := diagnose(t, name, vaultstore.Options{Keys: keys})
	if found(t, d, vaultstore.StorageDamaged); !d.Opens || d.Healthy() || d.Unreadable != 0 {
		t.Error("it is healthy")
	}
	if _, err := vaultstore.Repair(t.Context(), name, name+".new", vaultstore.Options{Keys: keys}); !errors.Is(err, vaultstore.ErrDamaged) {
		t.Error(err)
	}
	most := 0
	for n := 1 << 14; n < len(whole); n += 20_000 * step(2) {
		write(t, name+"cut", whole[:n])
		s, err := vaultstore.Salvage(t.Context(), name+"cut", keys)
		if err != nil {
			continue // core/keyring was behind the cut
		}
		if m, err := s.Mounts(t.Context()); err == nil && len(m) > 0 {
			most = max(most, count(t, s))
		}
		s.Close()
	}
	if most < 500 {
		t.Errorf("at most %d secrets were behind a cut", most)
	}
}
