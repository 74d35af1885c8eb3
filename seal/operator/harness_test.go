package operator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// A server is a host with the handler: its store, its KMS and its
// configuration outlive restarts.
type server struct {
	t       testing.TB
	store   seal.Store
	kms     *kmstest.Fake
	keys    []string // the KMS keys that are configured
	plan    migrate.Plan
	deliver func(seal.Delivery) error
	parse   func(string) (seal.Recipient, string, error)
	events  func(seal.Event)
	name    string
	unpin   bool
	pins    []string
	retry   kms.Policy

	patience time.Duration // with the store

	b      *seal.Barrier
	h      http.Handler
	mu     sync.Mutex
	tokens map[string]bool
	mints  int
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, store: seal.NewMemStore(), kms: &kmstest.Fake{}, name: "replica-1", tokens: map[string]bool{}, retry: kms.Policy{Attempts: 1}, patience: 5 * time.Second}
	s.restart()
	return s
}

// restart is a new process over the same store.
func (s *server) restart() {
	s.t.Helper()
	if s.b != nil {
		s.b.Close()
	}
	wrappers := map[string]kms.Wrapper{}
	for _, key := range s.keys {
		wrappers[key] = s.kms.Key(key)
	}
	var err error
	s.b, err = seal.Open(seal.Config{
		Store: s.store, KMS: wrappers, Replica: s.name, OnEvent: s.events, TrustUnpinned: s.unpin, Pins: s.pins,
		Retry: s.retry, StoreTimeout: s.patience,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.b.Close() })
	s.h, err = operator.New(operator.Config{
		Barrier: s.b, Authorize: s.authorize, MintRootToken: s.mint, TokenLength: 26,
		Plan:    func(context.Context) (migrate.Plan, error) { return s.plan, nil },
		Deliver: s.deliver, ParseRecipient: s.parse, Version: "1.2.3", StorageType: "inmem", OnEvent: s.events,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) authorize(r *http.Request, _ operator.Action) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tokens[r.Header.Get("X-Vault-Token")] {
		return errors.New("no such token")
	}
	return nil
}

func (s *server) mint(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mints++
	token := fmt.Sprintf("s.%024d", s.mints)
	s.tokens[token] = true
	return token, nil
}

type object = map[string]any

// do sends a request and returns the code and the answer.
func (s *server) do(method, path, token string, body any) (int, object) {
	s.t.Helper()
	text := ""
	switch body := body.(type) {
	case nil:
	case string:
		text = body
	default:
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text = string(b)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(text))
	if token != "" {
		r.Header.Set("X-Vault-Token", token)
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	var out object
	if b := bytes.TrimSpace(w.Body.Bytes()); len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
	if w.Code == http.StatusNoContent && (out != nil || w.Header().Get("Content-Type") != "") {
		s.t.Fatalf("%s %s: 204 with a body", method, path)
	}
	return w.Code, out
}

// must is do that expects 200 or 204.
func (s *server) must(method, path, token string, body any) object {
	s.t.Helper()
	code, out := s.do(method, path, token, body)
	if code != http.StatusOK && code != http.StatusNoContent {
		s.t.Fatalf("%s %s: %d %v", method, path, code, out)
	}
	return out
}

// fails expects a code, and words in the error.
func (s *server) fails(method, path, token string, body any, code int, words ...string) {
	s.t.Helper()
	got, out := s.do(method, path, token, body)
	text := fmt.Sprint(out["errors"])
	if got != code {
		s.t.Fatalf("%s %s: %d %v, want %d", method, path, got, out, code)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			s.t.Errorf("%s %s: %q does not say %q", method, path, text, w)
		}
	}
}

func stringsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		out = append(out, e.(string))
	}
	return out
}

// init makes the store and returns the shares and the root token.
func (s *server) init(body object) (shares []string, token string) {
	s.t.Helper()
	out := s.must("PUT", "/v1/sys/init", "", body)
	shares = stringsOf(out["keys_base64"])
	if r := stringsOf(out["recovery_keys_base64"]); r != nil {
		shares = r
	}
	return shares, out["root_token"].(string)
}

func (s *server) unseal(shares ...string) object {
	s.t.Helper()
	var out object
	for _, share := range shares {
		out = s.must("PUT", "/v1/sys/unseal", "", object{"key": share})
	}
	return out
}

func (s *server) migrate(token string, shares ...string) object {
	s.t.Helper()
	var out object
	for _, share := range shares {
		out = s.must("PUT", "/v1/sys/unseal", token, object{"key": share, "migrate": true})
	}
	return out
}

// proves has people prove their slot, as a drill of theirs does.
func (s *server) proves(slot string, shares ...string) {
	s.t.Helper()
	op, _, err := s.b.Admin().Prove(s.t.Context(), slot, seal.By{})
	for _, text := range shares {
		share, parseErr := seal.ParseShare(text)
		_, submitErr := s.b.Submit(s.t.Context(), share, seal.By{Operation: op})
		err = errors.Join(err, parseErr, submitErr)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) encrypt(text string) []byte {
	s.t.Helper()
	ct, err := s.b.Keyring().Encrypt(nil, []byte(text), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return ct
}

func (s *server) decrypts(ct []byte, want string) {
	s.t.Helper()
	got, err := s.b.Keyring().Decrypt(nil, ct, nil)
	if err != nil || string(got) != want {
		s.t.Fatalf("the data written before: %q, %v", got, err)
	}
}

func expect(t *testing.T, out object, want object) {
	t.Helper()
	for k, v := range want {
		if fmt.Sprint(out[k]) != fmt.Sprint(v) {
			t.Errorf("%s is %v, want %v in %v", k, out[k], v, out)
		}
	}
}
