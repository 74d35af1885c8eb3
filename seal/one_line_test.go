package seal_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestErrorsAreOneLine: what several KMS said was a line for each, and every
// layer said its name again.
func TestErrorsAreOneLine(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	var mu sync.Mutex // slots are drilled side by side
	var events []seal.Event
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b"), "c": fake.Key("c")},
		Retry: kms.Policy{Attempts: 1}, OnEvent: func(e seal.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		},
	})
	must(t, err)
	defer b.Close()
	of := func(names ...string) seal.Spec {
		s := seal.Threshold{K: 2}
		for _, name := range names {
			s.Of = append(s.Of, seal.KMS{Wrapper: name})
		}
		return s
	}
	_, err = b.Init(ctx, map[string]seal.Spec{"one": seal.KMS{Wrapper: "a"}, "two": seal.KMS{Wrapper: "b"}, "tree": of("a", "b", "c")}, seal.By{})
	must(t, err)
	fake.Disable("a")
	fake.Destroy("b", "")
	drilled := b.Admin().Drill(ctx)
	drilledSpec := b.Admin().DrillSpec(ctx, of("a", "b"))
	must(t, b.Seal(seal.By{}))
	unsealed := b.Unseal(ctx)
	for name, err := range map[string]error{"drill": drilled, "drill spec": drilledSpec, "unseal": unsealed, "reason": b.Sealed(), "event": events[len(events)-1].Err} {
		if !errors.Is(err, kms.ErrKeyDisabled) || !errors.Is(err, kms.ErrKeyGone) {
			t.Errorf("%s: a cause is lost: %v", name, err)
			continue
		}
		text := err.Error()
		if strings.ContainsAny(text, "\r\n") || strings.Contains(text, " seal: ") || strings.Count(text, "kms: ") > 1 {
			t.Errorf("%s: %q", name, text)
		}
		for _, words := range []string{`KMS "a"`, `KMS "b"`, "enable it", "not found"} {
			if !strings.Contains(text, words) {
				t.Errorf("%s: %q, without %q", name, text, words)
			}
		}
	}
	t.Logf("%v", unsealed)
}
