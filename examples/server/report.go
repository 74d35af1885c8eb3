package main

import (
	"context"
	"iter"
	"net/http"

	"github.com/sealwright/sealwright/seal"
	audit "github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/report"
)

// buildReport serves what an auditor asks, at /v1/sys/seal-report, to whose token may
// read that path: from the events of the journal, or, without one, of this process.
func (s *server) buildReport(heard *report.Memory) (http.Handler, error) {
	return report.Handler(report.Config{
		Barrier:   s.barrier,
		Title:     "sealwright server",
		Authorize: func(r *http.Request) error { return s.authorize(r, operator.KeyStatus) },
		Events:    s.past(heard),
	})
}

// past returns what yields the events of the past: of the journal where there is
// one, and otherwise of this process.
func (s *server) past(heard *report.Memory) func(context.Context) iter.Seq2[seal.Event, error] {
	if s.audit == nil {
		return func(context.Context) iter.Seq2[seal.Event, error] { return heard.Events() }
	}
	return func(ctx context.Context) iter.Seq2[seal.Event, error] { return audit.Read(ctx, s.auditPlace) }
}
