package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// Two die one after the other, at any distance of acts.
func TestKeeperKilledTwice(t *testing.T) {
	points := 0
	step := 1
	if !testlevel.Whole() {
		step = 3
	}
	step = testlevel.Most(step, 12)
	for first := 1; first < 20; first += 3 * step {
		for second := first + 1; second < 30; second += testlevel.Most(5, 10) {
			virtual(t, func(t *testing.T) {
				f := newFleetDue(t)
				defer f.close()
				f.set(func() { f.seen.acts, f.killAt, f.again, f.seen.trace = 0, first, second, nil })
				f.settle(1)
				f.check(1)
				points += len(f.look().killed)
				if t.Failed() {
					t.Fatalf("killed at acts %d and %d:\n%s", first, second, strings.Join(f.look().trace, "\n"))
				}
			})
		}
	}
	if points < 40/step {
		t.Errorf("only %d deaths", points)
	}
}

// A server of one process that is killed goes on when it starts again, and does not
// wait to find out that it is dead.
func TestKeeperStartsAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 1, everyTwoHours)
		defer f.close()
		f.set(func() { f.seen.acts, f.killAt = 0, 8 }) // in the midst of the items
		time.Sleep(2*time.Hour + 10*time.Minute)
		if s := f.look(); len(s.killed) != 1 || f.holder() != "one" {
			t.Fatalf("killed %q, with the lease of %q: %s", s.killed, f.holder(), s.trace)
		}
		f.open("one").run()
		time.Sleep(10 * time.Minute)
		f.check(1)
	})
}

// A replica that is stopped in order hands over at once.
func TestKeeperHandsOver(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 2, everyTwoHours)
		defer f.close()
		f.table.setReplace(func(id string) error { // slow
			if id == "0002" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		time.Sleep(2 * time.Hour)
		for f.holder() == "" {
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		for _, m := range f.all {
			if m.name == f.holder() {
				m.cancel()
			}
		}
		time.Sleep(10 * time.Minute)
		f.check(1)
	})
}

// A process that was stopped with the lease, longer than others wait, does nothing
// when it goes on.
func TestKeeperWakesUp(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 2, everyTwoHours)
		defer f.close()
		var asleep atomic.Bool
		f.setBeforePage(func(m *member, after string) {
			if after == "" && m.keeper.Status().Phase == migrate.KeeperCounting && asleep.CompareAndSwap(false, true) {
				f.stop(m, 90*time.Minute) // a source that heeds no context
			}
		})
		time.Sleep(3*time.Hour + 15*time.Minute)
		f.check(1) // by the other one
		if !f.all[0].stands() && !f.all[1].stands() {
			t.Error("nobody stands still")
		}
		time.Sleep(35 * time.Minute)
		f.check(1) // also by the one that woke up
		time.Sleep(time.Hour)
		f.check(2)
	})
}

// While no store answers nobody can give a sign of life: the one that works stops,
// and goes on, or another one does, when it is back.
func TestKeeperStoreAway(t *testing.T) {
	for i, away := range []time.Duration{5 * time.Minute, 15 * time.Minute, 25 * time.Minute, 55 * time.Minute} {
		if testing.Short() && i%3 != 0 {
			continue
		}
		virtual(t, func(t *testing.T) {
			f := newFleetDue(t)
			defer f.close()
			began := time.Now()
			f.table.setReplace(func(string) error { time.Sleep(4 * time.Minute); return nil })
			time.Sleep(10 * time.Minute)
			for f.holder() == "" {
				time.Sleep(time.Second)
			}
			f.away(true)
			time.Sleep(away)
			f.away(false)
			time.Sleep(time.Until(began.Add(2 * time.Hour)))
			f.check(1)
			for _, m := range f.all {
				if s := m.keeper.Status(); s.Err != nil || s.Phase != migrate.KeeperIdle {
					t.Errorf("%s: %+v", m.name, s)
				}
			}
			if t.Failed() {
				t.Fatalf("away for %v:\n%s", away, strings.Join(f.look().trace, "\n"))
			}
		})
	}
}

// Where one source cannot be counted the others are rewrapped, and nothing is
// retired.
func TestKeeperSourceDown(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var up atomic.Bool
		down := &memSource{onPage: func(string) error {
			if up.Load() {
				return nil
			}
			return errDown
		}}
		cfg := everyTwoHours
		cfg.RotateAfter = 0
		cfg.Sources = []migrate.KeeperSource{{Name: "down", Source: down}, {Name: "table"}}
		f := newFleet(t, 1, cfg)
		defer f.close()
		m := f.all[0]
		kr := m.b.Keyring()
		if err := m.b.Rotate(t.Context(), seal.By{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		s := m.keeper.Status()
		if e, ok := errors.AsType[*migrate.KeeperError](s.Err); !ok || e.Source != "down" || !errors.Is(s.Err, errDown) || s.Sources[1].Items["1"] != 0 {
			t.Errorf("%+v", s)
		}
		if len(kr.Terms()) != 2 || f.table.replaced() != 6 {
			t.Errorf("terms %v, %d items rewrapped", kr.Terms(), f.table.replaced())
		}
		up.Store(true)
		time.Sleep(time.Hour)
		f.check(1)
		if s := m.keeper.Status(); s.Err != nil {
			t.Error(s.Err)
		}
	})
}

// A sealed server is waited for; what was begun ends, and is gone on with after the
// unseal.
func TestKeeperSealed(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 1, everyTwoHours)
		defer f.close()
		m := f.all[0]
		f.table.setReplace(func(id string) error {
			if id == "0003" && m.b.Sealed() == nil {
				if err := m.b.Seal(seal.By{}); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		time.Sleep(2*time.Hour + 30*time.Minute)
		if s := m.keeper.Status(); s.Phase != migrate.KeeperSealed || m.b.Sealed() == nil {
			t.Fatalf("%+v", s)
		}
		f.table.setReplace(nil)
		if err := m.b.Unseal(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		f.check(1)
	})
}

// It works as the function of a While, too.
func TestKeeperWhile(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 1, everyTwoHours)
		m := f.all[0]
		m.cancel()
		f.wait.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		m.cancel = cancel
		f.wait.Go(func() { _ = m.b.Run(ctx) })
		f.wait.Go(func() { _ = m.b.While(ctx, m.keeper.Run) })
		defer f.close()
		time.Sleep(3 * time.Hour)
		f.check(1)
	})
}

// A rotation that fails is tried again, not over and over.
func TestKeeperRotationFails(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 1, everyTwoHours)
		defer f.close()
		m := f.all[0]
		f.setRefuse(func() error { return fmt.Errorf("the store takes no changes") })
		f.set(func() { f.seen.acts, f.seen.trace = 0, nil })
		time.Sleep(8 * time.Hour)
		if n := f.look().acts; n > 30 {
			t.Errorf("%d attempts in six hours", n)
		}
		if s := m.keeper.Status(); s.Err == nil || !strings.Contains(s.Err.Error(), "migrate: keeper: rotate: ") {
			t.Errorf("%+v", s)
		}
		f.setRefuse(nil)
		time.Sleep(90 * time.Minute)
		f.check(1)
		if s := m.keeper.Status(); s.Err != nil {
			t.Error(s.Err)
		}
	})
}

// Whose lease was taken over sees that with the record, and stops at the next look.
func TestKeeperLosesItsLease(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 2, everyTwoHours)
		defer f.close()
		f.table.setReplace(func(string) error { time.Sleep(2 * time.Minute); return nil })
		time.Sleep(2 * time.Hour)
		for f.holder() == "" {
			time.Sleep(time.Second)
		}
		loser, other := f.all[0], f.all[1]
		if f.holder() == other.name {
			loser, other = other, loser
		}
		ctx := t.Context()
		if err := other.b.Admin().Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		lease, err := other.b.Admin().TakeLease(ctx, 24*time.Hour, other.b.Status().Lease, seal.By{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if s := loser.keeper.Status(); s.Phase != migrate.KeeperElsewhere || s.Replica != other.name || f.table.replaced() > 2 {
			t.Errorf("%+v, %d items", s, f.table.replaced())
		}
		if err := lease.End(ctx, "", nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Minute)
		f.set(func() { f.seen.astray = nil }) // what it had begun
		f.check(1)
	})
}

// A process that cannot take in the stored record does nothing, and says so.
func TestKeeperBehind(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store, ctx := seal.NewMemStore(), t.Context()
		table := &memSource{}
		open := func(replica string) (*seal.Barrier, *migrate.Keeper) {
			b, err := seal.Open(seal.Config{Store: store, Replica: replica, Propagation: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { b.Close() })
			k, err := migrate.NewKeeper(b, migrate.KeeperConfig{Sources: []migrate.KeeperSource{{Name: "table", Source: table}}, RotateAfter: time.Hour, KeepOld: migrate.AtOnce})
			if err != nil {
				t.Fatal(err)
			}
			return b, k
		}
		one, _ := open("one")
		two, keeper := open("two")
		d, err := one.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []*seal.Barrier{one, two} {
			if _, err := b.Submit(ctx, d.Sets[0].Shares[0], seal.By{}); err != nil {
				t.Fatal(err)
			}
		}
		table.put("a", encrypt(t, one.Keyring(), "value of a", "a"))
		if err := one.Admin().RotateRootStranding(ctx, seal.By{}); err != nil {
			t.Fatal(err)
		}
		generation := one.Status().Generation
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 2)
		go func() { ended <- two.Run(ctx) }()
		go func() { ended <- keeper.Run(ctx) }()
		time.Sleep(3 * time.Hour)
		if s := keeper.Status(); s.Phase != migrate.KeeperBehind || !errors.Is(s.Err, seal.ErrRootMoved) {
			t.Errorf("%+v", s)
		}
		if err := one.Admin().Refresh(ctx); err != nil || one.Status().Generation != generation {
			t.Errorf("generation %d of %d, %v", one.Status().Generation, generation, err)
		}
		if _, err := two.Submit(ctx, d.Sets[0].Shares[0], seal.By{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if s := keeper.Status(); s.Phase == migrate.KeeperBehind || s.Err != nil {
			t.Errorf("after it follows again: %+v", s)
		}
		cancel()
		<-ended
		<-ended
	})
}
