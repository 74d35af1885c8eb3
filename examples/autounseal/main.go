// Autounseal is a small HTTP server that keeps notes encrypted in a file, or in
// PostgreSQL, and comes back by itself after a kill -9: it is up at once, says
// why it is sealed, and unseals through the KMS of a seal stanza as Vault has it.
//
//	go run ./examples/autounseal -demo
//	go run ./examples/autounseal -config seal.hcl -dir /some/dir -init
//	go run ./examples/autounseal -config seal.hcl -dir /some/dir
//
//	curl -X PUT -d 'water the plants' http://127.0.0.1:8080/notes/monday
//	curl http://127.0.0.1:8080/notes/monday
//
// -init makes the store and ends. It is given once, by a person, and never stands
// in a manifest: a server that makes a store where it finds none takes a volume
// that is not mounted for a new one.
//
// -demo runs Azure, AWS and Google in this process and plays the whole story:
// a note, a kill -9, a restart, and what the server says of a wrong secret, a
// wrong vault, a disabled key and no network. It exits with 0 only if every step
// has verified itself.
//
// The directory kubernetes beside this one runs it there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sealwright/sealwright/examples/internal/cloudstore"
	"github.com/sealwright/sealwright/examples/internal/flags"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

type options struct {
	cloudstore.Place
	addr, operators string
	database        string
	replica         string
	init            bool
}

func main() {
	var o options
	o.Flags(flag.CommandLine)
	flag.StringVar(&o.addr, "addr", "127.0.0.1:8080", "the `address` to listen at")
	flag.StringVar(&o.operators, "operators", "", "another `address` for /reason and /metrics, which name keys and slots (default: that of -addr)")
	flag.StringVar(&o.database, "database", "", "a `file` with the connection string of the PostgreSQL database to use in place of -dir")
	flag.StringVar(&o.replica, "replica", "", "the `name` of this process among those that share a store (default: a random one)")
	flag.BoolVar(&o.init, "init", false, "make a store, if there is none, and end")
	demo := flag.Bool("demo", false, "show the whole with fake clouds in this process, in a temporary directory")
	flags.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return o.run(ctx) }
	if *demo {
		run = func() error { return tell(ctx) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "autounseal:", err)
		os.Exit(1)
	}
}

// run opens the store, and makes it or serves.
func (o *options) run(ctx context.Context) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	kept, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer kept.Close()
	var metrics sealhttp.Metrics
	log := seal.LogEvents(logger)
	cfg := seal.Config{Replica: o.replica, OnEvent: func(e seal.Event) {
		log(e)
		metrics.Event(e)
	}}
	if o.database != "" {
		cfg.Propagation = propagation
	}
	b, setup, err := o.Open(cfg)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, note := range setup.Notes {
		logger.Info(note)
	}
	if o.init {
		return initialize(ctx, b, setup.Slots)
	}

	var background sync.WaitGroup
	defer background.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	background.Go(func() { _ = b.Run(ctx) }) // it returns because ctx ended
	for _, run := range setup.Run {
		background.Go(func() {
			if err := run(ctx); ctx.Err() == nil {
				logger.Warn("renewal ended", "err", err)
			}
		})
	}
	return o.serve(ctx, b, &notes{kept: kept, box: b.Box("notes")}, &metrics)
}

// open returns where the notes are kept: in the directory of the record, or in
// its database. With -init the one or the other is made.
func (o *options) open(ctx context.Context) (shelf, error) {
	if o.database == "" {
		if o.init && o.Dir != "" {
			if err := os.Mkdir(o.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
		}
		return &files{dir: o.Dir}, nil
	}
	if o.Dir != "" {
		return nil, errors.New("-dir and -database exclude each other: the record and the notes are in one of them")
	}
	db, store, err := openDatabase(o.database)
	if err != nil {
		return nil, err
	}
	o.Store = store
	kept := &rows{db: db}
	if o.init {
		if err := errors.Join(store.CreateTable(ctx), kept.create(ctx)); err != nil {
			kept.Close()
			return nil, err
		}
	}
	return kept, nil
}

// initialize makes a store by the slots that the configuration wants. People
// would have to be given shares: this server has no way to.
func initialize(ctx context.Context, b *seal.Barrier, slots map[string]seal.Spec) error {
	if len(slots) == 0 {
		return errors.New("-init: the configuration wants no slot: add a seal stanza that is not disabled")
	}
	for name, spec := range slots {
		if seal.HasPeople(spec) {
			return fmt.Errorf("-init: slot %q is held by people: init with KMS slots, and add it by a migration", name)
		}
	}
	_, err := b.Init(ctx, slots, seal.By{Actor: "autounseal"})
	switch {
	case errors.Is(err, seal.ErrInitialized):
		fmt.Println("There is a store already; nothing was changed.")
		return nil
	case err != nil:
		return err
	}
	fmt.Println("The store is made. A server that runs on it unseals by itself.")
	return nil
}
