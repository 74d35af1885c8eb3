package sealotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sealwright/sealwright/seal"
)

// Store returns s with a span for each call whose context has a span. Where s is a
// [seal.Watcher] or a [seal.Limited], so is the result. Of a nil s it is nil, which
// [seal.Open] refuses.
func (t *Telemetry) Store(s seal.Store) seal.Store {
	if s == nil {
		return nil
	}
	told := &store{t, s}
	w, watches := s.(seal.Watcher)
	l, limited := s.(seal.Limited)
	switch {
	case watches && limited:
		return struct {
			*store
			seal.Watcher
			seal.Limited
		}{told, w, l}
	case watches:
		return struct {
			*store
			seal.Watcher
		}{told, w}
	case limited:
		return struct {
			*store
			seal.Limited
		}{told, l}
	}
	return told
}

type store struct {
	t *Telemetry
	s seal.Store
}

func (s *store) Load(ctx context.Context) (rec []byte, rev string, err error) {
	ctx, span := s.begin(ctx, "load")
	defer func() { s.end(span, len(rec), err) }()
	err = errPanicked
	rec, rev, err = s.s.Load(ctx)
	return rec, rev, err
}

func (s *store) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	ctx, span := s.begin(ctx, "swap")
	defer func() { s.end(span, len(rec), err) }()
	err = errPanicked
	rev, err = s.s.Swap(ctx, rec, old)
	return rev, err
}

func (s *store) begin(ctx context.Context, op string) (context.Context, trace.Span) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, nil
	}
	return s.t.begin(ctx, "sealwright.store."+op, trace.SpanKindClient)
}

func (s *store) end(span trace.Span, size int, err error) {
	switch {
	case errors.Is(err, seal.ErrNotFound), errors.Is(err, seal.ErrConflict): // answers, and no failures
		s.t.end(span, nil, attribute.String("sealwright.answer", text(err)))
	default:
		s.t.end(span, err, attribute.Int("sealwright.record.size", size))
	}
}
