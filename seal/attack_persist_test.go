package seal_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestAttackDroppedCustodianForges: a custodian whose slot was dropped, with an
// old record and write access to the store.
func TestAttackDroppedCustodianForges(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	store := seal.NewMemStore()
	b := l.barrier(store, nil)
	d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	must(t, err)
	l.proveSlot(b, "people", d)
	old := l.copyOf("old", store, b, nil) // what the custodian could open
	_, done, err := b.Admin().Drop(ctx, []string{"people"}, seal.By{})
	must(t, err)
	if !done {
		t.Fatal("not dropped")
	}
	must(t, b.Admin().RotateRoot(ctx, seal.By{}))
	now, rev, _ := store.Load(ctx)
	r, _, _, _ := record.Parse(now)
	dg := record.DigestOf(now)
	r.Generation++
	r.Previous = dg[:]
	r.LastTerm++
	r.Root++
	forged := l.forge(r, knownTo(old))
	_, err = store.Swap(ctx, forged, rev)
	must(t, err)
	err = b.Admin().Refresh(ctx)
	if err == nil && b.Status().Generation == r.Generation {
		a, _ := b.Keyring().Active()
		t.Fatalf("a RUNNING process took the record of a dropped custodian; it encrypts under his key, term %d", a.Number)
	}
	t.Log(err)
}

func TestAttackGatherStays(t *testing.T) {
	ctx := t.Context()
	v := newVault(t, seal.NewMemStore())
	one := v.boot()
	people := seal.Shamir{Shares: 3, Threshold: 2}
	must(t, v.initialize(ctx, one, map[string]seal.Spec{"people": people, "auto": seal.KMS{Wrapper: "a"}}))
	two := v.boot()
	err := two.Unseal(ctx)
	must(t, err)
	op, _, err := one.Admin().Prove(ctx, "people", seal.By{})
	must(t, err)
	for _, set := range v.held {
		_, err = one.Submit(ctx, set.Shares[0], seal.By{Operation: op})
		must(t, err)
	}
	must(t, two.Admin().Cancel(ctx, seal.By{Operation: op}))
	must(t, one.Admin().Refresh(ctx))
	if n := one.GatheredFor(op); n != 0 {
		t.Errorf("%d share(s) kept for an operation that was cancelled by another replica", n)
	}
	// And in a migration a single custodian repeats the quorum's proof.
	op, err = one.Admin().BeginMigration(ctx, []seal.Goal{{Name: "extra", Spec: seal.KMS{Wrapper: "b"}}}, seal.By{})
	must(t, err)
	must(t, v.gather(ctx, one, seal.By{Operation: op}))
	must(t, one.Admin().RotateRoot(ctx, seal.By{}))
	before := one.Status().Slots[1].Proven
	gen := one.Status().Generation
	for _, set := range v.held {
		_, err = one.Submit(ctx, set.Shares[0], seal.By{Operation: op})
	}
	if one.Status().Generation > gen {
		t.Errorf("one share gave the quorum's proof anew (%v %v): %v", before, gen, err)
	}
}

// TestAttackInitOverForgedUnproven: a record that nobody unsealed, under a
// configuration with pins.
func TestAttackInitOverForgedUnproven(t *testing.T) {
	ctx := t.Context()
	v := newVault(t, seal.NewMemStore())
	b, err := seal.Open(seal.Config{Store: v.inner, KMS: v.own(), Pins: []string{fmt.Sprintf("%024x", 1)}})
	must(t, err)
	// a stranger's unproven record, in a store whose host pins a slot
	s := v.boot()
	_, err = s.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{Operation: "x"})
	must(t, err)
	_, err = b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{Operation: "x"})
	if err == nil {
		t.Error("Init of a pinned host goes ahead over a stranger's unproven record")
	}
	_ = bytes.Equal
}
