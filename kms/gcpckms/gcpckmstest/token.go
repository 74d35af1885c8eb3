package gcpckmstest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// accountKey is the key of all service accounts, which differ by their ids: to
// make one takes longer than most tests.
var accountKey = sync.OnceValue(func() *rsa.PrivateKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return private
})

// An account is a service account. Its tokens are those it signs itself.
type account struct {
	email  string
	public *rsa.PublicKey
}

// ServiceAccount returns the credentials file of a new service account, whose
// tokens are admitted until [Server.Revoke] is called.
func (s *Server) ServiceAccount() []byte {
	private := accountKey()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err) // it is an RSA key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprintf("key-%d", len(s.accounts)+1)
	email := fmt.Sprintf("account-%d@test.iam.gserviceaccount.com", len(s.accounts)+1)
	s.accounts[id] = account{email, &private.PublicKey}
	return document(map[string]any{
		"type":           "service_account",
		"project_id":     "test",
		"private_key_id": id,
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email":   email,
		"token_uri":      s.http.URL + "/token",
	})
}

// ExternalAccount returns the credentials file of a workload identity: the
// token of another issuer lies in the file of that name, and the Server
// exchanges it, whatever it says, for an access token.
func (s *Server) ExternalAccount(tokenFile string) []byte {
	return document(map[string]any{
		"type":               "external_account",
		"audience":           "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/test/providers/test",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url":          s.http.URL + "/v1/token",
		"credential_source":  map[string]any{"file": tokenFile},
	})
}

func document(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings
	}
	return b
}

// Issue replaces what answers where tokens are exchanged; nil restores it. The
// handler may end with [Server.Token].
func (s *Server) Issue(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issue = h
}

// Issued returns how many tokens were exchanged.
func (s *Server) Issued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued
}

// Revoke makes every token and service account invalid that there is so far.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
	for id := range s.accounts {
		s.accounts[id] = account{}
	}
}

// exchange is the OAuth 2.0 token exchange of RFC 8693.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.FormValue("subject_token") == "" {
		w.WriteHeader(http.StatusBadRequest)
		w.Write([]byte(`{"error":"invalid_request","error_description":"The subject token is missing."}`))
		return
	}
	token := s.Token()
	s.mu.Lock()
	s.issued++
	s.mu.Unlock()
	w.Write(document(map[string]any{
		"access_token":      token,
		"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
		"token_type":        "Bearer",
		"expires_in":        3600,
	}))
}

// admits reports whether the header of a request has a valid token.
func (s *Server) admits(authorization string) bool {
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return false
	}
	s.mu.Lock()
	issued := s.tokens[token]
	s.mu.Unlock()
	return issued || s.signed(token)
}

// signed reports whether token is a JWT that a service account has signed, is
// valid now, and is meant for the KMS.
func (s *Server) signed(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Sub, Scope string
		Iat, Exp        int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !part(parts[0], &header) || !part(parts[1], &claims) {
		return false
	}
	s.mu.Lock()
	account := s.accounts[header.Kid]
	s.mu.Unlock()
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if account.public == nil || rsa.VerifyPKCS1v15(account.public, crypto.SHA256, digest[:], signature) != nil {
		return false
	}
	now, leeway := s.now(), 3*time.Minute
	return claims.Iss == account.email && claims.Sub == account.email &&
		slices.Contains(strings.Fields(claims.Scope), "https://www.googleapis.com/auth/cloudkms") &&
		now.Add(leeway).After(time.Unix(claims.Iat, 0)) && now.Before(time.Unix(claims.Exp, 0))
}

func part(s string, v any) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && json.Unmarshal(b, v) == nil
}
