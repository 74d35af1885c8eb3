package operator_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// A server that mounts the handler beside its own routes. The bao and vault
// command lines work with it: export BAO_ADDR, and run bao status.
func Example() {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	token := rand.Text() // a host has its operators' own
	h, err := operator.New(operator.Config{
		Barrier:   b,
		Authorize: operator.Token(token),
		Version:   "1.0.0",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/sys/", h)

	for _, path := range []string{"/v1/sys/init", "/v1/sys/health", "/v1/sys/key-status"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, w.Code)
		if strings.HasSuffix(path, "init") {
			fmt.Print(w.Body)
		}
	}
	// Output:
	// /v1/sys/init 200
	// {"initialized":false}
	// /v1/sys/health 501
	// /v1/sys/key-status 503
}
