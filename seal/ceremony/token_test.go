package ceremony_test

import (
	"net/http/httptest"
	"testing"

	"github.com/sealwright/sealwright/seal/ceremony"
)

func TestToken(t *testing.T) {
	r := httptest.NewRequest("POST", "/ceremony/", nil)
	r.Header.Set("X-Vault-Token", "the operators'") // not what was typed
	for _, c := range []struct {
		token, typed string
		may          bool
	}{
		{"the operators'", "the operators'", true},
		{"the operators'", "the operators", false},
		{"the operators'", "", false},
		{"", "", false},
		{"", "anything", false},
	} {
		if err := ceremony.Token(c.token)(r, ceremony.Init, c.typed); (err == nil) != c.may {
			t.Errorf("Token(%q) of %q: %v, want it to be let: %v", c.token, c.typed, err, c.may)
		}
	}
}
