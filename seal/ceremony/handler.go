package ceremony

import (
	"context"
	"embed"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/seal"
)

const (
	// requestBound is how long a request may take, lookBound how long it waits to
	// see how the store is.
	requestBound = 50 * time.Second
	lookBound    = 3 * time.Second

	// maxBody bounds what is sent: a share, or a place with an OpenPGP key.
	maxShareBody = 4 << 10
	maxKeyBody   = 256 << 10
)

// handler is what New returns. No lock of it is held while the barrier, a KMS or the
// host is called.
type handler struct {
	Config
	mux    *http.ServeMux
	origin *http.CrossOriginProtection

	answers answers
	moving  sync.Mutex // held by the request that makes a migration's moves; nobody waits for it

	mu     sync.Mutex
	rite   *rite            // the ceremony in progress, nil if there is none
	initID seal.OperationID // by which an init that nobody has shown shares of is repeated
}

//go:embed script.js style.css icon.svg
var files embed.FS

// An action answers a request: with a page, or with where to go.
type action func(r *http.Request) (*page, error)

func (h *handler) routes() *http.ServeMux {
	mux := http.NewServeMux()
	get := func(path string, f action) { mux.Handle("GET /"+path, h.show(f, maxShareBody)) }
	post := func(path string, limit int64, f action) { mux.Handle("POST /"+path, h.show(f, limit)) }
	get("{$}", h.home)
	get("answer/{id}", h.answer)
	get("check", h.checkPage)
	get("operation/{id...}", h.operationPage)
	get("migration", h.migrationPage)
	get("begin/init", h.beginPage)
	get("begin/rekey", h.beginPage)
	get("join/{invitation}", h.joinPage)
	get("events", h.eventsPage)
	post("unseal", maxShareBody, h.unseal)
	post("check", maxShareBody, h.check)
	post("operation/{id...}", maxShareBody, h.giveTo)
	post("migration", maxShareBody, h.agree)
	post("begin/init", maxShareBody, h.begin)
	post("begin/rekey", maxShareBody, h.begin)
	post("lead", maxShareBody, h.lead)
	post("join/{invitation}", maxKeyBody, h.join)
	post("place", maxShareBody, h.place)
	post("events", maxShareBody, h.eventsPage)
	for _, name := range []string{"script.js", "style.css", "icon.svg"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, name) })
	}
	mux.Handle("/", h.show(func(*http.Request) (*page, error) { return nil, errNotFound }, maxShareBody))
	return mux
}

// policy is what the page may do: its own script, its own style, and requests to
// where it comes from.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range map[string]string{
		"Content-Security-Policy":      policy,
		"Permissions-Policy":           "camera=(self), microphone=(), geolocation=(), clipboard-read=()",
		"Cache-Control":                "no-store",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"X-Robots-Tag":                 "noindex, nofollow",
		"Vary":                         "Accept-Language",
	} {
		w.Header().Set(name, value)
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestBound)
	defer cancel()
	r = r.WithContext(ctx)
	path, ok := strings.CutPrefix(r.URL.Path, h.Path)
	if !ok || strings.Contains("/"+path, "//") || strings.Contains("/"+path+"/", "/./") || strings.Contains("/"+path+"/", "/../") {
		path = "\x00" // below nothing of ours
	}
	inner := r.Clone(ctx)
	inner.URL = &url.URL{Path: "/" + path, RawQuery: r.URL.RawQuery}
	h.mux.ServeHTTP(w, inner)
}

// show has a request answered, if it is one of this server's own pages'.
func (h *handler) show(act action, limit int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		p, err := h.admit(r, act)
		if err != nil {
			h.emit(r, r.Method+" "+within(r), "", err)
			p = h.page(r, "refused")
			p.code, p.Answer = codeOf(err), p.explain(err)
			if p.code == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "5")
			}
		}
		if p.to != "" {
			http.Redirect(w, r, h.Path+p.to, http.StatusSeeOther)
			return
		}
		p.write(w)
	})
}

// within is the path of a request without what it names: an invitation is for whom it
// was sent to.
func within(r *http.Request) string {
	first, _, more := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !slices.Contains([]string{"", "unseal", "check", "operation", "migration", "begin", "lead", "join", "place", "events", "answer"}, first) {
		return "an unknown path"
	}
	if more {
		return first + "/…"
	}
	return first
}

// admit does what a request wants.
func (h *handler) admit(r *http.Request, act action) (*page, error) {
	if r.TLS == nil && fromHere(r) && !ownName(r) && !h.Secure(r) {
		return nil, errHost
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return act(r)
	}
	switch {
	case h.origin.Check(r) != nil:
		return nil, errOrigin
	case !h.Secure(r):
		return nil, errInsecure
	case r.URL.RawQuery != "":
		return nil, errForm // what is secret stands in no address
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(strings.ToLower(kind)) != "application/x-www-form-urlencoded" {
		return nil, errForm
	}
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, large
		}
		return nil, errForm
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return act(r)
}

// private is [Config.Secure] for who serves without a proxy.
func private(r *http.Request) bool {
	return r.TLS != nil || fromHere(r) && ownName(r) && !forwarded(r)
}

// fromHere reports whether a request comes from this machine.
func fromHere(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback()
}

// forwarded reports whether a proxy says that it sends the request for another.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// ownName reports whether a request is for this machine's own name: a page of a
// stranger whose name was made to lead here is of one origin with this one, and nothing
// else tells. What it says in headers decides nothing: it can add those that proxies do.
func ownName(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}

// by says who sent a request, and as a step of which operation.
func (h *handler) by(r *http.Request, op seal.OperationID) seal.By {
	return seal.By{Actor: h.Actor(r), Operation: op}
}

// may reports whether a request may do that: nothing, over a connection that others read
// and whose names prove nothing.
func (h *handler) may(r *http.Request, a Action, token string) bool {
	return h.Secure(r) && h.Authorize(r, a, token) == nil
}

// emit calls the host's hook. One that panics loses its event, and not the answer.
func (h *handler) emit(r *http.Request, detail string, op seal.OperationID, err error) {
	if h.OnEvent == nil {
		return
	}
	defer func() { _ = recover() }()
	s := h.Barrier.Status()
	h.OnEvent(seal.Event{
		Time: time.Now(), Kind: EventCeremony, Replica: s.Replica, Actor: record.Person(h.Actor(r)), Operation: op, Generation: s.Generation, Detail: detail, Err: err,
	})
}

// steady is a context for what a client that leaves must not stop in the middle.
func steady(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), requestBound)
}
