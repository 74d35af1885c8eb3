package sealhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

func Example() {
	ctx := context.Background()
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(),
		KMS:   map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("prod")},
	})
	if err != nil {
		panic(err)
	}
	defer b.Close()

	mux := http.NewServeMux()
	sealhttp.Mount(mux, b, sealhttp.Routes{App: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "served")
	})})
	server := httptest.NewServer(mux)
	defer server.Close()

	show := func(path string) {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		fmt.Printf("%s %d %s", path, resp.StatusCode, text)
	}
	b.Unseal(ctx) // nothing to unseal yet: the reason is kept
	show("/livez")
	show("/readyz")
	show("/notes")
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		panic(err)
	}
	show("/readyz")
	show("/notes")
	// Output:
	// /livez 200 {"status":"alive"}
	// /readyz 503 {"status":"sealed","reason":"not initialized"}
	// /notes 503 {"status":"sealed","reason":"not initialized"}
	// /readyz 200 {"status":"ready"}
	// /notes 200 served
}

// TestKind: every reason has words of its own, and none of them a name.
func TestKind(t *testing.T) {
	seen := map[string]error{}
	for _, err := range []error{
		seal.ErrSealed, seal.ErrClosed, seal.ErrUninitialized, seal.ErrUnproven, seal.ErrStoreUnavailable, seal.ErrMissing,
		seal.ErrCorrupt, seal.ErrNewerFormat, seal.ErrRolledBack, seal.ErrForked, seal.ErrForged, seal.ErrOtherStore, seal.ErrUnpinned,
		kms.ErrThrottled, kms.ErrUnavailable, kms.ErrUnauthenticated, kms.ErrClockSkew, kms.ErrDenied, kms.ErrKeyDisabled,
		kms.ErrKeyGone, kms.ErrWrongKey, kms.ErrCorrupt, kms.ErrMisconfigured, errors.New("anything else"),
	} {
		text := sealhttp.Kind(fmt.Errorf(`slot "secret-name": %w`, err))
		if other, ok := seen[text]; ok {
			t.Errorf("%v and %v are both %q", err, other, text)
		}
		if strings.Contains(text, "secret-name") || text == "" {
			t.Errorf("%v: %q", err, text)
		}
		seen[text] = err
	}
}

// TestWhoIsTold: the public gets the kind, operators the text.
func TestWhoIsTold(t *testing.T) {
	fake := &kmstest.Fake{}
	store := seal.NewMemStore()
	cfg := seal.Config{Store: store, KMS: map[string]kms.Wrapper{"cloud": fake.Key("prod")}, Retry: kms.Policy{Attempts: 1}}
	b, err := seal.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(h http.Handler) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		return w.Code, w.Body.String()
	}
	const untried = `"reason":"sealed"`
	if _, text := ask(sealhttp.Ready(b)); !strings.Contains(text, untried) {
		t.Errorf("before anything was tried: %s", text)
	}
	if _, err := b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	if code, text := ask(sealhttp.Detailed(b)); code != 200 || !strings.Contains(text, "a single slot opens the store") {
		t.Errorf("operators, unsealed: %d %s", code, text)
	}
	if code, text := ask(sealhttp.Ready(b)); code != 200 || strings.Contains(text, "slot") {
		t.Errorf("the public, unsealed: %d %s", code, text)
	}
	if err := b.Seal(seal.By{}); err != nil {
		t.Fatal(err)
	}
	if _, text := ask(sealhttp.Ready(b)); !strings.Contains(text, `"reason":"sealed by an operator"`) {
		t.Errorf("sealed by an operator, and no people hold it: %s", text)
	}
	fake.Disable("prod")
	if err := b.Unseal(t.Context()); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Fatal(err)
	}
	if code, text := ask(sealhttp.Detailed(b)); code != 503 || !strings.Contains(text, `auto`) || !strings.Contains(text, "enable it") {
		t.Errorf("operators, sealed: %d %s", code, text)
	}
	for name, h := range map[string]http.Handler{"ready": sealhttp.Ready(b), "require": sealhttp.Require(b, http.NotFoundHandler())} {
		if code, text := ask(h); code != 503 || strings.Contains(text, "auto") || !strings.Contains(text, "the KMS key is disabled") {
			t.Errorf("the public, sealed, %s: %d %s", name, code, text)
		}
	}
	if code, _ := ask(sealhttp.Live()); code != 200 {
		t.Errorf("a sealed process is alive: %d", code)
	}
	b.Close()
	if _, text := ask(sealhttp.Ready(b)); !strings.Contains(text, "shutting down") {
		t.Error(text)
	}
}
