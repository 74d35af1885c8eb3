package main

import (
	"context"
	"iter"
	"net/http"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/report"
)

// buildReport serves what an auditor asks, at /v1/sys/seal-report, to whose token may
// read that path. It knows the events of this process; a server that keeps a journal
// gives what that has.
func (s *server) buildReport(heard *report.Memory) (http.Handler, error) {
	return report.Handler(report.Config{
		Barrier:   s.barrier,
		Title:     "sealwright server",
		Authorize: func(r *http.Request) error { return s.authorize(r, operator.KeyStatus) },
		Events:    func(context.Context) iter.Seq2[seal.Event, error] { return heard.Events() },
	})
}
