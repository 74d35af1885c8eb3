package operator_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/operator"
)

// TestToken: the token and no other, and an empty one nobody's.
func TestToken(t *testing.T) {
	for name, tt := range map[string]struct {
		token, sent string
		may         bool
	}{
		"the token":          {"a token of operators", "a token of operators", true},
		"another":            {"a token of operators", "a token of operatorz", false},
		"its beginning":      {"a token of operators", "a token", false},
		"none":               {"a token of operators", "", false},
		"none is configured": {"", "", false},
		"none, and one sent": {"", "a token", false},
	} {
		r := httptest.NewRequest("PUT", "/v1/sys/seal", nil)
		if tt.sent != "" {
			r.Header.Set("X-Vault-Token", tt.sent)
		}
		err := operator.Token(tt.token)(r, operator.Seal)
		if (err == nil) != tt.may {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "a token of operators") {
			t.Errorf("%s: the error shows it: %v", name, err)
		}
	}
}
