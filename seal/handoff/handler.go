package handoff

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/seal"
)

// contentType is that of requests and answers.
const contentType = "application/x-sealwright-handoff"

// Config is what New needs. Barrier and Authorize are required.
type Config struct {
	Barrier *seal.Barrier

	// Authorize returns the name of the replica that sent a request, as its channel
	// proves it, or why the request may not be answered. Whom it names gets the root
	// key: let it name replicas of this server alone. It is called while sealed, too.
	// [Certificate] has the name of a client certificate. The asker learns nothing
	// of the error, which is in an event: let it hold no token.
	Authorize func(*http.Request) (replica string, err error)

	// Plain takes requests without TLS from other machines, for a host whose mesh or
	// proxy encrypts and proves who asks, as Authorize then looks up. Zero: only from
	// this machine.
	Plain bool
}

// New returns the asked side of a hand-off. Serve it at one path, on a listener that
// replicas reach and browsers do not. The error is [seal.ErrConfig].
func New(cfg Config) (http.Handler, error) {
	switch {
	case cfg.Barrier == nil:
		return nil, fmt.Errorf("handoff: %w: Config.Barrier is nil", seal.ErrConfig)
	case cfg.Authorize == nil:
		return nil, fmt.Errorf("handoff: %w: Config.Authorize is nil: it decides who gets the root key", seal.ErrConfig)
	}
	return &handler{cfg, http.NewCrossOriginProtection()}, nil
}

type handler struct {
	Config
	origin *http.CrossOriginProtection
}

var (
	errPlain = errors.New("the request came without TLS: the channel proves nothing")
	errCross = errors.New("the request was sent by a page of another site")
)

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != contentType {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "a replica posts its request here, as "+contentType, http.StatusMethodNotAllowed)
		return
	}
	soon := time.Now().Add(5 * time.Second) // the asker waits for no longer
	deadlines := http.NewResponseController(w)
	_, _ = deadlines.SetReadDeadline(soon), deadlines.SetWriteDeadline(soon) // as far as the server can
	replica, refused := h.who(r)
	var body []byte
	if refused == nil {
		var err error
		if body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, seal.MaxHandOffRequest)); err != nil {
			http.Error(w, "the request is longer than one can be, or was cut off", http.StatusBadRequest)
			return
		}
	}
	answer, err := h.Barrier.Admin().HandOff(r.Context(), body, replica, refused)
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status(err))
	w.Write(answer)
}

// who returns which replica sent a request, or why nothing proves that.
func (h *handler) who(r *http.Request) (replica string, refused error) {
	if r.TLS == nil && !h.Plain && !loopback(r.RemoteAddr) {
		return "", errPlain
	}
	if h.origin.Check(r) != nil || r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return "", errCross // no replica is a browser
	}
	refused = bounded.Guard(func() (err error) {
		replica, err = h.Authorize(r)
		return err
	})
	if refused != nil {
		replica = ""
	}
	return replica, refused
}

// status is for who looks at logs of requests; the asker reads the answer.
func status(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, seal.ErrHandOff):
		return http.StatusForbidden
	case errors.Is(err, seal.ErrRolledBack):
		return http.StatusConflict
	}
	return http.StatusServiceUnavailable
}

// loopback reports whether an address is this machine's own.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// Certificate returns the client certificate of a request, verified by the CAs of the
// listener's tls.Config: ClientAuth is tls.RequireAndVerifyClientCert, or
// VerifyClientCertIfGiven. It says who asks, not that they may: look at its name.
func Certificate(r *http.Request) (*x509.Certificate, error) {
	switch {
	case r.TLS == nil || len(r.TLS.PeerCertificates) == 0:
		return nil, errors.New("no client certificate")
	case len(r.TLS.VerifiedChains) == 0:
		return nil, errors.New("a client certificate that nobody has verified: set ClientAuth of the listener to RequireAndVerifyClientCert, and ClientCAs")
	}
	return r.TLS.VerifiedChains[0][0], nil
}
