package seal_test

import (
	"context"
	"errors"
	"strings"
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

// TestDrillAnswersForTheProcessThatStarts: this process knows the slot, and one that
// starts with its configuration would not believe it.
func TestDrillAnswersForTheProcessThatStarts(t *testing.T) {
	const anybody, others = "will not believe it: add ", "believes pinned slots alone: add "
	for name, tt := range map[string]struct {
		forgeable bool
		says      string // of slot b; "" for nothing
		config    func(cfg *seal.Config, a string)
	}{
		"a key that proves who wrapped":  {config: func(*seal.Config, string) {}},
		"one that does not":              {forgeable: true, says: anybody, config: func(*seal.Config, string) {}},
		"believed without, as told":      {forgeable: true, config: func(cfg *seal.Config, _ string) { cfg.TrustUnpinned = true }},
		"another slot is pinned":         {says: others, config: func(cfg *seal.Config, a string) { cfg.Pins = []string{a} }},
		"and the keys are forgeable too": {forgeable: true, says: others, config: func(cfg *seal.Config, a string) { cfg.Pins = []string{a} }},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			fake := &kmstest.Fake{Forgeable: tt.forgeable}
			var events []seal.Event
			cfg := seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b")}, Retry: kms.Policy{Attempts: 1}}
			b, err := seal.Open(cfg)
			must(t, err)
			defer b.Close()
			_, err = b.Init(ctx, map[string]seal.Spec{"a": seal.KMS{Wrapper: "a"}, "b": seal.KMS{Wrapper: "b"}}, seal.By{})
			must(t, err)
			pin := map[string]string{}
			for _, s := range b.Status().Slots {
				pin[s.Name] = s.Fingerprint
			}
			tt.config(&cfg, pin["a"])
			cfg.OnEvent = func(e seal.Event) { events = append(events, e) }
			again, err := seal.Open(cfg)
			must(t, err)
			defer again.Close()
			if again.Unseal(ctx) != nil {
				again = b // which made the slots, and knows them
			}
			err = again.Admin().Drill(ctx, "b")
			if (err != nil) != (tt.says != "") || err != nil && (!errors.Is(err, seal.ErrUnpinned) || !strings.Contains(err.Error(), tt.says+pin["b"])) {
				t.Fatalf("%v, want %q", err, tt.says)
			}
			for _, s := range again.Status().Slots {
				if s.Name == "b" && (s.Drilled.IsZero() || errors.Is(s.DrillError, seal.ErrUnpinned) != (tt.says != "")) {
					t.Errorf("it was drilled at %v: %v", s.Drilled, s.DrillError)
				}
			}
			for _, e := range events {
				if said := e.Detail == "opens the store"; e.Kind == seal.EventDrill && said != (tt.says == "") {
					t.Errorf("an event says that it %s", e.Detail)
				}
			}
		})
	}
}
