package ceremony_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// A host with the page, whose events of the last time are shown to who has a token.
func Example() {
	ring := ceremony.NewRing(500)
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: ring.OnEvent})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	page, err := ceremony.New(ceremony.Config{
		Barrier: b, Title: "payments, production", Events: ring.Newest, OnEvent: ring.OnEvent,
		Authorize: func(_ *http.Request, a ceremony.Action, token string) error {
			if token != "the operator's" { // compare digests, in constant time
				return errors.New("permission denied")
			}
			return nil
		},
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
