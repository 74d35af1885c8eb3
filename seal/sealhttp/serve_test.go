package sealhttp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// pipes is a listener within the process, for a test in virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// get asks for /, and returns what comes back, if anything does.
func (p *pipes) get() string {
	here, there := net.Pipe()
	defer here.Close()
	select {
	case p.conns <- there:
	case <-p.closed:
		return "refused"
	}
	fmt.Fprint(here, "GET / HTTP/1.1\r\nHost: host\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(here), nil)
	if err != nil {
		return "cut off"
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "cut off"
	}
	return string(text)
}

// TestServeEndsInOrder: requests under way find what they need, and what runs beside
// them ends after them.
func TestServeEndsInOrder(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		request time.Duration // that it takes
		breaks  error         // how what runs beside it ends, in place of ctx
		err     error
		got     string
		order   []string
	}{
		"by its context":              {3 * time.Second, nil, nil, "answered", []string{"request", "beside"}},
		"by an error":                 {3 * time.Second, broken, broken, "answered", []string{"request", "beside"}},
		"after too long":              {time.Hour, nil, context.DeadlineExceeded, "cut off", []string{"beside", "request"}},
		"by an error, after too long": {time.Hour, broken, broken, "cut off", []string{"beside", "request"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var order []string
				ended := func(what string) { mu.Lock(); defer mu.Unlock(); order = append(order, what) }
				ctx, stop := context.WithCancel(t.Context())
				fail := make(chan error)
				beside := func(ctx context.Context) error {
					<-ctx.Done()
					ended("beside")
					return ctx.Err()
				}
				l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				handled := make(chan struct{})
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(handled)
					time.Sleep(test.request)
					fmt.Fprint(w, "answered")
					ended("request")
				})}
				returned := make(chan error)
				go func() {
					returned <- sealhttp.Serve(ctx, l, server, beside,
						func(context.Context) error { return nil }, // has done its work
						func(context.Context) error { return <-fail })
				}()
				got := make(chan string)
				go func() { got <- l.get() }()
				synctest.Wait()
				began := time.Now()
				if test.breaks == nil {
					stop()
					synctest.Wait()
					close(fail)
				} else {
					fail <- test.breaks
				}
				synctest.Wait()
				if text := l.get(); text != "refused" {
					t.Errorf("a request after the end: %s", text)
				}
				if err := <-returned; !errors.Is(err, test.err) {
					t.Errorf("Serve returns %v, not %v", err, test.err)
				} else if test.err == context.DeadlineExceeded && err.Error() != "sealhttp: requests were cut off after 10s: context deadline exceeded" {
					t.Error(err)
				}
				if took := time.Since(began); took > 11*time.Second {
					t.Errorf("it took %v", took)
				}
				if text := <-got; text != test.got {
					t.Errorf("the request: %s, not %s", text, test.got)
				}
				<-handled
				if !slices.Equal(order, test.order) {
					t.Errorf("the order of the ends is %q, not %q", order, test.order)
				}
				stop()
			})
		})
	}
}

// TestServeListens: at the server's address, and over TLS where it is configured.
func TestServeListens(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	never := func(context.Context) error { t.Error("it runs"); return nil }
	err = sealhttp.Serve(t.Context(), nil, &http.Server{Addr: taken.Addr().String()}, never)
	if _, ok := errors.AsType[*net.OpError](err); !ok || !strings.HasPrefix(err.Error(), "sealhttp: listen tcp") {
		t.Errorf("an address that is taken: %v", err)
	}
	taken.Close()

	other := httptest.NewTLSServer(nil) // for its certificate
	defer other.Close()
	for name, config := range map[string]*tls.Config{"http": nil, "https": {Certificates: other.TLS.Certificates}} {
		ctx, stop := context.WithCancel(t.Context())
		server := &http.Server{TLSConfig: config, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.TLS != nil)
		})}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		err = sealhttp.Serve(ctx, l, server, func(context.Context) error {
			defer stop()
			resp, err := other.Client().Get(name + "://" + l.Addr().String())
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if text, err := io.ReadAll(resp.Body); err != nil || string(text) != fmt.Sprint(config != nil) {
				t.Errorf("%s: over TLS: %s, %v", name, text, err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func ExampleServe() {
	ctx, stop := context.WithCancel(context.Background()) // a server has signal.NotifyContext
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(),
		KMS:   map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("prod")},
	})
	if err != nil {
		panic(err)
	}
	defer b.Close() // after all of the others
	work := func(ctx context.Context) error {
		fmt.Println("unsealed: its work begins")
		stop()
		<-ctx.Done()
		fmt.Println("its work ends, and the keys are there")
		return nil
	}
	mux := http.NewServeMux()
	sealhttp.Mount(mux, b, sealhttp.Routes{})
	server := &http.Server{Addr: "127.0.0.1:0", Handler: mux, ReadTimeout: time.Minute}
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		panic(err)
	}
	err = sealhttp.Serve(ctx, nil, server, b.Run, func(ctx context.Context) error { return b.While(ctx, work) })
	fmt.Println("ended:", err)
	// Output:
	// unsealed: its work begins
	// its work ends, and the keys are there
	// ended: <nil>
}
