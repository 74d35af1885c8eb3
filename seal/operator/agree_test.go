package operator_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// TestStatusAndProbeAgreeAfterAnInit: one answer had "initialized": true and "reason":
// "not initialized", and the probe had the same reason for up to a minute, on the replica
// that made the store, over HTTP or by itself, and on the others.
func TestStatusAndProbeAgreeAfterAnInit(t *testing.T) {
	for _, by := range []string{"over HTTP", "the host", "another replica"} {
		t.Run(by, func(t *testing.T) {
			s := newServer(t)
			other := newServer(t)
			other.store = s.store
			other.restart()
			for _, each := range []*server{s, other} {
				if err := each.b.Unseal(t.Context()); err == nil {
					t.Fatal("an empty store unseals")
				}
			}
			people := map[string]seal.Spec{"shamir": seal.Shamir{Shares: 3, Threshold: 2}}
			var err error
			switch by {
			case "over HTTP":
				s.init(object{"secret_shares": 3, "secret_threshold": 2})
			case "the host":
				_, err = s.b.Init(t.Context(), people, seal.By{})
			default:
				_, err = other.b.Init(t.Context(), people, seal.By{})
			}
			if err != nil {
				t.Fatal(err)
			}
			const waiting = "waiting for shares"
			expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"initialized": true, "sealed": true, "reason": waiting})
			expect(t, s.must("GET", "/v1/sys/init", "", nil), object{"initialized": true})
			w := httptest.NewRecorder()
			sealhttp.Ready(s.b).ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			if !strings.Contains(w.Body.String(), waiting) {
				t.Errorf("the probe: %s", w.Body)
			}
		})
	}
}
