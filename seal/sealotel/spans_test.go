package sealotel_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestSpansNest: the context that a method of the Barrier is called with reaches
// the KMS and the store, whichever goroutines are in between.
func TestSpansNest(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := newBench(t)
		ctx := t.Context()
		tracer := s.traces.Tracer("host")
		var d seal.Delivery
		for _, op := range []struct {
			name string
			do   func(context.Context) error
			want string // spans that must be there
		}{
			{"init", func(ctx context.Context) (err error) { d, err = s.Init(ctx, slots, seal.By{}); return err }, "kms.wrap kms.unwrap store.load store.swap"},
			{"seal", func(context.Context) error { return s.Seal(seal.By{}) }, ""},
			{"unseal", s.Unseal, "kms.unwrap store.load"},
			{"drill", func(ctx context.Context) error { return s.Admin().Drill(ctx) }, "kms.unwrap kms.probe"},
			{"renew", func(ctx context.Context) error { return s.Admin().Renew(ctx, "auto", seal.By{}) }, "kms.wrap kms.unwrap store.swap"},
			{"rotate root", func(ctx context.Context) error { return s.Admin().RotateRoot(ctx, seal.By{}) }, "store.swap"},
			{"seal again", func(context.Context) error { return s.Seal(seal.By{}) }, ""},
			{"share", func(ctx context.Context) error { _, err := s.Submit(ctx, d.Sets[0].Shares[0], seal.By{}); return err }, ""},
		} {
			s.spans.Reset()
			under, span := tracer.Start(ctx, op.name)
			err := op.do(under)
			span.End()
			if err != nil {
				t.Errorf("%s: %v", op.name, err)
			}
			seen := map[string]bool{}
			for _, got := range s.spans.Ended() {
				if got.Name() == op.name {
					continue
				}
				seen[strings.TrimPrefix(got.Name(), "sealwright.")] = true
				if got.Parent().SpanID() != span.SpanContext().SpanID() || got.SpanContext().TraceID() != span.SpanContext().TraceID() {
					t.Errorf("%s: %s is not within it", op.name, got.Name())
				}
			}
			for _, want := range strings.Fields(op.want) {
				if !seen[want] {
					t.Errorf("%s: no span %s among %v", op.name, want, seen)
				}
			}
		}
	})
}

// TestSpansWithoutParent: a look at the store that nobody asked for makes no span;
// a call of a KMS does.
func TestSpansWithoutParent(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := newBench(t)
		_, err := s.Init(t.Context(), slots, seal.By{})
		must(t, err)
		kmsSpans := 0
		for _, got := range s.spans.Ended() {
			if strings.HasPrefix(got.Name(), "sealwright.store.") {
				t.Errorf("%s has no parent", got.Name())
			} else {
				kmsSpans++
			}
		}
		if kmsSpans < 2 {
			t.Errorf("%d spans of the KMS", kmsSpans)
		}
	})
}

// told is all that a span holds, as text.
func told(s trace.ReadOnlySpan) string {
	return fmt.Sprintf("%q %q %v %q %v %v", s.Name(), s.Attributes(), s.Status().Code, s.Status().Description, s.Events(), s.Links())
}

// TestErrorsInSpans: what a KMS says stands in one printable line that ends, and
// the kind of it beside.
func TestErrorsInSpans(t *testing.T) {
	for name, tt := range map[string]struct {
		err        error
		kind, text string
	}{
		"its own":   {&kms.Error{Op: "unwrap", Type: "fake", Kind: kms.ErrDenied, Err: errors.New("line one\nline\x1b[31m two")}, "permission denied", "kms: unwrap fake: permission denied: grant this identity the use of the key: line one line [31m two"},
		"foreign":   {errors.New("two\r\nlines \u202e and \x00"), "other", "two lines and "},
		"endless":   {errors.New(strings.Repeat("é", 100_000)), "other", strings.Repeat("é", 512) + "…"},
		"throttled": {fmt.Errorf("around: %w", &kms.Error{Op: "unwrap", Kind: kms.ErrThrottled}), "throttled", "around: kms: unwrap: throttled: try again later, or raise the quota"},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				s := newBench(t)
				w := s.tel.Wrapper("other", stub{err: tt.err})
				if _, err := w.Unwrap(t.Context(), &kms.Blob{Type: "fake\n"}, kms.Binding{Slot: "a\nslot"}); err != tt.err {
					t.Errorf("the error became another: %v", err)
				}
				got := s.spans.Ended()[0]
				text := got.Status().Description
				if got.Status().Code != codes.Error || strings.TrimSpace(text) != strings.TrimSpace(tt.text) {
					t.Errorf("status %v", got.Status())
				}
				if all := told(got); !strings.Contains(all, `{"sealwright.error" {"STRING" "`) && !strings.Contains(all, tt.kind) || strings.Contains(all, `\n`) || !strings.Contains(all, "a slot") {
					t.Errorf("%s", all)
				}
			})
		})
	}
}

// A stub is a wrapper that fails, or does something before.
type stub struct {
	err error
	do  func(context.Context)
}

func (s stub) Wrap(ctx context.Context, _ []byte, _ kms.Binding) (*kms.Blob, error) {
	if s.do != nil {
		s.do(ctx)
	}
	return nil, s.err
}

func (s stub) Unwrap(ctx context.Context, _ *kms.Blob, _ kms.Binding) ([]byte, error) {
	if s.do != nil {
		s.do(ctx)
	}
	return nil, s.err
}

// TestWrapperPanics: the panic goes on to whoever called, and the span ends.
func TestWrapperPanics(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := newBench(t)
		w := s.tel.Wrapper("other", stub{do: func(context.Context) { panic("canary in a panic") }})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone")
				}
			}()
			w.Wrap(t.Context(), make([]byte, 32), kms.Binding{})
		}()
		ended := s.spans.Ended()
		if len(ended) != 1 || ended[0].Status().Code != codes.Error || strings.Contains(told(ended[0]), "canary") {
			t.Errorf("spans %v", ended)
		}
	})
}

// A keen wrapper keeps every key that it saw.
type keen struct {
	*kmstest.Key
	seen *[][]byte
}

func (k keen) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	*k.seen = append(*k.seen, slices.Clone(key))
	return k.Key.Wrap(ctx, key, b)
}

// TestNoSecretIsTold knows all that is secret in a life, and looks for it in every
// span and metric (guarantee 20).
func TestNoSecretIsTold(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var keys [][]byte
		s := newBench(t, func(b *bench, c *seal.Config) {
			c.KMS["cloud"] = b.tel.Wrapper("cloud", keen{b.fake.Key("prod"), &keys})
		})
		ctx, span := s.traces.Tracer("host").Start(t.Context(), "life")
		d, err := s.Init(ctx, slots, seal.By{Actor: "José"})
		must(t, err)
		const plaintext = "canary-plaintext-5b1f"
		box := s.Box("tokens", "secret")
		sealed, err := box.Encrypt(ctx, []byte(plaintext), "1")
		must(t, err)
		_, err = box.Decrypt(ctx, sealed, "1")
		must(t, err)
		must(t, s.Admin().Drill(ctx))
		must(t, s.Seal(seal.By{}))
		for _, failure := range kmstest.Failures() {
			if failure == kmstest.Hang {
				continue
			}
			s.fake.Script(kmstest.Always(kmstest.Fault{Failure: failure}))
			s.Unseal(ctx)
			s.Seal(seal.By{})
		}
		for _, share := range d.Sets[0].Shares[:2] {
			_, err := s.Submit(ctx, share, seal.By{})
			must(t, err)
		}
		must(t, s.Sealed())
		span.End()

		canaries := []string{plaintext}
		for _, share := range d.Sets[0].Shares {
			canaries = append(canaries, share.Reveal(), share.Reveal()[20:60])
		}
		for _, key := range keys {
			canaries = append(canaries, string(key), hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key), fmt.Sprint(key))
		}
		var all strings.Builder
		for _, got := range s.spans.Ended() {
			all.WriteString(told(got) + "\n")
		}
		all.WriteString(strings.Join(s.collect(t), "\n"))
		find := func(text string) (found int) {
			for _, c := range canaries {
				if strings.Contains(text, c) {
					found++
				}
			}
			return found
		}
		if n := find(all.String()); n != 0 {
			t.Errorf("%d canaries are told", n)
		}
		_, planted := s.traces.Tracer("host").Start(ctx, "planted")
		planted.SetAttributes(attribute.String("key", hex.EncodeToString(keys[0])))
		planted.End()
		if ended := s.spans.Ended(); find(told(ended[len(ended)-1])) != 1 {
			t.Error("a canary that was planted is not found")
		}
		if unwraps := strings.Count(all.String(), "sealwright.kms.unwrap"); unwraps < len(kmstest.Failures()) || len(keys) == 0 {
			t.Fatalf("only %d unwraps and %d keys: the life was too short", unwraps, len(keys))
		}
		t.Logf("GUARANTEE 20 sealotel: canaries=%d spans=%d told=0", len(canaries), len(s.spans.Ended()))
	})
}
