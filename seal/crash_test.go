package seal_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// Every operation, and every migration between two shapes, is killed or
// disturbed at each of its calls of the store and of a KMS. After each, a new
// process must open the store with custodians who really hold something, read
// every value that was acknowledged, and finish what was begun.

var crashFull = flag.Bool("crash.full", false, "disturb every point over every store, each with and without a restart")

// A vault is one store with everything around it that survives a process.
type vault struct {
	t        testing.TB
	inner    seal.Store
	faulty   *storetest.Faulty
	fake     *kmstest.Fake
	held     map[uint32]seal.ShareSet // share sets that people really got
	acked    map[string][]byte        // ciphertexts whose writing was acknowledged
	rival    int                      // the swap before which another replica writes; 0: none
	wrappers map[string]kms.Wrapper   // in place of the fake's keys; nil: those
	anchor   seal.Store               // of the next process; nil: none
}

// own replaces the wrappers of the next process, if set.
func (v *vault) own() map[string]kms.Wrapper {
	if v.wrappers != nil {
		return v.wrappers
	}
	return map[string]kms.Wrapper{"a": v.fake.Key("a"), "b": v.fake.Key("b"), "c": v.fake.Key("c")}
}

func newVault(t testing.TB, inner seal.Store) *vault {
	return &vault{
		t: t, inner: inner, faulty: &storetest.Faulty{Inner: inner}, fake: &kmstest.Fake{},
		held: map[uint32]seal.ShareSet{}, acked: map[string][]byte{},
	}
}

// boot starts a process over the store.
func (v *vault) boot() *seal.Barrier {
	cfg := seal.Config{
		Store:   v.faulty,
		KMS:     v.own(),
		Anchor:  v.anchor,
		Replica: "test",
		Retry:   kms.Policy{Attempts: 1},
	}
	if fips140.Enabled() {
		cfg.StoreTimeout, cfg.Retry.Timeout = 100*time.Millisecond, 40*time.Millisecond
	}
	b, err := seal.Open(cfg)
	if err != nil {
		v.t.Fatal(err)
	}
	return b
}

// A crowded is a store to which another replica writes before the nth swap.
type crowded struct {
	seal.Store
	v     *vault
	swaps int
}

func (c *crowded) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if c.swaps++; c.swaps == c.v.rival {
		other := *c.v
		other.faulty = &storetest.Faulty{Inner: c.v.inner}
		b := other.boot()
		defer b.Close()
		if other.unseal(ctx, b) == nil { // else there is nothing to write to yet
			if err := errors.Join(b.Rotate(ctx, seal.By{}), other.write(b)); err != nil {
				return "", err
			}
		}
	}
	return c.Store.Swap(ctx, rec, old)
}

// take is people receiving their shares.
func (v *vault) take(d seal.Delivery) error {
	for _, set := range d.Sets {
		set.Shares = slices.Clone(set.Shares) // the Delivery is wiped later
		for i, s := range set.Shares {
			kept, err := seal.ParseShare(s.Reveal())
			if err != nil {
				return err
			}
			set.Shares[i] = kept
		}
		v.held[set.Set] = set
	}
	return nil
}

// write encrypts a value and keeps it, as a server that acknowledges a write.
func (v *vault) write(b *seal.Barrier) error {
	name := fmt.Sprint("value ", len(v.acked))
	ct, err := b.Keyring().Encrypt(nil, []byte(name), []byte(name))
	if err == nil {
		v.acked[name] = ct
	}
	return err
}

// gather gives shares until the barrier is unsealed, or the operation has them.
func (v *vault) gather(ctx context.Context, b *seal.Barrier, by seal.By) error {
	var last error
	for _, set := range v.held {
		for _, s := range set.Shares[:set.Threshold] {
			if _, err := b.Submit(ctx, s, by); err != nil && !harmless(err) {
				last = err
			}
		}
	}
	return last
}

// harmless reports whether an honest client goes on with its next share: this
// one is of a set that went, or is not asked for, or was given before.
func harmless(err error) bool {
	return errors.Is(err, seal.ErrShareStale) || errors.Is(err, seal.ErrNoOperation) || errors.Is(err, seal.ErrShareDuplicate)
}

// unseal opens the store by whatever opens it.
func (v *vault) unseal(ctx context.Context, b *seal.Barrier) error {
	if _, err := b.Unseal(ctx); err == nil {
		return nil
	}
	err := v.gather(ctx, b, seal.By{})
	if status := b.Status(); status.Sealed {
		return errors.Join(errors.New("still sealed"), status.Reason, err)
	}
	return nil
}

// readable checks that every acknowledged value decrypts.
func (v *vault) readable(b *seal.Barrier) error {
	for name, ct := range v.acked {
		pt, err := b.Keyring().Decrypt(nil, ct, []byte(name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !bytes.Equal(pt, []byte(name)) {
			return fmt.Errorf("%s reads otherwise", name)
		}
	}
	return nil
}

// A shape is a set of slots to begin with or to get to.
type shape struct {
	name  string
	slots map[string]seal.Spec
}

var shapes = []shape{
	{"people", map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}},
	{"a", map[string]seal.Spec{"auto": seal.KMS{Name: "a"}}},
	{"b", map[string]seal.Spec{"other": seal.KMS{Name: "b"}}},
	{"two of three keys", map[string]seal.Spec{"clouds": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Name: "a"}, seal.KMS{Name: "b"}, seal.KMS{Name: "c"}}}}},
	{"a key and people", map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Name: "a"}, seal.Shamir{Shares: 3, Threshold: 2}}}}},
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
	both := map[string]seal.Spec{"people": people["people"], "auto": seal.KMS{Name: "a"}}
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
			return v.migrate(ctx, b, migrate.Plan{Slots: map[string]seal.Spec{"auto": seal.KMS{Name: "b"}}})
		}},
		scenario{"rotate", both, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return errors.Join(b.Rotate(ctx, seal.By{}), v.write(b))
		}},
		scenario{"rotate root", both, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return errors.Join(b.RotateRoot(ctx, seal.By{}), v.write(b))
		}},
		scenario{"drill", both, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			_, _, err := b.Prove(ctx, "auto", seal.By{})
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
				if _, err := b.Add(ctx, "late", spec, seal.By{}); err != nil { // nobody gets these
					return err
				}
			}
			if op := b.Status().Operation; op != nil { // of the proof that was cut off
				if err := b.Cancel(ctx, seal.By{Operation: op.ID}); err != nil {
					return err
				}
			}
			if slot().State == seal.SlotPending {
				d, err := b.Reissue(ctx, "late", spec, seal.By{})
				if err == nil {
					err = v.take(d)
				}
				if err != nil {
					return err
				}
			}
			op, _, err := b.Prove(ctx, "late", seal.By{})
			if err != nil {
				return err
			}
			return errors.Join(v.gather(ctx, b, seal.By{Operation: op}), v.write(b))
		}},
		scenario{"begin to migrate, and abort", people, func(ctx context.Context, v *vault, b *seal.Barrier) error {
			stop := errors.New("stop")
			plan := migrate.Plan{Slots: shapes[4].slots, Drop: []string{"people"}}
			_, err := migrate.Reconcile(ctx, b, plan, migrate.Options{Deliver: func(seal.Delivery) error { return stop }})
			if err != nil && !errors.Is(err, stop) {
				return err
			}
			if _, err = migrate.Abort(ctx, b, seal.By{}); errors.Is(err, seal.ErrNoOperation) {
				err = nil
			}
			return errors.Join(err, v.write(b))
		}},
	)
	return out
}

const initOperation = "the-init"

func (v *vault) initialize(ctx context.Context, b *seal.Barrier, slots map[string]seal.Spec) error {
	d, err := b.Init(ctx, slots, seal.By{Operation: initOperation})
	if err != nil && !errors.Is(err, seal.ErrInitialized) {
		return err
	}
	if err := errors.Join(v.take(d), v.unseal(ctx, b)); err != nil {
		return err
	}
	return v.write(b)
}

// migrate goes the whole way, with people giving what they are asked for.
func (v *vault) migrate(ctx context.Context, b *seal.Barrier, plan migrate.Plan) error {
	opt := migrate.Options{Deliver: v.take, Progress: func(_ migrate.Move, done bool, err error) {
		if err == nil {
			_ = v.write(b)
		}
	}}
	for _, slot := range b.Status().Slots {
		for _, set := range slot.Sets {
			// Shares that were made and never came: people say so.
			if _, ok := v.held[set]; !ok && slot.State == seal.SlotPending {
				opt.Reissue = true
			}
		}
	}
	for range 4 {
		r, err := migrate.Reconcile(ctx, b, plan, opt)
		if err != nil {
			return err
		}
		if r.Done {
			return v.write(b)
		}
		opt.Reissue = false
		if err := v.gather(ctx, b, seal.By{Operation: r.Operation}); err != nil {
			return err
		}
	}
	return errors.New("the migration does not end")
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

// A tally is what an enumeration counted.
type tally struct {
	points, kmsPoints, scenarios int
	violations                   []string
}

// A start is what a scenario begins with, made once and copied for each point.
type start struct {
	record []byte // nil: an empty store
	held   map[uint32]seal.ShareSet
	acked  map[string][]byte
	fake   *kmstest.Fake
}

// prepare makes the store that a scenario starts from, every slot of it proven,
// as in a store in use.
func (sc scenario) prepare(ctx context.Context, t testing.TB) start {
	v := newVault(t, seal.NewMemStore())
	if sc.begin != nil {
		b := v.boot()
		must(t, v.initialize(ctx, b, sc.begin))
		b.Close()
		b = v.boot()
		must(t, v.gather(ctx, b, seal.By{}))
		must(t, v.unseal(ctx, b))
		b.Close()
	}
	rec, _, err := v.inner.Load(ctx)
	if err != nil && !errors.Is(err, seal.ErrNotFound) {
		t.Fatal(err)
	}
	return start{rec, v.held, v.acked, v.fake}
}

// from returns a vault in that state over an empty store, and an unsealed
// process, if there is anything to unseal.
func (s start) from(ctx context.Context, t testing.TB, inner seal.Store) (*vault, *seal.Barrier) {
	v := newVault(t, inner)
	v.fake, v.held, v.acked = s.fake, maps.Clone(s.held), maps.Clone(s.acked)
	if s.record != nil {
		_, err := inner.Swap(ctx, s.record, "")
		must(t, err)
	}
	b := v.boot()
	if s.record != nil {
		must(t, v.unseal(ctx, b))
	}
	return v, b
}

// enumerate disturbs a scenario at every point.
func (sc scenario) enumerate(t *testing.T, newStore func() seal.Store, plant func(*seal.Barrier), total *tally) {
	total.scenarios++
	var loads, swaps, calls int
	var begin start
	bubble(t, func(t *testing.T) {
		begin = sc.prepare(t.Context(), t)
		v, b := begin.from(t.Context(), t, newStore())
		defer b.Close()
		if plant != nil {
			plant(b)
		}
		l0, s0 := v.faulty.Calls()
		k0 := v.fake.Count("")
		if err := sc.run(t.Context(), v, b); err != nil && plant == nil {
			t.Fatalf("%s: undisturbed: %v", sc.name, err)
		}
		l1, s1 := v.faulty.Calls()
		loads, swaps, calls = l1-l0, s1-s0, v.fake.Count("")-k0
	})
	for i, p := range points(loads, swaps, calls) {
		for _, reboot := range []bool{true, false} {
			if !*crashFull && reboot == (i%2 == 0) {
				continue
			}
			total.points++
			if strings.Contains(p.name, "KMS") {
				total.kmsPoints++
			}
			bubble(t, func(t *testing.T) {
				if err := sc.disturb(t.Context(), t, begin, newStore(), plant, p, reboot); err != nil {
					total.violations = append(total.violations, fmt.Sprintf("%s: %s, reboot=%v: %v", sc.name, p.name, reboot, err))
				}
			})
		}
	}
}

// disturb performs the scenario with one fault, then asks whether everything is
// still there, and finishes the scenario.
func (sc scenario) disturb(ctx context.Context, t testing.TB, begin start, inner seal.Store, plant func(*seal.Barrier), p point, reboot bool) error {
	v, b := begin.from(ctx, t, inner)
	defer func() { b.Close() }()
	if plant != nil {
		plant(b)
	}
	// Calls are counted from here on.
	v.faulty = &storetest.Faulty{Inner: &crowded{Store: inner, v: v}}
	b.SwapStore(v.faulty)
	p.set(v)
	runErr := sc.run(ctx, v, b)

	crashed := v.faulty.Crashed()
	v.faulty.OnLoad, v.faulty.OnSwap = nil, nil
	v.faulty.Reboot()
	v.fake.Script(nil)
	if crashed || reboot {
		b.Close()
		b = v.boot()
	}
	// A store whose init was cut off has nothing to lose: it is made again.
	if err := v.unseal(ctx, b); err == nil {
		err = v.readable(b)
		if err != nil {
			return fmt.Errorf("lost: %w (the run said: %v)", err, runErr)
		}
	} else if sc.begin != nil || len(v.acked) > 0 {
		return fmt.Errorf("neither: %w (the run said: %v)", err, runErr)
	}
	if err := sc.run(ctx, v, b); err != nil {
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
		var total tally
		for _, sc := range scenarios() {
			if sc.name == planted.scenario {
				sc.enumerate(t, planted.store, planted.plant, &total)
			}
		}
		if len(total.violations) == 0 {
			t.Errorf("%s: not caught at any of %d points", planted.name, total.points)
		} else {
			t.Logf("%s: caught at %d of %d points, first: %.200s", planted.name, len(total.violations), total.points, total.violations[0])
		}
	}
}

// TestKMSFailsForSecondsInTheMiddleOfShamirToKMS is the case that destroys a
// Vault store: its KMS answers errors from some call of the migration on, for a
// while.
func TestKMSFailsForSecondsInTheMiddleOfShamirToKMS(t *testing.T) {
	for call := 1; call <= 6; call++ {
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
			_, err = b.Unseal(ctx)
			must(t, err)
			must(t, v.readable(b))
		})
	}
}

// bubble runs f in virtual time. In FIPS mode crypto/rand finds no entropy there,
// and f runs in real time, with short timeouts.
func bubble(t *testing.T, f func(*testing.T)) {
	if fips140.Enabled() {
		f(t)
		return
	}
	synctest.Test(t, f)
}

// virtual is bubble for what would take hours.
func virtual(t *testing.T, f func(*testing.T)) {
	if fips140.Enabled() {
		t.Skip("needs virtual time, in which crypto/rand finds no entropy in FIPS mode")
	}
	synctest.Test(t, f)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNeverNeither(t *testing.T) {
	stores := map[string]func() seal.Store{
		"memory": func() seal.Store { return seal.NewMemStore() },
		"file": func() seal.Store {
			s, err := seal.OpenFileStore(filepath.Join(t.TempDir(), "record.json"))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
	var total tally
	for name, newStore := range stores {
		for _, sc := range scenarios() {
			if name == "file" && !*crashFull && strings.ContainsAny(sc.name, " ") && !strings.HasPrefix(sc.name, "migrate people to a") {
				continue
			}
			sc.enumerate(t, newStore, nil, &total)
		}
	}
	for i, v := range total.violations {
		if i == 20 {
			t.Errorf("and %d more", len(total.violations)-i)
			break
		}
		t.Error(v)
	}
	t.Logf("GUARANTEE 1 never-neither: points=%d kms_points=%d operations=%d stores=%d violations=%d",
		total.points, total.kmsPoints, total.scenarios, len(stores), len(total.violations))
}
