// Package sealotel tells OpenTelemetry what a server's seal does: a span for each
// call of a KMS, and the metrics of package sealhttp. It needs the API of
// OpenTelemetry alone; which SDK and which exporter is the host's affair:
//
//	tel, err := sealotel.New(sealotel.Config{Tracer: otel.GetTracerProvider(), Meter: otel.GetMeterProvider()})
//	…
//	cfg := seal.Config{
//		Store:   tel.Store(store),
//		KMS:     map[string]kms.Wrapper{"cloud": tel.Wrapper("cloud", cloud)},
//		OnEvent: seal.JoinEvents(tel.Event, seal.LogEvents(slog.Default())),
//	}
//	b, err := seal.Open(cfg)
//	…
//	stop, err := tel.Observe(b)
//	…
//	keeper, err := migrate.NewKeeper(b, migrate.KeeperConfig{Metrics: tel, …})
//
// Do not use it where Prometheus scrapes the server and nobody wants spans:
// [sealhttp.Metrics] needs no SDK. Both may be there at once.
//
// # Spans
//
// Those of a [Telemetry.Wrapper] are sealwright.kms.wrap, sealwright.kms.unwrap and
// sealwright.kms.probe, one a call, so that an attempt that is repeated is seen
// twice. Those of a [Telemetry.Store] are sealwright.store.load and
// sealwright.store.swap, where the context has a span already: a replica looks at
// its store every few seconds. All nest in the span of the context that the
// Barrier's method was called with, and what the SDK of a cloud traces nests in
// them. Attributes are sealwright.kms (the name in [seal.Config.KMS]),
// sealwright.slot, sealwright.path, sealwright.key.type, and sealwright.error, the
// kind of failure in the words of package kms; what went wrong stands in the
// status, on one line.
//
// # Metrics
//
// They have the names and the meaning of [sealhttp.Metrics], with a point after the
// first word and without "_total", as OpenTelemetry has it: sealwright.sealed,
// sealwright.slot_drill_ok, sealwright.events. An exporter for Prometheus makes the
// very names of sealhttp of them, so that the rules and the dashboard of
// docs/monitoring serve both. There are further:
//
//	sealwright.telemetry_dropped            spans and times that a provider did not take
//
// and those of Vault and OpenBao that mean the same here, for the dashboards that
// people have:
//
//	vault.core.unsealed                     1 while unsealed
//	vault.seal.encrypt, vault.seal.decrypt  calls of Wrap and Unwrap {seal_wrapper_name}
//	vault.seal.….error                      those of them that failed
//	vault.seal.….time                       how long they took, in milliseconds
//	vault.seal.unreachable.time             for how long no call has succeeded, in milliseconds; 0 after one that has
//
// These have no unit, so that no exporter lengthens the name: vault_core_unsealed,
// vault_seal_encrypt_time_sum and _count, vault_seal_unreachable_time are what
// those dashboards ask for. The counters are vault_seal_encrypt_total where
// Vault's have no suffix; an exporter can be told to add none. What Vault counts
// of its storage (vault.barrier.get, …) and of its tokens has no counterpart here:
// the Barrier neither stores nor serves.
//
// Attributes are of what the host or the record names: slots, wrappers, sources,
// terms; kinds of events are at most 64, and "other" after that. No key, share or
// plaintext is in any span or metric.
//
// # What a provider can do to the server
//
// A provider of spans and metrics is code of others, down to an exporter that
// waits for a network. One that panics loses what it was told. One that does not
// return is waited for 100 milliseconds, and not called again before it has
// returned: what there is to tell meanwhile is dropped, and counted. So it cannot
// hold up an unseal for longer, nor keep it from succeeding. Events are counted in
// memory; gauges are read when the provider asks, from [seal.Barrier.Status], which
// never waits.
//
// # Compatibility
//
// Names of metrics, spans and attributes are kept as the API is.
package sealotel
