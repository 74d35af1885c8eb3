package migrate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// TestCheckOfARekeyToAForgeableKey: of a slot that is there Check asks what the plan
// makes of it, and not what it is.
func TestCheckOfARekeyToAForgeableKey(t *testing.T) {
	rsa := &kmstest.Fake{Type: "azurekeyvault", Forgeable: true}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"good": (&kmstest.Fake{}).Key("good"), "rsa": rsa.Key("rsa")}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "good"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	plan := migrate.Plan{Slots: map[string]seal.Spec{"auto": seal.KMS{Wrapper: "rsa"}}}
	report, err := migrate.Check(t.Context(), b, plan)
	if err != nil || !strings.Contains(strings.Join(report.Warnings, " "), "before it is pinned") {
		t.Errorf("check: %+v, %v", report, err)
	}
	if r, err := migrate.Reconcile(t.Context(), b, plan, migrate.Options{}); !errors.Is(err, seal.ErrUnpinned) || r.Done {
		t.Errorf("reconcile: %+v, %v", r, err)
	}
}

// TestTheScenarioThisBeganWith: from people to an RSA key of Azure Key Vault by
// the README, and the server did not unseal after the restart, although Check,
// Reconcile, Prove, Drill and Status all had said it would.
func TestTheScenarioThisBeganWith(t *testing.T) {
	ctx := t.Context()
	store, rsa := seal.NewMemStore(), &kmstest.Fake{Type: "azurekeyvault", Forgeable: true}
	open := func(pins ...string) *seal.Barrier {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"cloud": rsa.Key("cloud")}, Pins: pins, Retry: kms.Policy{Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	b := open()
	d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	give := func(b *seal.Barrier, by seal.By) {
		t.Helper()
		for _, s := range d.Sets[0].Shares[:2] {
			if _, err := b.Submit(ctx, s, by); err != nil {
				t.Fatal(err)
			}
		}
	}
	give(b, seal.By{})
	plan := migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}, Drop: []string{"people"}}

	report, err := migrate.Check(ctx, b, plan)
	if err != nil || report.OK() || !errors.Is(report.Problems[0], seal.ErrUnpinned) || !strings.Contains(report.Problems[0].Error(), "carry the plan out without Drop") {
		t.Errorf("check: %v, %v", report.Problems, err)
	}
	report, err = migrate.Check(ctx, b, migrate.Plan{Slots: plan.Slots})
	if err != nil || !report.OK() || !strings.Contains(strings.Join(report.Warnings, "\n"), "before it is pinned") {
		t.Errorf("check without a drop: %v, %v", report, err)
	}

	// Whoever goes on all the same is stopped before the drop, and told the pin.
	r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{})
	if !errors.Is(err, seal.ErrUnpinned) || r.Done || len(r.Pins) != 1 {
		t.Fatalf("reconcile: %+v, %v", r, err)
	}
	pin := r.Pins["cloud"]
	if !strings.Contains(err.Error(), "stopped before the drop") || !strings.Contains(err.Error(), pin) {
		t.Errorf("reconcile: %v", err)
	}
	if err := b.Admin().Drill(ctx, "cloud"); !errors.Is(err, seal.ErrUnpinned) || !strings.Contains(err.Error(), pin) {
		t.Errorf("drill: %v", err)
	}
	s := b.Status()
	if warnings := strings.Join(s.Warnings, "\n"); !strings.Contains(warnings, `slot "cloud" is not pinned: it will not unseal after a restart; add `+pin) {
		t.Errorf("warnings: %s", warnings)
	}
	for _, slot := range s.Slots {
		if slot.NeedsPin != (slot.Name == "cloud") || slot.NeedsPin != (slot.DrillError != nil) {
			t.Errorf("slot %s: needs a pin: %v, drill: %v", slot.Name, slot.NeedsPin, slot.DrillError)
		}
	}
	report, err = migrate.Check(ctx, b, plan)
	if err != nil || report.OK() || !strings.Contains(report.Problems[0].Error(), pin) {
		t.Errorf("check afterwards: %v, %v", report.Problems, err)
	}
	b.Close()

	// Without the pin a restart is as it was said; people still open the store.
	b = open()
	if err := b.Unseal(ctx); !errors.Is(err, seal.ErrUnpinned) {
		t.Errorf("without the pin: %v", err)
	}
	give(b, seal.By{})
	if b.Status().Sealed {
		t.Error("people do not open it")
	}
	b.Close()

	b = open(pin)
	if err := b.Unseal(ctx); err != nil {
		t.Fatal(err)
	}
	if report, err = migrate.Check(ctx, b, plan); err != nil || !report.OK() {
		t.Errorf("check with the pin: %v, %v", report.Problems, err)
	}
	if r, err = migrate.Reconcile(ctx, b, plan, migrate.Options{}); err != nil || !r.Done || r.Pins != nil {
		t.Errorf("reconcile with the pin: %+v, %v", r, err)
	}
	b.Close()
	b = open(pin)
	if err := b.Unseal(ctx); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}
