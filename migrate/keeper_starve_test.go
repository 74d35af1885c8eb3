package migrate_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
)

// A RotateAfter shorter than what a term takes to be activated and to settle
// rotated for ever, and nothing was rewrapped.
func TestKeeperRotatesByAgeNotBeforeARound(t *testing.T) {
	virtual(t, func(t *testing.T) {
		cfg := everyTwoHours
		cfg.RotateAfter = time.Minute
		f := newFleet(t, 3, cfg)
		defer f.close()
		kr := f.all[0].b.Keyring()
		for range testlevel.Most(3, 1) {
			time.Sleep(time.Hour)
			active, err := kr.Active()
			if err != nil || active.Number < 3 {
				t.Fatalf("%+v, %v: it rotates no more", active, err)
			}
			if terms := kr.Terms(); len(terms) > 4 {
				t.Errorf("%d terms: they come, and none goes", len(terms))
			}
			for i := range 6 {
				id := fmt.Sprintf("%04d", i)
				if term, err := keyring.TermOf(f.table.stored(id)); err != nil || term+3 < active.Number {
					t.Errorf("item %s is under term %d, %v, and %d is the active one", id, term, err, active.Number)
				}
			}
		}
		for _, a := range f.look().astray {
			t.Error(a)
		}
	})
}

// Legacy values were adopted when a rotation came, after 30 days.
func TestKeeperAdoptsAtTheStart(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := unsealed(t)
		src := filled(t, b.Keyring(), 2)
		old := legacyEncrypt(t, migrate.AESGCM, []byte(legacyKey), "value of x", "", "zz")
		src.put("x", old)
		legacy := newLegacy(t, b.Keyring(), migrate.LegacyConfig{Cipher: migrate.AESGCM,
			Sample: &migrate.LegacySample{Stored: old, Plaintext: []byte("value of x")}})
		var said atomic.Int64
		k, err := migrate.NewKeeper(b, migrate.KeeperConfig{
			Sources:     []migrate.KeeperSource{{Name: "a", Source: src, Rewrap: migrate.RewrapOptions{Legacy: legacy}}},
			RotateAfter: 30 * 24 * time.Hour,
			OnStatus: func(s migrate.KeeperStatus) {
				if len(s.Sources) > 0 {
					said.Store(max(said.Load(), s.Sources[0].Items["legacy"]))
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- k.Run(t.Context()) }()
		time.Sleep(time.Hour)
		if term, err := keyring.TermOf(src.stored("x")); err != nil || term != 1 || said.Load() != 1 {
			t.Errorf("term %d, %v; a census said %d: %+v", term, err, said.Load(), k.Status())
		}
		seen := b.Status().Generation
		time.Sleep(24 * time.Hour)
		if g := b.Status().Generation; g != seen || k.Status().Phase != migrate.KeeperIdle {
			t.Errorf("generation %d after %d, with nothing to do: %+v", g, seen, k.Status())
		}
		b.Close()
		<-ended
	})
}
