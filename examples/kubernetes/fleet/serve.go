package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/handoff"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// run is a replica, until ctx ends. It comes up sealed, and asks the others. What is
// opened first is closed last: the journal has the barrier's last event.
func run(ctx context.Context, c config, log *slog.Logger) error {
	docs, err := openShared(c)
	if err != nil {
		return err
	}
	defer docs.close()
	id, err := newIdentity(c)
	if err != nil {
		return err
	}
	token, err := readToken(c.token)
	if err != nil {
		return err
	}
	j, end, err := openJournal(ctx, c)
	if err != nil {
		return err
	}
	defer end()
	anchor, err := filestore.Open(filepath.Join(c.dir, "anchor"))
	if err != nil {
		return err
	}
	var metrics sealhttp.Metrics
	metrics.Journal(j.Status)
	history := ceremony.NewRing(1000)
	events := seal.JoinEvents(j.Event, metrics.Event, history.OnEvent, seal.LogEvents(log))
	b, err := seal.Open(seal.Config{
		Store: docs.seal, Roster: docs.roster, Replica: c.replica,
		Peers: id.client().Peers, PassShares: true, // it does not matter which replica a share is given to
		Anchor:      anchor,           // a record that was deleted, or put back, is not a new store
		Propagation: 30 * time.Second, // more than a replica takes to see a change
		OnEvent:     events,
	})
	if err != nil {
		return err
	}
	defer b.Close() // wipes the keys
	asked, err := handoff.New(handoff.Config{Barrier: b, Authorize: id.authorize})
	if err != nil {
		return err
	}
	people, err := forPeople(b, token, &metrics, history, events)
	if err != nil {
		return err
	}
	clients := http.NewServeMux() // while sealed: /livez, /readyz, and 503 for the rest
	sealhttp.Mount(clients, b, sealhttp.Routes{App: &notes{doc: docs.notes, box: b.Box("notes", "text"), may: operator.Token(token)}})

	return sealhttp.Serve(ctx, nil, &http.Server{Addr: c.addr, Handler: clients, ReadTimeout: time.Minute},
		b.Run, // follows the others, and asks them
		serving(&http.Server{Addr: c.operators, Handler: people, ReadTimeout: time.Minute}),
		serving(&http.Server{Addr: c.handoff, Handler: asked, TLSConfig: id.server(), ReadTimeout: time.Minute}))
}

// openJournal has every attempt on the seal written down, chained, on this replica's
// volume: journal.Verify finds what was changed.
func openJournal(ctx context.Context, c config) (j *journal.Journal, end func(), err error) {
	j, err = journal.Open(journal.Config{Place: journal.File{Path: filepath.Join(c.dir, "journal")}, Name: c.replica})
	if err != nil {
		return nil, nil, err
	}
	var running sync.WaitGroup
	running.Go(func() { _ = j.Run(context.WithoutCancel(ctx)) }) // until it is closed
	return j, func() { _ = j.Close(); running.Wait() }, nil
}

// serving is a server that runs beside another one.
func serving(s *http.Server) func(context.Context) error {
	return func(ctx context.Context) error { return sealhttp.Serve(ctx, nil, s) }
}

// forPeople is what custodians and operators reach, and nobody else: the page at
// /ceremony/, what bao and vault speak at /v1/sys/, why the server is sealed at
// /reason, and /metrics.
func forPeople(b *seal.Barrier, token string, metrics *sealhttp.Metrics, history *ceremony.Ring, events func(seal.Event)) (http.Handler, error) {
	sys, err := operator.New(operator.Config{Barrier: b, Authorize: operator.Token(token), AuthorizeInit: true, OnEvent: events})
	if err != nil {
		return nil, err
	}
	page, err := ceremony.New(ceremony.Config{Barrier: b, Title: "notes", Authorize: ceremony.Token(token), Events: history.Newest, OnEvent: events})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/ceremony/", page)
	mux.Handle("/reason", sealhttp.Detailed(b))
	sealhttp.Mount(mux, b, sealhttp.Routes{Operator: sys, Metrics: metrics})
	return mux, nil
}

func readToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("-token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 16 {
		return "", fmt.Errorf("the token in %s has fewer than 16 characters", file)
	}
	return token, nil
}
