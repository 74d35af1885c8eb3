package sealotel_test

import (
	"context"
	"crypto/fips140"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealotel"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// virtual runs f in virtual time.
func virtual(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if fips140.Enabled() {
		t.Skip("needs virtual time, in which crypto/rand finds no entropy in FIPS mode before Go 1.27")
	}
	synctest.Test(t, f)
}

// A bench has a barrier that tells the SDK, and what the SDK was told.
type bench struct {
	*seal.Barrier
	tel    *sealotel.Telemetry
	fake   *kmstest.Fake
	spans  *tracetest.SpanRecorder
	traces *sdktrace.TracerProvider
	reader *sdkmetric.ManualReader
}

// newBench makes a bench. What is to be told to the last wants virtual time: a
// provider that is slow, as on a busy machine, is not waited for.
func newBench(t *testing.T, more ...func(*bench, *seal.Config)) *bench {
	t.Helper()
	s := &bench{fake: &kmstest.Fake{}, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	s.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.spans))
	var err error
	s.tel, err = sealotel.New(sealotel.Config{Tracer: s.traces, Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))})
	must(t, err)
	cfg := seal.Config{
		Store: s.tel.Store(seal.NewMemStore()), KMS: map[string]kms.Wrapper{"cloud": s.tel.Wrapper("cloud", s.fake.Key("prod"))},
		OnEvent: s.tel.Event, Retry: kms.Policy{Attempts: 1}, Replica: "r1",
	}
	for _, f := range more {
		f(s, &cfg)
	}
	s.Barrier, err = seal.Open(cfg)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	stop, err := s.tel.Observe(s.Barrier)
	must(t, err)
	t.Cleanup(func() { must(t, stop()) })
	return s
}

// auto and people are the slots of a bench.
var slots = map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}

// collect returns the samples of a collection as an exporter for Prometheus names
// them, sorted; of histograms the count.
func (s *bench) collect(t *testing.T) (samples []string) {
	t.Helper()
	var all metricdata.ResourceMetrics
	must(t, s.reader.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := strings.ReplaceAll(m.Name, ".", "_")
			if m.Unit != "" {
				t.Errorf("%s has the unit %s, which exporters add to the name", m.Name, m.Unit)
			}
			switch d := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					samples = append(samples, sample(name, p.Attributes, p.Value))
				}
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					samples = append(samples, sample(name+"_total", p.Attributes, p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					samples = append(samples, sample(name+"_count", p.Attributes, p.Count))
				}
			default:
				t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	slices.Sort(samples)
	return samples
}

func sample(name string, of attribute.Set, value any) string {
	var labels []string
	for _, kv := range of.ToSlice() {
		labels = append(labels, fmt.Sprintf("%s=%q", kv.Key, kv.Value.AsString()))
	}
	slices.Sort(labels)
	if len(labels) > 0 {
		name += "{" + strings.Join(labels, ",") + "}"
	}
	return fmt.Sprint(name, " ", value)
}

// with returns the samples of that beginning.
func with(samples []string, prefix string) (out []string) {
	for _, s := range samples {
		if strings.HasPrefix(s, prefix) {
			out = append(out, s)
		}
	}
	return out
}
