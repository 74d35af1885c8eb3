package operator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// TestUnsealThroughALoadBalancer: each call of `vault operator unseal` comes to the
// next of three replicas, which pass the shares to each other.
func TestUnsealThroughALoadBalancer(t *testing.T) {
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	store := seal.NewMemStore()
	var all []*seal.Barrier
	var handlers []http.Handler
	peers := func(from string) func(context.Context) ([]seal.Peer, error) {
		return func(context.Context) (out []seal.Peer, _ error) {
			for i, b := range all {
				out = append(out, seal.Peer{Name: fmt.Sprint("pod-", i), Ask: func(ctx context.Context, request []byte) ([]byte, error) {
					answer, _ := b.Admin().HandOff(ctx, request, from, nil)
					return answer, nil
				}})
			}
			return out, nil
		}
	}
	for i := range 3 {
		name := fmt.Sprint("pod-", i)
		b, err := seal.Open(seal.Config{Store: store, Replica: name, Peers: peers(name), PassShares: true, Drill: -1, Spread: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		all = append(all, b)
	}
	for _, b := range all {
		h, err := operator.New(operator.Config{Barrier: b, Authorize: func(*http.Request, operator.Action) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		handlers = append(handlers, h)
	}
	d, err := all[0].Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 5, Threshold: 3}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	type status struct {
		Sealed   bool `json:"sealed"`
		Progress int  `json:"progress"`
		T        int  `json:"t"`
	}
	call := func(pod int, body string) (s status) {
		t.Helper()
		rec := httptest.NewRecorder()
		r := httptest.NewRequest("PUT", "/v1/sys/unseal", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		handlers[pod].ServeHTTP(rec, r)
		if err := json.Unmarshal(rec.Body.Bytes(), &s); err != nil || rec.Code != http.StatusOK {
			t.Fatalf("status %d: %s", rec.Code, rec.Body)
		}
		return s
	}
	for i, share := range d.Sets[0].Shares[:2] {
		if s := call(i, fmt.Sprintf(`{"key":%q}`, share.Reveal())); !s.Sealed || s.Progress != i+1 || s.T != 3 {
			t.Errorf("share %d: %+v", i+1, s)
		}
	}
	if s := call(1, `{"reset":true}`); s.Progress != 2 {
		t.Errorf("a reset: %+v", s) // which resets nothing here, see the package comment
	}
	if s := call(1, fmt.Sprintf(`{"key":%q}`, d.Sets[0].Shares[0].Reveal())); s.Progress != 2 {
		t.Errorf("one that was given to another replica: %+v", s)
	}
	if s := call(2, fmt.Sprintf(`{"key":%q}`, d.Sets[0].Shares[2].Reveal())); s.Sealed {
		t.Errorf("the third: %+v", s)
	}
	for _, b := range all {
		go b.Run(ctx)
	}
	for i, b := range all {
		if err := b.Wait(ctx); err != nil || b.Sealed() != nil {
			t.Errorf("pod-%d: %v", i, err)
		}
	}
}
