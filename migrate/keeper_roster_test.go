package migrate_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// TestKeeperWaitsForWhoWritesUnderATerm: a replica has taken in the next term, does not
// look any more, and goes on writing under the one before, for longer than Propagation.
// While the roster has it, no Keeper retires that term; when it has left, or is gone,
// the next round goes on, and what was written late is rewrapped.
func TestKeeperWaitsForWhoWritesUnderATerm(t *testing.T) {
	const ttl = 3 * time.Hour
	for name, tt := range map[string]struct {
		leave func(m *member)
		after time.Duration // by when it is waited for no longer
	}{
		"it is closed":           {func(m *member) { m.b.Close() }, 3 * time.Hour},
		"it is sealed":           {func(m *member) { _ = m.b.Seal(seal.By{}) }, 3 * time.Hour},
		"it is not heard of":     {func(*member) {}, ttl + 4*time.Hour},
		"it looks again":         {func(m *member) { m.run() }, 3 * time.Hour},
		"the roster is put back": {func(m *member) { m.b.Close() }, ttl + 4*time.Hour},
	} {
		if testing.Short() && name != "it is closed" && name != "the roster is put back" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				roster := seal.NewMemStore()
				f := newFleetOf(t, 3, migrate.KeeperConfig{RotateAfter: 24 * time.Hour, KeepOld: migrate.AtOnce}, seal.Config{Roster: roster, MemberTTL: ttl, Propagation: 10 * time.Minute})
				defer f.close()
				one, three := f.all[0], f.all[2]
				reported := func() bool { // that three has the next term
					text, _, _ := roster.Load(t.Context())
					_, entry, _ := bytes.Cut(text, []byte(`"replica":"three"`))
					entry, _, _ = bytes.Cut(entry, []byte(`"tag"`))
					return bytes.Contains(entry, []byte(`"newest":2`))
				}
				time.Sleep(10 * time.Minute) // the roster has all three
				if err := one.b.Rotate(t.Context(), seal.By{}); err != nil {
					t.Fatal(err)
				}
				for i := 0; !reported(); i++ {
					if time.Sleep(time.Second); i > 10_000 {
						t.Fatal("three has not heard of the rotation")
					}
				}
				three.cancel() // it hangs, but for what its host has it encrypt
				time.Sleep(2 * time.Hour)
				if active, err := one.b.Keyring().Active(); err != nil || active.Number != 2 {
					t.Fatalf("term %d encrypts, %v", active.Number, err)
				}
				f.table.put("0003", encrypt(t, three.b.Keyring(), "value of 0003", "0003"))
				if term, err := keyring.TermOf(f.table.stored("0003")); term != 1 || err != nil {
					t.Fatalf("three writes under term %d, %v", term, err)
				}
				if !slices.ContainsFunc(one.b.Keyring().Terms(), func(t keyring.Info) bool { return t.Number == 1 }) {
					t.Fatal("the term was retired")
				}
				text, _, err := roster.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if tt.leave(three); name == "the roster is put back" {
					_, rev, err := roster.Load(t.Context())
					if err == nil {
						_, err = roster.Swap(t.Context(), text, rev)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(tt.after)
				f.check(1)
			})
		})
	}
}
