package cloudtest

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// TestTheMoveSurvivesItsRestart goes the README's way from people to every
// provider, with its defaults and nothing that believes without a pin: checked,
// carried out, restarted, unsealed by itself. Where a key does not prove who
// wrapped, Check says so before anything is dropped, and the pin that Reconcile
// returns is enough.
func TestTheMoveSurvivesItsRestart(t *testing.T) {
	ctx := t.Context()
	pinned := 0
	for _, c := range custodies(t) {
		if c.kms == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			store := seal.NewMemStore()
			open := func(pins []string) *seal.Barrier {
				b, err := seal.Open(seal.Config{Store: store, KMS: c.kms, Pins: pins})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { b.Close() })
				return b
			}
			b := open(nil)
			d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range d.Sets[0].Shares[:2] {
				if _, err := b.Submit(ctx, s, seal.By{}); err != nil {
					t.Fatal(err)
				}
			}
			plan := migrate.Plan{Slots: c.slots(), Drop: []string{"people"}}
			report, err := migrate.Check(ctx, b, plan)
			if err != nil {
				t.Fatal(err)
			}
			var pins []string
			if !report.OK() {
				if len(report.Problems) != 1 || !errors.Is(report.Problems[0], seal.ErrUnpinned) {
					t.Fatal(report.Problems)
				}
				pinned++
				r, err := migrate.Reconcile(ctx, b, migrate.Plan{Slots: c.slots()}, migrate.Options{})
				if err != nil || len(r.Pins) != 1 {
					t.Fatalf("%+v, %v", r, err)
				}
				pins = []string{r.Pins[c.name]}
				b.Close()
				b = open(pins)
				if err := b.Unseal(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{}); err != nil || !r.Done || r.Pins != nil {
				t.Fatalf("%+v, %v", r, err)
			}
			ct, err := b.Keyring().Encrypt(nil, []byte("before"), nil)
			if err != nil {
				t.Fatal(err)
			}
			b.Close()
			b = open(pins)
			if err := b.Unseal(ctx); err != nil {
				t.Fatal(err)
			}
			if out, err := b.Keyring().Decrypt(nil, ct, nil); err != nil || string(out) != "before" {
				t.Errorf("after the restart: %q, %v", out, err)
			}
		})
	}
	if pinned == 0 {
		t.Error("no provider needed a pin: RSA of Azure Key Vault does")
	}
	t.Logf("%d providers needed a pin, and said so", pinned)
}
