package seal_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestSealedCopiesNothing: what is asked for every request says what Status says,
// and costs nothing, however many terms there are.
func TestSealedCopiesNothing(t *testing.T) {
	ctx := t.Context()
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("k")}})
	if err != nil {
		t.Fatal(err)
	}
	agree := func(when string, want error) {
		t.Helper()
		if got, status := b.Sealed(), b.Status(); !errors.Is(got, want) || got != status.Reason || (got != nil) != status.Sealed {
			t.Errorf("%s: %v, Status says %v %v", when, got, status.Sealed, status.Reason)
		}
	}
	agree("opened", seal.ErrSealed)
	if err := b.Unseal(ctx); err == nil {
		t.Fatal("an empty store was unsealed")
	}
	agree("tried", seal.ErrUninitialized)
	if _, err := b.Init(ctx, map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	agree("unsealed", nil)
	for range testlevel.Most(100, 20) {
		if err := b.Rotate(ctx, seal.By{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = b.Sealed() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := b.Seal(seal.By{}); err != nil {
		t.Fatal(err)
	}
	agree("sealed", seal.ErrSealed)
	b.Close()
	agree("closed", seal.ErrClosed)
}

// TestProvenTo: a slot names the operation that it was last proven to, and an
// operation whose id comes again is another one.
func TestProvenTo(t *testing.T) {
	ctx := t.Context()
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("k")}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{Operation: "init-here"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Admin().InitializedBy("init-here"); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("sealed: %v", err)
	}
	share := d.Sets[0].Shares[0]
	if _, err := b.Submit(ctx, share, seal.By{}); err != nil {
		t.Fatal(err)
	}
	for op, want := range map[seal.OperationID]bool{"init-here": true, "init-there": false, "": false} {
		if got, err := b.Admin().InitializedBy(op); err != nil || got != want {
			t.Errorf("initialized by %q: %v %v", op, got, err)
		}
	}
	by := seal.By{Operation: "migrate.same"}
	goals := []seal.Goal{{Name: "cloud", Spec: seal.KMS{Wrapper: "cloud"}}}
	for range 2 {
		if _, err := b.Admin().BeginMigration(ctx, goals, by); err != nil {
			t.Fatal(err)
		}
		if got := b.Status().Slots[0].ProvenTo; got != "" {
			t.Errorf("before its shares: proven to %q", got)
		}
		done, err := b.Submit(ctx, share, by)
		if got := b.Status().Slots[0].ProvenTo; err != nil || !done || got != by.Operation {
			t.Errorf("%v, proven to %q", err, got)
		}
		if err := b.Admin().Cancel(ctx, by); err != nil {
			t.Fatal(err)
		}
		if got := b.Status().Slots[0].ProvenTo; got != by.Operation {
			t.Errorf("ended: proven to %q", got)
		}
	}
}
