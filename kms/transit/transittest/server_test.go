package transittest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
)

var (
	secret = bytes.Repeat([]byte{7}, 32)
	other  = bytes.Repeat([]byte{9}, 32)
	place  = kms.Binding{Store: "s"}
)

func open(t *testing.T, cfg transit.Config) *transit.Wrapper {
	t.Helper()
	w, err := transit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// want returns what a Wrapper's call fails with; nil is a success, and perhaps a
// lie.
func want(f kmstest.Failure, op string) error {
	switch f {
	case kmstest.ClockSkew:
		return kms.ErrUnauthenticated
	case kmstest.Recreated, kmstest.AliasMoved:
		if op != kmstest.OpUnwrap {
			return nil
		}
		return kms.ErrCorrupt
	case kmstest.WrongKeyID:
		if op != kmstest.OpWrap {
			return nil
		}
	case kmstest.Truncated, kmstest.Extended:
		if op == kmstest.OpProbe {
			return nil
		}
		if op == kmstest.OpWrap {
			return kms.ErrMisconfigured
		}
	}
	return f.Kind()
}

// TestFailures lets every call suffer every failure, before and after the work.
func TestFailures(t *testing.T) {
	ops := []string{kmstest.OpWrap, kmstest.OpUnwrap, kmstest.OpProbe}
	synctest.Test(t, func(t *testing.T) {
		faults, wrong := 0, 0
		for _, failure := range kmstest.Failures() {
			for _, op := range ops {
				for _, after := range []bool{false, true} {
					faults++
					if err := suffer(t, failure, op, after); err != nil {
						wrong++
						t.Errorf("%s of %s, after=%v: %v", failure, op, after, err)
					}
				}
			}
		}
		t.Logf("GUARANTEE 24 kms-errors-transittest: faults=%d wrong=%d", faults, wrong)
	})
}

func suffer(t *testing.T, failure kmstest.Failure, op string, after bool) error {
	var vault transittest.Server
	w := open(t, vault.Config("k"))
	if _, err := w.Wrap(t.Context(), other, place); err != nil {
		return err
	}
	blob, err := w.Wrap(t.Context(), secret, place)
	if err != nil {
		return err
	}
	vault.Script(kmstest.Nth(3, kmstest.Fault{Failure: failure, After: after, Delay: time.Second, RetryAfter: time.Minute}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	start := time.Now()
	key, made := secret, blob
	switch op {
	case kmstest.OpWrap:
		made, err = w.Wrap(ctx, secret, place)
	case kmstest.OpUnwrap:
		key, err = w.Unwrap(ctx, blob, place)
	case kmstest.OpProbe:
		_, err = w.Probe(ctx)
	}
	if d := time.Since(start); d < time.Second {
		return fmt.Errorf("the delay was %v", d)
	}
	if kind := want(failure, op); kind == nil && err != nil || kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("%v, want %v", err, kind)
	}
	if e, ok := errors.AsType[*kms.Error](err); ok {
		answers := failure == kmstest.Throttled || failure == kmstest.ServerError
		if answers != (e.RetryAfter == time.Minute) {
			return fmt.Errorf("RetryAfter is %v", e.RetryAfter)
		}
	}
	answered := !slices.Contains([]kmstest.Failure{kmstest.Hang, kmstest.NoDNS}, failure)
	if done := vault.Calls()[2].Done; answered && after && !done && want(failure, op) != kms.ErrCorrupt {
		return errors.New("the work was not done before the failure")
	}
	if failure.Lies(op) && want(failure, op) == nil || op == kmstest.OpWrap && (failure == kmstest.Recreated || failure == kmstest.AliasMoved) {
		if op == kmstest.OpWrap { // what was made does not open to the secret
			key, err = w.Unwrap(t.Context(), made, place)
		}
		if err == nil && (bytes.Equal(key, secret) || failure == kmstest.OtherPlaintext && !bytes.Equal(key, other)) {
			return fmt.Errorf("the lie is %x", key)
		}
	}
	// The next call is well again.
	if key, err := w.Unwrap(t.Context(), blob, place); err != nil || !bytes.Equal(key, secret) {
		return fmt.Errorf("the next call: %v", err)
	}
	return nil
}

// TestServed uses a real connection.
func TestServed(t *testing.T) {
	var vault transittest.Server
	server := httptest.NewUnstartedServer(&vault)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	cfg := vault.Config("k")
	cfg.Address, cfg.HTTPClient = server.URL, server.Client()
	w := open(t, cfg)
	blob, err := w.Wrap(t.Context(), secret, place)
	if err != nil {
		t.Fatal(err)
	}
	vault.Script(kmstest.Nth(2, kmstest.Fault{Failure: kmstest.NoDNS}))
	if _, err := w.Unwrap(t.Context(), blob, place); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("with the connection cut: %v", err)
	}
	vault.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := w.Unwrap(ctx, blob, place); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of a server that hangs: %v", err)
	}
}

func TestNoDNS(t *testing.T) {
	var vault transittest.Server
	w := open(t, vault.Config("k"))
	vault.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.NoDNS}))
	_, err := w.Probe(t.Context())
	if _, ok := errors.AsType[*net.DNSError](err); !ok {
		t.Errorf("Probe: %v, want a *net.DNSError", err)
	}
}

// TestRequests speaks to the server without a Wrapper.
func TestRequests(t *testing.T) {
	vault := &transittest.Server{Mount: "t", Namespace: "ns"}
	vault.Config("k")
	vault.Config("gone")
	vault.Delete("gone")
	sealed := "vault:v1:" + base64.StdEncoding.EncodeToString(make([]byte, 60))
	for name, test := range map[string]struct {
		request, body string
		status        int
		says          string
	}{
		"encrypt":           {"POST t/encrypt/k", `{"plaintext":"AAAA"}`, 200, `"key_version":1`},
		"put":               {"PUT t/encrypt/k", `{"plaintext":"AAAA"}`, 200, `"ciphertext":"vault:v1:`},
		"describe":          {"GET t/keys/k", "", 200, `"type":"aes256-gcm96"`},
		"encrypt, no key":   {"POST t/encrypt/gone", `{"plaintext":"AAAA"}`, 403, "permission denied"},
		"decrypt, no key":   {"POST t/decrypt/gone", `{"ciphertext":"x"}`, 400, "encryption key not found"},
		"describe, no key":  {"GET t/keys/gone", "", 404, `{"errors":[]}`},
		"no JSON":           {"POST t/encrypt/k", `{`, 400, "failed to parse JSON input"},
		"a huge body":       {"POST t/encrypt/k", strings.Repeat(" ", 1<<20), 400, "failed to parse JSON input"},
		"no prefix":         {"POST t/decrypt/k", `{"ciphertext":"x"}`, 400, "invalid ciphertext: no prefix"},
		"no fields":         {"POST t/decrypt/k", `{"ciphertext":"vault:v1"}`, 400, "wrong number of fields"},
		"no number":         {"POST t/decrypt/k", `{"ciphertext":"vault:vx:AAAA"}`, 400, "version number could not be decoded"},
		"no base64":         {"POST t/decrypt/k", `{"ciphertext":"vault:v1:!"}`, 400, "could not decode base64"},
		"too new":           {"POST t/decrypt/k", `{"ciphertext":"vault:v2:AAAA"}`, 400, "version is too new"},
		"altered":           {"POST t/decrypt/k", `{"ciphertext":"` + sealed + `"}`, 400, "message authentication failed"},
		"another mount":     {"POST transit/encrypt/k", "", 404, "no handler for route"},
		"another path":      {"POST t/sign/k", "", 404, "no handler for route"},
		"a deeper path":     {"GET t/keys/k/config", "", 404, "no handler for route"},
		"another method":    {"DELETE t/keys/k", "", 404, "no handler for route"},
		"another API":       {"GET ../ui", "", 404, "page not found"},
		"a token's look-up": {"GET auth/token/lookup-self", "", 200, `"ttl":0`},
		"a token's renewal": {"POST auth/token/renew-self", "", 400, "lease is not renewable"},
		"a token's other":   {"POST auth/token/create", "", 404, "no handler for route"},
	} {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(test.request, " ")
			r := httptest.NewRequest(method, "/v1/"+path, strings.NewReader(test.body))
			if path == "../ui" {
				r.URL.Path = "/ui"
			}
			r.Header.Set("X-Vault-Token", transittest.RootToken)
			r.Header.Set("X-Vault-Namespace", "ns")
			got := httptest.NewRecorder()
			vault.ServeHTTP(got, r)
			if got.Code != test.status || !strings.Contains(got.Body.String(), test.says) {
				t.Errorf("%d %s, want %d with %q", got.Code, got.Body, test.status, test.says)
			}
		})
	}

	for name, change := range map[string]func(h http.Header){
		"no token":          func(h http.Header) { h.Del("X-Vault-Token") },
		"another token":     func(h http.Header) { h.Set("X-Vault-Token", "x") },
		"another namespace": func(h http.Header) { h.Del("X-Vault-Namespace") },
	} {
		for _, path := range []string{"t/keys/k", "auth/token/lookup-self"} {
			r := httptest.NewRequest("GET", "/v1/"+path, nil)
			r.Header.Set("X-Vault-Token", transittest.RootToken)
			r.Header.Set("X-Vault-Namespace", "ns")
			change(r.Header)
			got := httptest.NewRecorder()
			vault.ServeHTTP(got, r)
			want := 403
			if name == "another namespace" {
				if want = 404; path != "t/keys/k" {
					continue
				}
			}
			if got.Code != want {
				t.Errorf("%s: %s: %d, want %d", name, path, got.Code, want)
			}
		}
	}
}

// TestAdministration takes a key through what an administrator does to it.
func TestAdministration(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(s *transittest.Server)
		kind error
	}{
		"rotate":               {func(s *transittest.Server) { s.Rotate("k") }, nil},
		"min version":          {func(s *transittest.Server) { s.Rotate("k"); s.MinDecryptionVersion("k", 2) }, kms.ErrKeyDisabled},
		"min version, undone":  {func(s *transittest.Server) { s.MinDecryptionVersion("k", 2); s.MinDecryptionVersion("k", 1) }, nil},
		"soft delete":          {func(s *transittest.Server) { s.SoftDelete("k") }, kms.ErrKeyGone},
		"soft delete, undone":  {func(s *transittest.Server) { s.SoftDelete("k"); s.Restore("k") }, nil},
		"delete":               {func(s *transittest.Server) { s.Delete("k") }, kms.ErrKeyGone},
		"make again":           {func(s *transittest.Server) { s.Create("k") }, kms.ErrCorrupt},
		"seal":                 {func(s *transittest.Server) { s.Seal() }, kms.ErrUnavailable},
		"seal, undone":         {func(s *transittest.Server) { s.Seal(); s.Unseal() }, nil},
		"of no key, of no use": {func(s *transittest.Server) { s.Rotate("x"); s.SoftDelete("x"); s.Delete("x"); s.Revoke("x") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var vault transittest.Server
			w := open(t, vault.Config("k"))
			blob, err := w.Wrap(t.Context(), secret, place)
			if err != nil {
				t.Fatal(err)
			}
			test.do(&vault)
			key, err := w.Unwrap(t.Context(), blob, place)
			if test.kind == nil && (err != nil || !bytes.Equal(key, secret)) || !errors.Is(err, test.kind) {
				t.Errorf("Unwrap: %v, want %v", err, test.kind)
			}
		})
	}
}
