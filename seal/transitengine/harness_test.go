package transitengine_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/transitengine"
)

type object = map[string]any

// A server is a host that has mounted the handler: its token may do everything
// but what is forbidden.
type server struct {
	t         testing.TB
	b         *seal.Barrier
	share     seal.Share
	store     named.Store
	keys      *named.Keys
	h         http.Handler
	forbidden map[transitengine.Action]bool

	mu     sync.Mutex
	events []seal.Event
	asked  []string
}

const token = "s.canary-token-of-the-engine"

func newServer(t testing.TB, change ...func(*transitengine.Config)) *server {
	t.Helper()
	s := &server{t: t, store: named.NewMemStore(), forbidden: map[transitengine.Action]bool{}}
	return s.over(s.store, change...)
}

func (s *server) over(store named.Store, change ...func(*transitengine.Config)) *server {
	t := s.t
	t.Helper()
	var err error
	if s.b, err = seal.Open(seal.Config{Store: seal.NewMemStore(), Replica: "engine"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.b.Close() })
	d, err := s.b.Init(t.Context(), map[string]seal.Spec{"shamir": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	s.share = d.Sets[0].Shares[0]
	s.unseal()
	s.keys, err = named.New(named.Config{Keyring: s.b.Keyring(), Store: store, Keep: func(migrate.Source) {}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := transitengine.Config{Keys: s.keys, Sealed: s.b.Sealed, Authorize: s.authorize, OnEvent: s.event}
	for _, f := range change {
		f(&cfg)
	}
	if s.h, err = transitengine.New(cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) unseal() {
	s.t.Helper()
	if _, err := s.b.Submit(s.t.Context(), s.share, seal.By{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) event(e seal.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *server) authorize(r *http.Request, a transitengine.Action, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, string(a)+" "+key)
	if r.Header.Get("X-Vault-Token") != token || s.forbidden[a] {
		return errors.New("the host's own reason, which is nobody's business")
	}
	return nil
}

// send is a request with a body as it is, or encoded.
func (s *server) send(method, path string, body any, headers ...string) (int, string) {
	s.t.Helper()
	var in io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(body)
	default:
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r := httptest.NewRequest(method, "/v1/transit/"+path, in)
	r.Header.Set("X-Vault-Token", token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (s *server) want(code int, method, path string, body any) object {
	s.t.Helper()
	got, text := s.send(method, path, body)
	if got != code {
		s.t.Fatalf("%s %s: %d %s, want %d", method, path, got, text, code)
	}
	return decoded(s.t, text)
}

func decoded(t testing.TB, text string) (out object) {
	t.Helper()
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// data is what a successful request answers.
func (s *server) data(method, path string, body any) object {
	s.t.Helper()
	return s.want(200, method, path, body)["data"].(object)
}

// refuses makes a request that is answered with these words.
func (s *server) refuses(code int, words, method, path string, body any) {
	s.t.Helper()
	out := s.want(code, method, path, body)
	errs, _ := out["errors"].([]any)
	if words == "" && len(errs) == 0 {
		return
	}
	if len(errs) != 1 || !strings.Contains(errs[0].(string), words) {
		s.t.Errorf("%s %s: %v, want %q", method, path, out, words)
	}
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
