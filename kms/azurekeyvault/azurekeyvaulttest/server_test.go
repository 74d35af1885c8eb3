package azurekeyvaulttest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/kmstest"
)

func start(t *testing.T) *azurekeyvaulttest.Server {
	s := azurekeyvaulttest.NewServer()
	t.Cleanup(s.Close)
	return s
}

// Microsoft's own client works with the Server, as far as the Server goes.
func Example() {
	server := azurekeyvaulttest.NewServer()
	defer server.Close()
	server.Create("prod", azurekeyvaulttest.KeyOptions{VaultURL: "https://mine.vault.azure.net"})

	options := azcore.ClientOptions{Transport: server.Client()}
	secret, err := server.Config("prod").ClientSecret()
	if err != nil {
		log.Fatal(err)
	}
	credential, err := azidentity.NewClientSecretCredential(azurekeyvaulttest.TenantID, azurekeyvaulttest.ClientID, secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options})
	if err != nil {
		log.Fatal(err)
	}
	client, err := azkeys.NewClient("https://mine.vault.azure.net", credential, &azkeys.ClientOptions{ClientOptions: options})
	if err != nil {
		log.Fatal(err)
	}
	key, err := client.GetKey(context.Background(), "prod", "", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*key.Key.Kty, key.Key.KID.Name(), *key.Attributes.Enabled)

	// Output:
	// RSA prod true
}

// A test of one's own code lets the third call fail.
func ExampleServer_Script() {
	server := azurekeyvaulttest.NewServer()
	defer server.Close()
	server.Script(kmstest.Nth(3, kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: 10 * time.Second}))

	wrapper, err := azurekeyvault.New(server.HSMConfig("prod"))
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		_, err := wrapper.Wrap(context.Background(), make([]byte, 32), kms.Binding{})
		fmt.Println(errors.Is(err, kms.ErrThrottled))
	}

	// Output:
	// false
	// false
	// true
}

// token is a credential with one token.
type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// issued returns a token of the Server for the domain of a vault.
func issued(t *testing.T, s *azurekeyvaulttest.Server) string {
	t.Helper()
	w, err := azurekeyvault.New(s.Config("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := s.Requests()
	_, bearer, _ := strings.Cut(r[len(r)-1].Header.Get("Authorization"), "Bearer ")
	return bearer
}

// TestTokens checks that only the Server's tokens open its vaults, each for its
// domain, and in its time.
func TestTokens(t *testing.T) {
	for name, c := range map[string]struct {
		url   string
		token func(*azurekeyvaulttest.Server, string) string
		ok    bool
	}{
		"right":        {azurekeyvaulttest.VaultURL, func(_ *azurekeyvaulttest.Server, s string) string { return s }, true},
		"none":         {azurekeyvaulttest.VaultURL, func(*azurekeyvaulttest.Server, string) string { return "" }, false},
		"foreign":      {azurekeyvaulttest.VaultURL, func(*azurekeyvaulttest.Server, string) string { return "eyJ0eXAi.e30.sig" }, false},
		"cut":          {azurekeyvaulttest.VaultURL, func(_ *azurekeyvaulttest.Server, s string) string { return s[:len(s)-1] }, false},
		"altered":      {azurekeyvaulttest.VaultURL, func(_ *azurekeyvaulttest.Server, s string) string { return "f" + s[1:] }, false},
		"other domain": {azurekeyvaulttest.HSMURL, func(_ *azurekeyvaulttest.Server, s string) string { return s }, false},
		"revoked":      {azurekeyvaulttest.VaultURL, func(v *azurekeyvaulttest.Server, s string) string { v.Revoke(); return s }, false},
		"expired":      {azurekeyvaulttest.VaultURL, func(v *azurekeyvaulttest.Server, s string) string { v.Skew(2 * time.Hour); return s }, false},
		"not yet so":   {azurekeyvaulttest.VaultURL, func(v *azurekeyvaulttest.Server, s string) string { v.Skew(30 * time.Minute); return s }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			bearer := c.token(s, issued(t, s))
			s.Create("a", azurekeyvaulttest.KeyOptions{VaultURL: c.url})
			client, err := azkeys.NewClient(c.url, token(bearer), &azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{
				Transport: s.Client(), Retry: policy.RetryOptions{MaxRetries: -1}}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.GetKey(t.Context(), "a", "", nil)
			if e, _ := errors.AsType[*azcore.ResponseError](err); (err == nil) != c.ok || err != nil && (e == nil || e.StatusCode != 401) {
				t.Errorf("GetKey: %v", err)
			}
		})
	}
}

// TestNowhereElse checks that nothing leaves the machine.
func TestNowhereElse(t *testing.T) {
	s := start(t)
	for _, host := range []string{"https://example.com", "https://vault.azure.net", "https://evil.vault.azure.net.example.com", "http://127.0.0.1:1"} {
		_, err := s.Client().Get(host)
		if e, ok := errors.AsType[*net.DNSError](err); !ok || !e.IsNotFound {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// TestVault checks what no Wrapper asks.
func TestVault(t *testing.T) {
	s := start(t)
	bearer := issued(t, s)
	s.HSMConfig("h")
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		has                string
	}{
		"no api-version":   {"GET", "/keys/a", "", 400, "BadParameter"},
		"another path":     {"GET", "/secrets/a?api-version=1", "", 400, "BadParameter"},
		"another method":   {"DELETE", "/keys/a?api-version=1", "", 400, "BadParameter"},
		"an unknown op":    {"POST", "/keys/a/sign?api-version=1", "{}", 400, "BadParameter"},
		"deeper":           {"GET", "/keys/a/b/c?api-version=1", "", 400, "BadParameter"},
		"no JSON":          {"POST", "/keys/a/wrapkey?api-version=1", "{", 400, "well-formed"},
		"no base64url":     {"POST", "/keys/a/wrapkey?api-version=1", `{"value":"++"}`, 400, "well-formed"},
		"algorithm":        {"POST", "/keys/a/wrapkey?api-version=1", `{"alg":"RSA1_5","value":"AA"}`, 400, "parameter"},
		"A256KW with RSA":  {"POST", "/keys/a/wrapkey?api-version=1", `{"alg":"A256KW","value":"AA"}`, 400, "parameter"},
		"of another vault": {"GET", "/keys/h?api-version=1", "", 404, "KeyNotFound"},
		"unknown version":  {"GET", "/keys/a/0123?api-version=1", "", 404, "a/0123"},
		"not deleted":      {"GET", "/deletedkeys/a?api-version=1", "", 404, "KeyNotFound"},
		"in capitals":      {"GET", "/keys/A?api-version=1", "", 200, `"enabled":true`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, azurekeyvaulttest.VaultURL+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+bearer)
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.has) {
				t.Errorf("%d %s, %v, want %d with %q", resp.StatusCode, body, err, c.status, c.has)
			}
		})
	}
}

// TestFaults checks what a Fault says of its time: the delay, and that After
// lets the vault do its work.
func TestFaults(t *testing.T) {
	s := start(t)
	w, err := azurekeyvault.New(s.HSMConfig("a"))
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("0123456789abcdef")
	wrap := func() (*kms.Blob, error) { return w.Wrap(t.Context(), key, kms.Binding{}) }
	blob, err := wrap()
	if err != nil {
		t.Fatal(err)
	}
	s.Script(kmstest.Always(kmstest.Fault{Delay: time.Millisecond}))
	if _, err := wrap(); err != nil {
		t.Errorf("after a delay: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	s.Script(kmstest.Always(kmstest.Fault{Delay: time.Hour}))
	if _, err := w.Unwrap(ctx, blob, kms.Binding{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a delay of an hour: %v", err)
	}
	for f, lies := range map[kmstest.Failure]bool{kmstest.WrongPlaintext: true, kmstest.OtherPlaintext: true, kmstest.None: false} {
		s.Script(nil)
		copy(key, "another key is remembered")
		if _, err := wrap(); err != nil {
			t.Fatal(err)
		}
		copy(key, "0123456789abcdef")
		s.Script(kmstest.Always(kmstest.Fault{Failure: f}))
		got, err := w.Unwrap(t.Context(), blob, kms.Binding{})
		if err != nil || (string(got) != string(key)) != lies {
			t.Errorf("%q: %q, %v", f, got, err)
		}
	}
	for _, f := range []kmstest.Failure{kmstest.Truncated, kmstest.Extended} {
		s.Script(kmstest.Always(kmstest.Fault{Failure: f}))
		if blob, err := wrap(); err == nil {
			s.Script(nil)
			if _, err := w.Unwrap(t.Context(), blob, kms.Binding{}); !errors.Is(err, kms.ErrCorrupt) {
				t.Errorf("%q: the blob opens: %v", f, err)
			}
		}
	}
}

// TestAdministration checks that misuse is noticed.
func TestAdministration(t *testing.T) {
	s := start(t)
	for name, do := range map[string]func(){
		"unknown key": func() { s.Rotate("nobody") },
		"no vault":    func() { s.Create("a", azurekeyvaulttest.KeyOptions{VaultURL: "https://example.com"}) },
		"no URL":      func() { s.Create("a", azurekeyvaulttest.KeyOptions{VaultURL: "%zz"}) },
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "azurekeyvaulttest: ") {
					t.Errorf("%s: %s", name, text)
				}
			}()
			do()
		}()
	}
	s.Config("a")
	s.Rotate("a")
	if v := s.Versions("a"); len(v) != 2 || v[0] == v[1] || len(v[0]) != 32 {
		t.Errorf("the versions are %v", v)
	}
	before := s.Versions("a")[0]
	s.Recreate("a")
	if v := s.Versions("a"); len(v) != 1 || v[0] == before {
		t.Errorf("the versions of another key are %v", v)
	}
}
