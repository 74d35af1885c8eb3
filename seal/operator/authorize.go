package operator

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
)

var errToken = errors.New("not the operators' token")

// Token returns a [Config.Authorize] for a host whose operators share one token,
// which the tools send as X-Vault-Token: it may do everything. The time that the
// comparison takes tells nothing of the token, nor of its length. An empty token
// is nobody's.
func Token(token string) func(*http.Request, Action) error {
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request, _ Action) error {
		got := sha256.Sum256([]byte(r.Header.Get("X-Vault-Token")))
		if token == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return errToken
		}
		return nil
	}
}
