package sealotel_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealotel"
)

// A server whose unseal is a span of its own, with the calls of the KMS and the
// store in it. Its Tracer and Meter are those that the host has set up, mostly
// otel.GetTracerProvider() and otel.GetMeterProvider().
func Example() {
	ctx := context.Background()
	var seen tracetest.InMemoryExporter
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(&seen))

	tel, err := sealotel.New(sealotel.Config{Tracer: traces})
	if err != nil {
		fmt.Println(err)
		return
	}
	cloud := map[string]kms.Wrapper{"cloud": new(kmstest.Fake).Key("prod")} // awskms.New, sealconf's Setup.KMS, …
	for name, w := range cloud {
		cloud[name] = tel.Wrapper(name, w)
	}
	b, err := seal.Open(seal.Config{Store: tel.Store(seal.NewMemStore()), KMS: cloud, OnEvent: tel.Event})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	stop, err := tel.Observe(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		fmt.Println(err)
		return
	}
	b.Seal(seal.By{})
	seen.Reset()

	ctx, span := traces.Tracer("host").Start(ctx, "start")
	err = b.Unseal(ctx)
	span.End()
	for _, s := range seen.GetSpans() {
		if s.Name == "sealwright.kms.unwrap" {
			fmt.Println(s.Name, "in", "start:", s.Parent.SpanID() == span.SpanContext().SpanID(), err)
		}
	}
	// Output: sealwright.kms.unwrap in start: true <nil>
}
