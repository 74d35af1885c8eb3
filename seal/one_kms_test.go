package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A foul is a KMS that is well until it is armed, and then does what one can do.
type foul struct {
	kms.Wrapper
	armed atomic.Bool
	does  func(ctx context.Context) error // nil: it lies
}

func (f *foul) Wrap(ctx context.Context, key []byte, place kms.Binding) (*kms.Blob, error) {
	if f.armed.Load() {
		if f.does != nil {
			return nil, f.does(ctx)
		}
		key = bytes.Repeat([]byte{7}, len(key))
	}
	return f.Wrapper.Wrap(ctx, key, place)
}

func (f *foul) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	if f.armed.Load() {
		if f.does != nil {
			return nil, f.does(ctx)
		}
		return bytes.Repeat([]byte{7}, 64), nil
	}
	return f.Wrapper.Unwrap(ctx, blob, place)
}

func (f *foul) Probe(ctx context.Context) (kms.Health, error) {
	if f.armed.Load() && f.does != nil {
		return kms.Health{}, f.does(ctx)
	}
	return f.Wrapper.(kms.Prober).Probe(ctx)
}

// fouls is all that one KMS can do; what hangs comes back when release is closed.
func fouls(release chan struct{}) map[string]func(context.Context) error {
	asks := func(kind error, rest time.Duration) func(context.Context) error {
		return func(context.Context) error {
			return &kms.Error{Op: "unwrap", Type: "foul", Kind: kind, RetryAfter: rest}
		}
	}
	return map[string]func(context.Context) error{
		"hangs":               func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"hears nothing":       func(context.Context) error { <-release; return errors.New("at last") },
		"asks for 3 seconds":  asks(kms.ErrThrottled, 3*time.Second),
		"asks for an hour":    asks(kms.ErrThrottled, time.Hour),
		"asks for a day":      asks(kms.ErrUnavailable, 24*time.Hour),
		"is down":             asks(kms.ErrUnavailable, 0),
		"lies":                nil,
		"panics":              func(context.Context) error { panic("a provider's fault") },
		"refuses":             asks(kms.ErrDenied, 0),
		"answers with a text": func(context.Context) error { return errors.New("no kms.Error") },
	}
}

// A bench is a store whose slots a foul KMS and others open, and what two
// replicas of it hold.
type bench struct {
	t      *testing.T
	foul   *foul
	store  seal.Store
	fake   *kmstest.Fake
	held   map[string][]seal.Share // by slot
	events atomic.Int64            // failed unseals
}

const enough = 5 * time.Second // for whatever does not need the foul KMS

func newBench(t *testing.T, does func(context.Context) error, slots map[string]seal.Spec) (*bench, *seal.Barrier) {
	fake := &kmstest.Fake{}
	x := &bench{t: t, foul: &foul{Wrapper: fake.Key("x"), does: does}, store: seal.NewMemStore(), fake: fake, held: map[string][]seal.Share{}}
	b := x.open("one")
	d, err := b.Init(t.Context(), slots, seal.By{})
	must(t, err)
	for _, set := range d.Sets {
		x.held[set.Slot] = append(x.held[set.Slot], set.Shares...)
	}
	for _, shares := range x.held { // so that every slot is proven
		if b.Status().Sealed {
			for _, s := range shares {
				if _, err := b.Submit(t.Context(), s, seal.By{}); err != nil {
					break
				}
			}
		}
	}
	if b.Status().Sealed {
		t.Fatal(b.Status().Reason)
	}
	return x, b
}

// made is the bench that many are copied from, with those slots proven once more.
func made(t *testing.T, slots map[string]seal.Spec, proven ...string) (x *bench) {
	virtual(t, func(t *testing.T) {
		var b *seal.Barrier
		x, b = newBench(t, nil, slots)
		defer b.Close()
		for _, slot := range proven {
			_, _, err := b.Admin().Prove(t.Context(), slot, seal.By{})
			must(t, err)
		}
	})
	return x
}

// copy returns a bench with the same record, for one trial.
func (x *bench) copy(t *testing.T, does func(context.Context) error) *bench {
	record, _, err := x.store.Load(t.Context())
	must(t, err)
	y := &bench{t: t, foul: &foul{Wrapper: x.fake.Key("x"), does: does}, store: seal.NewMemStore(), fake: x.fake, held: x.held}
	_, err = y.store.Swap(t.Context(), record, "")
	must(t, err)
	return y
}

func (x *bench) open(replica string) *seal.Barrier {
	b, err := seal.Open(seal.Config{
		Store: x.store, Replica: replica, Drill: -1,
		KMS: map[string]kms.Wrapper{"x": x.foul, "a": x.fake.Key("a"), "b": x.fake.Key("b"), "c": x.fake.Key("c")},
		OnEvent: func(e seal.Event) {
			if e.Kind == seal.EventUnseal && e.Err != nil {
				x.events.Add(1)
			}
		},
	})
	must(x.t, err)
	return b
}

// TestOneKMSHarmsOnlyItself enumerates what one KMS does, for a server that
// starts and for one that runs, and what else could answer: it does, in time.
// It is guarantee 28, and began as eight places that slept a KMS's Retry-After
// while they held what others needed.
func TestOneKMSHarmsOnlyItself(t *testing.T) {
	together(t)
	counts := map[string]int{}
	worst := time.Duration(0)
	answered := func(t *testing.T, what string, since time.Time) {
		t.Helper()
		counts["answers"]++
		took := time.Since(since)
		worst = max(worst, took)
		if took > enough {
			counts["violations"]++
			t.Errorf("%s: answered after %v", what, took)
		}
	}
	starts := map[string]*bench{}
	for what, start := range besideAFoulKMS {
		starts[what] = made(t, start.slots)
	}
	running := made(t, map[string]seal.Spec{"1": key("x"), "2": key("a"), "people": two}, "2")
	for name := range fouls(nil) {
		if testing.Short() && !slices.Contains([]string{"hears nothing", "asks for an hour", "lies", "panics"}, name) {
			continue
		}
		t.Run("start/"+name, func(t *testing.T) { startBesideAFoulKMS(t, name, starts, answered) })
		if !testlevel.Whole() && name != "hears nothing" {
			continue
		}
		t.Run("run/"+name, func(t *testing.T) { runBesideAFoulKMS(t, name, running, answered) })
	}
	testlevel.Counted(t, "GUARANTEE 28 one-kms-harms-itself: answers=%d violations=%d worst=%.1fs", counts["answers"], counts["violations"], worst.Seconds())
}

var (
	two   = seal.Shamir{Shares: 3, Threshold: 2}
	key   = func(name string) seal.Spec { return seal.KMS{Wrapper: name} }
	twoOf = func(of ...seal.Spec) seal.Spec { return seal.Threshold{K: 2, Of: of} }
)

// besideAFoulKMS are the slots of a server that starts while a KMS is foul.
var besideAFoulKMS = map[string]struct {
	slots  map[string]seal.Spec
	people string // whose shares open it; "" for nobody
	wait   string // whose shares wait for the foul KMS, and are given first
}{
	"another slot":               {map[string]seal.Spec{"1": key("x"), "2": key("a")}, "", ""},
	"the rest of its tree":       {map[string]seal.Spec{"1": twoOf(key("x"), key("a"), key("b"))}, "", ""},
	"a tree within a tree":       {map[string]seal.Spec{"1": twoOf(twoOf(key("x"), key("a")), key("b"), key("c"))}, "", ""},
	"people beside":              {map[string]seal.Spec{"1": key("x"), "people": two}, "people", ""},
	"people in its tree":         {map[string]seal.Spec{"1": twoOf(key("x"), key("a"), two)}, "1", ""},
	"people, others of its tree": {map[string]seal.Spec{"1": twoOf(key("x"), two), "people": two}, "people", "1"},
}

func startBesideAFoulKMS(t *testing.T, name string, starts map[string]*bench, answered func(*testing.T, string, time.Time)) {
	for what, test := range besideAFoulKMS {
		virtual(t, func(t *testing.T) {
			release := make(chan struct{})
			x := starts[what].copy(t, fouls(release)[name])
			defer close(release)
			x.foul.armed.Store(true)
			sealed := x.open("two")
			defer sealed.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			begun := time.Now()
			go sealed.Run(ctx)
			if test.people != "" {
				time.Sleep(4 * time.Second) // past the spread of the start and a head start
				if reason := sealed.Status().Reason; reason == nil || reason == seal.ErrSealed || errors.Is(reason, seal.ErrStarting) {
					t.Errorf("%s: after 4 s it says %v", what, reason)
				}
				for _, s := range x.held[test.wait] { // none where it is ""
					go sealed.Submit(ctx, s, seal.By{})
				}
				time.Sleep(100 * time.Millisecond)
				begun = time.Now()
				for _, s := range x.held[test.people][:2] {
					_, err := sealed.Submit(ctx, s, seal.By{})
					must(t, err)
				}
			}
			if err := sealed.Wait(ctx); err != nil {
				t.Errorf("%s: %v: %v", what, err, sealed.Status().Reason)
			}
			answered(t, what, begun)
		})
	}
}

func runBesideAFoulKMS(t *testing.T, name string, start *bench, answered func(*testing.T, string, time.Time)) {
	needing := map[string]func(context.Context, *seal.Barrier) error{
		"add": func(ctx context.Context, b *seal.Barrier) error {
			_, err := b.Admin().Add(ctx, "n", key("x"), seal.By{})
			return err
		},
		"rekey": func(ctx context.Context, b *seal.Barrier) error {
			_, err := b.Admin().Rekey(ctx, "1", twoOf(key("x"), key("a")), seal.By{})
			return err
		},
		"prove": func(ctx context.Context, b *seal.Barrier) error {
			_, _, err := b.Admin().Prove(ctx, "1", seal.By{})
			return err
		},
		"renew":      func(ctx context.Context, b *seal.Barrier) error { return b.Admin().Renew(ctx, "1", seal.By{}) },
		"drill spec": func(ctx context.Context, b *seal.Barrier) error { return b.Admin().DrillSpec(ctx, key("x")) },
		"drill":      func(ctx context.Context, b *seal.Barrier) error { return b.Admin().Drill(ctx) },
		"nothing":    func(ctx context.Context, b *seal.Barrier) error { return errors.New("nothing was asked") },
	}
	// What needs the foul KMS for nothing.
	others := map[string]func(context.Context, *bench, *seal.Barrier) error{
		"decrypt a new term": func(ctx context.Context, x *bench, b *seal.Barrier) error {
			x.foul.armed.Store(false)
			other := x.open("other")
			defer other.Close()
			if err := other.Unseal(ctx); err != nil {
				return err
			}
			x.foul.armed.Store(true)
			if err := other.Rotate(ctx, seal.By{}); err != nil {
				return err
			}
			ct, err := other.Keyring().Encrypt(nil, []byte("new"), nil)
			if err != nil {
				return err
			}
			_, err = b.Admin().Decrypt(ctx, nil, ct, nil)
			return err
		},
		"follow a new root key": func(ctx context.Context, x *bench, b *seal.Barrier) error {
			x.foul.armed.Store(false)
			other := x.open("other")
			defer other.Close()
			if err := other.Unseal(ctx); err != nil {
				return err
			}
			x.foul.armed.Store(true)
			if err := other.Admin().RotateRoot(ctx, seal.By{}); err != nil {
				return err
			}
			return b.Admin().Refresh(ctx)
		},
		"refresh": func(ctx context.Context, _ *bench, b *seal.Barrier) error { return b.Admin().Refresh(ctx) },
		"rotate":  func(ctx context.Context, _ *bench, b *seal.Barrier) error { return b.Rotate(ctx, seal.By{}) },
		"rotate root": func(ctx context.Context, _ *bench, b *seal.Barrier) error {
			return b.Admin().RotateRoot(ctx, seal.By{})
		},
		"add another": func(ctx context.Context, _ *bench, b *seal.Barrier) error {
			_, err := b.Admin().Add(ctx, "more", key("b"), seal.By{})
			return err
		},
		"prove another": func(ctx context.Context, _ *bench, b *seal.Barrier) error {
			_, _, err := b.Admin().Prove(ctx, "2", seal.By{})
			return err
		},
		"prove people": func(ctx context.Context, x *bench, b *seal.Barrier) error {
			op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
			for _, s := range x.held["people"][:2] {
				if err == nil {
					_, err = b.Submit(ctx, s, seal.By{Operation: op})
				}
			}
			return err
		},
		"drop it": func(ctx context.Context, _ *bench, b *seal.Barrier) error {
			_, done, err := b.Admin().Drop(ctx, []string{"1"}, seal.By{})
			if err == nil && !done {
				return errors.New("people are asked")
			}
			return err
		},
		"drop the people": func(ctx context.Context, _ *bench, b *seal.Barrier) error { // two keys stay, of which one answers
			_, _, err := b.Admin().Drop(ctx, []string{"people"}, seal.By{})
			return err
		},
		"check": func(ctx context.Context, x *bench, b *seal.Barrier) error {
			_, err := b.Admin().CheckShare(ctx, x.held["people"][0], seal.By{})
			return err
		},
		"begin and cancel": func(ctx context.Context, _ *bench, b *seal.Barrier) error {
			op, err := b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "2", Spec: key("a")}}, seal.By{})
			if err == nil {
				err = b.Admin().Cancel(ctx, seal.By{Operation: op})
			}
			return err
		},
		"inspect": func(ctx context.Context, _ *bench, b *seal.Barrier) error {
			_, err := b.Admin().Inspect(ctx)
			return err
		},
		"seal":  func(_ context.Context, _ *bench, b *seal.Barrier) error { return b.Seal(seal.By{}) },
		"close": func(_ context.Context, _ *bench, b *seal.Barrier) error { return b.Close() },
	}
	for i, busy := range slices.Sorted(maps.Keys(needing)) {
		for j, what := range slices.Sorted(maps.Keys(others)) {
			if testing.Short() && (i+j)%len(needing) != 0 { // each of the others once
				continue
			}
			need, call := needing[busy], others[what]
			virtual(t, func(t *testing.T) {
				release := make(chan struct{})
				x := start.copy(t, fouls(release)[name])
				b := x.open("one")
				defer b.Close()
				defer close(release)
				must(t, b.Unseal(t.Context()))
				x.foul.armed.Store(true)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- need(ctx, b) }()
				time.Sleep(50 * time.Millisecond)

				what := fmt.Sprintf("%s during %s", what, busy)
				begun := time.Now()
				if err := call(ctx, x, b); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				answered(t, what, begun)

				begun = time.Now()
				cancel()
				if err := <-ended; err == nil && name != "lies" {
					t.Errorf("%s succeeds with a KMS that %s", busy, name)
				}
				answered(t, busy+", cancelled", begun)
			})
		}
	}
}
