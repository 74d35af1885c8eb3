package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// grace is how long requests that run have to end when the server is to end.
const grace = 10 * time.Second

// serve serves until ctx ends. It is up whatever the store and the KMS are doing.
func (o *options) serve(ctx context.Context, b *seal.Barrier, n *notes, metrics *sealhttp.Metrics) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	defer running.Wait()
	public, operators := routes(b, n, metrics)
	listeners := []struct {
		addr    string
		handler http.Handler
	}{{o.addr, public}, {o.operators, operators}}
	if o.operators == "" {
		public.Handle("GET /reason", operators)
		public.Handle("GET /metrics", operators)
		listeners = listeners[:1]
	}
	for _, l := range listeners {
		listener, err := net.Listen("tcp", l.addr)
		if err != nil {
			stop(err)
			break
		}
		server := &http.Server{Handler: l.handler, ReadHeaderTimeout: 10 * time.Second}
		running.Go(func() { stop(server.Serve(listener)) })
		running.Go(func() {
			<-ctx.Done()
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			if server.Shutdown(end) != nil {
				server.Close()
			}
		})
		fmt.Printf("http://%s\n", listener.Addr())
	}
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// routes are the server's: what everybody may ask, and what operators may. The
// whole reason of a sealed server names keys and slots, and so do the metrics.
func routes(b *seal.Barrier, n *notes, metrics *sealhttp.Metrics) (public, operators *http.ServeMux) {
	public, operators = http.NewServeMux(), http.NewServeMux()
	public.Handle("GET /livez", sealhttp.Live())
	public.Handle("GET /readyz", sealhttp.Ready(b))
	public.Handle("GET /notes/{name}", sealhttp.Require(b, http.HandlerFunc(n.read)))
	public.Handle("PUT /notes/{name}", sealhttp.Require(b, http.HandlerFunc(n.write)))
	operators.Handle("GET /reason", sealhttp.Detailed(b))
	operators.Handle("GET /metrics", metrics.Handler(b))
	return public, operators
}
