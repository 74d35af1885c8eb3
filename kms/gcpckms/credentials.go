package gcpckms

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"cloud.google.com/go/auth"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/provider"
)

// environmentFile is the variable that names a credentials file.
const environmentFile = "GOOGLE_APPLICATION_CREDENTIALS"

// A source grants access tokens: those of the host's Token, or of what a
// credentials file or the environment says at the moment of the call.
type source struct {
	token       func(context.Context) (*auth.Token, error)
	file        string // empty: as the environment says
	environment bool   // it may be read
	googleapis  bool   // the endpoint is in Google's own universe
	client      *http.Client

	turn chan struct{} // holds one value while somebody uses what follows
	sum  [sha256.Size]byte
	held *identity // of the file with that sum
	last string    // the token granted last
}

func newSource(cfg Config) *source {
	host, _, _ := strings.Cut(address(cfg.Endpoint), ":")
	transport := &http.Transport{TLSClientConfig: tlsConfig(cfg.TLS), ForceAttemptHTTP2: true, DisableKeepAlives: true}
	if cfg.AllowEnvironment {
		transport.Proxy = proxy
	}
	return &source{
		token:       cfg.Token,
		file:        cfg.CredentialsFile,
		environment: cfg.AllowEnvironment,
		googleapis:  strings.HasSuffix("."+host, ".googleapis.com"),
		client: &http.Client{
			Transport: recorder{transport},
			// What is posted may be a credential: it goes where the file says, and
			// nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		turn: make(chan struct{}, 1),
	}
}

// proxy is the environment's, but never for the metadata servers of clouds:
// they alone speak plain HTTP.
func proxy(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme == "http" {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// grant returns an access token, or a *failure. The quota project is who pays
// for a user's requests; it is empty for all others.
func (s *source) grant(ctx context.Context) (token, quotaProject string, err error) {
	if s.token != nil {
		t, err := s.token(ctx)
		token, err = usable(t, err, &exchange{}, "the host's Token")
		return token, "", err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", "", &failure{kind: kms.ErrUnavailable, text: "waiting for an access token", causes: []error{ctx.Err()}}
	}
	content, from, err := s.read()
	if err != nil {
		return "", "", ungranted(err, &exchange{}, from)
	}
	if sum := sha256.Sum256(content); s.held == nil || sum != s.sum {
		if s.held, err = s.understand(content); err != nil {
			return "", "", ungranted(err, &exchange{}, from)
		}
		s.sum = sum
	}
	x := &exchange{}
	t, err := s.held.tokens.Token(context.WithValue(ctx, exchangeKey{}, x))
	s.last, err = usable(t, err, x, from)
	return s.last, s.held.quotaProject, err
}

// usable returns the token if there is one and a request can carry it.
func usable(t *auth.Token, err error, x *exchange, from string) (string, error) {
	if err == nil && (t == nil || t.Value == "" || strings.ContainsFunc(t.Value, func(r rune) bool { return r <= ' ' || r > '~' })) {
		err = errors.New("it is empty or not printable")
	}
	if err != nil {
		return "", ungranted(err, x, from)
	}
	return t.Value, nil
}

// forget drops a token that the KMS refused, so that the next call gets
// another one than the cached.
func (s *source) forget(ctx context.Context, token string) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		if s.last == token {
			s.held = nil
		}
	case <-ctx.Done():
	}
}

// read returns the credentials file and its name; nil means the metadata
// server.
func (s *source) read() (content []byte, from string, err error) {
	if s.file != "" {
		return named("CredentialsFile", s.file)
	}
	if name := os.Getenv(environmentFile); name != "" {
		return named(environmentFile, name)
	}
	if name := gcloudFile(); name != "" {
		if content, err = os.ReadFile(name); err == nil || !errors.Is(err, os.ErrNotExist) {
			return content, fmt.Sprintf("gcloud's credentials file %q", name), err
		}
	}
	return nil, "the metadata server (" + environmentFile + " is not set, and gcloud left no file)", nil
}

// named reads the file of a field or a variable, and says whose it is.
func named(field, path string) (content []byte, from string, err error) {
	content, err = provider.ReadFile(field, path)
	return content, field + " " + provider.Show(path), errors.Unwrap(err)
}

// gcloudFile is where gcloud auth application-default login writes.
func gcloudFile() string {
	const name = "application_default_credentials.json"
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("APPDATA"), "gcloud", name)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".config", "gcloud", name)
}

// An exchange is the last answer of whoever issues tokens, within one call:
// Google's library turns most of them into text.
type exchange struct {
	host   string // empty: nobody was asked
	status int    // 0: no answer
	header http.Header
}

type exchangeKey struct{}

// A recorder keeps that answer in the exchange of the request's context.
type recorder struct{ http.RoundTripper }

func (r recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	answer, err := r.RoundTripper.RoundTrip(q)
	if x, ok := q.Context().Value(exchangeKey{}).(*exchange); ok {
		*x = exchange{host: q.URL.Hostname()}
		if err == nil {
			x.status, x.header = answer.StatusCode, answer.Header
		}
	}
	return answer, err
}
