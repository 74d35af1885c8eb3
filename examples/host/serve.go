package main

import (
	"context"
	"database/sql"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// The functions serve, add and get stand in the documentation of package seal, and
// serve in the README, to the letter.

// serve is a whole server, until ctx ends. It comes up sealed.
func serve(ctx context.Context, l net.Listener, db *sql.DB, store seal.Store, cloud kms.Wrapper) error {
	var metrics sealhttp.Metrics
	b, err := seal.Open(seal.Config{
		Store:   store,
		KMS:     map[string]kms.Wrapper{"cloud": cloud},
		OnEvent: seal.JoinEvents(metrics.Event, seal.LogEvents(slog.Default())),
	})
	if err != nil {
		return err
	}
	defer b.Close() // waits for what While runs, and wipes the keys

	columns, err := sqlsource.Open(ctx, db, sqlsource.Config{Dialect: sqlsource.SQLite, Table: "tokens", Columns: []string{"secret"}})
	if err != nil {
		return err
	}
	keeper, err := migrate.NewKeeper(b, migrate.KeeperConfig{
		Sources:     []migrate.KeeperSource{{Name: "tokens.secret", Source: columns}},
		RotateAfter: 30 * 24 * time.Hour,
		Metrics:     &metrics,
	})
	if err != nil {
		return err
	}

	sys, err := operator.New(operator.Config{Barrier: b, Authorize: authorize, Plan: plan})
	if err != nil {
		return err
	}
	tokens := &tokens{db: db, box: b.Box("tokens", "secret")}
	mux := http.NewServeMux()
	mux.Handle("/tokens/", sealhttp.Require(b, tokens)) // 503 with the reason while sealed
	mux.Handle("/v1/sys/", sys)                         // bao operator init, unseal, seal, rekey …
	mux.Handle("/livez", sealhttp.Live())
	mux.Handle("/readyz", sealhttp.Ready(b))
	mux.Handle("/metrics", metrics.Handler(b))
	server := &http.Server{Handler: mux, ReadTimeout: time.Minute}

	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	running.Go(func() { b.Run(ctx) })                   // unseals by itself, follows other replicas, drills the keys
	running.Go(func() { keeper.Run(ctx) })              // rotates, rewraps, counts and retires
	running.Go(func() { b.While(ctx, tokens.refresh) }) // what needs the keys, while they are there
	running.Go(func() {
		<-ctx.Done()
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		server.Shutdown(soon)
	})
	return server.Serve(l)
}
