package sealotel_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealotel"
)

// A processor does something where a span starts or ends, as one that exports does.
type processor struct{ start, end func() }

func (p processor) OnStart(context.Context, sdktrace.ReadWriteSpan) { p.start() }
func (p processor) OnEnd(sdktrace.ReadOnlySpan)                     { p.end() }
func (processor) Shutdown(context.Context) error                    { return nil }
func (processor) ForceFlush(context.Context) error                  { return nil }

// A meter does something where a time is recorded.
type meter struct {
	metricnoop.MeterProvider
	record func()
}

func (m meter) Meter(string, ...metric.MeterOption) metric.Meter {
	return instruments{record: m.record}
}

type instruments struct {
	metricnoop.Meter
	record func()
}

func (i instruments) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return histogram{record: i.record}, nil
}

type histogram struct {
	metricnoop.Float64Histogram
	record func()
}

func (h histogram) Record(context.Context, float64, ...metric.RecordOption) { h.record() }

// TestProviderHoldsUpNothing: an exporter that hangs, panics or ends its goroutine,
// wherever it is called, costs an unseal a tenth of a second, once.
func TestProviderHoldsUpNothing(t *testing.T) {
	for what, do := range map[string]func(forever chan struct{}){
		"hangs":  func(forever chan struct{}) { <-forever },
		"panics": func(chan struct{}) { panic("exporter") },
		"exits":  func(chan struct{}) { runtime.Goexit() },
		"slow":   func(chan struct{}) { time.Sleep(time.Minute) },
	} {
		for where := range 3 {
			t.Run(what+[]string{" at a start", " at an end", " at a record"}[where], func(t *testing.T) {
				virtual(t, func(t *testing.T) {
					forever := make(chan struct{})
					letGo := sync.OnceFunc(func() { close(forever) })
					defer letGo()
					hooks := []func(){func() {}, func() {}, func() {}}
					hooks[where] = func() { do(forever) }
					tel, err := sealotel.New(sealotel.Config{
						Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(processor{hooks[0], hooks[1]})),
						Meter:  meter{record: hooks[2]},
					})
					must(t, err)
					fake := &kmstest.Fake{}
					b, err := seal.Open(seal.Config{
						Store: tel.Store(seal.NewMemStore()), KMS: map[string]kms.Wrapper{"cloud": tel.Wrapper("cloud", fake.Key("prod"))},
						OnEvent: tel.Event, Retry: kms.Policy{Attempts: 1, Timeout: time.Second},
					})
					must(t, err)
					defer b.Close()
					began := time.Now()
					_, err = b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{})
					must(t, err)
					for range 20 {
						must(t, b.Seal(seal.By{}))
						must(t, b.Unseal(t.Context()))
					}
					if took := time.Since(began); took > 200*time.Millisecond {
						t.Errorf("twenty unseals took %v", took)
					}
					letGo()
					time.Sleep(time.Hour)
					must(t, b.Seal(seal.By{}))
					must(t, b.Unseal(t.Context()))
					time.Sleep(time.Hour) // what is slow ends
				})
			})
		}
	}
}
