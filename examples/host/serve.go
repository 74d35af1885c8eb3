package main

import (
	"context"
	"database/sql"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// The functions serve, add and get stand in the documentation of package seal, to
// the letter.

// serve is a whole server, until ctx ends. It comes up sealed.
func serve(ctx context.Context, l net.Listener, db *sql.DB, store seal.Store, cloud kms.Wrapper) error {
	var metrics sealhttp.Metrics
	events := seal.JoinEvents(metrics.Event, seal.LogEvents(slog.Default()))
	b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"cloud": cloud}, OnEvent: events})
	if err != nil {
		return err
	}
	defer b.Close() // waits for what While runs, and wipes the keys

	columns, err := sqlsource.Open(ctx, db, sqlsource.Config{Dialect: sqlsource.SQLite, Table: "tokens", Columns: []string{"secret"}})
	if err != nil {
		return err
	}
	sources := []migrate.KeeperSource{{Name: "tokens.secret", Source: columns}}
	keeper, err := migrate.NewKeeper(b, migrate.KeeperConfig{Sources: sources, RotateAfter: 30 * 24 * time.Hour, Metrics: &metrics})
	if err != nil {
		return err
	}
	slots := map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}} // what init makes beside people's recovery shares
	sys, err := operator.New(operator.Config{Barrier: b, Authorize: authorize, Slots: slots, OnEvent: events})
	if err != nil {
		return err
	}
	tokens := &tokens{db: db, box: b.Box("tokens", "secret")}
	mux := http.NewServeMux() // while sealed tokens answers 503 with the reason, and sys is how bao and vault unseal it
	sealhttp.Mount(mux, b, sealhttp.Routes{App: tokens, Operator: sys, Metrics: &metrics})
	server := &http.Server{Handler: mux, ReadTimeout: time.Minute}

	return sealhttp.Serve(ctx, l, server, // and at the end the requests end first, then these, then b
		b.Run,      // unseals by itself, follows other replicas, drills the keys
		keeper.Run, // rotates, rewraps, counts and retires
		func(ctx context.Context) error { return b.While(ctx, tokens.refresh) }, // what needs the keys, while they are there; its error ends the server
	)
}
