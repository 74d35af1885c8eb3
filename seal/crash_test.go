package seal_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// Every operation, and every migration between two shapes, is killed or
// disturbed at each of its calls of the store and of a KMS. After each, a new
// process must open the store with custodians who really hold something, read
// every value that was acknowledged, and finish what was begun.

var crashFull = flag.Bool("crash.full", false, "disturb every point over every store, each with and without a restart")

// A shape is a set of slots to begin with or to get to.
type shape struct {
	name  string
	slots map[string]seal.Spec
}

var shapes = []shape{
	{"people", map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}},
	{"a", map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}},
	{"b", map[string]seal.Spec{"other": seal.KMS{Wrapper: "b"}}},
	{"two of three keys", map[string]seal.Spec{"clouds": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}, seal.KMS{Wrapper: "c"}}}}},
	{"a key and people", map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 3, Threshold: 2}}}}},
}

// A scenario is an operation under test. Begin makes the store it starts from;
// run performs it, and is called again to finish it after a fault.
type scenario struct {
	name  string
	begin map[string]seal.Spec // nil: an empty store
	run   func(ctx context.Context, v *vault, b *seal.Barrier) error
}

func scenarios() []scenario {
	people := shapes[0].slots
	both := map[string]seal.Spec{"people": people["people"], "auto": seal.KMS{Wrapper: "a"}}
	var out []scenario
	for _, s := range append([]shape{{"people beside a", both}}, shapes...) {
		out = append(out, scenario{"init " + s.name, nil, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return v.initialize(ctx, b, s.slots)
		}})
	}
	for _, from := range shapes {
		for _, to := range shapes {
			if from.name == to.name {
				continue
			}
			plan := migrate.Plan{Slots: to.slots}
			for name := range from.slots {
				plan.Drop = append(plan.Drop, name)
			}
			out = append(out, scenario{"migrate " + from.name + " to " + to.name, from.slots, func(ctx context.Context, v *vault, b *seal.Barrier) error {
				return v.migrate(ctx, b, plan)
			}})
		}
	}
	rekey := map[string]seal.Spec{"people": seal.Shamir{Shares: 4, Threshold: 3}}
	out = append(out,
		scenario{"migrate people to people and a", people, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return v.migrate(ctx, b, migrate.Plan{Slots: both})
		}},
		scenario{"rekey people", people, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return v.migrate(ctx, b, migrate.Plan{Slots: rekey})
		}},
		scenario{"replace a by b under its name", shapes[1].slots, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return v.migrate(ctx, b, migrate.Plan{Slots: map[string]seal.Spec{"auto": seal.KMS{Wrapper: "b"}}})
		}},
		scenario{"rotate", both, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return errors.Join(b.Rotate(ctx, seal.By{}), v.write(b))
		}},
		scenario{"rotate under a lease", both, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			if err := b.Admin().Refresh(ctx); err != nil {
				return err
			}
			lease, err := b.Admin().TakeLease(ctx, time.Minute, b.Status().Lease, seal.By{})
			if err != nil {
				return err
			}
			terms := b.Status().Terms
			_, err = b.Admin().RotateFrom(ctx, terms[len(terms)-1].Number, seal.By{})
			return errors.Join(err, lease.Keep(ctx), lease.End(ctx, "", nil), v.write(b))
		}},
		scenario{"rotate root", both, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return errors.Join(b.Admin().RotateRoot(ctx, seal.By{}), v.write(b))
		}},
		scenario{"drill", both, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			_, _, err := b.Admin().Prove(ctx, "auto", seal.By{})
			return errors.Join(err, v.write(b))
		}},
		scenario{"add people, reissue, prove", both, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			spec := seal.Shamir{Shares: 2, Threshold: 2}
			slot := func() *seal.SlotStatus {
				for _, s := range b.Status().Slots {
					if s.Name == "late" {
						return &s
					}
				}
				return nil
			}
			if slot() == nil {
				if _, err := b.Admin().Add(ctx, "late", spec, seal.By{}); err != nil { // nobody gets these
					return err
				}
			}
			if op := b.Status().Operation; op != nil { // of the proof that was cut off
				if err := b.Admin().Cancel(ctx, seal.By{Operation: op.ID}); err != nil {
					return err
				}
			}
			if slot().State == seal.SlotPending {
				d, err := b.Admin().Reissue(ctx, "late", spec, seal.By{})
				if err == nil {
					err = v.take(d)
				}
				if err != nil {
					return err
				}
			}
			op, _, err := b.Admin().Prove(ctx, "late", seal.By{})
			if err != nil {
				return err
			}
			return errors.Join(v.gather(ctx, b, seal.By{Operation: op}), v.write(b))
		}},
		scenario{"begin to migrate, and cancel", people, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			stop := errors.New("stop")
			plan := migrate.Plan{Slots: shapes[4].slots, Drop: []string{"people"}}
			_, err := migrate.Reconcile(ctx, b, plan, migrate.Options{Deliver: func(seal.Delivery) error { return stop }})
			if err != nil && !errors.Is(err, stop) {
				return err
			}
			if _, err = migrate.Cancel(ctx, b, seal.By{}); errors.Is(err, seal.ErrNoOperation) {
				err = nil
			}
			return errors.Join(err, v.write(b))
		}},
	)
	return out
}

// A point is one place where something goes wrong.
type point struct {
	name string
	set  func(*vault)
}

// points lists every place in a run with that many calls.
func points(loads, swaps, calls int) []point {
	var out []point
	store := func(k int, swap bool, what string, f storetest.Fault) {
		out = append(out, point{fmt.Sprintf("%s at call %d", what, k), func(v *vault) {
			m := map[int]storetest.Fault{k: f}
			if swap {
				v.faulty.OnSwap = m
			} else {
				v.faulty.OnLoad = m
			}
		}})
	}
	for k := 1; k <= swaps; k++ {
		store(k, true, "crash before the swap", storetest.Fault{Effect: storetest.CrashBefore})
		store(k, true, "crash after the swap", storetest.Fault{Effect: storetest.CrashAfter})
		store(k, true, "swap fails before", storetest.Fault{Effect: storetest.FailBefore})
		store(k, true, "swap fails after", storetest.Fault{Effect: storetest.FailAfter})
		store(k, true, "swap meets another writer", storetest.Fault{Effect: storetest.Conflict})
		out = append(out, point{fmt.Sprintf("another replica rotates before swap %d", k), func(v *vault) { v.rival = k }})
	}
	for k := 1; k <= loads; k++ {
		store(k, false, "crash at the load", storetest.Fault{Effect: storetest.CrashBefore})
		store(k, false, "load fails", storetest.Fault{Effect: storetest.FailBefore})
	}
	for k := 1; k <= calls; k++ {
		for i, f := range []kmstest.Fault{
			{Failure: kmstest.ServerError}, {Failure: kmstest.ServerError, After: true},
			{Failure: kmstest.Throttled}, {Failure: kmstest.Denied}, {Failure: kmstest.Disabled}, {Failure: kmstest.Destroyed},
			{Failure: kmstest.WrongPlaintext}, {Failure: kmstest.OtherPlaintext}, {Failure: kmstest.WrongKeyID},
			{Failure: kmstest.Truncated}, {Failure: kmstest.Hang},
		} {
			if !*crashFull && (i+k)%4 != 0 {
				continue
			}
			out = append(out, point{fmt.Sprintf("KMS call %d: %s, after=%v", k, f.Failure, f.After), func(v *vault) {
				v.fake.Script(kmstest.Nth(v.fake.Count("")+k, f))
			}})
		}
		out = append(out, point{fmt.Sprintf("KMS away from call %d on", k), func(v *vault) {
			from := v.fake.Count("") + k
			v.fake.Script(func(c kmstest.Call) kmstest.Fault {
				if c.N >= from {
					return kmstest.Fault{Failure: kmstest.ServerError}
				}
				return kmstest.Fault{}
			})
		}}, point{fmt.Sprintf("the process dies at KMS call %d", k), func(v *vault) {
			at := v.fake.Count("") + k
			v.fake.Script(func(c kmstest.Call) kmstest.Fault {
				if c.N == at {
					v.faulty.Crash()
					return kmstest.Fault{Failure: kmstest.ServerError}
				}
				return kmstest.Fault{}
			})
		}})
	}
	return out
}

// A trial is one disturbance of a scenario: a point, and whether the process is
// started anew after it.
type trial struct {
	point
	reboot bool
}

func (tr trial) String() string {
	if tr.reboot {
		return tr.name + ", then a restart"
	}
	return tr.name
}

// An enumeration is every trial of a scenario over one kind of store, from the
// state in which each of them begins.
type enumeration struct {
	scenario
	begin    start
	newStore func() seal.Store
	plant    func(*seal.Barrier) // breaks each Barrier on purpose; nil: none does
	trials   []trial
}

// enumerate runs the scenario once, undisturbed, to find its points.
func (sc scenario) enumerate(t *testing.T, newStore func() seal.Store, plant func(*seal.Barrier)) enumeration {
	e := enumeration{scenario: sc, newStore: newStore, plant: plant}
	bubble(t, func(t *testing.T) {
		e.begin = sc.prepare(t.Context(), t)
		v, b := e.begin.from(t.Context(), t, newStore())
		defer b.Close()
		if plant != nil {
			plant(b)
		}
		l0, s0 := v.faulty.Calls()
		k0 := v.fake.Count("")
		if err := sc.run(t.Context(), v, b); err != nil && plant == nil {
			t.Fatalf("undisturbed: %v", err)
		}
		l1, s1 := v.faulty.Calls()
		for i, p := range points(l1-l0, s1-s0, v.fake.Count("")-k0) {
			for _, reboot := range []bool{true, false} {
				if *crashFull || reboot != (i%2 == 0) {
					e.trials = append(e.trials, trial{p, reboot})
				}
			}
		}
	})
	return e
}

// try makes one trial of it.
func (e enumeration) try(t *testing.T, tr trial) (err error) {
	bubble(t, func(t *testing.T) { err = e.disturb(t.Context(), t, tr) })
	return err
}

// disturb performs the scenario with one fault, then asks whether everything is
// still there, and finishes the scenario.
func (e enumeration) disturb(ctx context.Context, t testing.TB, tr trial) error {
	inner := e.newStore()
	v, b := e.begin.from(ctx, t, inner)
	defer func() { b.Close() }()
	if e.plant != nil {
		e.plant(b)
	}
	// Calls are counted from here on.
	v.faulty = &storetest.Faulty{Inner: &crowded{Store: inner, v: v}}
	b.SwapStore(v.faulty)
	tr.set(v)
	runErr := e.run(ctx, v, b)

	crashed := v.faulty.Crashed()
	v.faulty.OnLoad, v.faulty.OnSwap = nil, nil
	v.faulty.Reboot()
	v.fake.Script(nil)
	if crashed || tr.reboot {
		b.Close()
		b = v.boot()
	}
	// A store whose init was cut off has nothing to lose: it is made again.
	if err := v.unseal(ctx, b); err == nil {
		err = v.readable(b)
		if err != nil {
			return fmt.Errorf("lost: %w (the run said: %v)", err, runErr)
		}
	} else if e.scenario.begin != nil || len(v.acked) > 0 {
		return fmt.Errorf("neither: %w (the run said: %v)", err, runErr)
	}
	if err := e.run(ctx, v, b); err != nil {
		return fmt.Errorf("not finished: %w (the run said: %v)", err, runErr)
	}
	b.Close()
	b = v.boot()
	if err := v.unseal(ctx, b); err != nil {
		return fmt.Errorf("neither, at the end: %w", err)
	}
	if err := v.readable(b); err != nil {
		return fmt.Errorf("lost at the end: %w", err)
	}
	return nil
}

// TestPlantedFaults breaks the protocol on purpose, and sees the enumeration
// find it.
func TestPlantedFaults(t *testing.T) {
	together(t)
	memory := func() seal.Store { return seal.NewMemStore() }
	for _, planted := range []struct {
		name, scenario string
		store          func() seal.Store
		plant          func(*seal.Barrier)
	}{
		{"blind put", "rotate", func() seal.Store { return storetest.BlindPut(memory()) }, nil},
		{"delivery after commit", "rekey people", memory, (*seal.Barrier).CommitBeforeDelivery},
		{"root rotation leaves a wrap behind", "rotate root", memory, (*seal.Barrier).LeaveWraps},
	} {
		at := slices.IndexFunc(scenarios(), func(sc scenario) bool { return sc.name == planted.scenario })
		e := scenarios()[at].enumerate(t, planted.store, planted.plant)
		var caught []error
		for _, tr := range e.trials {
			if err := e.try(t, tr); err != nil {
				caught = append(caught, fmt.Errorf("%s: %w", tr, err))
				if testing.Short() {
					break
				}
			}
		}
		if len(caught) == 0 {
			t.Errorf("%s: not caught at any of %d points", planted.name, len(e.trials))
		} else {
			t.Logf("%s: caught at %d of %d points, first: %.200s", planted.name, len(caught), len(e.trials), caught[0])
		}
	}
}

// TestKMSFailsForSecondsInTheMiddleOfShamirToKMS is the case that destroys a
// Vault store: its KMS answers errors from some call of the migration on, for a
// while.
func TestKMSFailsForSecondsInTheMiddleOfShamirToKMS(t *testing.T) {
	for call := 1; call <= 6; call += testlevel.Most(1, 2) {
		virtual(t, func(t *testing.T) {
			ctx := t.Context()
			sc := scenario{begin: shapes[0].slots}
			v, b := sc.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			defer func() { b.Close() }()
			must(t, v.write(b))
			outage := time.Now().Add(time.Hour)
			from := v.fake.Count("") + call
			v.fake.Script(func(c kmstest.Call) kmstest.Fault {
				if c.N == from {
					outage = time.Now().Add(5 * time.Second)
				}
				if c.N >= from && time.Now().Before(outage) {
					return kmstest.Fault{Failure: kmstest.ServerError}
				}
				return kmstest.Fault{}
			})
			plan := migrate.Plan{Slots: shapes[1].slots, Drop: []string{"people"}}
			err := v.migrate(ctx, b, plan)
			struck := v.fake.Count("") >= from
			if struck && !errors.Is(err, kms.ErrUnavailable) {
				t.Fatalf("call %d: %v", call, err)
			}
			if b.Status().Sealed {
				t.Fatalf("call %d: an outage sealed the server", call)
			}
			must(t, v.readable(b))
			// A pod that restarts now is opened by the people.
			if struck {
				b.Close()
				b = v.boot()
				must(t, v.gather(ctx, b, seal.By{}))
				must(t, v.readable(b))
				time.Sleep(10 * time.Second)
				must(t, v.migrate(ctx, b, plan))
			}
			v.fake.Script(nil) // the outage comes late for a call never made
			b.Close()
			b = v.boot()
			err = b.Unseal(ctx)
			must(t, err)
			must(t, v.readable(b))
		})
	}
}

// shortly is every how many trials are made, where not all are.
const shortly = 16

// samples are the scenarios of -short: one of each kind.
var samples = []string{
	"init people beside a", "migrate people to a", "migrate two of three keys to a key and people",
	"rekey people", "rotate", "rotate root", "add people, reissue, prove",
}

// TestNeverNeither makes every trial a test of its own, to be run again by its
// name: TestNeverNeither/STORE/SCENARIO/POINT.
func TestNeverNeither(t *testing.T) {
	stores := map[string]func(t *testing.T) seal.Store{
		"memory": func(*testing.T) seal.Store { return seal.NewMemStore() },
		"file": func(t *testing.T) seal.Store {
			s, err := filestore.Open(filepath.Join(t.TempDir(), "record.json"))
			must(t, err)
			return s
		},
	}
	var tried, kmsTried, violations, operations atomic.Int64
	for name, newStore := range stores {
		t.Run(name, func(t *testing.T) {
			for n, sc := range scenarios() {
				if name == "file" && !*crashFull && strings.ContainsAny(sc.name, " ") && !strings.HasPrefix(sc.name, "migrate people to a") {
					continue
				}
				if testing.Short() && (!slices.Contains(samples, sc.name) || name == "file" && sc.name != "rotate") {
					continue
				}
				operations.Add(1)
				t.Run(sc.name, func(t *testing.T) {
					together(t)
					e := sc.enumerate(t, func() seal.Store { return newStore(t) }, nil)
					for i, tr := range e.trials {
						if !testlevel.Whole() && (i+n)%shortly != 0 {
							continue
						}
						t.Run(tr.String(), func(t *testing.T) {
							tried.Add(1)
							if strings.Contains(tr.name, "KMS") {
								kmsTried.Add(1)
							}
							if err := e.try(t, tr); err != nil {
								violations.Add(1)
								t.Error(err)
							}
						})
					}
				})
			}
		})
	}
	proved(t, "GUARANTEE 1 never-neither: points=%d kms_points=%d operations=%d stores=%d violations=%d",
		tried.Load(), kmsTried.Load(), operations.Load(), len(stores), violations.Load())
}
