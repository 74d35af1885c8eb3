package vaultstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// A stop is a store as an interruption left it, and what must be said of it.
type stop struct {
	name    string
	raw     raw
	keys    vaultstore.Keys
	backup  raw
	state   vaultstore.State // "": healthy
	gravity vaultstore.Gravity
	opens   bool
	repairs bool
}

func seals(s ...vaultstore.Seal) vaultstore.Keys { return vaultstore.Keys{Seals: s} }

func with(shares [][]byte, s ...vaultstore.Seal) vaultstore.Keys {
	return vaultstore.Keys{Shares: shares, Seals: s}
}

const (
	note   = vaultstore.Note
	broken = vaultstore.Broken
	lost   = vaultstore.Lost
)

// stops are the states of the field notes' section on crashes, of every
// migration and of a rekey, each with the keys that somebody may have then.
func stops(t testing.TB) []stop {
	var all []stop
	for _, name := range []string{"shamir-5of3", "vault-shamir-5of3"} {
		people := shares(t, name)
		three := people[:3]
		bao := name == "shamir-5of3" // whose seal-config has no stored_shares, which is a note
		first := vaultstore.State("")
		if bao {
			first = vaultstore.StoredSharesLeft
		}
		for _, seal := range []vaultstore.Seal{another(), onlyOpens{another()}} {
			kind := seal.Type()
			s := toAuto(t, name, another(), kind)
			at := func(n int, keys vaultstore.Keys, state vaultstore.State, g vaultstore.Gravity, opens, repairs bool) {
				all = append(all, stop{fmt.Sprintf("%s/to %s/%d/%d shares, %d seals", name, kind, n, len(keys.Shares), len(keys.Seals)), s[n].raw, keys, nil, state, g, opens, repairs})
			}
			at(0, with(three), first, note, true, bao)
			at(1, with(three, seal), vaultstore.ToAuto1, note, true, bao)
			at(2, with(three, seal), vaultstore.ToAuto2, lost, false, false)
			at(3, with(three), vaultstore.ToAuto2, lost, false, false)
			at(4, with(three, seal), vaultstore.ToAuto3, broken, true, true)
			at(4, seals(seal), vaultstore.ToAuto3, broken, true, true)
			at(4, with(three), vaultstore.ToAuto3, broken, false, false)
			at(5, with(three, seal), vaultstore.ToAuto4, broken, true, true)
			at(5, seals(seal), vaultstore.ToAuto4, broken, true, false)
			at(5, with(three), vaultstore.SealMissing, broken, false, false)
			at(6, with(three, seal), "", note, true, false)
			at(6, seals(seal), "", note, true, false)
			all = append(all,
				stop{name + "/to " + kind + "/2 with a backup", s[2].raw, with(three), s[0].raw, vaultstore.ToAuto2, broken, true, true},
				stop{name + "/to " + kind + "/3 with a backup", s[3].raw, with(three), s[0].raw, vaultstore.ToAuto2, broken, true, true})
		}
		s, renewed := rekey(t, name, 6, 4)
		at := func(n int, keys vaultstore.Keys, state vaultstore.State, g vaultstore.Gravity, opens, repairs bool) {
			all = append(all, stop{fmt.Sprintf("%s/rekey/%d/%d shares", name, n, len(keys.Shares)), s[n].raw, keys, nil, state, g, opens, repairs})
		}
		at(1, with(three), vaultstore.SharesWrong, broken, false, false)
		at(1, with(people), vaultstore.SharesForeign, lost, false, false)
		at(1, with(renewed), vaultstore.KeyringOther, lost, false, false)
		at(2, with(renewed[:4]), vaultstore.RootCopy, broken, true, true)
		at(3, with(renewed[:4]), vaultstore.Rekey2, broken, true, true)
		at(3, with(renewed), vaultstore.Rekey3, broken, true, true)
		at(4, with(renewed[:4]), vaultstore.Rekey3, broken, true, true)
		at(4, with(people), vaultstore.SharesForeign, lost, false, false)
		at(5, with(renewed[1:5]), first, note, true, bao)
		all = append(all, stop{name + "/rekey/1 with a backup", s[1].raw, with(people), s[0].raw, vaultstore.SharesForeign, broken, true, true})
	}

	people := shares(t, "static")
	three := people[:3]
	s := toShares(t)
	at := func(n int, keys vaultstore.Keys, state vaultstore.State, g vaultstore.Gravity, opens, repairs bool) {
		all = append(all, stop{fmt.Sprintf("to shares/%d/%d shares, %d seals", n, len(keys.Shares), len(keys.Seals)), s[n].raw, keys, nil, state, g, opens, repairs})
	}
	at(0, seals(static(t)), "", note, true, false)
	at(0, with(three), vaultstore.SealMissing, broken, false, false)
	at(1, with(three), vaultstore.ToShamir3, broken, true, true)
	at(1, seals(static(t)), vaultstore.ToShamir3, broken, true, true)
	at(1, with(nil), vaultstore.ToShamir3, broken, false, false)
	at(2, with(three), vaultstore.ToShamir4, note, true, true)
	at(3, with(three), vaultstore.StoredSharesLeft, note, true, true)

	for _, seal := range []vaultstore.Seal{another(), onlyOpens{another()}} {
		kind := seal.Type()
		s := toOther(t, another(), kind)
		at := func(n int, keys vaultstore.Keys, state vaultstore.State, g vaultstore.Gravity, opens, repairs bool) {
			all = append(all, stop{fmt.Sprintf("static to %s/%d/%d shares, %d seals", kind, n, len(keys.Shares), len(keys.Seals)), s[n].raw, keys, nil, state, g, opens, repairs})
		}
		at(1, seals(static(t), seal), vaultstore.AutoToAuto1, broken, true, true)
		at(1, seals(static(t)), vaultstore.AutoToAuto1, broken, true, false)
		at(1, with(people, static(t)), vaultstore.AutoToAuto1, broken, true, true)
		if kind == "static" {
			at(2, seals(seal, static(t)), "", note, true, false)
		} else {
			at(2, seals(seal, static(t)), vaultstore.AutoToAuto3, broken, true, true)
		}
		at(2, seals(static(t)), vaultstore.SealRefused, broken, false, false)
		at(3, seals(seal), "", note, true, false)
	}
	return all
}

// someStops are the stops; or, where a part is enough, one of each that differs in
// what must be said of it.
func someStops(t testing.TB) []stop {
	all := stops(t)
	if exhaustive() {
		return all
	}
	type said struct {
		state                  vaultstore.State
		opens, repairs, backup bool
	}
	seen := map[said]bool{}
	return slices.DeleteFunc(all, func(s stop) bool {
		this := said{s.state, s.opens, s.repairs, s.backup != nil}
		before := seen[this]
		seen[this] = true
		return before
	})
}

// TestInterrupted: each state is named, in words that say what to do; where it can
// be repaired the copy opens as the fixture did, by every kind of storage, and the
// source is as it was.
func TestInterrupted(t *testing.T) {
	for i, s := range someStops(t) {
		t.Run(s.name, func(t *testing.T) {
			kind := []string{"file", "raft", "snapshot"}[i%3]
			if kind == "file" && !exhaustive() && i%9 != 0 {
				kind = "raft" // one file costs less
			}
			source := kinds[kind](t, s.raw)
			before := census(t, source)
			o := vaultstore.Options{Keys: s.keys}
			if s.backup != nil {
				o.Backup = kinds["file"](t, s.backup)
			}
			d, err := vaultstore.Diagnose(t.Context(), source, o)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(d)
			if s.state == "" && (len(d.Findings) > 0 || !d.Healthy()) {
				t.Error("it should be healthy")
			}
			if s.state != "" && !d.Has(s.state) {
				t.Errorf("it should be %s", s.state)
			}
			for _, f := range d.Findings {
				if f.State == s.state && f.Gravity != s.gravity {
					t.Errorf("%s is %s, want %s", f.State, f.Gravity, s.gravity)
				}
			}
			if d.Opens != s.opens || d.Repairable() != s.repairs || d.Unreadable > 1 {
				t.Errorf("opens %t, repairable %t, want %t and %t", d.Opens, d.Repairable(), s.opens, s.repairs)
			}
			target := filepath.Join(t.TempDir(), "repaired")
			_, err = vaultstore.Repair(t.Context(), source, target, o)
			if s.repairs {
				repaired(t, err, target, s)
			} else if _, gone := os.Lstat(target); !errors.Is(err, vaultstore.ErrNoRepair) || !errors.Is(gone, os.ErrNotExist) {
				t.Errorf("Repair: %v, %v", err, gone)
			}
			if diff := cmp.Diff(before, census(t, source)); diff != "" {
				t.Error("the source was written to", diff)
			}
		})
	}
}

// repaired checks a copy: with the keys it is healthy, and holds what the fixture
// does.
func repaired(t *testing.T, err error, target string, s stop) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	d, err := vaultstore.Diagnose(t.Context(), target, vaultstore.Options{Keys: s.keys})
	if err != nil {
		t.Fatal(err)
	}
	if !d.Healthy() || d.Repairable() {
		t.Errorf("the copy: %s", d)
	}
	store, err := vaultstore.Open(t.Context(), target, s.keys)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	name, _, _ := strings.Cut(s.name, "/")
	if contents[name].secrets == nil {
		name = "static"
	}
	sameContents(t, store, name)
	info, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		t.Errorf("the copy has the mode %o", mode)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(target), "*")); len(left) != 1 {
		t.Errorf("beside the copy lies %v", left)
	}
	if _, err := vaultstore.Repair(t.Context(), target, target, vaultstore.Options{}); !errors.Is(err, vaultstore.ErrExists) {
		t.Errorf("onto what is there: %v", err)
	}
}
