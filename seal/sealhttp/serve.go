package sealhttp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// drainTime is how long requests under way have to be answered when Serve ends.
const drainTime = 10 * time.Second

// Serve has server answer on l until ctx ends, and runs beside it what a server
// runs: [seal.Barrier.Run], a Keeper of package migrate, what calls
// [seal.Barrier.While].
//
//	defer b.Close()
//	server := &http.Server{Handler: mux, ReadTimeout: time.Minute}
//	return sealhttp.Serve(ctx, l, server, b.Run, keeper.Run, func(ctx context.Context) error {
//		return b.While(ctx, work)
//	})
//
// It ends in this order, so that each has what it needs until its own end: no
// more requests are taken, those under way are answered, the contexts of run end
// and all of them return. The barrier is closed after it, by the caller. What is
// not answered within ten seconds is cut off.
//
// An error of one of run, or of the server, ends everything in the same order, and
// is returned. One that returns nil has done its work, and ends nothing. Where ctx
// ended, Serve returns nil, or that requests were cut off.
//
// Serve closes l. If l is nil, it listens at server.Addr. A server with a TLSConfig,
// which then has the certificate, speaks TLS.
func Serve(ctx context.Context, l net.Listener, server *http.Server, run ...func(context.Context) error) error {
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", server.Addr); err != nil {
			return fmt.Errorf("sealhttp: %w", err)
		}
	}
	defer l.Close()
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	failed := make(chan error, len(run)+1)
	var running sync.WaitGroup
	for _, f := range run {
		running.Go(func() {
			if err := f(beside); err != nil {
				failed <- err
			}
		})
	}
	running.Go(func() { failed <- listen(server, l) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	if cut := drain(ctx, server); err == nil {
		err = cut
	}
	end()
	running.Wait()
	return err
}

func listen(server *http.Server, l net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(l, "", "")
	}
	return server.Serve(l)
}

// drain has requests under way answered, for as long as they may take.
func drain(ctx context.Context, server *http.Server) error {
	soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := server.Shutdown(soon)
	if errors.Is(err, context.DeadlineExceeded) {
		server.Close() // its error would be of what is cut off
		return fmt.Errorf("sealhttp: requests were cut off after %v: %w", drainTime, err)
	}
	return err
}
