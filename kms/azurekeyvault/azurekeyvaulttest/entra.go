package azurekeyvaulttest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// SetSecret makes a secret the application's only one.
func (s *Server) SetSecret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

// SetCertificate makes a certificate with an RSA key the application's only one.
func (s *Server) SetCertificate(c *x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.certificate = c
}

// SetFederated makes the token of a service account the only one that the
// application's federated credential accepts.
func (s *Server) SetFederated(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.federated = token
}

// SetIdentities makes these the machine's managed identities: client ids and
// resource ids, and "" for the one that it has by itself.
func (s *Server) SetIdentities(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identities = ids
}

// Revoke makes all tokens that were issued so far invalid.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
}

// SetLifetime sets how long the tokens last that are issued from now on, in
// whole seconds. It is an hour at first. With 0 the SDK asks for one each time,
// and the vault still takes it, since clocks may differ.
func (s *Server) SetLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = d
}

// A token is what the Server's Entra ID says in one.
type token struct {
	Audience   string `json:"aud"`
	Expires    int64  `json:"exp"`
	Generation int    `json:"gen"`
}

// seal signs a token. The key is the same in every Server, since the SDK keeps
// the tokens of managed identities for the life of the process.
func seal(payload string) string {
	mac := hmac.New(sha256.New, []byte("azurekeyvaulttest tokens"))
	mac.Write([]byte(payload))
	return payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// issue returns a token, and how long it lasts in seconds.
func (s *Server) issue(audience string) (string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := json.Marshal(token{strings.TrimSuffix(audience, "/"), time.Now().Add(s.skew + s.lifetime).Unix(), s.generation})
	if err != nil {
		panic(err) // never, of this type
	}
	return seal(base64.RawURLEncoding.EncodeToString(text)), int(s.lifetime.Seconds())
}

// admits reports whether a token is good for an audience.
func (s *Server) admits(bearer, audience string) bool {
	payload, _, _ := strings.Cut(bearer, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	var t token
	if err != nil || !hmac.Equal([]byte(seal(payload)), []byte(bearer)) || json.Unmarshal(text, &t) != nil {
		return false
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	// As with Azure, clocks may differ by five minutes.
	return t.Audience == audience && t.Generation >= s.generation && now.Unix() < t.Expires+300
}

// A denial is an error of Entra ID.
type denial struct {
	status  int
	code    string
	number  int
	message string
}

func (d denial) write(w http.ResponseWriter, now time.Time) {
	answer(w, d.status, map[string]any{
		"error":       d.code,
		"error_codes": []int{d.number},
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: 00000000-1111-2222-3333-444444444444 Correlation ID: 55555555-6666-7777-8888-999999999999 Timestamp: %s",
			d.number, d.message, now.UTC().Format("2006-01-02 15:04:05Z")),
	})
}

// serveEntra answers for Entra ID: its metadata, and its tokens.
func (s *Server) serveEntra(w http.ResponseWriter, r *http.Request) {
	base := "https://" + r.Host + "/" + TenantID
	tenant, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case !strings.EqualFold(tenant, TenantID) && tenant != "sealwright.example":
		denial{400, "invalid_tenant", 90002, "Tenant '" + tenant + "' not found."}.write(w, s.now())
	case r.Method == http.MethodGet && path == "v2.0/.well-known/openid-configuration":
		answer(w, 200, map[string]any{
			"issuer":                 base + "/v2.0",
			"token_endpoint":         base + "/oauth2/v2.0/token",
			"authorization_endpoint": base + "/oauth2/v2.0/authorize",
		})
	case r.Method == http.MethodPost && path == "oauth2/v2.0/token":
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		if d := s.authenticate(r, base+"/oauth2/v2.0/token"); d != nil {
			d.write(w, s.now())
			return
		}
		scope, _, _ := strings.Cut(r.PostFormValue("scope"), " ")
		bearer, seconds := s.issue(strings.TrimSuffix(scope, "/.default"))
		answer(w, 200, map[string]any{
			"token_type":     "Bearer",
			"expires_in":     seconds,
			"ext_expires_in": seconds,
			"access_token":   bearer,
		})
	default:
		http.NotFound(w, r)
	}
}

// authenticate returns why a request for a token is refused.
func (s *Server) authenticate(r *http.Request, endpoint string) *denial {
	if err := r.ParseForm(); err != nil || r.PostFormValue("grant_type") != "client_credentials" {
		return &denial{400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."}
	}
	s.mu.Lock()
	secret, certificate, federated := s.secret, s.certificate, s.federated
	s.mu.Unlock()
	assertion := r.PostFormValue("client_assertion")
	switch {
	case r.PostFormValue("client_id") != ClientID:
		return &denial{400, "unauthorized_client", 700016, "Application with identifier '" + r.PostFormValue("client_id") + "' was not found in the directory."}
	case assertion == "":
		if !hmac.Equal([]byte(r.PostFormValue("client_secret")), []byte(secret)) {
			return &denial{401, "invalid_client", 7000215, "Invalid client secret provided."}
		}
		return nil
	case federated != "" && hmac.Equal([]byte(assertion), []byte(federated)):
		return nil
	case certificate != nil:
		return s.verify(assertion, certificate, endpoint)
	}
	return &denial{401, "invalid_client", 700213, "No matching federated identity record found for presented assertion."}
}

// verify checks the assertion that a certificate's key has signed.
func (s *Server) verify(assertion string, c *x509.Certificate, endpoint string) *denial {
	invalid := &denial{401, "invalid_client", 700027, "The certificate with identifier used to sign the client assertion is not registered on application."}
	part := strings.Split(assertion, ".")
	if len(part) != 3 {
		return &denial{401, "invalid_client", 50027, "JWT token is invalid or malformed."}
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Audience string `json:"aud"`
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Before   int64  `json:"nbf"`
		Expires  int64  `json:"exp"`
	}
	for i, v := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(part[i])
		if err != nil || json.Unmarshal(text, v) != nil {
			return invalid
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(part[2])
	public, ok := c.PublicKey.(*rsa.PublicKey)
	if err != nil || !ok {
		return invalid
	}
	digest := sha256.Sum256([]byte(part[0] + "." + part[1]))
	if header.Algorithm == "PS256" {
		err = rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, nil)
	} else {
		err = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
	}
	if err != nil || claims.Issuer != ClientID || claims.Subject != ClientID || claims.Audience != endpoint {
		return invalid
	}
	// Entra ID lets clocks differ by five minutes.
	if now := s.now(); now.Add(5*time.Minute).Unix() < claims.Before || now.Add(-5*time.Minute).Unix() >= claims.Expires {
		return &denial{401, "invalid_client", 700024, "Client assertion is not within its valid time range."}
	}
	return nil
}

// serveMetadata answers for the token endpoint of a virtual machine.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	known := s.identities
	s.mu.Unlock()
	id := q.Get("client_id") + q.Get("msi_res_id") + q.Get("mi_res_id")
	switch {
	case r.URL.Path != "/metadata/identity/oauth2/token" || r.Header.Get("Metadata") != "true":
		http.NotFound(w, r)
	case !slices.Contains(known, id):
		answer(w, 400, map[string]any{"error": "invalid_request", "error_description": "Identity not found"})
	default:
		bearer, seconds := s.issue(q.Get("resource"))
		answer(w, 200, map[string]any{
			"token_type":   "Bearer",
			"resource":     q.Get("resource"),
			"expires_in":   fmt.Sprint(seconds),
			"expires_on":   fmt.Sprint(s.now().Unix() + int64(seconds)),
			"access_token": bearer,
		})
	}
}
