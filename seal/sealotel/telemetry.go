package sealotel

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// scope is the name of the instrumentation.
const scope = "github.com/sealwright/sealwright/seal/sealotel"

// Config says who is told. The globals of package otel are not asked: hand them
// over where they are meant.
type Config struct {
	Tracer trace.TracerProvider // nil: no spans
	Meter  metric.MeterProvider // nil: no metrics
}

// A Telemetry tells OpenTelemetry of one Barrier. Its methods are safe for
// concurrent use. It is a KeeperMetrics of package migrate.
type Telemetry struct {
	tracer trace.Tracer
	meter  metric.Meter
	side   side

	took map[string]metric.Float64Histogram // by what a call does to a key

	mu       sync.Mutex
	wrappers map[string]*calls // by name
	events   map[[2]string]int64
	rewraps  map[[2]string]int64
	items    map[string]map[string]int64
	keeper   *keeper               // nil if there is none
	journal  func() journal.Status // nil if there is none
}

// New returns a Telemetry.
func New(cfg Config) (*Telemetry, error) {
	if cfg.Tracer == nil {
		cfg.Tracer = tracenoop.NewTracerProvider()
	}
	if cfg.Meter == nil {
		cfg.Meter = metricnoop.NewMeterProvider()
	}
	t := &Telemetry{
		tracer: cfg.Tracer.Tracer(scope), meter: cfg.Meter.Meter(scope),
		took: map[string]metric.Float64Histogram{}, wrappers: map[string]*calls{}, events: map[[2]string]int64{},
		rewraps: map[[2]string]int64{}, items: map[string]map[string]int64{},
	}
	for op, word := range vaultWords {
		h, err := t.meter.Float64Histogram("vault.seal."+word+".time",
			metric.WithDescription("Milliseconds that the KMS took, as Vault measures them."),
			metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000))
		if err != nil {
			return nil, fmt.Errorf("sealotel: %w", err)
		}
		t.took[op] = h
	}
	return t, nil
}

// vaultWords are what Vault calls a wrap and an unwrap.
var vaultWords = map[string]string{"wrap": "encrypt", "unwrap": "decrypt"}

// maxEvents is how many pairs of kind and result are told apart.
const maxEvents = 64

// Event counts an event. It is meant for [seal.Config.OnEvent], as one of
// [seal.JoinEvents].
func (t *Telemetry) Event(e seal.Event) {
	result := "ok"
	switch {
	case e.Kind == seal.EventUnseal && errors.Is(e.Err, seal.ErrUninitialized):
		result = "waiting" // no failure, as for sealhttp.Metrics
	case e.Err != nil:
		result = "failed"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := [2]string{string(e.Kind), result}
	if _, known := t.events[key]; !known && len(t.events) >= maxEvents {
		key[0] = "other"
	}
	t.events[key]++
}

// patience is how long a provider is waited for.
const patience = 100 * time.Millisecond

// A side calls what belongs to a provider, which may panic, or not come back.
type side struct {
	hung    atomic.Int64 // calls that were waited for in vain, and have not come back
	dropped atomic.Int64
}

// do calls f, and reports whether it came back. An f that is not waited for any
// longer goes on.
func (s *side) do(f func()) bool {
	if s.hung.Load() > 0 {
		s.dropped.Add(1)
		return false
	}
	var state atomic.Int32 // 1: it came back, 2: it was given up on
	returned := false
	back := make(chan struct{})
	go func() {
		defer func() {
			if recover() != nil || !returned {
				s.dropped.Add(1)
			}
			if !state.CompareAndSwap(0, 1) {
				s.hung.Add(-1)
			}
			close(back)
		}()
		f()
		returned = true
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-back:
		return returned
	case <-timer.C:
	}
	s.hung.Add(1)
	if !state.CompareAndSwap(0, 2) { // just now
		s.hung.Add(-1)
		<-back
		return returned
	}
	return false
}
