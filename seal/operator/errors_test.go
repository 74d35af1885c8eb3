package operator_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// with makes a handler of the server with another configuration.
func (s *server) with(change func(*operator.Config)) {
	s.t.Helper()
	cfg := operator.Config{Barrier: s.b, Authorize: s.authorize, MintRootToken: s.mint, TokenLength: 26}
	change(&cfg)
	var err error
	if s.h, err = operator.New(cfg); err != nil {
		s.t.Fatal(err)
	}
}

func TestShapes(t *testing.T) {
	s := newServer(t)
	for words, shape := range map[string][2]int{
		"shares must be at least one":           {0, 0},
		"threshold must be at least one":        {3, 0},
		"threshold must be greater than one":    {3, 1},
		"shares must be less than 256":          {256, 3},
		"threshold cannot be larger":            {3, 4},
		"shares must be at least one ":          {-1, 1},
		"not applicable to seal type shamir":    {-2, 0},
		"failed to decode JSON input: the body": {-3, 0},
	} {
		body := any(object{"secret_shares": shape[0], "secret_threshold": shape[1]})
		switch shape[0] {
		case -2:
			body = object{"recovery_shares": 5, "recovery_threshold": 3}
		case -3:
			body = `{"secret_shares":"many"}`
		}
		s.fails("PUT", "/v1/sys/init", "", body, 400, strings.TrimSpace(words))
	}
	expect(t, s.must("GET", "/v1/sys/init", "", nil), object{"initialized": false})
}

func TestTokensOfTheHost(t *testing.T) {
	s := newServer(t)
	s.with(func(c *operator.Config) {
		c.MintRootToken = func(context.Context) (string, error) { return "", errors.New("the disk is full") }
	})
	// The shares are given out whatever happens: they exist nowhere else.
	out := s.must("PUT", "/v1/sys/init", "", object{"secret_shares": 1, "secret_threshold": 1})
	if out["root_token"] != "" || out["notes"] == nil || len(stringsOf(out["keys"])) != 1 {
		t.Fatal(out)
	}
	share := stringsOf(out["keys"])[0]
	s.unseal(share)
	token, _ := s.mint(t.Context())
	begin := func() any {
		return s.must("PUT", "/v1/sys/generate-root/attempt", token, object{})["nonce"]
	}
	nonce := begin()
	s.fails("PUT", "/v1/sys/generate-root/update", "", object{"key": share, "nonce": "other"}, 400, "incorrect nonce")
	s.fails("PUT", "/v1/sys/generate-root/update", "", object{"key": share, "nonce": nonce}, 500)
	s.fails("PUT", "/v1/sys/generate-root/update", "", object{"key": share, "nonce": nonce}, 400, "no root generation in progress")

	s.with(func(c *operator.Config) {
		c.MintRootToken = func(context.Context) (string, error) { return "short", nil }
	})
	s.fails("PUT", "/v1/sys/generate-root/update", "", object{"key": share, "nonce": begin()}, 500)

	s.with(func(c *operator.Config) { c.MintRootToken, c.TokenLength = nil, 0 })
	s.fails("PUT", "/v1/sys/generate-root/attempt", token, object{}, 400, "not made here")
	s.fails("GET", "/v1/sys/generate-root/attempt", "", nil, 400, "not made here")
	s.must("PUT", "/v1/sys/seal", token, nil)
	s.fails("PUT", "/v1/sys/generate-root/attempt", token, object{}, 503, "Vault is sealed")
	s.fails("DELETE", "/v1/sys/rekey/init", token, nil, 503, "Vault is sealed")
	s.fails("PUT", "/v1/sys/rotate/root", token, nil, 503, "Vault is sealed")
	s.fails("GET", "/v1/sys/rotate/config", token, nil, 503, "Vault is sealed")
}

func TestPlanThatFails(t *testing.T) {
	s := newServer(t)
	s.with(func(c *operator.Config) {
		c.Plan = func(context.Context) (migrate.Plan, error) {
			return migrate.Plan{}, errors.New("no such file: seals.hcl")
		}
	})
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 1, "secret_threshold": 1}, 500)
	token, _ := s.mint(t.Context())
	if out := s.must("GET", "/v1/sys/seal-status", token, nil); !strings.Contains(out["notes"].([]any)[0].(string), "seals.hcl") {
		t.Fatal(out)
	}
	s.with(func(*operator.Config) {})
	shares, _ := s.init(object{"secret_shares": 1, "secret_threshold": 1})
	s.with(func(c *operator.Config) {
		c.Plan = func(context.Context) (migrate.Plan, error) { return migrate.Plan{}, errors.New("no such file") }
	})
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[0], "migrate": true}, 500)
	// Without -migrate it unseals all the same.
	expect(t, s.unseal(shares[0]), object{"sealed": false})
}

// A store without people.
func TestWithoutPeople(t *testing.T) {
	s := newServer(t)
	s.keys = []string{"a", "b"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"a": seal.KMS{Wrapper: "a"}}}
	s.restart()
	shares, token := s.init(object{"recovery_shares": 0, "recovery_threshold": 0})
	if len(shares) != 0 {
		t.Fatalf("%d shares", len(shares))
	}
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"sealed": false, "t": 0, "n": 0})
	s.fails("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 1, "secret_threshold": 1}, 400, "no people hold a slot")
	s.fails("PUT", "/v1/sys/generate-root/attempt", token, object{}, 400, "no people hold a slot")
}

// What another replica gathers is named.
func TestElsewhere(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"]
	s.name = "replica-2"
	s.restart()
	s.unseal(shares[:2]...)
	expect(t, s.must("GET", "/v1/sys/rekey/init", "", nil), object{"replica": "replica-1", "nonce": nonce})
	s.fails("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": nonce}, 400, "replica-1")
	s.fails("PUT", "/v1/sys/rekey-recovery-key/update", "", object{"key": shares[0], "nonce": nonce}, 400, "recovery rekeying")
}

// A client that leaves while it waits gets nothing done.
func TestClientGone(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("PUT", "/v1/sys/init", strings.NewReader(`{"secret_shares":1,"secret_threshold":1}`)).WithContext(ctx)
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	expect(t, s.must("GET", "/v1/sys/init", "", nil), object{"initialized": false})
}
