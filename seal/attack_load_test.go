package seal_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// A watchedLoads is a store that tells of each load while it is going on.
type watchedLoads struct {
	seal.Store
	loads  atomic.Int32
	during atomic.Pointer[func()]
}

func (w *watchedLoads) Load(ctx context.Context) ([]byte, string, error) {
	w.loads.Add(1)
	if f := w.during.Load(); f != nil {
		(*f)()
	}
	time.Sleep(5 * time.Millisecond)
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	return w.Store.Load(ctx)
}

// TestAttackForgedTermsAndGone: whoever sends ciphertexts with terms that never
// were, and leaves as soon as the record is loaded for them, makes it be loaded
// no more often, and keeps nobody from reading.
func TestAttackForgedTermsAndGone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		fake := &kmstest.Fake{}
		l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
		store := &watchedLoads{Store: seal.NewMemStore()}
		b := l.barrier(store, nil)
		defer b.Close()
		_, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
		must(t, err)
		other := l.barrier(store.Store, nil)
		defer other.Close()
		err = other.Unseal(ctx)
		must(t, err)
		forged, err := b.Keyring().Encrypt(nil, []byte("x"), nil)
		must(t, err)
		binary.BigEndian.PutUint32(forged[1:], 1<<20)

		before, began := store.loads.Load(), time.Now()
		for range 100 {
			mine, leave := context.WithCancel(ctx)
			f := func() { leave() }
			store.during.Store(&f)
			if _, err := b.Admin().Decrypt(mine, nil, forged, nil); err == nil {
				t.Fatal("a forged ciphertext was read")
			}
			leave()
		}
		if loads, most := int(store.loads.Load()-before), int(time.Since(began)/(100*time.Millisecond))+1; loads > most {
			t.Errorf("%d loads in %v", loads, time.Since(began))
		}
		// Beside ten who do so all the time.
		stop := make(chan struct{})
		for range 10 {
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					mine, leave := context.WithCancel(ctx)
					f := func() { leave() }
					store.during.Store(&f)
					b.Admin().Decrypt(mine, nil, forged, nil)
					leave()
				}
			}()
		}
		must(t, other.Rotate(ctx, seal.By{}))
		ct, err := other.Keyring().Encrypt(nil, []byte("fresh"), nil)
		must(t, err)
		began = time.Now()
		if got, err := b.Admin().Decrypt(ctx, nil, ct, nil); err != nil || string(got) != "fresh" || time.Since(began) > time.Second {
			t.Errorf("%q, %v after %v", got, err, time.Since(began))
		}
		close(stop)
	})
}

// A lagging key probes its newest version, and wraps by the one before for a
// while, as where the choice of the primary version spreads slowly.
type lagging struct {
	*kmstest.Key
	until time.Time
}

func (l *lagging) Probe(ctx context.Context) (kms.Health, error) {
	h, err := l.Key.Probe(ctx)
	if time.Now().Before(l.until) {
		h.Version = "2"
	}
	return h, err
}

// TestAttackKeyVersionLags: a version that the KMS tells of before it wraps by
// it, or that it never wraps by, changes no record; once it wraps by it, Run
// renews.
func TestAttackKeyVersionLags(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		key := &lagging{Key: v.fake.Key("a"), until: time.Now().Add(24 * time.Hour)}
		fleet, stop := v.fleet(ctx, testlevel.Most(3, 1), func(c *seal.Config) { c.KMS = v.own(); c.KMS["a"], c.Poll = key, testlevel.Most(c.Poll, time.Minute) })
		defer stop()
		for _, b := range fleet {
			must(t, b.Wait(ctx))
		}
		before := fleet[0].Status().Generation
		time.Sleep(23 * time.Hour)
		if now := fleet[0].Status().Generation; now != before {
			t.Errorf("%d changes of the record, by the version that wrapped before", now-before)
		}
		before = fleet[0].Status().Generation
		v.fake.Rotate("a")
		time.Sleep(25 * time.Hour)
		if now := fleet[0].Status().Generation; now == before || now > before+3 {
			t.Errorf("the version is in force, and there were %d changes", now-before)
		}
		v.fake.Destroy("a", "1")
		cold := v.boot()
		defer cold.Close()
		err := cold.Unseal(ctx)
		must(t, err)
	})
}

// TestAttackAnchorOfTheOtherHalf: two halves of a fork share an anchor. The one
// that comes second is told while it runs, not by a start that fails.
func TestAttackAnchorOfTheOtherHalf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b, _ := anchored(ctx, t)
		defer b.Close()
		apart := seal.NewMemStore()
		_, err := apart.Swap(ctx, v.stored(ctx), "")
		must(t, err)
		mine := v.faulty
		v.faulty = &storetest.Faulty{Inner: apart}
		other := v.boot() // its volume is a copy by now
		defer other.Close()
		must(t, v.unseal(ctx, other))
		v.faulty = mine
		must(t, b.Rotate(ctx, seal.By{}))
		must(t, other.Rotate(ctx, seal.By{}))
		if warned(b, "anchor") || !warned(other, "would not open the store after a restart") {
			t.Errorf("warnings: first %q, second %q", b.Status().Warnings, other.Status().Warnings)
		}
	})
}

// TestAttackRenewKeepsTheTurn: where the KMS that has a new version of a key
// asks to be left alone for an hour, Run's attempt to renew lets everybody else
// change the record, and people give their shares.
func TestAttackRenewKeepsTheTurn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		fleet, stop := v.fleet(ctx, 1, func(c *seal.Config) { c.KMS = v.own() })
		defer stop()
		must(t, fleet[0].Wait(ctx))
		v.fake.Rotate("a")
		v.fake.Script(func(c kmstest.Call) kmstest.Fault {
			if c.Op != kmstest.OpWrap {
				return kmstest.Fault{}
			}
			return kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: time.Hour}
		})
		for range testlevel.Most(24, 3) * 60 {
			time.Sleep(time.Minute)
			mine, cancel := context.WithTimeout(ctx, 30*time.Second)
			err := fleet[0].Admin().Refresh(mine)
			cancel()
			if err != nil {
				t.Fatalf("nobody else has the turn: %v", err)
			}
		}
		if v.fake.Count(kmstest.OpWrap) == 0 {
			t.Fatal("nothing was tried")
		}
	})
}

// TestAttackDrillHoldsUpRun: a KMS that wants to be left alone while it is
// drilled keeps Run from nothing else: what another replica rotates is read in
// time.
func TestAttackDrillHoldsUpRun(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		fleet, stop := v.fleet(ctx, 2, func(c *seal.Config) { c.KMS, c.Propagation, c.Drill = v.own(), time.Minute, time.Hour })
		defer stop()
		for _, b := range fleet {
			must(t, b.Wait(ctx))
		}
		v.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: 3 * time.Hour}))
		time.Sleep(2 * time.Hour) // both drill by now
		must(t, fleet[0].Rotate(ctx, seal.By{}))
		time.Sleep(5 * time.Minute)
		for i, b := range fleet {
			ct, err := b.Keyring().Encrypt(nil, []byte("x"), nil)
			must(t, err)
			if term := b.Status().Terms[len(b.Status().Terms)-1]; term.State != "active" {
				t.Errorf("replica %d: term %d is %s", i, term.Number, term.State)
			}
			if _, err := fleet[1-i].Keyring().Decrypt(nil, ct, nil); err != nil {
				t.Errorf("replica %d does not read what %d writes: %v", 1-i, i, err)
			}
		}
	})
}

// TestAttackSealedWhileFollowing: a replica waits for a KMS that wants to be left
// alone, to follow a new root key. Whoever seals it, to unseal it with people,
// need not wait with it.
func TestAttackSealedWhileFollowing(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		fleet, stop := v.fleet(ctx, 1, func(c *seal.Config) { c.KMS = v.own() })
		defer stop()
		must(t, fleet[0].Wait(ctx))
		v.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: 3 * time.Hour}))
		must(t, b.Admin().RotateRoot(ctx, seal.By{}))
		time.Sleep(time.Minute) // it has noticed
		must(t, fleet[0].Seal(seal.By{}))
		mine, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for _, set := range v.held {
			for _, share := range set.Shares {
				if _, err := fleet[0].Submit(mine, share, seal.By{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if s := fleet[0].Status(); s.Sealed {
			t.Errorf("sealed: %v", s.Reason)
		}
	})
}

// TestAttackSealedWhileDrilled: a drill that a Seal cut short, or whoever asked
// for it, tells nothing of the slot.
func TestAttackSealedWhileDrilled(t *testing.T) {
	for name, cut := range map[string]func(b *seal.Barrier, leave func()){
		"a Seal":     func(b *seal.Barrier, _ func()) { b.Seal(seal.By{}) },
		"the caller": func(_ *seal.Barrier, leave func()) { leave() },
	} {
		virtual(t, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			defer b.Close()
			v.fake.Script(kmstest.Always(kmstest.Fault{Delay: 5 * time.Second}))
			drilled := make(chan error)
			go func() { drilled <- b.Admin().Drill(ctx) }()
			time.Sleep(7 * time.Second)
			cut(b, leave)
			if err := <-drilled; err == nil {
				t.Errorf("%s: it went on", name)
			}
			v.fake.Script(nil)
			err := b.Unseal(t.Context())
			must(t, err)
			if w := b.Status().Warnings; len(w) != 0 {
				t.Errorf("%s: %q", name, w)
			}
		})
	}
}
