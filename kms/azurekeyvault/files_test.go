package azurekeyvault_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
)

// TestCredentialWhereAPathIsMeant: what somebody wrote in place of a path reaches
// no error, and so no log and no answer.
func TestCredentialWhereAPathIsMeant(t *testing.T) {
	noPlatform(t)
	s := start(t)
	for field, set := range map[string]func(*azurekeyvault.Config, string){
		"ClientSecretFile": func(c *azurekeyvault.Config, v string) { c.ClientSecretFile = v },
		"CertificateFile":  func(c *azurekeyvault.Config, v string) { c.CertificateFile = v },
		"TokenFile":        func(c *azurekeyvault.Config, v string) { c.TokenFile = v },
	} {
		for name, content := range map[string]string{
			"PEM":    "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
			"token":  "eyJhbGciOiJSUzI1NiJ9.canary.c2ln",
			"base64": strings.Repeat("canary", 20),
		} {
			t.Setenv("THE_CREDENTIAL", content)
			for _, written := range []string{content, "file://" + content, "env://THE_CREDENTIAL"} {
				cfg := application(s)
				set(&cfg, written)
				cfg.AllowEnvironment = true
				_, err := azurekeyvault.New(cfg)
				refused(t, err, kms.ErrMisconfigured, field+" must be the path of a file")
				if strings.Contains(fmt.Sprint(err), "canary") {
					t.Errorf("%s, %s: the error shows it: %v", field, name, err)
				}
			}
		}
		cfg := application(s)
		set(&cfg, "abc8Q~secret-canary-of-the-application.x")
		_, err := open(t, cfg).Wrap(t.Context(), secretKey(), place)
		refused(t, err, kms.ErrUnauthenticated, field+": file")
		if strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: the error shows what looks like nothing: %v", field, err)
		}
	}
	t.Setenv("AZURE_CLIENT_CERTIFICATE_PATH", "-----BEGIN PRIVATE KEY-----canary")
	cfg := application(s)
	cfg.AllowEnvironment, cfg.CertificateFile = true, ""
	_, err := azurekeyvault.New(cfg)
	refused(t, err, kms.ErrMisconfigured, "CertificateFile must be the path of a file")
	if strings.Contains(fmt.Sprint(err), "canary") {
		t.Errorf("the error shows it: %v", err)
	}
}

// noPlatform takes the variables of Azure's own platforms away.
func noPlatform(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "VAULT_") || strings.HasPrefix(name, "IDENTITY_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
}

// TestPathReferences: file:// and env:// on a path do what the writer means.
func TestPathReferences(t *testing.T) {
	noPlatform(t)
	s := start(t)
	s.SetSecret("from~a.file")
	file := filepath.Join(t.TempDir(), "secret")
	write(t, file, "from~a.file")
	t.Setenv("THE_FILE", file)
	for _, written := range []string{file, "file://" + file, "env://THE_FILE"} {
		cfg := application(s)
		cfg.ClientSecretFile, cfg.AllowEnvironment = written, strings.HasPrefix(written, "env://")
		w, blob := wrapped(t, cfg)
		opens(t, w, blob)
	}
	cfg := application(s)
	cfg.ClientSecretFile = "env://THE_FILE"
	_, err := azurekeyvault.New(cfg)
	refused(t, err, kms.ErrMisconfigured, "ClientSecretFile refers to a variable, and the environment is not read")
}

// TestAPIVersionIsTheVaults: Entra ID's client refuses to have one, and each call
// was said to be unauthenticated.
func TestAPIVersionIsTheVaults(t *testing.T) {
	s := start(t)
	cfg := s.Config("a")
	cfg.ClientOptions.APIVersion = "7.4"
	w := open(t, cfg)
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if vault := strings.HasSuffix(r.Host, "vault.azure.net"); vault != strings.Contains(r.URL.RawQuery, "api-version=7.4") {
			t.Errorf("%s%s", r.Host, r.URL)
		}
		return false
	})
	blob, err := w.Wrap(t.Context(), secretKey(), place)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, w, blob)
	s.Intercept(nil)
	cfg = managed(s, "api-version", "")
	cfg.ClientOptions.APIVersion = "7.4"
	w, blob = wrapped(t, cfg)
	opens(t, w, blob)
}

// TestExpiryIsTold: ahead, and when it is over. An expired key still unwraps.
func TestExpiryIsTold(t *testing.T) {
	s := start(t)
	w, blob := wrapped(t, s.Config("a"))
	ahead, past := time.Now().Add(48*time.Hour).Truncate(time.Second), time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, c := range []struct {
		at      time.Time
		enabled bool
	}{{time.Time{}, true}, {ahead, true}, {past, false}} {
		s.Expire("a", "", c.at)
		h, err := w.Probe(t.Context())
		if err != nil || h.Enabled != c.enabled || !h.Expires.Equal(c.at) || h.Version != blob.Version {
			t.Errorf("expires %v: %+v, %v", c.at, h, err)
		}
	}
	opens(t, w, blob)
	s.Expire("a", "", time.Time{})
	s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/keys/") {
			return false
		}
		fmt.Fprintf(rw, `{"key":{"kid":%q,"kty":"RSA","key_ops":["wrapKey","unwrapKey"]},"attributes":{"enabled":true,"nbf":%d}}`, blob.KeyID+"/"+blob.Version, ahead.Unix())
		return true
	})
	if h, err := w.Probe(t.Context()); err != nil || h.Enabled {
		t.Errorf("not valid yet: %+v, %v", h, err)
	}
}

// TestEmptyTokenCredentials: the SDK takes the empty variable for a wrong one, at
// every call.
func TestEmptyTokenCredentials(t *testing.T) {
	noPlatform(t)
	s := start(t)
	cfg := application(s)
	cfg.TenantID, cfg.ClientID, cfg.Auth, cfg.AllowEnvironment = "", "", azurekeyvault.AuthDefault, true
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "")
	_, err := azurekeyvault.New(cfg)
	refused(t, err, kms.ErrMisconfigured, "an empty AZURE_TOKEN_CREDENTIALS", "unset it")
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "prod")
	open(t, cfg)
}

// tokenProxy is the proxy of an AKS identity binding, before the fake Entra ID.
func tokenProxy(t *testing.T, s *azurekeyvaulttest.Server) (proxy *httptest.Server, asked *[]string) {
	asked = new([]string)
	proxy = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Path)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		out, err := http.NewRequestWithContext(r.Context(), r.Method, "https://login.microsoftonline.com"+strings.TrimPrefix(r.URL.RequestURI(), "/binding"), bytes.NewReader(body))
		if err != nil {
			return
		}
		out.Header = r.Header.Clone()
		resp, err := s.Client().Do(out)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		rw.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		rw.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(rw, resp.Body)
	}))
	t.Cleanup(proxy.Close)
	return proxy, asked
}

// TestIdentityBinding: in a cluster with AKS identity bindings the token is
// exchanged by the cluster's proxy, whose CA is read when it is needed.
func TestIdentityBinding(t *testing.T) {
	noPlatform(t)
	s := start(t)
	s.SetFederated("service-account.token.1")
	proxy, asked := tokenProxy(t, s)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	t.Setenv("AZURE_KUBERNETES_TOKEN_PROXY", proxy.URL+"/binding")
	t.Setenv("AZURE_KUBERNETES_CA_FILE", ca)
	t.Setenv("AZURE_KUBERNETES_SNI_NAME", "example.com")
	token := filepath.Join(t.TempDir(), "token")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", token)
	t.Setenv("AZURE_TENANT_ID", azurekeyvaulttest.TenantID)
	t.Setenv("AZURE_CLIENT_ID", azurekeyvaulttest.ClientID)
	cfg := application(s)
	cfg.TenantID, cfg.ClientID, cfg.AllowEnvironment = "", "", true
	w := open(t, cfg)

	_, err := w.Wrap(t.Context(), secretKey(), place)
	refused(t, err, kms.ErrUnauthenticated, "TokenFile: file", token)
	write(t, token, "service-account.token.1")
	_, err = w.Wrap(t.Context(), secretKey(), place)
	refused(t, err, kms.ErrUnauthenticated, "AZURE_KUBERNETES_CA_FILE: file", ca)
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})))
	blob, err := w.Wrap(t.Context(), secretKey(), place)
	if err != nil {
		t.Fatal(err)
	}
	if len(*asked) == 0 || !strings.HasSuffix((*asked)[len(*asked)-1], "/oauth2/v2.0/token") {
		t.Errorf("the proxy was asked for %q", *asked)
	}
	for _, path := range *asked {
		if !strings.HasPrefix(path, "/binding/") {
			t.Errorf("the proxy was asked for %q", path)
		}
	}
	opens(t, w, blob)

	s.SetFederated("service-account.token.2") // and the old one is refused
	s.Revoke()
	write(t, token, "service-account.token.2")
	opens(t, w, blob)

	// Who is not the proxy is not believed.
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.TLS = &tls.Config{Certificates: []tls.Certificate{otherCertificate(t)}}
	stranger.StartTLS()
	t.Cleanup(stranger.Close)
	t.Setenv("AZURE_KUBERNETES_TOKEN_PROXY", stranger.URL)
	_, err = open(t, cfg).Wrap(t.Context(), secretKey(), place)
	refused(t, err, kms.ErrUnavailable, "certificate")
}

func otherCertificate(t *testing.T) tls.Certificate {
	_, text := newCertificate(t)
	c, err := tls.X509KeyPair([]byte(text), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestIdentityBindingErrors: New says which variable is wrong.
func TestIdentityBindingErrors(t *testing.T) {
	s := start(t)
	for name, c := range map[string]struct {
		auth  azurekeyvault.Auth
		env   map[string]string
		words []string // nil: it is right
	}{
		"no TLS":         {azurekeyvault.AuthWorkloadIdentity, map[string]string{"AZURE_KUBERNETES_TOKEN_PROXY": "http://proxy"}, []string{"AZURE_KUBERNETES_TOKEN_PROXY must read https://"}},
		"no URL":         {azurekeyvault.AuthWorkloadIdentity, map[string]string{"AZURE_KUBERNETES_TOKEN_PROXY": "proxy"}, []string{"AZURE_KUBERNETES_TOKEN_PROXY must read https://"}},
		"two CAs":        {azurekeyvault.AuthWorkloadIdentity, map[string]string{"AZURE_KUBERNETES_TOKEN_PROXY": "https://proxy", "AZURE_KUBERNETES_CA_FILE": "/a", "AZURE_KUBERNETES_CA_DATA": "b"}, []string{"AZURE_KUBERNETES_CA_FILE and AZURE_KUBERNETES_CA_DATA"}},
		"CA in the path": {azurekeyvault.AuthWorkloadIdentity, map[string]string{"AZURE_KUBERNETES_TOKEN_PROXY": "https://proxy", "AZURE_KUBERNETES_CA_FILE": "-----BEGIN CERTIFICATE-----"}, []string{"AZURE_KUBERNETES_CA_FILE must be the path"}},
		"the chain":      {azurekeyvault.AuthDefault, map[string]string{"AZURE_KUBERNETES_TOKEN_PROXY": "https://proxy"}, []string{"AZURE_KUBERNETES_TOKEN_PROXY", "set Auth to workload_identity"}},
		"a secret":       {azurekeyvault.AuthClientSecret, map[string]string{"AZURE_KUBERNETES_TOKEN_PROXY": "http://proxy"}, nil}, // it is not used
	} {
		t.Run(name, func(t *testing.T) {
			noPlatform(t)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			cfg := application(s)
			cfg.Auth, cfg.AllowEnvironment = c.auth, true
			switch c.auth {
			case azurekeyvault.AuthWorkloadIdentity:
				cfg.TokenFile = "/run/token"
			case azurekeyvault.AuthClientSecret:
				cfg.ClientSecretFile = "/run/secret"
			default:
				cfg.TenantID, cfg.ClientID = "", ""
			}
			_, err := azurekeyvault.New(cfg)
			if c.words == nil && err == nil {
				return
			}
			refused(t, err, kms.ErrMisconfigured, c.words...)
		})
	}
}

// TestVaultWritesToTheTerminal: nothing that moves a cursor reaches an error.
func TestVaultWritesToTheTerminal(t *testing.T) {
	s := start(t)
	w, blob := wrapped(t, s.Config("a"))
	s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		rw.WriteHeader(http.StatusForbidden)
		fmt.Fprint(rw, `{"error":{"code":"For\u001b[2Jbidden","message":"\u001b]0;owned\u0007no\u202e\r\n\u009b1mline"}}`)
		return true
	})
	_, err := w.Unwrap(t.Context(), blob, place)
	refused(t, err, kms.ErrDenied, "]0;owned no 1mline")
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q", err)
	}
}
