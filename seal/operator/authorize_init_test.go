package operator_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// TestAuthorizeInit: with AuthorizeInit a stranger makes no store, and learns
// nothing of the body's faults; whoever the host knows does, and repeats it. The
// host's name for them, whatever it is, is in the events in the form that By says.
func TestAuthorizeInit(t *testing.T) {
	s := newServer(t)
	var asked []operator.Action
	var actors []string
	h, err := operator.New(operator.Config{
		Barrier: s.b, AuthorizeInit: true,
		Authorize: func(r *http.Request, a operator.Action) error {
			asked = append(asked, a)
			if r.Header.Get("X-Vault-Token") != "the bootstrap token" {
				return errors.New("who is that?")
			}
			return nil
		},
		Actor:   func(*http.Request) string { return "Zoë" },
		OnEvent: func(e seal.Event) { actors = append(actors, e.Actor) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.h = h
	shape := object{"secret_shares": 3, "secret_threshold": 2}
	for _, body := range []any{shape, object{"secret_shares": 1, "secret_threshold": 9}, "{", object{"operation": "a b"}} {
		s.fails("PUT", "/v1/sys/init", "", body, 403, "permission denied")
	}
	expect(t, s.must("GET", "/v1/sys/init", "", nil), object{"initialized": false})
	first := s.must("PUT", "/v1/sys/init", "the bootstrap token", shape)
	shape["operation"] = first["operation"]
	s.fails("PUT", "/v1/sys/init", "", shape, 403, "permission denied")
	again := s.must("PUT", "/v1/sys/init", "the bootstrap token", shape)
	if len(stringsOf(again["keys"])) != 3 {
		t.Errorf("repeated: %v", again)
	}
	for _, a := range asked {
		if a != operator.Init && a != operator.Detail {
			t.Errorf("asked about %q", a)
		}
	}
	if len(asked) < 7 || len(actors) == 0 || strings.Join(actors, "") != strings.Repeat("Zo%C3%AB", len(actors)) {
		t.Errorf("asked %d times; actors %q", len(asked), actors)
	}

	// Without it nobody is asked, and whoever comes first may.
	s = newServer(t)
	s.init(object{"secret_shares": 3, "secret_threshold": 2})
}
