package sealhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// TestMount: every route, sealed, held, ready, and sealed by an operator.
func TestMount(t *testing.T) {
	var metrics sealhttp.Metrics
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("prod")}, OnEvent: metrics.Event,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	box := b.Box("notes")
	said := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	loading := errors.New("secret-name is not loaded")
	mux := http.NewServeMux()
	mux.Handle("/public", said("public"))
	sealhttp.Mount(mux, b, sealhttp.Routes{App: said("app"), Operator: said("operator"), Metrics: &metrics, Hold: func() error { return loading }})
	expect := func(when string, ready int, status string, app int) {
		t.Helper()
		for path, want := range map[string]struct {
			code int
			text string
		}{
			"/livez": {200, "alive"}, "/public": {200, "public"}, "/v1/sys/unseal": {200, "operator"}, "/metrics": {200, "sealwright_sealed"},
			"/readyz": {ready, status}, "/notes/1": {app, map[int]string{200: "app", 503: `"status":"sealed"`}[app]},
		} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if got := w.Body.String(); w.Code != want.code || !strings.Contains(got, want.text) || strings.Contains(got, "secret-name") {
				t.Errorf("%s: %s: %d %s, not %d %s", when, path, w.Code, got, want.code, want.text)
			}
		}
	}
	expect("new", 503, `"status":"sealed"`, 503)
	if _, err := b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	expect("while it loads", 503, `"status":"held"`, 200)
	loading = nil
	expect("loaded", 200, `"status":"ready"`, 200)
	loading = errors.New("secret-name failed")
	if err := b.Seal(seal.By{}); err != nil {
		t.Fatal(err)
	}
	expect("sealed", 503, `"status":"sealed"`, 503)

	_, err = box.EncryptString(t.Context(), "a note", "1")
	w := httptest.NewRecorder()
	if !sealhttp.Error(w, err) || w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"reason":"sealed"`) {
		t.Errorf("Error of %v: %d %s", err, w.Code, w.Body)
	}
	b.Close()
	_, err = box.EncryptString(t.Context(), "a note", "1")
	if w = httptest.NewRecorder(); !sealhttp.Error(w, err) || w.Code != 503 {
		t.Errorf("Error of %v: %d %s", err, w.Code, w.Body)
	}
	for _, err := range []error{nil, errors.New("anything else"), seal.ErrStoreUnavailable} {
		if w = httptest.NewRecorder(); sealhttp.Error(w, err) || w.Body.Len() > 0 {
			t.Errorf("Error of %v: %s", err, w.Body)
		}
	}
	// Nothing but the probes where nothing else is given.
	mux = http.NewServeMux()
	sealhttp.Mount(mux, b, sealhttp.Routes{})
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/metrics": 404, "/v1/sys/init": 404, "/": 404} {
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil)); w.Code != want {
			t.Errorf("nothing given: %s: %d, not %d", path, w.Code, want)
		}
	}
}
