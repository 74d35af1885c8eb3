package azurekeyvault_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
)

// application returns a Config without the secret.
func application(s *azurekeyvaulttest.Server) azurekeyvault.Config {
	cfg := s.Config("a")
	cfg.ClientSecret = nil
	return cfg
}

// managed returns a Config with a managed identity. The SDK keeps the tokens of
// an identity for the life of the process, so every test has its own.
func managed(s *azurekeyvaulttest.Server, clientID, resourceID string) azurekeyvault.Config {
	s.SetIdentities(clientID + resourceID)
	cfg := application(s)
	cfg.Auth, cfg.TenantID, cfg.ClientID, cfg.IdentityResourceID = azurekeyvault.AuthManagedIdentity, "", clientID, resourceID
	return cfg
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// anyCertificate is newCertificate's for tests that need no second one.
func anyCertificate(t testing.TB) (*x509.Certificate, string) {
	t.Helper()
	return certificateOf(t, otherKey())
}

// newCertificate returns a certificate, and the PEM file of it and its key.
func newCertificate(t testing.TB) (*x509.Certificate, string) {
	t.Helper()
	return certificateOf(t, rsaKey()) // it takes a while to make one more
}

func certificateOf(t testing.TB, key crypto.Signer) (*x509.Certificate, string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return c, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestCredentials runs every way to authenticate through the SDK.
func TestCredentials(t *testing.T) {
	for _, variable := range []string{"AZURE_TOKEN_CREDENTIALS", "IDENTITY_ENDPOINT", "MSI_ENDPOINT", "IMDS_ENDPOINT", "AZURE_FEDERATED_TOKEN_FILE"} {
		t.Setenv(variable, "") // restored when the test ends
		os.Unsetenv(variable)
	}
	for name, config := range map[string]func(*testing.T, *azurekeyvaulttest.Server) azurekeyvault.Config{
		"secret": func(_ *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config { return s.Config("a") },
		"secret file": func(t *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			s.SetSecret("from~a.file")
			cfg := application(s)
			cfg.ClientSecretFile = filepath.Join(t.TempDir(), "secret")
			write(t, cfg.ClientSecretFile, " from~a.file\r\n")
			return cfg
		},
		"tenant by its domain": func(_ *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			cfg := s.Config("a")
			cfg.TenantID = "sealwright.example"
			return cfg
		},
		"certificate in PEM": func(t *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			c, file := anyCertificate(t)
			s.SetCertificate(c)
			cfg := application(s)
			cfg.CertificateFile = filepath.Join(t.TempDir(), "app.pem")
			write(t, cfg.CertificateFile, file)
			return cfg
		},
		"certificate in PKCS#12": func(t *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			if fipsOnly() {
				t.Skip("PKCS#12 is encrypted and authenticated with what FIPS 140-3 does not allow")
			}
			s.SetCertificate(pkcs12Certificate(t))
			cfg := application(s)
			cfg.CertificateFile = filepath.Join("testdata", "app.pfx")
			cfg.CertificatePassword = func() (string, error) { return "open sesame", nil }
			return cfg
		},
		"workload identity": func(t *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			s.SetFederated("service-account.token.1")
			cfg := application(s)
			cfg.TokenFile = filepath.Join(t.TempDir(), "token")
			write(t, cfg.TokenFile, "service-account.token.1")
			return cfg
		},
		"the machine's identity": func(_ *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			return managed(s, "", "")
		},
		"managed identity by client id": func(_ *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			return managed(s, "client-id-1", "")
		},
		"managed identity by resource id": func(_ *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			return managed(s, "", "/subscriptions/1/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i")
		},
		"default chain": func(t *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			s.SetSecret("from~the.environment")
			t.Setenv("AZURE_TENANT_ID", azurekeyvaulttest.TenantID)
			t.Setenv("AZURE_CLIENT_ID", azurekeyvaulttest.ClientID)
			t.Setenv("AZURE_CLIENT_SECRET", "from~the.environment")
			cfg := application(s)
			cfg.TenantID, cfg.ClientID = "", ""
			cfg.Auth, cfg.AllowEnvironment = azurekeyvault.AuthDefault, true
			return cfg
		},
		"the host's": func(t *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			s.SetSecret("of~the.host")
			return withHost(s, realCredential(t, s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, blob := wrapped(t, config(t, start(t)))
			opens(t, w, blob)
		})
	}
}

// pkcs12Certificate returns the certificate of testdata/app.pfx.
func pkcs12Certificate(t testing.TB) *x509.Certificate {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", "app.pfx"))
	if err != nil {
		t.Fatal(err)
	}
	certs, _, err := azidentity.ParseCertificates(file, []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	return certs[0]
}

// fipsOnly reports whether the module refuses what FIPS 140-3 does not allow.
func fipsOnly() bool { return strings.Contains(os.Getenv("GODEBUG"), "fips140=only") }

// TestReload replaces the secret in each place while Entra ID and the vault stop
// to accept the old one. The very next call uses the new one.
func TestReload(t *testing.T) {
	// mounted returns the path of a file in a Kubernetes volume, and a function
	// that replaces its content as the kubelet does.
	mounted := func(t *testing.T, text string) (string, func(string)) {
		dir, n := t.TempDir(), 0
		put := func(text string) {
			n++
			version := fmt.Sprintf("..version_%d", n)
			if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, version, "credential"), text)
			link := filepath.Join(dir, "..data_tmp")
			if err := os.Symlink(version, link); err != nil {
				t.Skip("no symbolic links here:", err)
			}
			if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		put(text)
		path := filepath.Join(dir, "credential")
		if err := os.Symlink(filepath.Join("..data", "credential"), path); err != nil {
			t.Fatal(err)
		}
		return path, put
	}
	for name, setup := range map[string]func(*testing.T, *azurekeyvaulttest.Server) (azurekeyvault.Config, func()){
		"secret": func(_ *testing.T, s *azurekeyvaulttest.Server) (azurekeyvault.Config, func()) {
			secret := "first~secret"
			s.SetSecret(secret)
			cfg := application(s)
			cfg.ClientSecret = func() (string, error) { return secret, nil }
			return cfg, func() {
				secret = "second~secret"
				s.SetSecret(secret)
			}
		},
		"secret file": func(t *testing.T, s *azurekeyvaulttest.Server) (azurekeyvault.Config, func()) {
			s.SetSecret("first~secret")
			cfg := application(s)
			cfg.ClientSecretFile = filepath.Join(t.TempDir(), "secret")
			write(t, cfg.ClientSecretFile, "first~secret\n")
			return cfg, func() {
				s.SetSecret("second~secret")
				write(t, cfg.ClientSecretFile, "second~secret\n")
			}
		},
		"mounted secret": func(t *testing.T, s *azurekeyvaulttest.Server) (azurekeyvault.Config, func()) {
			s.SetSecret("first~secret")
			path, put := mounted(t, "first~secret")
			cfg := application(s)
			cfg.ClientSecretFile = path
			return cfg, func() {
				s.SetSecret("second~secret")
				put("second~secret")
			}
		},
		"mounted token": func(t *testing.T, s *azurekeyvaulttest.Server) (azurekeyvault.Config, func()) {
			s.SetFederated("first.token")
			path, put := mounted(t, "first.token")
			cfg := application(s)
			cfg.TokenFile = path
			return cfg, func() {
				s.SetFederated("second.token")
				put("second.token")
			}
		},
		"mounted certificate": func(t *testing.T, s *azurekeyvaulttest.Server) (azurekeyvault.Config, func()) {
			c, file := anyCertificate(t)
			s.SetCertificate(c)
			path, put := mounted(t, file)
			cfg := application(s)
			cfg.CertificateFile = path
			return cfg, func() {
				c, file := newCertificate(t)
				s.SetCertificate(c)
				put(file)
			}
		},
		"nothing but the token was revoked": func(_ *testing.T, s *azurekeyvaulttest.Server) (azurekeyvault.Config, func()) {
			return s.Config("a"), func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			cfg, replace := setup(t, s)
			w, blob := wrapped(t, cfg)
			opens(t, w, blob)
			replace()
			s.Revoke()
			opens(t, w, blob)
		})
	}
}

// TestReloadOfExpired replaces the secret while the token expires, and nothing is
// revoked: no refusal tells that the secret was replaced.
func TestReloadOfExpired(t *testing.T) {
	s := start(t)
	s.SetLifetime(0)
	cfg := application(s)
	cfg.ClientSecretFile = filepath.Join(t.TempDir(), "secret")
	s.SetSecret("first~secret")
	write(t, cfg.ClientSecretFile, "first~secret")
	w, blob := wrapped(t, cfg)
	s.SetSecret("second~secret")
	write(t, cfg.ClientSecretFile, "second~secret")
	opens(t, w, blob)
	for _, r := range s.Requests()[1:] {
		if strings.HasSuffix(r.Host, "vault.azure.net") && r.Header.Get("Authorization") == "" {
			t.Error("the vault refused a token")
		}
	}
}

// TestTokenIsKept checks that a token is asked for once, while it lasts.
func TestTokenIsKept(t *testing.T) {
	s := start(t)
	w, blob := wrapped(t, s.Config("a"))
	before := count(s, 0, "login.microsoftonline.com")
	s.SetSecret("another") // of no use before the token expires
	for range 3 {
		opens(t, w, blob)
	}
	if n := count(s, 0, "login.microsoftonline.com") - before; n != 0 {
		t.Errorf("%d more requests for a token", n)
	}
}

// TestCredentialErrors is the table of what can be wrong with a credential.
func TestCredentialErrors(t *testing.T) {
	entra := func(status int, body string) func(*azurekeyvaulttest.Server) {
		return func(s *azurekeyvaulttest.Server) {
			s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || !strings.HasPrefix(r.Host, "login.") {
					return false
				}
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(status)
				_, _ = rw.Write([]byte(body)) // the client is there
				return true
			})
		}
	}
	machine := func(status int, body string) func(*azurekeyvaulttest.Server) {
		return func(s *azurekeyvaulttest.Server) {
			s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Host != "169.254.169.254" {
					return false
				}
				rw.WriteHeader(status)
				_, _ = rw.Write([]byte(body)) // the client is there
				return true
			})
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty"), " \n")
	write(t, filepath.Join(dir, "long"), strings.Repeat("x", 1<<20+1))
	_, pemFile := anyCertificate(t)
	write(t, filepath.Join(dir, "app.pem"), pemFile)
	certificate, _, _ := strings.Cut(pemFile, "-----BEGIN CERTIFICATE")
	write(t, filepath.Join(dir, "key only.pem"), certificate)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ecFile := certificateOf(t, curve)
	write(t, filepath.Join(dir, "ec.pem"), ecFile)

	type change = func(*azurekeyvault.Config)
	file := func(field func(*azurekeyvault.Config) *string, name string) change {
		return func(c *azurekeyvault.Config) {
			c.ClientSecret = nil
			*field(c) = filepath.Join(dir, name)
		}
	}
	secretFile := func(c *azurekeyvault.Config) *string { return &c.ClientSecretFile }
	certificateFile := func(c *azurekeyvault.Config) *string { return &c.CertificateFile }
	tokenFile := func(c *azurekeyvault.Config) *string { return &c.TokenFile }
	identity := func(id string) change {
		return func(c *azurekeyvault.Config) {
			c.Auth, c.TenantID, c.ClientID, c.ClientSecret = azurekeyvault.AuthManagedIdentity, "", "errors-"+id, nil
		}
	}
	for name, c := range map[string]struct {
		change change
		server func(*azurekeyvaulttest.Server)
		kind   error
		words  []string
	}{
		"wrong secret":     {nil, func(s *azurekeyvaulttest.Server) { s.SetSecret("another") }, kms.ErrUnauthenticated, []string{"no token: 401 invalid_client: AADSTS7000215: Invalid client secret provided."}},
		"unknown client":   {func(c *azurekeyvault.Config) { c.ClientID = "nobody" }, nil, kms.ErrUnauthenticated, []string{"AADSTS700016"}},
		"unknown tenant":   {func(c *azurekeyvault.Config) { c.TenantID = "unknown.example" }, nil, kms.ErrUnauthenticated, []string{"AADSTS90002", "unknown.example"}},
		"throttled":        {nil, entra(429, `{"error":"too_many_requests"}`), kms.ErrThrottled, []string{"no token", "429"}},
		"Entra ID down":    {nil, entra(503, `{"error":"x"}`), kms.ErrUnavailable, []string{"no token", "503"}},
		"Entra ID busy":    {nil, entra(400, `{"error":"temporarily_unavailable"}`), kms.ErrUnavailable, []string{"temporarily_unavailable"}},
		"a page of HTML":   {nil, entra(403, "<html>\n<b>blocked</b>"), kms.ErrUnauthenticated, []string{"no token: 403"}},
		"no JSON":          {nil, entra(200, `{"access_token":"canary-token","expi`), kms.ErrUnavailable, []string{"is not a token"}},
		"JSON of no token": {nil, entra(200, `{"token_type":"Bearer","expires_in":3600}`), kms.ErrUnavailable, []string{"is not a token"}},
		"without end":      {nil, entra(200, `{"access_token":"`+strings.Repeat("canary-token", 1<<17)+`"}`), kms.ErrUnavailable, []string{"longer than"}},
		"secret fails": {func(c *azurekeyvault.Config) {
			c.ClientSecret = func() (string, error) { return "", errors.New("the safe is shut") }
		}, nil, kms.ErrUnauthenticated, []string{"no credential: the safe is shut"}},
		"secret is empty": {func(c *azurekeyvault.Config) { c.ClientSecret = func() (string, error) { return "\n", nil } }, nil, kms.ErrUnauthenticated, []string{"no credential: the secret in the Config is empty"}},

		"secret file is missing":  {file(secretFile, "nowhere"), nil, kms.ErrUnauthenticated, []string{"no credential", "nowhere"}},
		"secret file is empty":    {file(secretFile, "empty"), nil, kms.ErrUnauthenticated, []string{"no credential: the secret in ", "empty\" is empty"}},
		"secret file is long":     {file(secretFile, "long"), nil, kms.ErrUnauthenticated, []string{"longer than 1048576 bytes"}},
		"secret file is a folder": {file(secretFile, "."), nil, kms.ErrUnauthenticated, []string{"no credential"}},
		"token file is empty":     {file(tokenFile, "empty"), nil, kms.ErrUnauthenticated, []string{"the secret in ", "empty\" is empty"}},
		"token file is missing":   {file(tokenFile, "nowhere"), nil, kms.ErrUnauthenticated, []string{"nowhere"}},
		"token is not known":      {file(tokenFile, "app.pem"), nil, kms.ErrUnauthenticated, []string{"AADSTS700213"}},
		"certificate is missing":  {file(certificateFile, "nowhere"), nil, kms.ErrUnauthenticated, []string{"nowhere"}},
		"certificate is garbage":  {file(certificateFile, "long"), nil, kms.ErrUnauthenticated, []string{"no credential"}},
		"certificate without one": {file(certificateFile, "key only.pem"), nil, kms.ErrUnauthenticated, []string{"key only.pem", "no certificate"}},
		"certificate of a curve":  {file(certificateFile, "ec.pem"), nil, kms.ErrUnauthenticated, []string{"no credential"}},
		"certificate is unknown":  {file(certificateFile, "app.pem"), func(s *azurekeyvaulttest.Server) { s.SetCertificate(someCertificate(t)) }, kms.ErrUnauthenticated, []string{"AADSTS700027"}},
		"password fails": {func(c *azurekeyvault.Config) {
			c.ClientSecret, c.CertificateFile = nil, filepath.Join("testdata", "app.pfx")
			c.CertificatePassword = func() (string, error) { return "", errors.New("the safe is shut") }
		}, nil, kms.ErrUnauthenticated, []string{"the safe is shut"}},
		"password is wrong": {func(c *azurekeyvault.Config) {
			c.ClientSecret, c.CertificateFile = nil, filepath.Join("testdata", "app.pfx")
			c.CertificatePassword = func() (string, error) { return "guess", nil }
		}, nil, kms.ErrUnauthenticated, []string{"app.pfx"}},

		"clock ahead":                    {file(certificateFile, "app.pem"), skewed(t, pemFile, -time.Hour), kms.ErrClockSkew, []string{"AADSTS700024", "clock off by", "this machine's is ahead"}},
		"clock behind":                   {file(certificateFile, "app.pem"), skewed(t, pemFile, time.Hour), kms.ErrClockSkew, []string{"clock off by", "this machine's is behind"}},
		"assertion expired, clock right": {file(tokenFile, "app.pem"), entra(401, `{"error":"invalid_client","error_codes":[700024],"error_description":"AADSTS700024: expired. Trace ID: 1"}`), kms.ErrUnauthenticated, []string{"AADSTS700024: expired."}},

		"no such identity":       {identity("unknown"), nil, kms.ErrUnauthenticated, []string{"no token: 400"}},
		"identity not yet there": {identity("404"), machine(404, ""), kms.ErrUnavailable, []string{"404"}},
		"endpoint being updated": {identity("410"), machine(410, ""), kms.ErrUnavailable, []string{"410"}},
		"endpoint throttles":     {identity("429"), machine(429, ""), kms.ErrThrottled, []string{"429"}},
		"endpoint fails":         {identity("500"), machine(500, ""), kms.ErrUnavailable, []string{"500"}},
		"endpoint is no such":    {identity("json"), machine(200, `canary-token`), kms.ErrUnavailable, []string{"is not a token"}},
	} {
		t.Run(name, func(t *testing.T) {
			if fipsOnly() && strings.HasPrefix(name, "password is") {
				t.Skip("PKCS#12 is not for FIPS 140-3")
			}
			s := start(t)
			cfg := s.Config("a")
			if c.change != nil {
				c.change(&cfg)
			}
			if c.server != nil {
				c.server(s)
			}
			_, err := open(t, cfg).Wrap(t.Context(), secretKey(), place)
			refused(t, err, c.kind, c.words...)
			for e := err; e != nil; e = cause(e) {
				if strings.Contains(e.Error(), "canary-token") {
					t.Errorf("%T shows the token", e)
				}
			}
			if strings.Contains(err.Error(), "Trace ID") {
				t.Errorf("the error has what only Microsoft can use: %v", err)
			}
		})
	}
}

// cause returns what an error wraps, for an [*kms.Error] what it was caused by.
func cause(err error) error {
	if e, ok := err.(*kms.Error); ok {
		return e.Err
	}
	return errors.Unwrap(err)
}

func someCertificate(t testing.TB) *x509.Certificate {
	c, _ := newCertificate(t)
	return c
}

// skewed registers the certificate, and sets the clock of the Server.
func skewed(t testing.TB, file string, by time.Duration) func(*azurekeyvaulttest.Server) {
	return func(s *azurekeyvaulttest.Server) {
		for rest := []byte(file); ; {
			var block *pem.Block
			block, rest = pem.Decode(rest)
			if block.Type != "CERTIFICATE" {
				continue
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			s.SetCertificate(c)
			s.Skew(by)
			return
		}
	}
}

// TestCauses checks that the SDK's own errors, and those of the network, are
// found in a credential's.
func TestCauses(t *testing.T) {
	s := start(t)
	cfg := s.Config("a")
	s.SetSecret("another")
	_, err := open(t, cfg).Wrap(t.Context(), secretKey(), place)
	if e, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); !ok || e.RawResponse.StatusCode != 401 {
		t.Errorf("no AuthenticationFailedError in %v", err)
	} else if e.RawResponse.Request.Body != nil || len(e.RawResponse.Request.Header) > 0 {
		t.Error("the SDK's error keeps the request with the secret")
	}

	cfg.ClientOptions.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if strings.HasPrefix(r.Host, "login.") {
			return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: &net.DNSError{Err: "no such host", Name: r.Host, IsNotFound: true}}
		}
		return s.Client().Do(r)
	})
	_, err = open(t, cfg).Wrap(t.Context(), secretKey(), place)
	refused(t, err, kms.ErrUnavailable, "no token: login.microsoftonline.com: lookup login.microsoftonline.com: no such host")
	if _, ok := errors.AsType[*net.DNSError](err); !ok || strings.Contains(err.Error(), "well-known") {
		t.Errorf("no DNSError in %v, or a whole URL", err)
	}
}

// transport is a transport of the host.
type transport func(*http.Request) (*http.Response, error)

func (f transport) Do(r *http.Request) (*http.Response, error) { return f(r) }
