package migrate_test

import (
	"crypto/fips140"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A configuration whose stanza was edited in place gives another key the name of
// a slot. The slot is not what the plan wants: it is named, and nothing is
// replaced, also where the store opens by another slot.
func TestSlotOfAnotherKey(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	store := seal.NewMemStore()
	open := func(cloud string) *seal.Barrier {
		t.Helper()
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"cloud": fake.Key(cloud), "spare": fake.Key("spare")}, Retry: kms.Policy{Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	slots := map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}, "spare": seal.KMS{Wrapper: "spare"}}
	if _, err := open("one").Init(ctx, slots, seal.By{}); err != nil {
		t.Fatal(err)
	}
	unsealed := func(cloud string) *seal.Barrier {
		t.Helper()
		b := open(cloud)
		if err := b.Unseal(ctx); err != nil {
			t.Fatal(err)
		}
		return b
	}
	wants := migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}

	b := unsealed("two")
	generation := b.Status().Generation
	report, err := migrate.Check(ctx, b, wants)
	if err != nil {
		t.Fatal(err)
	}
	_, reconciled := migrate.Reconcile(ctx, b, wants, migrate.Options{})
	for _, err := range []error{errors.Join(report.Problems...), reconciled} {
		if !errors.Is(err, kms.ErrWrongKey) || !strings.Contains(err.Error(), `slot "cloud" of the store is of another key`) {
			t.Errorf("a slot of another key: %v", err)
		}
	}
	if got := unsealed("one").Status().Generation; got != generation {
		t.Errorf("the record was changed: generation %d after %d", got, generation)
	}

	// The plan does not want it: it stays, and the report says what that means.
	report, err = migrate.Check(ctx, b, migrate.Plan{Slots: map[string]seal.Spec{"spare": seal.KMS{Wrapper: "spare"}}})
	if err != nil || !report.OK() || !slices.ContainsFunc(report.Warnings, func(w string) bool { return strings.Contains(w, `slot "cloud" of the store is of another key`) }) {
		t.Errorf("a slot that stays: %v, %v, %q", err, report.Problems, report.Warnings)
	}

	// With its own key it is there, and a KMS that is away does not matter to
	// what is there already.
	b = unsealed("one")
	fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.ServerError}))
	if r, err := migrate.Reconcile(ctx, b, wants, migrate.Options{}); err != nil || !r.Done {
		t.Errorf("with the KMS away: %v, %v", r, err)
	}
	fake.Script(nil)

	// A disabled key still wraps in some clouds; only the slot shows it.
	fake.DisabledWraps = true
	fake.Disable("one")
	report, err = migrate.Check(ctx, b, wants)
	if err != nil || !errors.Is(errors.Join(report.Problems...), kms.ErrKeyDisabled) {
		t.Errorf("a disabled key: %v, %v", err, report.Problems)
	}
	fake.Enable("one")

	// Rekeyed in the name of the host, it is on its way to be replaced.
	b = unsealed("two")
	if _, err := b.Admin().Rekey(ctx, "cloud", seal.KMS{Wrapper: "cloud"}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	if r, err := migrate.Reconcile(ctx, b, wants, migrate.Options{}); err != nil || !r.Done {
		t.Errorf("a slot that was rekeyed to the new key: %v, %v", r, err)
	}
	if err := b.Admin().Drill(ctx, "cloud"); err != nil {
		t.Errorf("the new slot: %v", err)
	}
}

// A KMS that asks to be left alone, or does not answer, delays no migration that
// is there already.
func TestReconcileDoesNotWait(t *testing.T) {
	if fips140.Enabled() && strings.HasPrefix(runtime.Version(), "go1.26") {
		t.Skip("crypto/rand finds no entropy in virtual time there")
	}
	for _, fault := range []kmstest.Fault{{Failure: kmstest.Throttled, RetryAfter: time.Hour}, {Failure: kmstest.Hang}} {
		synctest.Test(t, func(t *testing.T) {
			fake := &kmstest.Fake{}
			b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": fake.Key("one")}})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			plan := migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
			if _, err := b.Init(t.Context(), plan.Slots, seal.By{}); err != nil {
				t.Fatal(err)
			}
			fake.Script(kmstest.Always(fault))
			began := time.Now()
			r, err := migrate.Reconcile(t.Context(), b, plan, migrate.Options{})
			if took := time.Since(began); err != nil || !r.Done || took > 15*time.Second {
				t.Errorf("%v: %v, %v after %v", fault.Failure, r, err, took)
			}
		})
	}
}
