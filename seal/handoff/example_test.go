package handoff_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/handoff"
)

// Two replicas: people unseal web-0, and web-1 comes up by itself. Each has a
// certificate in its own name, by a CA that signs those of replicas alone.
func Example() {
	ctx := context.Background()
	ca := newAuthority()
	store := seal.NewMemStore()
	open := func(replica string, urls ...string) *seal.Barrier {
		peers := &handoff.Client{
			URLs: func(context.Context) ([]string, error) { return urls, nil },
			HTTP: ca.client(replica),
		}
		b, err := seal.Open(seal.Config{Store: store, Replica: replica, Peers: peers.Peers})
		if err != nil {
			log.Fatal(err)
		}
		return b
	}

	first := open("web-0")
	defer first.Close()
	d, err := first.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 5, Threshold: 3}}, seal.By{})
	if err != nil {
		log.Fatal(err)
	}
	asked, err := handoff.New(handoff.Config{Barrier: first, Authorize: func(r *http.Request) (string, error) {
		cert, err := handoff.Certificate(r)
		if err != nil {
			return "", err
		}
		if name := cert.Subject.CommonName; slices.Contains([]string{"web-0", "web-1", "web-2"}, name) { // and not a prefix, which lets in a web-9 too
			return name, nil
		}
		return "", fmt.Errorf("%q is no replica", cert.Subject.CommonName)
	}})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewUnstartedServer(asked)
	server.TLS = ca.server("web-0")
	server.StartTLS()
	defer server.Close()
	for _, share := range d.Sets[0].Shares[:3] {
		if _, err := first.Submit(ctx, share, seal.By{}); err != nil {
			log.Fatal(err)
		}
	}

	second := open("web-1", server.URL)
	defer second.Close()
	if err := second.Unseal(ctx); err != nil { // Run does it by itself
		log.Fatal(err)
	}
	fmt.Println("web-1 is sealed:", second.Status().Sealed)
	// Output: web-1 is sealed: false
}
