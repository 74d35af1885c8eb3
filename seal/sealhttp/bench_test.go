package sealhttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// BenchmarkRequire is what every request of a server pays.
func BenchmarkRequire(b *testing.B) {
	for _, terms := range []int{1, 256} {
		b.Run(fmt.Sprintf("terms=%d", terms), func(b *testing.B) {
			h := requiring(b, terms)
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// TestRequireCopiesNothing: a request costs the same with many terms.
func TestRequireCopiesNothing(t *testing.T) {
	h := requiring(t, 64)
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
}

func requiring(t testing.TB, terms int) http.Handler {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("k")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Init(t.Context(), map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	for range terms - 1 {
		if err := b.Rotate(t.Context(), seal.By{}); err != nil {
			t.Fatal(err)
		}
	}
	return sealhttp.Require(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}
