package seal_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A restarted store has two slots of its init, "auto" of a key that proves who
// wrapped and "people", and its configuration names some of them.
type restarted struct {
	*testing.T
	store  seal.Store
	keys   map[string]kms.Wrapper
	cfg    seal.Config // of each process
	shares map[string][]seal.Share
	b      *seal.Barrier
}

func restartable(t *testing.T) *restarted {
	rsa := &kmstest.Fake{Type: "azurekeyvault", Forgeable: true}
	r := &restarted{T: t, store: seal.NewMemStore(), shares: map[string][]seal.Share{}, keys: map[string]kms.Wrapper{
		"good": (&kmstest.Fake{}).Key("good"), "other": (&kmstest.Fake{}).Key("other"), "rsa": rsa.Key("rsa"),
	}}
	r.start()
	d, err := r.b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "good"}, "people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	r.keep(d)
	for _, err := range []error{r.b.Unseal(t.Context()), r.proveAll("people")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// keep keeps the last shares of each slot, as its custodians would.
func (r *restarted) keep(d seal.Delivery) {
	for _, set := range d.Sets {
		r.shares[set.Slot] = nil
		for _, s := range set.Shares {
			text, err := seal.ParseShare(s.Reveal())
			if err != nil {
				r.Fatal(err)
			}
			r.shares[set.Slot] = append(r.shares[set.Slot], text)
		}
	}
}

func (r *restarted) start() {
	r.Helper()
	if r.b != nil {
		r.b.Close()
	}
	cfg := r.cfg
	cfg.Store, cfg.KMS, cfg.Retry = r.store, r.keys, kms.Policy{Attempts: 1}
	b, err := seal.Open(cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { b.Close() })
	r.b = b
}

func (r *restarted) give(slot string, op seal.OperationID) (err error) {
	for _, s := range r.shares[slot] {
		_, e := r.b.Submit(r.Context(), s, seal.By{Operation: op})
		err = errors.Join(err, e)
	}
	return err
}

// opens reports whether a process that starts is unsealed, by anything there is.
func (r *restarted) opens() bool {
	r.Helper()
	r.start()
	if err := r.b.Unseal(r.Context()); err == nil {
		return true
	}
	for name := range r.shares {
		_ = r.give(name, "")
	}
	return r.b.Sealed() == nil
}

func (r *restarted) fingerprint(name string, state seal.SlotState) string {
	r.Helper()
	for _, slot := range r.b.Status().Slots {
		if slot.Name == name && slot.State == state {
			return slot.Fingerprint
		}
	}
	r.Fatalf("no slot %s", name)
	return ""
}

// proveAll proves a slot, with its people's shares if it needs them.
func (r *restarted) proveAll(name string) error {
	op, done, err := r.b.Admin().Prove(r.Context(), name, seal.By{})
	if err == nil && !done {
		err = r.give(name, op)
	}
	return err
}

// drop drops slots; the people of one of those that stay are there.
func (r *restarted) drop(names []string, stay ...string) error {
	op, done, err := r.b.Admin().Drop(r.Context(), names, seal.By{})
	for _, name := range stay {
		if err == nil && !done && !slices.Contains(names, name) {
			err = r.give(name, op)
			done = len(r.shares[name]) > 0
		}
	}
	return err
}

// rekey rekeys a slot; where that is refused its people keep the shares that they
// had.
func (r *restarted) rekey(name string, spec seal.Spec) error {
	old := r.shares[name]
	d, err := r.b.Admin().Rekey(r.Context(), name, spec, seal.By{})
	if err != nil {
		return err
	}
	r.keep(d)
	if err = r.proveAll(name); err != nil && old != nil {
		r.shares[name] = old
	}
	return err
}

var errOf = []error{seal.ErrUnpinned, seal.ErrUnexpected}

// TestNothingIsLeftSealed: whatever is changed of the slots, with whatever the
// configuration names of them, the next process that starts is unsealed: a change
// after which it would not be is refused, and says what to do. What Check has no
// problem with, Reconcile carries out, and the other way about.
func TestNothingIsLeftSealed(t *testing.T) {
	configs := map[string]func(r *restarted){
		"nothing":        func(*restarted) {},
		"pins of auto":   func(r *restarted) { r.cfg.Pins = []string{strings.ToUpper(r.fingerprint("auto", seal.SlotActive))} },
		"pins of people": func(r *restarted) { r.cfg.Pins = []string{r.fingerprint("people", seal.SlotActive)} },
		"shapes of auto": func(r *restarted) { r.cfg.Shapes = map[string]seal.Spec{"auto": seal.KMS{Wrapper: "good"}} },
		"shapes of both": func(r *restarted) {
			r.cfg.Shapes = map[string]seal.Spec{"auto": seal.KMS{Wrapper: "good"}, "people": seal.Shamir{Shares: 1, Threshold: 1}}
		},
		"shapes with a new": func(r *restarted) {
			r.cfg.Shapes = map[string]seal.Spec{"auto": seal.KMS{Wrapper: "good"}, "new": seal.KMS{Wrapper: "rsa"}}
		},
		"trust": func(r *restarted) { r.cfg.TrustUnpinned = true },
	}
	specs := map[string]seal.Spec{
		"good": seal.KMS{Wrapper: "other"}, "rsa": seal.KMS{Wrapper: "rsa"}, "people": seal.Shamir{Shares: 2, Threshold: 2},
		"a tree": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "rsa"}, seal.KMS{Wrapper: "other"}}},
	}
	all := []string{"auto", "people"}
	changes := map[string]func(r *restarted, spec seal.Spec) error{}
	for _, dropped := range [][]string{{"auto"}, {"people"}, all} {
		what := strings.Join(dropped, " and ")
		changes["a new slot, and a drop of "+what] = func(r *restarted, spec seal.Spec) error {
			d, err := r.b.Admin().Add(r.Context(), "new", spec, seal.By{})
			if err != nil {
				return err
			}
			r.keep(d)
			if err := r.proveAll("new"); err != nil {
				return err
			}
			return r.drop(dropped, "new", "people")
		}
		changes["a plan that drops "+what] = func(r *restarted, spec seal.Spec) error {
			plan := migrate.Plan{Slots: map[string]seal.Spec{"new": spec}, Drop: dropped}
			report, err := migrate.Check(r.Context(), r.b, plan)
			if err != nil {
				r.Fatal(err)
			}
			did := r.reconcile(plan)
			if report.OK() != (did == nil) {
				r.Errorf("Check: %v; Reconcile: %v", report.Problems, did)
			}
			return errors.Join(append(report.Problems, did)...)
		}
	}
	for _, name := range all {
		others := slices.DeleteFunc(slices.Clone(all), func(o string) bool { return o == name })
		changes["a rekey of "+name+", and a drop of the other"] = func(r *restarted, spec seal.Spec) error {
			if err := r.rekey(name, spec); err != nil {
				return err
			}
			return r.drop(others, name)
		}
		changes["a drop of the other, and a rekey of "+name] = func(r *restarted, spec seal.Spec) error {
			if err := r.drop(others, name); err != nil {
				return err
			}
			return r.rekey(name, spec)
		}
	}
	few := []string{"a plan that drops auto and people", "a rekey of people, and a drop of the other"}
	tried, refused, sealed := 0, 0, 0
	for configured, configure := range configs {
		for shape, spec := range specs {
			for change, make := range changes {
				if testing.Short() && !slices.Contains(few, change) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", configured, shape, change), func(t *testing.T) {
					r := restartable(t)
					configure(r)
					if !r.opens() {
						t.Fatal("the store is not opened to begin with")
					}
					tried++
					err := make(r, spec)
					if err != nil {
						refused++
						if configured == "trust" || configured == "nothing" && shape != "rsa" {
							t.Errorf("refused where nothing is in the way: %v", err)
						}
						if !slices.ContainsFunc(errOf, func(is error) bool { return errors.Is(err, is) }) || !strings.Contains(err.Error(), "Config.") {
							t.Errorf("refused by %v", err)
						}
					}
					if !r.opens() {
						sealed++
						t.Errorf("after %v a process that starts stays sealed: %v", err, r.b.Sealed())
					}
				})
			}
		}
	}
	if !testing.Short() {
		t.Logf("GUARANTEE 1 next-start: tried=%d refused=%d sealed=%d", tried, refused, sealed)
	}
	if refused == 0 || refused == tried {
		t.Error("what was tried?")
	}
}

// reconcile carries a plan out, with its people's shares; a pin that it asks for is
// nobody's to give here.
func (r *restarted) reconcile(plan migrate.Plan) error {
	for range 5 {
		did, err := migrate.Reconcile(r.Context(), r.b, plan, migrate.Options{Deliver: func(d seal.Delivery) error { r.keep(d); return nil }})
		if err != nil || did.Done {
			return err
		}
		for name := range r.shares {
			_ = r.give(name, did.Operation)
		}
	}
	return errors.New("it came to no end")
}

// TestARekeyOfTheOnlyPinnedSlot: the new shares are not taken for the old ones before
// their slot is pinned; with the pin they unseal a process that starts, and are proven.
func TestARekeyOfTheOnlyPinnedSlot(t *testing.T) {
	r := restartable(t)
	if err := r.drop([]string{"auto"}, "people"); err != nil {
		t.Fatal(err)
	}
	r.cfg.Pins = []string{r.fingerprint("people", seal.SlotActive)}
	if !r.opens() {
		t.Fatal("it does not open to begin with")
	}
	d, err := r.b.Admin().Rekey(t.Context(), "people", seal.Shamir{Shares: 2, Threshold: 2}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	old, pin := r.shares["people"], r.fingerprint("people", seal.SlotPending)
	if d.Pins["people"] != pin {
		t.Errorf("pins of the delivery: %q, want %s", d.Pins, pin)
	}
	r.keep(d)
	if err := r.proveAll("people"); !errors.Is(err, seal.ErrUnpinned) || !strings.Contains(err.Error(), pin) {
		t.Fatalf("proven without the pin: %v", err)
	}
	r.cfg.Pins = append(r.cfg.Pins, pin)
	if !r.opens() {
		t.Fatalf("with the pin: %v", r.b.Sealed())
	}
	if slots := r.b.Status().Slots; len(slots) != 1 || slots[0].Fingerprint != pin || slots[0].AtStart != nil {
		t.Errorf("slots: %+v", slots)
	}
	r.shares["people"] = old
	if r.opens() {
		t.Error("the old shares open it")
	}
}

// TestTheFirstPin: what a refusal names is enough for the next start, also where there
// were no pins before, with which every other slot needs one.
func TestTheFirstPin(t *testing.T) {
	r := restartable(t)
	if err := r.drop([]string{"people"}); err != nil {
		t.Fatal(err)
	}
	r.shares = map[string][]seal.Share{}
	d, err := r.b.Admin().Rekey(t.Context(), "auto", seal.KMS{Wrapper: "rsa"}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Pins != nil {
		t.Errorf("pins of a slot that opens nothing, where there are none: %q", d.Pins)
	}
	err = r.proveAll("auto")
	if !errors.Is(err, seal.ErrUnpinned) {
		t.Fatalf("proven: %v", err)
	}
	r.cfg.Pins = regexp.MustCompile("[0-9a-f]{24}").FindAllString(err.Error()[strings.LastIndex(err.Error(), ":"):], -1)
	if !r.opens() {
		t.Fatalf("with the pins %q: %v", r.cfg.Pins, r.b.Sealed())
	}
	if err := r.proveAll("auto"); err != nil {
		t.Fatal(err)
	}
	if !r.opens() {
		t.Errorf("proven: %v", r.b.Sealed())
	}
}

// TestALostKeyUnsealsNoStart: a slot whose key is gone is none that stays.
func TestALostKeyUnsealsNoStart(t *testing.T) {
	r := restartable(t)
	fake := &kmstest.Fake{}
	r.keys["dies"] = fake.Key("dies")
	r.start()
	if err := r.b.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.b.Admin().Add(t.Context(), "mortal", seal.KMS{Wrapper: "dies"}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.proveAll("mortal"), r.drop([]string{"people"})); err != nil {
		t.Fatal(err)
	}
	r.shares = map[string][]seal.Share{}
	if _, err := r.b.Admin().Add(t.Context(), "soft", seal.KMS{Wrapper: "rsa"}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	if err := r.proveAll("soft"); err != nil {
		t.Fatal(err)
	}
	fake.Destroy("dies", "1")
	_ = r.b.Admin().Drill(t.Context())
	if err := r.drop([]string{"auto"}); !errors.Is(err, seal.ErrUnpinned) {
		t.Errorf("dropped: %v", err)
	}
	if !r.opens() {
		t.Error(r.b.Sealed())
	}
}
