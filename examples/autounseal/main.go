// Autounseal is a small HTTP server that keeps notes encrypted in a file, and
// comes back by itself after a kill -9: it is up at once, says why it is sealed,
// and unseals through the KMS of a seal stanza as Vault has it.
//
//	go run ./examples/autounseal -demo
//	go run ./examples/autounseal -config seal.hcl -dir /some/dir -init
//	go run ./examples/autounseal -config seal.hcl -dir /some/dir
//
//	curl -X PUT -d 'water the plants' http://127.0.0.1:8080/notes/monday
//	curl http://127.0.0.1:8080/notes/monday
//
// -demo runs Azure, AWS and Google in this process and plays the whole story:
// a note, a kill -9, a restart, and what the server says of a wrong secret, a
// wrong vault, a disabled key and no network. It exits with 0 only if every step
// has verified itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sealwright/sealwright/examples/internal/cloudstore"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

type options struct {
	cloudstore.Place
	addr string
	init bool
}

func main() {
	var o options
	o.Flags(flag.CommandLine)
	flag.StringVar(&o.addr, "addr", "127.0.0.1:8080", "the `address` to listen at")
	flag.BoolVar(&o.init, "init", false, "make a store in -dir, if there is none")
	demo := flag.Bool("demo", false, "show the whole with fake clouds in this process, in a temporary directory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return serve(ctx, o) }
	if *demo {
		run = func() error { return tell(ctx) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "autounseal:", err)
		os.Exit(1)
	}
}

// serve runs the server until ctx ends. It is up whatever the store and the KMS
// are doing.
func serve(ctx context.Context, o options) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	b, setup, err := o.Open(seal.Config{OnEvent: seal.LogEvents(logger)})
	if err != nil {
		return err
	}
	defer b.Close()
	for _, note := range setup.Notes {
		logger.Info(note)
	}
	if o.init {
		if err := initialize(ctx, b, setup.Slots); err != nil {
			return err
		}
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

	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{Handler: routes(b, &notes{dir: o.Dir, b: b})}
	background.Go(func() {
		<-ctx.Done()
		server.Close()
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// routes are the server's. The whole reason of a sealed server is for operators:
// a real one gives /reason a listener of its own.
func routes(b *seal.Barrier, n *notes) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", sealhttp.Live())
	mux.Handle("GET /readyz", sealhttp.Ready(b))
	mux.Handle("GET /reason", sealhttp.Detailed(b))
	mux.Handle("GET /notes/{name}", sealhttp.Require(b, http.HandlerFunc(n.read)))
	mux.Handle("PUT /notes/{name}", sealhttp.Require(b, http.HandlerFunc(n.write)))
	return mux
}

// initialize makes a store by the slots that the configuration wants. People
// would have to be given shares: this server has no way to.
func initialize(ctx context.Context, b *seal.Barrier, slots map[string]seal.Spec) error {
	for name, spec := range slots {
		if seal.HasPeople(spec) {
			return fmt.Errorf("-init: slot %q is held by people: init with KMS slots, and add it by a migration", name)
		}
	}
	_, err := b.Init(ctx, slots, seal.By{Actor: "autounseal"})
	if errors.Is(err, seal.ErrInitialized) {
		return nil
	}
	return err
}
