package azurekeyvault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/kmstest"
)

var place = kms.Binding{Store: "0123456789abcdef", Slot: "cloud"}

func secretKey() []byte { return bytes.Repeat([]byte("secret! "), 4) }

// wrapped returns a Wrapper that has authenticated, and a blob.
func wrapped(t testing.TB, cfg azurekeyvault.Config) (*azurekeyvault.Wrapper, *kms.Blob) {
	t.Helper()
	w := open(t, cfg)
	blob, err := w.Wrap(t.Context(), secretKey(), place)
	if err != nil {
		t.Fatal(err)
	}
	return w, blob
}

// opens checks that the blob opens.
func opens(t testing.TB, w *azurekeyvault.Wrapper, blob *kms.Blob) {
	t.Helper()
	key, err := w.Unwrap(t.Context(), blob, place)
	if err != nil || !bytes.Equal(key, secretKey()) {
		t.Fatalf("unwrap: a key of %d bytes, %v", len(key), err)
	}
}

// refused checks the kind of an error, and that it has all of the words.
func refused(t testing.TB, err, kind error, words ...string) {
	t.Helper()
	e, ok := errors.AsType[*kms.Error](err)
	if !ok || e.Kind != kind || !errors.Is(err, kind) || e.Type != azurekeyvault.Type {
		t.Errorf("the error is %v (%T), want %v", err, err, kind)
		return
	}
	if text := err.Error(); strings.ContainsAny(text, "\r\n") || len(text) > 1000 {
		t.Errorf("the text is not one short line: %q", text)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error is %q, without %q", err, word)
		}
	}
}

// count returns how many requests reached hosts that end so since n.
func count(s *azurekeyvaulttest.Server, since int, host string) (n int) {
	for _, r := range s.Requests()[since:] {
		if strings.HasSuffix(r.Host, host) {
			n++
		}
	}
	return n
}

func TestRequests(t *testing.T) {
	s := start(t)
	w := open(t, s.Config("a"))
	if n := len(s.Requests()); n != 0 {
		t.Fatalf("New made %d requests", n)
	}
	for range 3 {
		if _, err := w.Wrap(t.Context(), secretKey(), place); err != nil {
			t.Fatal(err)
		}
	}
	// The first asks how to authenticate. Entra ID is asked for its endpoints and a token.
	if vault, entra := count(s, 0, "vault.azure.net"), count(s, 0, "login.microsoftonline.com"); vault != 4 || entra != 2 {
		t.Errorf("three calls made %d requests to the vault and %d to Entra ID, want 4 and 2", vault, entra)
	}
	seen := len(s.Requests())
	if _, err := w.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Requests()) - seen; n != 1 {
		t.Errorf("a probe made %d requests", n)
	}
	if first := s.Requests()[0]; first.Header.Get("Authorization") != "" || first.Header.Get("Content-Length") != "0" {
		t.Errorf("the first request has the head %v", first.Header)
	}
}

// TestOneAttempt checks that nothing below the caller tries again: not for the
// vault, not for Entra ID, not for a managed identity.
func TestOneAttempt(t *testing.T) {
	for _, status := range []int{404, 408, 410, 429, 500, 502, 503, 504} {
		for host, config := range map[string]func(*azurekeyvaulttest.Server) azurekeyvault.Config{
			"vault.azure.net":           func(s *azurekeyvaulttest.Server) azurekeyvault.Config { return s.Config("a") },
			"login.microsoftonline.com": func(s *azurekeyvaulttest.Server) azurekeyvault.Config { return s.Config("a") },
			"169.254.169.254": func(s *azurekeyvaulttest.Server) azurekeyvault.Config {
				return managed(s, fmt.Sprintf("one-attempt-%d", status), "")
			},
		} {
			t.Run(fmt.Sprintf("%d of %s", status, host), func(t *testing.T) {
				s := start(t)
				w := open(t, config(s))
				s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
					if !strings.HasSuffix(r.Host, host) || host == "vault.azure.net" && r.Header.Get("Authorization") == "" {
						return false
					}
					rw.Header().Set("Retry-After", "1")
					rw.WriteHeader(status)
					return true
				})
				_, err := w.Wrap(t.Context(), secretKey(), place)
				if e, ok := errors.AsType[*kms.Error](err); !ok || e.RetryAfter != time.Second {
					t.Errorf("the error is %v, without a RetryAfter of 1s", err)
				}
				want := 1
				if host == "vault.azure.net" {
					want = 2 // with the one that asks how to authenticate
				}
				if n := count(s, 0, host); n != want {
					t.Errorf("%d requests, want %d", n, want)
				}
			})
		}
	}
}

// TestRetryAfter checks that what is asked for is understood in every form.
func TestRetryAfter(t *testing.T) {
	s := start(t)
	w, blob := wrapped(t, s.Config("a"))
	s.Skew(3 * time.Minute) // a date counts on the server's clock
	in := func(d time.Duration) string { return time.Now().Add(3*time.Minute + d).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		header, value string
		want          time.Duration
	}{
		{"Retry-After", "30", 30 * time.Second},
		{"Retry-After", "0", 0},
		{"Retry-After", "-5", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "99999999999999", 24 * time.Hour},
		{"Retry-After", in(-time.Hour), 0},
		{"Retry-After", in(90 * 24 * time.Hour), 24 * time.Hour},
		{"Retry-After-Ms", "1500", 1500 * time.Millisecond},
		{"X-Ms-Retry-After-Ms", "250", 250 * time.Millisecond},
	} {
		s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set(c.header, c.value)
			rw.WriteHeader(http.StatusTooManyRequests)
			return true
		})
		_, err := w.Unwrap(t.Context(), blob, place)
		refused(t, err, kms.ErrThrottled, "429")
		if e, _ := errors.AsType[*kms.Error](err); e == nil || e.RetryAfter != c.want {
			t.Errorf("%s: %s: the error is %v, want to wait %v", c.header, c.value, err, c.want)
		}
	}
	s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		rw.Header().Set("Date", "Sun, 01 Nov 2026 10:00:00 GMT")
		rw.Header().Set("Retry-After", "Sun, 01 Nov 2026 10:00:40 GMT")
		rw.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	_, err := w.Unwrap(t.Context(), blob, place)
	if e, _ := errors.AsType[*kms.Error](err); e == nil || e.RetryAfter != 40*time.Second {
		t.Errorf("a date in 40 seconds: the error is %v", err)
	}
}

// TestChallenge checks challenges that no vault sends, and that no token goes to
// whoever sent them.
func TestChallenge(t *testing.T) {
	for name, c := range map[string]struct {
		challenge string
		kind      error
		words     []string
	}{
		"without a tenant":          {`Bearer authorization="https://login.microsoftonline.com", resource="https://vault.azure.net"`, kms.ErrMisconfigured, []string{"check VaultURL", `login.microsoftonline.com`}},
		"no URL":                    {`Bearer authorization="login", resource="https://vault.azure.net"`, kms.ErrMisconfigured, []string{"check VaultURL"}},
		"another domain":            {`Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.cn"`, kms.ErrMisconfigured, []string{"check VaultURL", "vault.azure.cn"}},
		"a domain that ends so":     {`Bearer authorization="https://login.microsoftonline.com/t", resource="https://t.azure.net"`, kms.ErrMisconfigured, []string{"check VaultURL"}},
		"without a resource":        {`Bearer authorization="https://login.microsoftonline.com/t"`, kms.ErrMisconfigured, []string{"check VaultURL"}},
		"resource is no URL":        {`Bearer authorization="https://login.microsoftonline.com/t", resource="%zz"`, kms.ErrMisconfigured, []string{"check VaultURL"}},
		"Basic":                     {`Basic realm="proxy"`, kms.ErrMisconfigured, []string{"check VaultURL", `realm=`}},
		"claims that are no base64": {`Bearer error="insufficient_claims", claims="%"`, kms.ErrMisconfigured, []string{"check VaultURL"}},
		"control characters":        {"Bearer \t x", kms.ErrMisconfigured, []string{"check VaultURL"}},
		"long":                      {"Bearer x=\"" + strings.Repeat("y", 5000) + "\"", kms.ErrMisconfigured, []string{"check VaultURL"}},
		"none":                      {"", kms.ErrUnauthenticated, []string{"401"}},
		"another tenant":            {`Bearer authorization="https://login.microsoftonline.com/99999999-0000-0000-0000-000000000000", resource="https://vault.azure.net"`, kms.ErrMisconfigured, []string{"99999999-0000-0000-0000-000000000000", "TenantID", azurekeyvaulttest.TenantID}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			w := open(t, s.Config("a"))
			s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.Host, "vault.azure.net") {
					return false
				}
				if c.challenge != "" {
					rw.Header().Set("WWW-Authenticate", c.challenge)
				}
				rw.WriteHeader(http.StatusUnauthorized)
				return true
			})
			for range 2 { // nothing is held from the first
				_, err := w.Wrap(t.Context(), secretKey(), place)
				refused(t, err, c.kind, c.words...)
				if strings.Contains(err.Error(), "DisableChallengeResourceVerification") {
					t.Errorf("the error advises to switch verification off: %v", err)
				}
			}
			for _, r := range s.Requests() {
				if r.Header.Get("Authorization") != "" {
					t.Error("a token was sent")
				}
			}
			s.Intercept(nil)
			if _, err := w.Wrap(t.Context(), secretKey(), place); err != nil {
				t.Errorf("after it healed: %v", err)
			}
		})
	}
}

// TestSDKPanics shows what the seam is for. When it fails, the SDK has learnt to
// parse a challenge.
func TestSDKPanics(t *testing.T) {
	s := start(t)
	s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		rw.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.microsoftonline.com", resource="https://vault.azure.net"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
	client, err := azkeys.NewClient(azurekeyvaulttest.VaultURL, hostCredential(nil), &azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: s.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("the SDK does not panic any more: drop the seam")
		}
	}()
	_, err = client.GetKey(t.Context(), "a", "", nil)
	t.Errorf("the SDK returned %v", err)
}

// hostCredential is a credential of the host. nil gives a token that nobody
// knows.
type hostCredential func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error)

func (f hostCredential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if f == nil {
		return azcore.AccessToken{Token: "unknown", ExpiresOn: time.Now().Add(time.Hour)}, nil
	}
	return f(ctx, o)
}

// withHost returns a Config with the credential in place of the application's.
func withHost(s *azurekeyvaulttest.Server, c azcore.TokenCredential) azurekeyvault.Config {
	cfg := s.Config("a")
	cfg.TenantID, cfg.ClientID, cfg.ClientSecret, cfg.Credential = "", "", nil, c
	return cfg
}

// TestTokenOfAnotherCall checks that a call ends with its own context while the
// SDK makes it wait for the token that another one is asking for.
func TestTokenOfAnotherCall(t *testing.T) {
	s := start(t)
	asked, release := make(chan struct{}), make(chan struct{})
	w := open(t, withHost(s, hostCredential(func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
		close(asked)
		<-release // deaf to its context
		return azcore.AccessToken{}, errors.New("released")
	})))
	first := make(chan error)
	go func() {
		_, err := w.Wrap(t.Context(), secretKey(), place)
		first <- err
	}()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := w.Wrap(ctx, secretKey(), place)
	refused(t, err, kms.ErrUnavailable, "no answer yet")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error does not wrap the end of the context: %v", err)
	}
	close(release)
	refused(t, <-first, kms.ErrUnauthenticated, "released")
}

func TestTimeout(t *testing.T) {
	s := start(t)
	cfg := s.Config("a")
	w, blob := wrapped(t, cfg)
	cfg.Timeout = 30 * time.Millisecond
	short := open(t, cfg)
	s.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang}))
	_, err := short.Unwrap(t.Context(), blob, place) // t.Context has no deadline
	refused(t, err, kms.ErrUnavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without an answer: %v", err)
	}
	s.Script(nil)
	opens(t, w, blob)
}

// TestDeadline checks that every call has a deadline: its own, or the Timeout.
func TestDeadline(t *testing.T) {
	s := start(t)
	own, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
	defer cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		timeout time.Duration
		want    time.Duration
	}{
		"by default": {t.Context(), 0, 10 * time.Second},
		"Timeout":    {t.Context(), time.Hour, time.Hour},
		"its own":    {own, time.Hour, 3 * time.Hour},
	} {
		var left time.Duration
		cfg := withHost(s, hostCredential(func(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
			if d, ok := ctx.Deadline(); ok {
				left = time.Until(d)
			}
			return azcore.AccessToken{}, errors.New("none")
		}))
		cfg.Timeout = c.timeout
		_, err := open(t, cfg).Wrap(c.ctx, secretKey(), place)
		refused(t, err, kms.ErrUnauthenticated, "no token: none")
		if left > c.want || left < c.want/2 {
			t.Errorf("%s: %v are left of %v", name, left, c.want)
		}
	}
}

func TestCredentialPanics(t *testing.T) {
	s := start(t)
	broken := true
	w := open(t, withHost(s, hostCredential(func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
		if broken {
			panic("token-in-a-panic")
		}
		return azcore.AccessToken{}, errors.New("no more")
	})))
	_, err := w.Wrap(t.Context(), secretKey(), place)
	refused(t, err, kms.ErrUnauthenticated, "panicked")
	if strings.Contains(err.Error(), "token-in-a-panic") {
		t.Errorf("the error shows what was thrown: %v", err)
	}
	broken = false
	_, err = w.Wrap(t.Context(), secretKey(), place) // the SDK would wait for the first one
	refused(t, err, kms.ErrUnauthenticated, "no more")
}

// TestHostPanics checks that a panic of the host's own policy ends one call.
func TestHostPanics(t *testing.T) {
	s := start(t)
	cfg := s.Config("a")
	var bug error
	cfg.ClientOptions.PerCallPolicies = append(cfg.ClientOptions.PerCallPolicies, panics{&bug})
	w, blob := wrapped(t, cfg)
	bug = errors.New("the host's bug")
	_, err := w.Unwrap(t.Context(), blob, place)
	refused(t, err, kms.ErrUnavailable, "panicked", "the host's bug")
	bug = nil
	opens(t, w, blob)
}

// panics is a policy that panics.
type panics struct{ with *error }

func (p panics) Do(r *policy.Request) (*http.Response, error) {
	if *p.with != nil {
		panic(*p.with)
	}
	return r.Next()
}
