package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// One bad item keeps its term, and ends nothing. It is told of, and tried again at
// longer and longer intervals by one replica.
func TestKeeperBadItem(t *testing.T) {
	virtual(t, func(t *testing.T) {
		cfg := everyTwoHours
		cfg.RotateAfter = 1000 * time.Hour
		f := newFleet(t, 2, cfg)
		defer f.close()
		kr := f.all[0].b.Keyring()
		f.table.put("0003", encrypt(t, kr, "value of 0003", "elsewhere"))
		f.set(func() { f.seen.swaps = 0 })
		if err := f.all[0].b.Rotate(t.Context(), seal.By{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		rounds := 0
		for _, m := range f.all {
			s := m.keeper.Status()
			if s.Round.IsZero() {
				continue
			}
			rounds++
			bad, ok := errors.AsType[*migrate.KeeperError](s.Err)
			if !ok || bad.Source != "table" || bad.Failed != 1 || bad.Items[0].ID != "0003" || !errors.Is(s.Err, keyring.ErrCorrupt) ||
				!strings.HasPrefix(s.Err.Error(), `migrate: keeper: source "table": 1 items are left as they are, and keep their terms; the first: migrate: item "0003": `) {
				t.Errorf("%s: %v", m.name, s.Err)
			}
			if s.Sources[0].Items["1"] != 1 || s.Sources[0].Items["2"] != 5 || s.Next.IsZero() {
				t.Errorf("%s: %+v", m.name, s)
			}
		}
		if rounds == 0 {
			t.Error("nobody tells of a round")
		}
		time.Sleep(testlevel.Most(7*time.Hour, 3*time.Hour))
		if n := f.look().swaps; n > 2+2*14 {
			t.Errorf("%d records in eight hours", n)
		}
		if terms := kr.Terms(); len(terms) != 2 {
			t.Errorf("terms %v: the one of the bad item is kept", terms)
		}
		f.table.drop("0003")
		f.table.put("0003", encrypt(t, kr, "value of 0003", "0003"))
		time.Sleep(8 * time.Hour)
		f.check(1)
		for _, m := range f.all {
			if s := m.keeper.Status(); s.Err != nil && !s.Round.IsZero() && s.Phase == migrate.KeeperIdle && len(kr.Terms()) > 1 {
				t.Errorf("%s: %+v", m.name, s)
			}
		}
	})
}

// A term goes when backups from beside it are gone, or never.
func TestKeeperKeepsOldTerms(t *testing.T) {
	for name, tt := range map[string]struct {
		keep, after time.Duration
		left        int // old terms
	}{
		"for hours, before": {7 * time.Hour, 6 * time.Hour, 1},
		"for hours, after":  {7 * time.Hour, 8 * time.Hour, 0},
		"for ever":          {-1, 24 * time.Hour, 1},
		"at first":          {0, 89 * 24 * time.Hour, 1}, // a backup of the data is worth something
		"in the end":        {0, 91 * 24 * time.Hour, 0},
		"at once":           {migrate.AtOnce, 24 * time.Hour, 0},
	} {
		if testing.Short() && (name == "for hours, before" || name == "for hours, after" || name == "for ever" || name == "at once") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				f := newFleet(t, 1, migrate.KeeperConfig{KeepOld: tt.keep})
				defer f.close()
				m := f.all[0]
				if err := m.b.Rotate(t.Context(), seal.By{}); err != nil {
					t.Fatal(err)
				}
				left := tt.after
				if night := left - 24*time.Hour; night > 0 { // nothing runs that would look at a clock
					time.Sleep(3 * time.Hour)
					m.cancel()
					f.wait.Wait()
					time.Sleep(night)
					m.run()
					left = 3 * time.Hour
				}
				time.Sleep(left)
				if terms := m.b.Keyring().Terms(); len(terms) != 1+tt.left {
					t.Errorf("terms %v", terms)
				}
				if p := f.look().pages; p > 20 {
					t.Errorf("%d pages read, of data that was in order after the first round", p)
				}
			})
		})
	}
}

// A term whose stamp is of the future, by a clock that was wrong by years, is as old
// as it is known: nobody rotates over and over, and nobody waits for ever.
func TestKeeperClocks(t *testing.T) {
	made := newFleet(t, 1, everyTwoHours) // now, and virtual time begins in the year 2000
	made.close()
	rec, _, err := made.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	virtual(t, func(t *testing.T) {
		f := &fleet{T: t, store: seal.NewMemStore(), table: &memSource{items: made.table.items}, fake: made.fake, cfg: everyTwoHours}
		if _, err := f.store.Swap(t.Context(), rec, ""); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"one", "two"} {
			f.open(name).run()
		}
		defer f.close()
		time.Sleep(2*time.Hour - time.Minute)
		if term, err := f.all[0].b.Keyring().Active(); err != nil || term.Number != 1 || time.Until(term.Created) < 20*365*24*time.Hour {
			t.Fatalf("%+v, %v", term, err)
		}
		time.Sleep(time.Hour)
		f.check(1)
		time.Sleep(2 * time.Hour)
		f.check(2)
	})
}

// A term that is used up is replaced at once, at any age.
func TestKeeperRotatesByUse(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 2, migrate.KeeperConfig{RotateAtUse: 1e-12, KeepOld: migrate.AtOnce}) // by a single message
		defer f.close()
		time.Sleep(2*time.Minute + time.Second)
		if term, err := f.all[0].b.Keyring().Active(); err != nil || term.Number < 2 {
			t.Errorf("%+v, %v", term, err)
		}
		time.Sleep(testlevel.Most(time.Hour, 10*time.Minute))
		if term, err := f.all[0].b.Keyring().Active(); err != nil || term.Number > uint32(5+testlevel.Most(60, 10)) {
			t.Errorf("%+v, %v: it rotates over and over", term, err)
		}
	})
}

func TestKeeperConfig(t *testing.T) {
	b := unsealed(t)
	_, other := newKeyring(t, 1, 1)
	sources := func(more ...migrate.KeeperSource) []migrate.KeeperSource {
		return append([]migrate.KeeperSource{{Name: "a", Source: &memSource{}}}, more...)
	}
	for name, tt := range map[string]struct {
		cfg  migrate.KeeperConfig
		says string
	}{
		"no sources":          {migrate.KeeperConfig{}, "no sources: name every place"},
		"a name twice":        {migrate.KeeperConfig{Sources: sources(sources()...)}, `source 2, "a": each has a Source and a name of its own`},
		"no name":             {migrate.KeeperConfig{Sources: sources(migrate.KeeperSource{Source: &memSource{}})}, `source 2, ""`},
		"no source":           {migrate.KeeperConfig{Sources: sources(migrate.KeeperSource{Name: "b"})}, `source 2, "b"`},
		"an After":            {migrate.KeeperConfig{Sources: sources(migrate.KeeperSource{Name: "b", Source: &memSource{}, Rewrap: migrate.RewrapOptions{After: "x"}})}, "use a Bookmark"},
		"bad options":         {migrate.KeeperConfig{Sources: sources(migrate.KeeperSource{Name: "b", Source: &memSource{}, Rewrap: migrate.RewrapOptions{Workers: -1}})}, `source "b": seal: configuration: Workers is -1`},
		"another keyring":     {migrate.KeeperConfig{Sources: sources(migrate.KeeperSource{Name: "b", Source: &memSource{}, Rewrap: migrate.RewrapOptions{Legacy: newLegacy(t, other, migrate.LegacyConfig{Cipher: migrate.AESGCM})}})}, "Legacy is of another keyring"},
		"rotate all the time": {migrate.KeeperConfig{Sources: sources(), RotateAfter: time.Second}, "RotateAfter is 1s: it is at least a minute"},
		"rotate before":       {migrate.KeeperConfig{Sources: sources(), RotateAfter: -time.Hour}, "RotateAfter is -1h0m0s"},
		"more than all":       {migrate.KeeperConfig{Sources: sources(), RotateAtUse: 1.5}, "RotateAtUse is 1.5"},
		"no sign of life":     {migrate.KeeperConfig{Sources: sources(), Beat: 25 * time.Hour}, "Beat is 25h0m0s"},
		"over and over":       {migrate.KeeperConfig{Sources: sources(), Retry: -1}, "Retry is -1ns"},
	} {
		if _, err := migrate.NewKeeper(b, tt.cfg); !errors.Is(err, seal.ErrConfig) || !strings.HasPrefix(err.Error(), "migrate: keeper: ") || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := migrate.NewKeeper(nil, migrate.KeeperConfig{Sources: sources()}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("no Barrier: %v", err)
	}
}

// Run is once at a time, ends with its context and with the Barrier, and can be
// called again.
func TestKeeperRun(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := unsealed(t)
		k, err := migrate.NewKeeper(b, migrate.KeeperConfig{Sources: []migrate.KeeperSource{{Name: "a", Source: &memSource{}}}})
		if err != nil {
			t.Fatal(err)
		}
		if s := k.Status(); s.Phase != migrate.KeeperStopped {
			t.Errorf("before: %+v", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		time.Sleep(time.Hour)
		if s := k.Status(); s.Phase != migrate.KeeperIdle || s.Term != 1 {
			t.Errorf("%+v", s)
		}
		if err := k.Run(ctx); !errors.Is(err, seal.ErrConfig) {
			t.Errorf("twice: %v", err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go func() { ended <- k.Run(t.Context()) }()
		time.Sleep(time.Minute)
		b.Close()
		if err := <-ended; !errors.Is(err, seal.ErrClosed) {
			t.Error(err)
		}
		if s := k.Status(); s.Phase != migrate.KeeperStopped {
			t.Errorf("after: %+v", s)
		}
	})
}

// On a busy machine a Keeper came to look when everything had settled already, and
// told that it was idle, under the new term, when it began to work.
func TestKeeperIsIdleWhenItIsDone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := unsealed(t)
		src := filled(t, b.Keyring(), 3)
		var told []string
		k, err := migrate.NewKeeper(b, migrate.KeeperConfig{
			Sources: []migrate.KeeperSource{{Name: "a", Source: src}},
			KeepOld: migrate.AtOnce,
			OnStatus: func(s migrate.KeeperStatus) {
				told = append(told, fmt.Sprintf("%s, %d terms", s.Phase, len(b.Keyring().Terms())))
				if len(told) > 1 {
					return
				}
				if err := b.Rotate(t.Context(), seal.By{}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		time.Sleep(2 * time.Hour)
		cancel()
		<-ended
		want := []string{
			"idle, 1 terms", "counting, 2 terms", "rewrapping, 2 terms", "counting, 2 terms", "retiring, 2 terms", "retiring, 1 terms", "idle, 1 terms", "stopped, 1 terms",
		}
		if told = slices.Compact(told); !slices.Equal(told, want) {
			t.Errorf("told %q,\nwant %q", told, want)
		}
	})
}
