package ceremony_test

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// A host with the page, whose events of the last time are shown to who has a token.
func Example() {
	ring, token := ceremony.NewRing(500), rand.Text() // a host has its operators' own
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: ring.OnEvent})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	page, err := ceremony.New(ceremony.Config{
		Barrier: b, Title: "payments, production", Events: ring.Newest, OnEvent: ring.OnEvent,
		Authorize: ceremony.Token(token), // and operator.Token(token) for the API
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ceremony/", page) // beside the operator API at /v1/sys/

	r := httptest.NewRequest("GET", "https://seal.example/ceremony/", nil)
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, strings.Contains(w.Body.String(), "There is no store yet."))
	// Output: 200 true
}
