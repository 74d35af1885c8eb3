package seal_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// Drill tries the slots that it is given.
func TestDrillOfSlots(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b")}, Retry: kms.Policy{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Init(ctx, map[string]seal.Spec{"a": seal.KMS{Name: "a"}, "b": seal.KMS{Name: "b"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	fake.Destroy("b", "")
	if err := b.Drill(ctx, "a"); err != nil {
		t.Errorf("drill of a: %v", err)
	}
	if err := b.Drill(ctx, "a", "b"); !errors.Is(err, kms.ErrKeyGone) {
		t.Errorf("drill of both: %v", err)
	}
	for _, s := range b.Status().Slots {
		if s.Drilled.IsZero() || (s.DrillError != nil) != (s.Name == "b") {
			t.Errorf("slot %s: %v %v", s.Name, s.Drilled, s.DrillError)
		}
	}
}
