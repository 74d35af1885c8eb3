package seal_test

import (
	"context"
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
	if _, err := b.Init(ctx, map[string]seal.Spec{"a": seal.KMS{Wrapper: "a"}, "b": seal.KMS{Wrapper: "b"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	fake.Destroy("b", "")
	if err := b.Admin().Drill(ctx, "a"); err != nil {
		t.Errorf("drill of a: %v", err)
	}
	if err := b.Admin().Drill(ctx, "a", "b"); !errors.Is(err, kms.ErrKeyGone) {
		t.Errorf("drill of both: %v", err)
	}
	for _, s := range b.Status().Slots {
		if s.Drilled.IsZero() || (s.DrillError != nil) != (s.Name == "b") {
			t.Errorf("slot %s: %v %v", s.Name, s.Drilled, s.DrillError)
		}
	}
}

// A leaving is a key whose caller goes as soon as it has answered.
type leaving struct {
	*kmstest.Key
	leave func()
}

func (l leaving) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	out, err := l.Key.Unwrap(ctx, blob, place)
	l.leave()
	return out, err
}

// A patient is a key that, when it is told to, answers nobody before they leave.
type patient struct {
	*kmstest.Key
	hang *bool
}

func (p patient) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	if *p.hang {
		<-ctx.Done()
	}
	return p.Key.Unwrap(ctx, blob, place)
}

// A drill that is cut short says so, and keeps what was answered before.
func TestDrillCutShort(t *testing.T) {
	fake := &kmstest.Fake{}
	store, spec := seal.NewMemStore(), map[string]seal.Spec{"a": seal.KMS{Wrapper: "a"}, "b": seal.KMS{Wrapper: "b"}}
	ctx, leave := context.WithCancel(t.Context())
	hang := false
	open := func(a kms.Wrapper) *seal.Barrier {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"a": a, "b": patient{fake.Key("b"), &hang}}, Retry: kms.Policy{Attempts: 1}})
		must(t, err)
		t.Cleanup(func() { b.Close() })
		return b
	}
	_, err := open(fake.Key("a")).Init(ctx, spec, seal.By{})
	must(t, err)
	left := func() {}
	b := open(leaving{fake.Key("a"), func() { left() }})
	err = b.Unseal(ctx)
	must(t, err)
	left, hang = leave, true
	if err := b.Admin().Drill(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a drill of one slot of two: %v", err)
	}
	for _, s := range b.Status().Slots {
		if s.Drilled.IsZero() != (s.Name == "b") || s.DrillError != nil {
			t.Errorf("slot %s: %v %v", s.Name, s.Drilled, s.DrillError)
		}
	}
}
