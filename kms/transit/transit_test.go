package transit_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/secret/secrettest"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
)

var (
	secret = bytes.Repeat([]byte{7}, 32)
	place  = kms.Binding{Store: "s", Slot: "vault"}
)

func open(t testing.TB, cfg transit.Config) *transit.Wrapper {
	t.Helper()
	w, err := transit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// wrap wraps the secret, which must succeed.
func wrap(t testing.TB, w *transit.Wrapper) *kms.Blob {
	t.Helper()
	blob, err := w.Wrap(t.Context(), secret, place)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// fails checks the kind and the words of an error.
func fails(t *testing.T, err, kind error, words string) {
	t.Helper()
	e, ok := errors.AsType[*kms.Error](err)
	if !ok || e.Kind != kind || e.Type != transit.Type || !strings.Contains(err.Error(), words) {
		t.Errorf("%v, want %v with %q", err, kind, words)
	}
}

func TestConformance(t *testing.T) {
	var vault transittest.Server
	script := func(t *testing.T, f func(kmstest.Call) kmstest.Fault) {
		vault.Script(f)
		t.Cleanup(func() { vault.Script(nil) })
	}
	var faults []kmstest.FaultCase
	for _, f := range kmstest.Failures() {
		c := kmstest.FaultCase{Name: string(f), Want: f.Kind(), Inject: func(t *testing.T) {
			script(t, kmstest.Always(kmstest.Fault{Failure: f, RetryAfter: 3 * time.Second}))
		}}
		switch f {
		case kmstest.ServerError, kmstest.Throttled:
			c.RetryAfter = 3 * time.Second
		case kmstest.Recreated, kmstest.AliasMoved: // a Vault cannot tell
			c.Want = kms.ErrCorrupt
		case kmstest.ClockSkew: // a Vault has no signatures
			c.Want = kms.ErrUnauthenticated
		case kmstest.Hang, kmstest.WrongKeyID, kmstest.WrongPlaintext, kmstest.OtherPlaintext:
			continue // see below, or nothing that a Wrapper could notice
		}
		faults = append(faults, c)
	}
	state := func(name string, want error, do, undo func()) {
		faults = append(faults, kmstest.FaultCase{Name: name, Want: want, Inject: func(t *testing.T) {
			t.Cleanup(undo)
			do()
		}})
	}
	state("sealed", kms.ErrUnavailable, vault.Seal, vault.Unseal)
	state("soft deleted", kms.ErrKeyGone, func() { vault.SoftDelete("a") }, func() { vault.Restore("a") })
	state("below min_decryption_version", kms.ErrKeyDisabled,
		func() { vault.Rotate("a"); vault.MinDecryptionVersion("a", 100) }, func() { vault.MinDecryptionVersion("a", 1) })
	state("made again", kms.ErrCorrupt, func() {
		for v := range 9 { // at least as many versions as before
			if v == 0 {
				vault.Create("a")
			} else {
				vault.Rotate("a")
			}
		}
	}, func() {})
	state("made again, with fewer versions", kms.ErrKeyGone, func() { vault.Create("a") }, func() {})
	state("deleted", kms.ErrKeyGone, func() { vault.Delete("a") }, func() { vault.Create("a") })

	kmstest.Conformance(t, func(t *testing.T, key string) kms.Wrapper {
		return open(t, vault.Config(key))
	}, kmstest.Options{
		Rotate: func(_ *testing.T, key string) { vault.Rotate(key) },
		Stall: func(t *testing.T, arrived func()) {
			script(t, func(kmstest.Call) kmstest.Fault {
				arrived()
				return kmstest.Fault{Failure: kmstest.Hang}
			})
		},
		Faults: faults,
	})
}

func TestNames(t *testing.T) {
	vault := &transittest.Server{Mount: "eu/transit", Namespace: "team/a"}
	cfg := vault.Config("prod")
	cfg.Namespace, cfg.MountPath, cfg.KeyIDPrefix = "/team/a/", "eu/transit/", "berlin:"
	w := open(t, cfg)
	vault.Rotate("prod")
	blob := wrap(t, w)
	if diff := cmp.Diff([]string{"transit", "berlin:team/a/eu/transit/prod", "2"}, []string{blob.Type, blob.KeyID, blob.Version}); diff != "" {
		t.Errorf("the blob's names (-want +got):\n%s", diff)
	}
	if !bytes.HasPrefix(blob.Ciphertext, []byte("vault:v2:")) {
		t.Errorf("the ciphertext is %q", blob.Ciphertext)
	}
	if got, err := w.Unwrap(t.Context(), blob, place); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("Unwrap: %v", err)
	}
	h, err := w.Probe(t.Context())
	if diff := cmp.Diff(kms.Health{KeyID: blob.KeyID, Version: "2", Enabled: true}, h); err != nil || diff != "" {
		t.Errorf("Probe: %v\n%s", err, diff)
	}
	for keyID, want := range map[string]bool{
		blob.KeyID:                        true,
		"berlin:team/a/eu/transit/other":  false, // the key,
		"berlin:team/a/transit/prod":      false, // the mount
		"berlin:team/b/eu/transit/prod":   false, // or the namespace is another
		"oslo:team/a/eu/transit/prod":     false,
		"team/a/eu/transit/prod":          false,
		"berlin:team/a/eu/transit/prod/x": false,
	} {
		if w.Authenticates(&kms.Blob{Type: "transit", KeyID: keyID, Version: blob.Version, Ciphertext: blob.Ciphertext}) != want {
			t.Errorf("Authenticates of a blob of %q is %v", keyID, !want)
		}
	}
	if w.Authenticates(nil) || w.Authenticates(&kms.Blob{Type: "awskms", KeyID: blob.KeyID}) {
		t.Error("a blob of another type, or none, is authentic")
	}

	cfg.KeyIDPrefix = "oslo:"
	_, err = open(t, cfg).Unwrap(t.Context(), blob, place)
	fails(t, err, kms.ErrWrongKey, `kms: unwrap transit key "oslo:team/a/eu/transit/prod": wrong key: configure the key that the blob names: the blob is of key "berlin:team/a/eu/transit/prod"`)
}

// TestRequests holds the requests that a Wrapper makes: one a call, with the
// token, and nothing else that a Vault does not know.
func TestRequests(t *testing.T) {
	var vault transittest.Server
	var seen []string
	cfg := vault.Config("prod")
	cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, fmt.Sprintln(r.Method, r.URL, r.Header))
		return vault.RoundTrip(r)
	})
	w := open(t, cfg)
	if len(seen) != 0 {
		t.Errorf("New made the requests %q", seen)
	}
	blob := wrap(t, w)
	if _, err := w.Unwrap(t.Context(), blob, place); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"POST https://vault.example:8200/v1/transit/encrypt/prod map[Content-Type:[application/json] X-Vault-Request:[true] X-Vault-Token:[hvs.transittest-root]]\n",
		"POST https://vault.example:8200/v1/transit/decrypt/prod map[Content-Type:[application/json] X-Vault-Request:[true] X-Vault-Token:[hvs.transittest-root]]\n",
		"GET https://vault.example:8200/v1/transit/keys/prod map[X-Vault-Request:[true] X-Vault-Token:[hvs.transittest-root]]\n",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	for i, op := range []string{kmstest.OpWrap, kmstest.OpUnwrap, kmstest.OpProbe} {
		if c := vault.Calls()[i]; c.Op != op || c.Key != "prod" || !c.Done {
			t.Errorf("call %d is noted as %+v", i, c)
		}
	}
}

// client returns an HTTP client that is a function.
func client(f roundTrip) *http.Client { return &http.Client{Transport: f} }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestBodyIsWiped reads what is left of a request's body after the call.
func TestBodyIsWiped(t *testing.T) {
	var vault transittest.Server
	cfg := vault.Config("prod")
	checked := false
	cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
		resp, err := vault.RoundTrip(r)
		// RoundTrip has closed the body, as it must.
		n, readErr := r.Body.Read(make([]byte, 10))
		checked = n == 0 && readErr != nil
		return resp, err
	})
	wrap(t, open(t, cfg))
	if !checked {
		t.Error("the body was readable after it was closed")
	}
}

func TestTokenFile(t *testing.T) {
	var vault transittest.Server
	cfg := vault.Config("prod")
	cfg.Token, cfg.TokenFile = "", filepath.Join(t.TempDir(), "token")
	w := open(t, cfg)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(cfg.TokenFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	probe := func() error {
		_, err := w.Probe(t.Context())
		return err
	}
	fails(t, probe(), kms.ErrUnauthenticated, "renew the credentials: TokenFile: file ")
	for name, text := range map[string]string{
		"empty":        "\n",
		"two":          "a b",
		"a line break": "hvs.a\r\nX-Other: 1",
		"no ASCII":     "hvs.ü",
		"too long":     strings.Repeat("a", 9000),
	} {
		write(text)
		t.Run(name, func(t *testing.T) { fails(t, probe(), kms.ErrUnauthenticated, "holds no token") })
	}
	write("hvs.stale\n")
	fails(t, probe(), kms.ErrUnauthenticated, "invalid token")
	write("\n  " + transittest.RootToken + "\r\n")
	if err := probe(); err != nil {
		t.Errorf("with the right token: %v", err)
	}
}

func TestUnwrapRefuses(t *testing.T) {
	var vault transittest.Server
	w := open(t, vault.Config("prod"))
	good := wrap(t, w)
	calls := len(vault.Calls())
	for name, test := range map[string]struct {
		change func(b *kms.Blob)
		kind   error
		words  string
	}{
		"type":          {func(b *kms.Blob) { b.Type = "awskms" }, kms.ErrWrongKey, `the blob is of type "awskms"`},
		"key":           {func(b *kms.Blob) { b.KeyID = "transit/dev" }, kms.ErrWrongKey, `the blob is of key "transit/dev"`},
		"version":       {func(b *kms.Blob) { b.Version = "2" }, kms.ErrCorrupt, `the blob is of version "2", its ciphertext of version 1`},
		"no version":    {func(b *kms.Blob) { b.Version = "" }, kms.ErrCorrupt, `the blob is of version ""`},
		"no ciphertext": {func(b *kms.Blob) { b.Ciphertext = nil }, kms.ErrCorrupt, "no ciphertext of transit"},
		"a quote":       {func(b *kms.Blob) { b.Ciphertext = []byte(`vault:v1:","x":"`) }, kms.ErrCorrupt, "no ciphertext of transit"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := *good
			test.change(&bad)
			_, err := w.Unwrap(t.Context(), &bad, place)
			fails(t, err, test.kind, test.words)
		})
	}
	_, err := w.Unwrap(t.Context(), nil, place)
	fails(t, err, kms.ErrCorrupt, "there is no blob")
	_, err = w.Wrap(t.Context(), make([]byte, 20), place)
	fails(t, err, kms.ErrMisconfigured, "a key of 20 bytes")
	if n := len(vault.Calls()); n != calls {
		t.Errorf("%d requests were made for nothing", n-calls)
	}
}

// TestLies lets the server lie where a Wrapper can notice.
func TestLies(t *testing.T) {
	for failure, test := range map[kmstest.Failure]struct {
		kind  error
		words string
	}{
		kmstest.WrongKeyID: {kms.ErrWrongKey, "the answer is of version 2, its ciphertext of version 1"},
		kmstest.Truncated:  {kms.ErrMisconfigured, "27 bytes more than the key: is the key's type aes256-gcm96?"},
		kmstest.Extended:   {kms.ErrMisconfigured, "29 bytes more than the key"},
	} {
		var vault transittest.Server
		w := open(t, vault.Config("prod"))
		vault.Script(kmstest.Always(kmstest.Fault{Failure: failure}))
		_, err := w.Wrap(t.Context(), secret, place)
		fails(t, err, test.kind, test.words)
	}
}

// TestTimeout gives a call without a deadline one.
func TestTimeout(t *testing.T) {
	var vault transittest.Server
	cfg := vault.Config("prod")
	cfg.Timeout = time.Millisecond
	vault.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang}))
	_, err := open(t, cfg).Probe(context.Background())
	fails(t, err, kms.ErrUnavailable, "context deadline exceeded")
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	noCert := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(noCert, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(c *transit.Config)
		words  string // "" for a good one
	}{
		"as it is":                 {func(c *transit.Config) {}, ""},
		"a path":                   {func(c *transit.Config) { c.Address = "https://proxy.example/vault/" }, ""},
		"no address":               {func(c *transit.Config) { c.Address = "" }, "Address is not a URL"},
		"no scheme":                {func(c *transit.Config) { c.Address = "vault:8200" }, "Address is not a URL"},
		"no host":                  {func(c *transit.Config) { c.Address = "https:///x" }, "Address is not a URL"},
		"a password":               {func(c *transit.Config) { c.Address = "https://u:hunter2@vault" }, "Address is not a URL"},
		"a query":                  {func(c *transit.Config) { c.Address = "https://vault/?x=1" }, "Address is not a URL"},
		"no URL":                   {func(c *transit.Config) { c.Address = "https://vault\x7f" }, "Address is not a URL"},
		"another scheme":           {func(c *transit.Config) { c.Address = "unix://run/agent.sock" }, `Address has the scheme "unix": use https`},
		"http":                     {func(c *transit.Config) { c.Address = "http://vault.example:8200" }, "Address is http: use https, or set AllowPlainHTTP"},
		"http to an address":       {func(c *transit.Config) { c.Address = "http://10.0.0.1:8200" }, "Address is http"},
		"http to this machine":     {func(c *transit.Config) { c.Address = "http://127.0.0.1:8200" }, ""},
		"http to localhost":        {func(c *transit.Config) { c.Address = "http://localhost:8200" }, ""},
		"http to ::1":              {func(c *transit.Config) { c.Address = "http://[::1]:8200" }, ""},
		"http allowed":             {func(c *transit.Config) { c.Address, c.AllowPlainHTTP = "http://vault", true }, ""},
		"no token":                 {func(c *transit.Config) { c.Token = "" }, "exactly one of Token and TokenFile"},
		"two tokens":               {func(c *transit.Config) { c.TokenFile = "f" }, "exactly one of Token and TokenFile"},
		"a broken token":           {func(c *transit.Config) { c.Token = "hunter2\n" }, "Token has characters that no token has"},
		"no key":                   {func(c *transit.Config) { c.KeyName = "" }, `KeyName "" is no name of a key`},
		"a key with a slash":       {func(c *transit.Config) { c.KeyName = "a/b" }, "is no name of a key"},
		"a key that goes up":       {func(c *transit.Config) { c.KeyName = ".." }, "is no name of a key"},
		"a mount that goes up":     {func(c *transit.Config) { c.MountPath = "a/../sys" }, "MountPath"},
		"a mount with a hole":      {func(c *transit.Config) { c.MountPath = "a//b" }, `MountPath "a//b" is no path`},
		"a mount of slashes":       {func(c *transit.Config) { c.MountPath = "//" }, `MountPath "" is no path`},
		"a mount with a query":     {func(c *transit.Config) { c.MountPath = "a?b" }, `MountPath "a?b" is no path`},
		"a broken namespace":       {func(c *transit.Config) { c.Namespace = "a\nb" }, "Namespace"},
		"a negative timeout":       {func(c *transit.Config) { c.Timeout = -1 }, "Timeout is negative"},
		"two clients":              {func(c *transit.Config) { c.SkipVerify = true }, "HTTPClient excludes CACert"},
		"TLS of its own":           {func(c *transit.Config) { c.HTTPClient, c.ServerName = nil, "vault" }, ""},
		"a cert without its key":   {func(c *transit.Config) { c.HTTPClient, c.ClientCert = nil, "c" }, "ClientCert and ClientKey go together"},
		"no CA file yet":           {func(c *transit.Config) { c.HTTPClient, c.CACert = nil, filepath.Join(dir, "no") }, ""},
		"a CA in place of a path":  {func(c *transit.Config) { c.HTTPClient, c.CACert = nil, "-----BEGIN hunter2" }, "CACert must be the path of a file"},
		"a key in place of a path": {func(c *transit.Config) { c.HTTPClient, c.ClientKey = nil, "hunter2\nhunter2" }, "ClientKey must be the path of a file"},
		"a token file's content":   {func(c *transit.Config) { c.Token, c.TokenFile = "", "hvs.hunter2"+strings.Repeat("x", 80) }, "TokenFile must be the path of a file"},
		"file://":                  {func(c *transit.Config) { c.HTTPClient, c.CACert = nil, "file:///run/ca.pem" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var vault transittest.Server
			cfg := vault.Config("prod")
			test.change(&cfg)
			w, err := transit.New(cfg)
			if test.words == "" {
				if err != nil || w == nil {
					t.Errorf("New: %v", err)
				}
				return
			}
			fails(t, err, kms.ErrMisconfigured, test.words)
			if !strings.HasPrefix(err.Error(), "kms: configure transit") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("New: %v", err)
			}
		})
	}
}

func TestParseCiphertext(t *testing.T) {
	sealed := base64.StdEncoding.EncodeToString(make([]byte, 60))
	for text, want := range map[string]string{
		"vault:v1:" + sealed:                       "1",
		"vault:v2147483647:" + sealed:              "2147483647",
		"vault:v1:":                                "1",
		"":                                         "",
		"vault:v1":                                 "",
		"vault:v0:" + sealed:                       "",
		"vault:v-1:" + sealed:                      "",
		"vault:v01:" + sealed:                      "",
		"vault:v+1:" + sealed:                      "",
		"vault:v2147483648:" + sealed:              "",
		"vault:v:" + sealed:                        "",
		"Vault:v1:" + sealed:                       "",
		" vault:v1:" + sealed:                      "",
		"vault:v1:" + sealed + "\n":                "",
		"vault:v1:" + sealed[:8] + "\r" + sealed:   "",
		"vault:v1:" + sealed + "=":                 "",
		"vault:v1:AB==":                            "", // trailing bits
		"vault:v1:" + strings.Repeat("AAAA", 1000): "",
	} {
		version, _, ok := transit.ParseCiphertext([]byte(text))
		if ok != (want != "") || ok && version != want {
			t.Errorf("%.40q: version %q, %v, want %q", text, version, ok, want)
		}
	}
}

func FuzzParseCiphertext(f *testing.F) {
	var vault transittest.Server
	w, err := transit.New(vault.Config("prod"))
	if err != nil {
		f.Fatal(err)
	}
	blob, err := w.Wrap(f.Context(), secret, place)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob.Ciphertext)
	f.Add([]byte("vault:v1:AB=="))
	f.Add([]byte("vault:v10:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		version, size, ok := transit.ParseCiphertext(text)
		if !ok {
			return
		}
		// What is taken has one form alone.
		again := fmt.Sprintf("vault:v%s:", version)
		payload, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(text), again))
		if err != nil || len(payload) != size || again+base64.StdEncoding.EncodeToString(payload) != string(text) {
			t.Errorf("%q was taken as version %s and %d bytes: %v", text, version, size, err)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"30":                            30 * time.Second,
		"0":                             0,
		"-5":                            0,
		"99999999":                      24 * time.Hour,
		"99999999999999999999":          0,
		"1.5":                           0,
		"Sun, 22 Nov 2026 12:01:00 GMT": time.Minute,
		"Sun, 22 Nov 2026 11:59:00 GMT": 0,
		"Sun, 22 Nov 2099 12:01:00 GMT": 24 * time.Hour,
		"tomorrow":                      0,
	} {
		if got := transit.RetryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"30", "-1", "Sun, 22 Nov 2026 12:01:00 GMT", "9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := transit.RetryAfter(value, time.Unix(1e9, 0)); d < 0 || d > 24*time.Hour {
			t.Errorf("%q: %v", value, d)
		}
	})
}

// FuzzAnswer lets the server answer anything.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"data":{"ciphertext":"vault:v1:AAAA","key_version":1}}`,
		`{"data":{"plaintext":"BwcHBwcHBwcHBwcHBwcHBw=="}}`,
		`{"data":{"type":"aes256-gcm96","latest_version":3,"supports_encryption":true,"supports_decryption":true}}`,
		`{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`,
		`{"data":null}`, `null`, `[]`, ``, `{"data":{"plaintext":7}}`, "<html>",
	} {
		for _, status := range []int{200, 204, 307, 400, 403, 404, 429, 500} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var vault transittest.Server
		cfg := vault.Config("prod")
		cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
			return answer(status, string(body)), nil
		})
		w := open(t, cfg)
		blob := &kms.Blob{Type: "transit", KeyID: "transit/prod", Version: "1", Ciphertext: []byte("vault:v1:AAAA")}
		key, err := w.Unwrap(t.Context(), blob, place)
		check := func(err error) {
			if e, ok := errors.AsType[*kms.Error](err); err != nil && (!ok || e.Kind == nil || strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 1000) {
				t.Errorf("the error %q", err)
			}
		}
		check(err)
		if err == nil && (len(key) < 16 || len(key) > kms.MaxKeySize || len(key)%8 != 0) {
			t.Errorf("a key of %d bytes", len(key))
		}
		made, err := w.Wrap(t.Context(), secret, place)
		check(err)
		if err == nil && !slices.Contains([]string{"transit"}, made.Type) {
			t.Errorf("the blob %+v", made)
		}
		_, err = w.Probe(t.Context())
		check(err)
	})
}

// TestPrintsNoToken: however it is printed, also inside another type.
func TestPrintsNoToken(t *testing.T) {
	w, err := transit.New(transit.Config{Address: "https://vault.example:8200", Token: "hvs.canary-token", KeyName: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	for sink, text := range secrettest.Sinks(w) {
		if form := secrettest.Find(text, []byte("hvs.canary-token")); form != "" {
			t.Errorf("%s: %s", sink, form)
		}
	}
	for sink, text := range secrettest.Sinks(struct{ w kms.Wrapper }{w}) {
		if form := secrettest.Find(text, []byte("hvs.canary-token")); form != "" {
			t.Errorf("inside, %s: %s", sink, form)
		}
	}
}
