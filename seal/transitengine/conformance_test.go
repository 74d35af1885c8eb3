package transitengine_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/transitengine"
)

// A host is a server that wrappers of package kms/transit speak to over HTTP: the
// engine, and the two questions about a token that every host of it answers.
type host struct {
	*server
	url     string
	stalled atomic.Pointer[func()] // what to call for a request that is not answered
	revoked atomic.Bool
}

func newHost(t *testing.T) *host {
	h := &host{}
	h.server = newServer(t, func(c *transitengine.Config) {
		inner := c.Authorize
		c.Authorize = func(r *http.Request, a transitengine.Action, key string) error {
			if h.revoked.Load() {
				return errors.New("revoked")
			}
			return inner(r, a, key)
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/v1/transit/", h.h)
	mux.HandleFunc("PUT /v1/auth/token/renew-self", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"errors":["lease is not renewable"]}`, http.StatusBadRequest)
	})
	mux.HandleFunc("GET /v1/auth/token/lookup-self", func(w http.ResponseWriter, _ *http.Request) {
		if h.revoked.Load() {
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
			return
		}
		fmt.Fprintln(w, `{"data":{"renewable":false,"ttl":0}}`)
	})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if arrived := h.stalled.Load(); arrived != nil {
			_, _ = io.Copy(io.Discard, r.Body) // only then a server knows when the client leaves
			(*arrived)()
			<-r.Context().Done()
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	h.url = web.URL
	return h
}

// config is that of a wrapper.
func (h *host) config(key string) transit.Config {
	return transit.Config{Address: h.url, Token: token, KeyName: key, Timeout: 30 * time.Second}
}

// TestOurOwnWrapper: the contract of a KMS holds for kms/transit against the
// engine, as it does against a Vault.
func TestOurOwnWrapper(t *testing.T) {
	h := newHost(t)
	for _, key := range []string{"a", "b"} {
		h.want(200, "POST", "keys/"+key, nil)
	}
	state := func(name string, want error, do, undo func()) kmstest.FaultCase {
		return kmstest.FaultCase{Name: name, Want: want, Inject: func(t *testing.T) {
			t.Cleanup(undo)
			do()
		}}
	}
	again := func() {
		h.want(200, "POST", "keys/a/config", object{"deletion_allowed": true})
		h.want(204, "DELETE", "keys/a", nil)
	}
	sealed := state("sealed", kms.ErrUnavailable, func() { h.b.Seal(seal.By{}) }, h.unseal)
	sealed.RetryAfter = 5 * time.Second
	forbid := func(yes bool) func() {
		return func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.forbidden = map[transitengine.Action]bool{transitengine.Decrypt: yes}
		}
	}
	kmstest.Conformance(t, func(t *testing.T, key string) kms.Wrapper {
		w, err := transit.New(h.config(key))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}, kmstest.Options{
		Rotate: func(_ *testing.T, key string) { h.want(200, "POST", "keys/"+key+"/rotate", nil) },
		Stall: func(t *testing.T, arrived func()) {
			h.stalled.Store(&arrived)
			t.Cleanup(func() { h.stalled.Store(nil) })
		},
		Faults: []kmstest.FaultCase{
			sealed,
			state("denied", kms.ErrDenied, forbid(true), forbid(false)),
			state("revoked", kms.ErrUnauthenticated, func() { h.revoked.Store(true) }, func() { h.revoked.Store(false) }),
			state("below min_decryption_version", kms.ErrKeyDisabled, func() {
				latest := h.data("POST", "keys/a/rotate", nil)["latest_version"]
				h.want(200, "POST", "keys/a/config", object{"min_decryption_version": latest})
			}, func() { h.want(200, "POST", "keys/a/config", object{"min_decryption_version": 1}) }),
			state("deleted and made again", kms.ErrCorrupt, func() {
				again()
				h.want(200, "POST", "keys/a", nil)
				for range 9 {
					h.want(200, "POST", "keys/a/rotate", nil)
				}
			}, func() {}),
			state("deleted", kms.ErrKeyGone, again, func() { h.want(200, "POST", "keys/a", nil) }),
		},
	})
}

// TestOneServerUnsealsAnother: a Sealwright server with a slot of kms/transit is
// opened by one that people hold, again and again, also after its key was
// rotated; sealed, the second one stays as it is and a third does not come up.
func TestOneServerUnsealsAnother(t *testing.T) {
	h := newHost(t)
	h.want(200, "POST", "keys/other", nil)
	store := seal.NewMemStore()
	start := func() *seal.Barrier {
		t.Helper()
		w, err := transit.New(h.config("other"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"unsealer": w}, Retry: kms.Policy{Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	first := start()
	if _, err := first.Init(t.Context(), map[string]seal.Spec{"unsealer": kmsSlot("unsealer")}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	if err := unsealedBy(t, first); err != nil {
		t.Fatal(err)
	}
	text, err := first.Keyring().Encrypt(nil, []byte("hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	h.want(200, "POST", "keys/other/rotate", nil)
	second := start()
	if err := unsealedBy(t, second); err != nil {
		t.Fatal(err)
	}
	if got, err := second.Keyring().Decrypt(nil, text, nil); err != nil || string(got) != "hello" {
		t.Fatal(string(got), err)
	}
	h.b.Seal(seal.By{})
	if got, err := second.Keyring().Decrypt(nil, text, nil); err != nil || string(got) != "hello" {
		t.Error(string(got), err)
	}
	third := start()
	if err := unsealedBy(t, third); !errors.Is(err, kms.ErrUnavailable) {
		t.Error(err)
	}
	h.unseal()
	if err := unsealedBy(t, start()); err != nil { // the third one leaves it alone for five seconds, as it asked
		t.Error(err)
	}
}

func unsealedBy(t *testing.T, b *seal.Barrier) error {
	t.Helper()
	return b.Unseal(t.Context())
}

func kmsSlot(name string) seal.Spec { return seal.KMS{Wrapper: name} }
