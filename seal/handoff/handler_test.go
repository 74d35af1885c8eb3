package handoff_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/handoff"
)

// A scene is an unsealed replica that is asked over HTTP, and a sealed one.
type scene struct {
	store  seal.Store
	good   *seal.Barrier
	events []seal.Event // of the good one
	asked  http.Handler
}

func byCertificate(r *http.Request) (string, error) {
	cert, err := handoff.Certificate(r)
	if err != nil {
		return "", err
	}
	for i := range 1000 { // each that a fleet here may have
		if name := cert.Subject.CommonName; name == fmt.Sprintf("web-%d", i) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%q is no replica", cert.Subject.CommonName)
}

func setScene(t *testing.T, change func(*handoff.Config)) *scene {
	s := &scene{store: seal.NewMemStore()}
	b, err := seal.Open(seal.Config{Store: s.store, Replica: "web-0", OnEvent: func(e seal.Event) { s.events = append(s.events, e) }})
	must(t, err)
	t.Cleanup(func() { b.Close() })
	d, err := b.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	must(t, err)
	for _, share := range d.Sets[0].Shares[:2] {
		_, err := b.Submit(t.Context(), share, seal.By{})
		must(t, err)
	}
	cfg := handoff.Config{Barrier: b, Authorize: byCertificate}
	if change != nil {
		change(&cfg)
	}
	s.good = b
	s.asked, err = handoff.New(cfg)
	must(t, err)
	return s
}

// ask has a sealed replica of that name make a round.
func (s *scene) ask(t *testing.T, replica string, client *handoff.Client) error {
	b, err := seal.Open(seal.Config{Store: s.store, Replica: replica, Peers: client.Peers})
	must(t, err)
	defer b.Close()
	return b.Unseal(t.Context())
}

// serve serves a handler on this machine.
func serve(t *testing.T, h http.Handler, config *tls.Config) string {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = nil
	if config == nil {
		server.Start()
	} else {
		server.TLS = config
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	return server.URL
}

func at(urls ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return urls, nil }
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOverHTTP: who may ask by its channel is handed the root key, and nobody else.
func TestOverHTTP(t *testing.T) {
	ca, strangers := newAuthority(), newAuthority()
	given := ca.server("web-0")
	given.ClientAuth = tls.VerifyClientCertIfGiven
	unverified := ca.server("web-0")
	unverified.ClientAuth = tls.RequireAnyClientCert
	nobody := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool}}}
	token := func(r *http.Request) (string, error) {
		if r.Header.Get("Authorization") != "Bearer reviewed" {
			return "", errors.New("not a token of this service account")
		}
		return "web-1", nil
	}
	tried, refused := 0, 0
	for name, tt := range map[string]struct {
		change  func(*handoff.Config)
		tls     *tls.Config // nil: none
		client  *http.Client
		replica string // "": web-1
		taken   bool
		words   string
		event   string // "": none
	}{
		"a certificate of a replica":         {tls: given, client: ca.client("web-1"), taken: true},
		"no certificate":                     {tls: given, client: nobody, words: "refuses", event: "no client certificate"},
		"no certificate, and one is asked":   {tls: ca.server("web-0"), client: nobody, words: "cannot be asked"},
		"a certificate of another CA":        {tls: ca.server("web-0"), client: with(ca.client("web-1"), strangers.pair("web-1")), words: "cannot be asked"},
		"a certificate that nobody verifies": {tls: unverified, client: with(ca.client("web-1"), strangers.pair("web-1")), words: "refuses", event: "nobody has verified"},
		"a certificate of something else":    {tls: given, client: ca.client("db-1"), words: "refuses", event: "is no replica"},
		"another replica's certificate":      {tls: given, client: ca.client("web-2"), words: "refuses", event: `of replica "web-1", and replica "web-2" sent it`},
		"a server of another CA":             {tls: given, client: strangers.client("web-1"), words: "cannot be asked"},
		"a token": {tls: given, client: bearing(nobody, "reviewed"), taken: true,
			change: func(c *handoff.Config) { c.Authorize = token }},
		"another token": {tls: given, client: bearing(nobody, "other"), words: "refuses", event: "not a token",
			change: func(c *handoff.Config) { c.Authorize = token }},
		"on this machine, without TLS": {client: bearing(http.DefaultClient, "reviewed"), taken: true,
			change: func(c *handoff.Config) { c.Authorize = token }},
		"an Authorize that panics": {tls: given, client: ca.client("web-1"), words: "refuses", event: "panicked",
			change: func(c *handoff.Config) { c.Authorize = func(*http.Request) (string, error) { panic("a host's fault") } }},
		"an Authorize that names nobody": {tls: given, client: ca.client("web-1"), words: "refuses", event: "not said which replica",
			change: func(c *handoff.Config) { c.Authorize = func(*http.Request) (string, error) { return "", nil } }},
	} {
		t.Run(name, func(t *testing.T) {
			s := setScene(t, tt.change)
			url := serve(t, s.asked, tt.tls)
			replica := tt.replica
			if replica == "" {
				replica = "web-1"
			}
			before := len(s.events)
			err := s.ask(t, replica, &handoff.Client{URLs: at(url), HTTP: tt.client})
			said := fmt.Sprint(s.events[before:])
			if tt.taken {
				if err != nil || len(s.events) != before+1 {
					t.Errorf("%v, %s", err, said)
				}
				return
			}
			tried++
			if err == nil || !errors.Is(err, seal.ErrHandOff) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%v", err)
			} else {
				refused++
			}
			if tt.event == "" && len(s.events) != before || !strings.Contains(said, tt.event) {
				t.Errorf("events: %s", said)
			}
		})
	}
	t.Logf("GUARANTEE 29 hand-off-channels: tried=%d refused=%d", tried, refused)
}

// with is a client that shows another certificate.
func with(c *http.Client, pair tls.Certificate) *http.Client {
	config := c.Transport.(*http.Transport).TLSClientConfig
	// Whatever CAs the server names: a stranger does not look.
	config.Certificates, config.GetClientCertificate = nil, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return c
}

type bearer struct {
	http.RoundTripper
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.RoundTripper.RoundTrip(r)
}

func bearing(c *http.Client, token string) *http.Client {
	inner := c.Transport
	if inner == nil {
		inner = http.DefaultTransport
	}
	return &http.Client{Transport: bearer{inner, token}}
}

// TestRequests: what is not a replica's request over a channel that proves something
// is refused before anything is read of it.
func TestRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*http.Request)
		status int
		event  string
	}{
		"from another machine without TLS": {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, 403, "without TLS"},
		"from nowhere":                     {func(r *http.Request) { r.RemoteAddr = "" }, 403, "without TLS"},
		"from another site":                {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "another site"},
		"from a browser":                   {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, 403, "another site"},
		"with an Origin":                   {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403, "another site"},
		"a GET":                            {func(r *http.Request) { r.Method = "GET" }, 405, ""},
		"a form":                           {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 405, ""},
		"without end":                      {func(r *http.Request) { r.Body = io.NopCloser(endless{}) }, 400, ""},
		"nonsense":                         {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("nonsense")) }, 403, "not a message"},
	} {
		t.Run(name, func(t *testing.T) {
			s := setScene(t, func(c *handoff.Config) {
				c.Authorize = func(*http.Request) (string, error) { return "web-1", nil }
			})
			r := httptest.NewRequest("POST", "/handoff", nil)
			r.RemoteAddr = "127.0.0.1:1"
			r.Header.Set("Content-Type", "application/x-sealwright-handoff")
			tt.change(r)
			before := len(s.events)
			w := httptest.NewRecorder()
			s.asked.ServeHTTP(w, r)
			said := fmt.Sprint(s.events[before:])
			if w.Code != tt.status || w.Body.Len() > 200 || (tt.event == "") != (len(s.events) == before) || !strings.Contains(said, tt.event) {
				t.Errorf("%d, %q, %s", w.Code, w.Body, said)
			}
			if w.Code != 405 && w.Header().Get("Cache-Control") != "no-store" {
				t.Error("it may be cached")
			}
		})
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// TestPeersThatDoOtherThings: what stands where a replica should be is told apart,
// and neither followed elsewhere nor read without end.
func TestPeersThatDoOtherThings(t *testing.T) {
	ca := newAuthority()
	s := setScene(t, nil)
	real := serve(t, s.asked, ca.server("web-0"))
	client := func(urls ...string) *handoff.Client {
		return &handoff.Client{URLs: at(urls...), HTTP: ca.client("web-1")}
	}
	do := func(h http.HandlerFunc) *handoff.Client { return client(serve(t, h, ca.server("web-9"))) }
	for name, tt := range map[string]struct {
		client *handoff.Client
		words  string
	}{
		"a page":     {do(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }), "no hand-off: HTTP status 200"},
		"a redirect": {do(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, real, http.StatusTemporaryRedirect) }), "no hand-off: HTTP status 307"},
		"without end": {do(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-sealwright-handoff")
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}), "not a message"},
		"http":       {client("http://user:secret@web-0.example:1/handoff"), "not https"},
		"no URL":     {client("web-0:secret"), "no URL"},
		"no port":    {client("https://user:secret@127.0.0.1:1/"), "cannot be asked"},
		"no HTTP":    {&handoff.Client{URLs: at(real)}, "required"},
		"no list":    {&handoff.Client{HTTP: ca.client("web-1"), URLs: func(context.Context) ([]string, error) { return nil, errors.New("no such host") }}, "no such host"},
		"one of two": {client("https://127.0.0.1:1/", real), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.ask(t, "web-1", tt.client)
			if (tt.words == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), tt.words) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	s := setScene(t, nil)
	for _, cfg := range []handoff.Config{{}, {Barrier: s.good}, {Authorize: byCertificate}} {
		if _, err := handoff.New(cfg); !errors.Is(err, seal.ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// TestPlain: a host whose mesh proves who asks takes requests without TLS.
func TestPlain(t *testing.T) {
	s := setScene(t, func(c *handoff.Config) {
		c.Plain, c.Authorize = true, func(*http.Request) (string, error) { return "web-1", nil }
	})
	outside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "192.0.2.1:1"
		s.asked.ServeHTTP(w, r)
	})
	must(t, s.ask(t, "web-1", &handoff.Client{URLs: at(serve(t, outside, nil)), HTTP: &http.Client{Timeout: 5 * time.Second}, Plain: true}))
}
