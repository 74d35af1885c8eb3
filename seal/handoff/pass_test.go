package handoff_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/handoff"
)

// TestSharesOverHTTP: three shares, each given to another replica, and one that the
// host does not let ask, which gets none.
func TestSharesOverHTTP(t *testing.T) {
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	store := seal.NewMemStore()
	var urls []string
	open := func(name string) *seal.Barrier {
		c := &handoff.Client{
			URLs: func(context.Context) ([]string, error) { return urls, nil },
			HTTP: &http.Client{Transport: named(name)},
		}
		b, err := seal.Open(seal.Config{Store: store, Replica: name, Peers: c.Peers, PassShares: true, Drill: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	var all []*seal.Barrier
	for _, name := range []string{"a", "b", "c", "stranger"} {
		b := open(name)
		all = append(all, b)
		h, err := handoff.New(handoff.Config{Barrier: b, Authorize: func(r *http.Request) (string, error) {
			if who := r.Header.Get("Replica"); who != "stranger" {
				return who, nil
			}
			return "", errors.New("no replica of this server")
		}})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(h)
		defer server.Close()
		urls = append(urls, server.URL)
	}
	d, err := all[0].Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 5, Threshold: 3}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	give := func(replica, share int) bool {
		t.Helper()
		done, err := all[replica].Submit(ctx, d.Sets[0].Shares[share], seal.By{})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	give(0, 0)
	give(1, 1)
	give(3, 3)
	if p := all[3].Status().Progress; len(p) != 1 || p[0].Given != 1 {
		t.Errorf("the stranger has %+v", p)
	}
	if p := all[1].Status().Progress; len(p) != 1 || p[0].Given != 2 {
		t.Errorf("b has %+v", p)
	}
	if !give(2, 2) || all[2].Sealed() != nil {
		t.Errorf("the third: %v", all[2].Status().Reason)
	}
}

// named sends requests with a replica's name, in the place of a certificate.
type named string

func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Replica", string(n))
	return http.DefaultTransport.RoundTrip(r)
}
