//go:build unix

package etcdtest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// A proxy forwards what other members say to one of them, unless either is cut off.
// Members tell in a header who they are, and keep streams open.
type proxy struct {
	listener net.Listener
	server   *http.Server

	mu      sync.Mutex
	all     bool            // cut off is the member itself
	from    map[string]bool // cut off are these
	streams map[*stream]bool
}

type stream struct {
	from string
	end  context.CancelFunc
}

func newProxy(to string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, from: map[string]bool{}, streams: map[*stream]bool{}}
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to})
	forward.FlushInterval = -1
	forward.ErrorLog = log.New(io.Discard, "", 0)
	p.server = &http.Server{ErrorLog: forward.ErrorLog, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, end := context.WithCancel(r.Context())
		defer end()
		s := &stream{from: r.Header.Get("X-Server-From"), end: end}
		if !p.begin(s) {
			panic(http.ErrAbortHandler)
		}
		defer p.done(s)
		forward.ServeHTTP(w, r.WithContext(ctx))
	})}
	go p.server.Serve(l)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) begin(s *stream) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all || p.from[s.from] {
		return false
	}
	p.streams[s] = true
	return true
}

func (p *proxy) done(s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.streams, s)
}

// cut cuts what one says, or all say where from is "", or lets it through again.
func (p *proxy) cut(from string, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if from == "" {
		p.all = cut
	} else {
		p.from[from] = cut
	}
	for s := range p.streams {
		if cut && (from == "" || s.from == from) {
			s.end()
		}
	}
}

func (p *proxy) close() { p.server.Close() }
