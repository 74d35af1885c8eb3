package sealotel_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealotel"
)

type hungMeter struct {
	metricnoop.MeterProvider
	cb *metric.Callback
}

func (m hungMeter) Meter(string, ...metric.MeterOption) metric.Meter { return hungIn{cb: m.cb} }

type hungIn struct {
	metricnoop.Meter
	cb *metric.Callback
}

func (i hungIn) RegisterCallback(f metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	*i.cb = f
	return metricnoop.Registration{}, nil
}

// hungObserver does not come back from one observation, until end.
type hungObserver struct {
	metricnoop.Observer
	left         *int
	reached, end chan struct{}
}

func (o hungObserver) ObserveInt64(metric.Int64Observable, int64, ...metric.ObserveOption) {
	if *o.left--; *o.left < 0 {
		if *o.left == -1 {
			close(o.reached)
		}
		<-o.end
	}
}

// A provider that hangs while it collects holds up no event of the Barrier.
func TestCollectionHangs(t *testing.T) {
	for after := range 7 { // what is shown of a sealed one; the last is counted
		var cb metric.Callback
		tel, err := sealotel.New(sealotel.Config{Meter: hungMeter{cb: &cb}})
		must(t, err)
		b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: tel.Event})
		must(t, err)
		_, err = tel.Observe(b)
		must(t, err)
		o := hungObserver{left: &after, reached: make(chan struct{}), end: make(chan struct{})}
		collected := make(chan struct{})
		go func() { cb(t.Context(), o); close(collected) }()
		select {
		case <-o.reached:
		case <-collected:
			t.Fatal("there are fewer observations")
		}
		done := make(chan struct{})
		go func() { tel.Event(seal.Event{Kind: seal.EventShare}); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Errorf("an observation hangs: Telemetry.Event, the barrier's OnEvent, waits for the provider")
		}
		close(o.end)
		<-collected
		b.Close()
	}
}
