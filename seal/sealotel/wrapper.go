package sealotel

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/sealwright/sealwright/kms"
)

// Wrapper returns w with a span and measures for each call. Name is that of
// [seal.Config.KMS]. What w is besides, a [kms.Prober], [kms.Namer],
// [kms.Authenticator] or [kms.Foreign], the result is as well; what else it can do
// is to be asked of w itself. Of a nil w it is nil, which [seal.Open] refuses.
func (t *Telemetry) Wrapper(name string, w kms.Wrapper) kms.Wrapper {
	if w == nil {
		return nil
	}
	t.mu.Lock()
	c := t.wrappers[name]
	if c == nil {
		c = &calls{count: map[string]int64{}, failed: map[string]int64{}}
		t.wrappers[name] = c
	}
	t.mu.Unlock()
	told := &wrapper{t, name, w, c}
	p, probes := w.(kms.Prober)
	f, opens := w.(kms.Foreign)
	switch {
	case probes && opens:
		return struct {
			*wrapper
			prober
			foreigner
		}{told, prober{told, p}, foreigner{told, f}}
	case probes:
		return struct {
			*wrapper
			prober
		}{told, prober{told, p}}
	case opens:
		return struct {
			*wrapper
			foreigner
		}{told, foreigner{told, f}}
	}
	return told
}

// calls counts those of one wrapper.
type calls struct {
	mu            sync.Mutex
	count, failed map[string]int64 // by operation
	failing       bool
	since         time.Time // of the last that succeeded, or of the first
}

func (c *calls) ended(op string, began time.Time, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[op]++
	if failed {
		c.failed[op]++
	}
	if !failed {
		c.since = time.Now()
	} else if c.since.IsZero() {
		c.since = began
	}
	c.failing = failed
}

// unreachable is for how long no call has succeeded; 0 after one that has.
func (c *calls) unreachable() time.Duration {
	if !c.failing {
		return 0
	}
	return time.Since(c.since)
}

type wrapper struct {
	t    *Telemetry
	name string
	kms.Wrapper
	calls *calls
}

func (w *wrapper) Wrap(ctx context.Context, key []byte, b kms.Binding) (blob *kms.Blob, err error) {
	ctx, end := w.begin(ctx, "wrap", place(b)...)
	defer func() { end(err, typeOf(blob)...) }()
	err = errPanicked
	blob, err = w.Wrapper.Wrap(ctx, key, b)
	return blob, err
}

func (w *wrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) (key []byte, err error) {
	ctx, end := w.begin(ctx, "unwrap", append(place(b), typeOf(blob)...)...)
	defer func() { end(err) }()
	err = errPanicked
	key, err = w.Wrapper.Unwrap(ctx, blob, b)
	return key, err
}

// SameKey is no where the wrapper is no Namer: two names that differ are two keys.
func (w *wrapper) SameKey(a, b string) bool {
	n, ok := w.Wrapper.(kms.Namer)
	return ok && n.SameKey(a, b)
}

// Authenticates is no where the wrapper is no Authenticator.
func (w *wrapper) Authenticates(blob *kms.Blob) bool {
	a, ok := w.Wrapper.(kms.Authenticator)
	return ok && a.Authenticates(blob)
}

type prober struct {
	w *wrapper
	p kms.Prober
}

func (p prober) Probe(ctx context.Context) (h kms.Health, err error) {
	ctx, end := p.w.begin(ctx, "probe")
	defer func() { end(err) }()
	err = errPanicked
	h, err = p.p.Probe(ctx)
	return h, err
}

type foreigner struct {
	w *wrapper
	f kms.Foreign
}

// UnwrapForeign counts as an unwrap, which it is to the KMS.
func (f foreigner) UnwrapForeign(ctx context.Context, ciphertext []byte, name string) (key []byte, err error) {
	ctx, end := f.w.begin(ctx, "unwrap", attribute.Bool("sealwright.foreign", true))
	defer func() { end(err) }()
	err = errPanicked
	key, err = f.f.UnwrapForeign(ctx, ciphertext, name)
	return key, err
}

// errPanicked stands for what a wrapper that panicked did not say. The panic goes
// on to its caller.
var errPanicked = errors.New("the provider panicked")

func place(b kms.Binding) []attribute.KeyValue {
	out := []attribute.KeyValue{attribute.String("sealwright.slot", line(b.Slot))}
	if b.Path != "" {
		out = append(out, attribute.String("sealwright.path", line(b.Path)))
	}
	return out
}

func typeOf(blob *kms.Blob) []attribute.KeyValue {
	if blob == nil {
		return nil
	}
	return []attribute.KeyValue{attribute.String("sealwright.key.type", line(blob.Type))}
}

// begin begins a call, and returns what ends it.
func (w *wrapper) begin(ctx context.Context, op string, attrs ...attribute.KeyValue) (context.Context, func(error, ...attribute.KeyValue)) {
	began := time.Now()
	outer := ctx
	ctx, span := w.t.begin(ctx, "sealwright.kms."+op, trace.SpanKindClient, append(attrs, attribute.String("sealwright.kms", w.name))...)
	return ctx, func(err error, more ...attribute.KeyValue) {
		took := time.Since(began)
		// Whoever asked has its answer from elsewhere: that says nothing of this KMS.
		asked := err == nil || !errors.Is(outer.Err(), context.Canceled)
		if asked && op != "probe" { // which needs a permission of its own
			w.calls.ended(op, began, err != nil)
		}
		w.t.end(span, err, more...)
		if h := w.t.took[op]; h != nil {
			w.t.side.do(func() {
				h.Record(outer, float64(took)/float64(time.Millisecond), metric.WithAttributes(attribute.String("seal_wrapper_name", w.name)))
			})
		}
	}
}

// begin begins a span, if the provider does.
func (t *Telemetry) begin(ctx context.Context, name string, kind trace.SpanKind, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	type begun struct {
		ctx  context.Context
		span trace.Span
	}
	in := make(chan begun, 1)
	if !t.side.do(func() {
		ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
		in <- begun{ctx, span}
	}) {
		return ctx, nil
	}
	b := <-in
	return b.ctx, b.span
}

// end ends a span with what came of it.
func (t *Telemetry) end(span trace.Span, err error, attrs ...attribute.KeyValue) {
	if span == nil {
		return
	}
	at := time.Now()
	t.side.do(func() {
		span.SetAttributes(attrs...)
		if err != nil {
			span.SetAttributes(attribute.String("sealwright.error", kindOf(err)))
			span.SetStatus(codes.Error, text(err))
		}
		span.End(trace.WithTimestamp(at))
	})
}

// kindOf says in a few words of package kms what went wrong.
func kindOf(err error) string {
	for _, kind := range []error{
		kms.ErrThrottled, kms.ErrUnavailable, kms.ErrUnauthenticated, kms.ErrClockSkew, kms.ErrDenied, kms.ErrKeyDisabled,
		kms.ErrKeyGone, kms.ErrWrongKey, kms.ErrCorrupt, kms.ErrMisconfigured,
	} {
		if errors.Is(err, kind) {
			words, _, _ := strings.Cut(strings.TrimPrefix(kind.Error(), "kms: "), ":")
			return words
		}
	}
	return "other"
}

// maxText is how many bytes of an error's text are told.
const maxText = 1024

// text is what an error says, on one printable line that ends.
func text(err error) string { return line(err.Error()) }

// line returns s as errors of package kms have the words of others.
func line(s string) string {
	s = strings.TrimPrefix((&kms.Error{Err: errors.New(s)}).Error(), "kms: : ")
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
