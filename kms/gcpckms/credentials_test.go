package gcpckms_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
)

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fileConfig returns a Config whose credentials are in a file.
func fileConfig(server *gcpckmstest.Server, name string) gcpckms.Config {
	return gcpckms.Config{KeyID: server.KeyID("a"), Endpoint: server.Endpoint(), TLS: server.TLS(), CredentialsFile: name}
}

// check probes, and checks kind and words of the error, or that there is none.
func check(t *testing.T, what string, w *gcpckms.Wrapper, want error, words string) {
	t.Helper()
	_, err := w.Probe(t.Context())
	switch {
	case want == nil && err != nil, want != nil && !errors.Is(err, want):
		t.Errorf("%s: %v, want %v", what, err, want)
	case want != nil && !strings.Contains(err.Error(), words):
		t.Errorf("%s: %q says nothing of %q", what, err, words)
	}
}

// A credentials file that is replaced is used by the next call.
func TestCredentialsReplaced(t *testing.T) {
	server := newServer(t)
	name := filepath.Join(t.TempDir(), "credentials.json")
	w := newWrapper(t, fileConfig(server, name))
	check(t, "before there is a file", w, kms.ErrUnauthenticated, "no such file")
	if _, err := w.Probe(t.Context()); runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is out of reach: %v", err)
	}

	for round := range 3 / step(3) {
		write(t, name, server.ServiceAccount())
		check(t, fmt.Sprintf("account %d", round), w, nil, "")
		server.Revoke()
		check(t, fmt.Sprintf("account %d, revoked", round), w, kms.ErrUnauthenticated, "renew")
	}
	write(t, name, []byte(`{"type": "service_acc`))
	check(t, "half a file", w, kms.ErrUnauthenticated, "not a JSON credentials file")
	write(t, name, nil)
	check(t, "an empty file", w, kms.ErrUnauthenticated, "not a JSON credentials file")
	write(t, name, server.ServiceAccount())
	check(t, "a whole file again", w, nil, "")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	check(t, "after the file is gone", w, kms.ErrUnauthenticated, name)
}

// TestCredentialWhereAPathIsMeant: GOOGLE_CREDENTIALS of other tools holds the
// credential itself. It reaches no error, and so no log.
func TestCredentialWhereAPathIsMeant(t *testing.T) {
	environment(t)
	server := newServer(t)
	for name, content := range map[string]string{
		"JSON":           `{"type":"service_account","private_key":"canary"}`,
		"indented JSON":  "{\n  \"private_key\": \"canary\"\n}",
		"base64 of JSON": "eyJ0eXBlIjoic2VydmljZV9hY2NvdW50IiwicHJpdmF0ZV9rZXkiOiJjYW5hcnki" + strings.Repeat("canary", 20),
		"a private key":  "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
	} {
		t.Setenv("THE_CREDENTIAL", content)
		for _, written := range []string{content, "file://" + content, "env://THE_CREDENTIAL"} {
			cfg := fileConfig(server, written)
			cfg.AllowEnvironment = true
			refusedUnseen(t, name, cfg, "CredentialsFile must be the path of a file")
		}
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", content)
		cfg := fileConfig(server, "")
		cfg.AllowEnvironment = true
		refusedUnseen(t, name, cfg, "GOOGLE_APPLICATION_CREDENTIALS must be the path of a file")
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	}
	refusedUnseen(t, "without leave", fileConfig(server, "env://THE_CREDENTIAL"), "the environment is not read")
	check(t, "what looks like nothing", newWrapper(t, fileConfig(server, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYcanaryKEY00")), kms.ErrUnauthenticated, `CredentialsFile "…": no access token: no such file`)
}

func refusedUnseen(t *testing.T, name string, cfg gcpckms.Config, words string) {
	t.Helper()
	_, err := gcpckms.New(cfg)
	if !errors.Is(err, kms.ErrMisconfigured) || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "canary") {
		t.Errorf("%s: %v, want %q", name, err, words)
	}
}

// TestPathReferences: file:// and env:// do what the writer means.
func TestPathReferences(t *testing.T) {
	environment(t)
	server := newServer(t)
	file := filepath.Join(t.TempDir(), "credentials.json")
	write(t, file, server.ServiceAccount())
	t.Setenv("THE_FILE", file)
	for _, written := range []string{file, "file://" + file, "env://THE_FILE"} {
		cfg := fileConfig(server, written)
		cfg.AllowEnvironment = strings.HasPrefix(written, "env://")
		check(t, written, newWrapper(t, cfg), nil, "")
	}
}

// Kubernetes replaces a mounted secret by moving the link ..data.
func TestCredentialsInKubernetes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege")
	}
	server, dir := newServer(t), t.TempDir()
	mount := func(generation string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, generation), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, generation, "key.json"), server.ServiceAccount())
		if err := os.Symlink(generation, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	mount("..2026_11_22_01")
	name := filepath.Join(dir, "key.json")
	if err := os.Symlink(filepath.Join("..data", "key.json"), name); err != nil {
		t.Fatal(err)
	}
	w := newWrapper(t, fileConfig(server, name))
	check(t, "first mount", w, nil, "")
	server.Revoke()
	check(t, "revoked", w, kms.ErrUnauthenticated, "renew")
	mount("..2026_11_22_02")
	check(t, "second mount", w, nil, "")
}

// A workload identity exchanges its token once, and again when that of Google
// was refused, with what is then in the file.
func TestExternalAccount(t *testing.T) {
	server, dir := newServer(t), t.TempDir()
	name, subject := filepath.Join(dir, "credentials.json"), filepath.Join(dir, "token")
	write(t, name, server.ExternalAccount(subject))
	w := newWrapper(t, fileConfig(server, name))
	check(t, "no token", w, kms.ErrUnauthenticated, subject)

	write(t, subject, []byte("one"))
	for range 3 {
		check(t, "first token", w, nil, "")
	}
	if n := server.Issued(); n != 1 {
		t.Errorf("%d exchanges for three calls", n)
	}
	var seen string
	server.Issue(func(rw http.ResponseWriter, r *http.Request) {
		seen = r.FormValue("subject_token")
		fmt.Fprintf(rw, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, server.Token())
	})
	write(t, subject, []byte("two"))
	check(t, "the token of Google is still good", w, nil, "")
	if seen != "" {
		t.Errorf("exchanged %q too early", seen)
	}
	server.Revoke()
	check(t, "the token of Google was revoked", w, kms.ErrUnauthenticated, "renew")
	check(t, "second token", w, nil, "")
	if seen != "two" {
		t.Errorf("exchanged %q, want the new token", seen)
	}
}

// What the issuer of tokens answers is told apart, too.
func TestIssuerErrors(t *testing.T) {
	answer := func(code int, header ...string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				rw.Header().Set(header[i], header[i+1])
			}
			rw.WriteHeader(code)
			fmt.Fprint(rw, `{"error":"invalid_grant","error_description":"The audience does not match."}`)
		}
	}
	ago := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed a redirect with a token") }))
	defer elsewhere.Close()
	faults, wrong := 0, 0
	for name, c := range map[string]struct {
		issue http.HandlerFunc
		want  error
		words string
		after time.Duration
	}{
		"refused":                 {answer(400), kms.ErrUnauthenticated, "The audience does not match", 0},
		"denied":                  {answer(403), kms.ErrUnauthenticated, "from 127.0.0.1", 0},
		"refused by a late clock": {answer(400, "Date", ago), kms.ErrClockSkew, "clock off by 3", 0},
		"throttled":               {answer(429, "Retry-After", "11"), kms.ErrThrottled, "429", 11 * time.Second},
		"unavailable":             {answer(503, "Retry-After", "12"), kms.ErrUnavailable, "503", 12 * time.Second},
		"unavailable, no number":  {answer(503, "Retry-After", "soon"), kms.ErrUnavailable, "503", 0},
		"server error":            {answer(500), kms.ErrUnavailable, "500", 0},
		"timeout":                 {answer(408), kms.ErrUnavailable, "408", 0},
		"redirect":                {answer(307, "Location", elsewhere.URL), kms.ErrUnauthenticated, "307", 0},
		"not JSON":                {func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "<html>") }, kms.ErrUnauthenticated, "unmarshal", 0},
		"a token without end":     {func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, `{"access_token":"x"}`) }, kms.ErrUnauthenticated, "expiry", 0},
		"cut off":                 {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, kms.ErrUnavailable, "127.0.0.1", 0},
		"hangs":                   {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, kms.ErrUnavailable, "deadline", 0},
	} {
		server, dir := newServer(t), t.TempDir()
		file, subject := filepath.Join(dir, "credentials.json"), filepath.Join(dir, "token")
		write(t, file, server.ExternalAccount(subject))
		write(t, subject, []byte("subject"))
		var asked atomic.Int32
		server.Issue(func(rw http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			r.ParseForm()
			c.issue(rw, r)
		})
		cfg := fileConfig(server, file)
		if name == "hangs" {
			cfg.Timeout = 100 * time.Millisecond
		}
		_, err := newWrapper(t, cfg).Probe(t.Context())
		faults++
		e, ok := errors.AsType[*kms.Error](err)
		if !ok || e.Kind != c.want || e.RetryAfter != c.after || !strings.Contains(err.Error(), c.words) {
			wrong++
			t.Errorf("%s: %v, want %v with %q after %v", name, err, c.want, c.words, c.after)
		}
		if strings.Contains(fmt.Sprint(err), "://") {
			t.Errorf("%s: the error shows a URL: %v", name, err)
		}
		if n := asked.Load(); n != 1 && name != "cut off" && name != "hangs" || len(server.Requests()) != 0 {
			t.Errorf("%s: the issuer was asked %d times, the KMS %d times", name, n, len(server.Requests()))
		}
	}
	t.Logf("GUARANTEE 24 gcpckms-issuer-errors: faults=%d wrong=%d", faults, wrong)
}

// A service account signs with this machine's clock.
func TestServiceAccountClock(t *testing.T) {
	server, name := newServer(t), filepath.Join(t.TempDir(), "credentials.json")
	write(t, name, server.ServiceAccount())
	w := newWrapper(t, fileConfig(server, name))
	for skew, want := range map[time.Duration]error{0: nil, time.Minute: nil, 2 * time.Hour: kms.ErrClockSkew, -2 * time.Hour: kms.ErrClockSkew} {
		server.Skew(skew)
		check(t, skew.String(), w, want, "clock off by")
	}
}

// Files that can never be used say why.
func TestUnfitCredentials(t *testing.T) {
	server := newServer(t)
	edit := func(content []byte, changes ...any) []byte {
		var m map[string]any
		if err := json.Unmarshal(content, &m); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(changes); i += 2 {
			m[changes[i].(string)] = changes[i+1]
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	account, external := server.ServiceAccount(), server.ExternalAccount("/nowhere/token")
	aws := map[string]any{"environment_id": "aws1", "regional_cred_verification_url": "https://sts.{region}.amazonaws.com"}
	program := map[string]any{"executable": map[string]any{"command": "/bin/false"}}
	certificate := map[string]any{"certificate": map[string]any{"use_default_certificate_config": true}}
	for name, c := range map[string]struct {
		content  []byte
		endpoint string
		want     error
		words    string
	}{
		"no type":                             {[]byte(`{}`), "", kms.ErrMisconfigured, `of type ""`},
		"client secrets":                      {[]byte(`{"installed":{"client_id":"x","redirect_uris":["http://localhost"]}}`), "", kms.ErrMisconfigured, `of type ""`},
		"GDCH":                                {[]byte(`{"type":"gdch_service_account"}`), "", kms.ErrMisconfigured, "use service_account, external_account"},
		"another universe":                    {edit(account, "universe_domain", "example.goog"), "cloudkms.googleapis.com", kms.ErrMisconfigured, `universe "example.goog"`},
		"another universe, regional endpoint": {edit(account, "universe_domain", "example.goog"), "cloudkms.europe-west3.rep.googleapis.com:443", kms.ErrMisconfigured, "set Endpoint"},
		"AWS":                                 {edit(external, "credential_source", aws), "", kms.ErrMisconfigured, "set AllowEnvironment"},
		"a program":                           {edit(external, "credential_source", program), "", kms.ErrMisconfigured, "set AllowEnvironment"},
		"a certificate":                       {edit(external, "credential_source", certificate), "", kms.ErrMisconfigured, "set AllowEnvironment"},
		"a program behind an impersonation": {[]byte(`{"type":"impersonated_service_account","service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/x@y:generateAccessToken","source_credentials":` +
			string(edit(external, "credential_source", program)) + `}`), "", kms.ErrMisconfigured, "set AllowEnvironment"},
		"a list":           {[]byte(`[]`), "", kms.ErrUnauthenticated, "not a JSON credentials file"},
		"no private key":   {edit(account, "private_key", "none"), "", kms.ErrUnauthenticated, "could not parse key"},
		"nothing external": {edit(external, "audience", ""), "", kms.ErrUnauthenticated, "Audience must be set"},
	} {
		file := filepath.Join(t.TempDir(), "credentials.json")
		write(t, file, c.content)
		cfg := fileConfig(server, file)
		if c.endpoint != "" {
			cfg.Endpoint = c.endpoint
		}
		check(t, name, newWrapper(t, cfg), c.want, c.words)
	}
	if n := len(server.Requests()); n != 0 {
		t.Errorf("%d requests without credentials", n)
	}

	// The same universe at an endpoint of its own is right.
	file := filepath.Join(t.TempDir(), "credentials.json")
	write(t, file, edit(account, "universe_domain", "example.goog"))
	check(t, "the universe's endpoint", newWrapper(t, fileConfig(server, file)), nil, "")
}

// Who impersonates a service account does it with the token of the first.
func TestImpersonation(t *testing.T) {
	server, dir := newServer(t), t.TempDir()
	name, subject := filepath.Join(dir, "credentials.json"), filepath.Join(dir, "token")
	var external map[string]any
	if err := json.Unmarshal(server.ExternalAccount(subject), &external); err != nil {
		t.Fatal(err)
	}
	external["service_account_impersonation_url"] = "https://" + server.Endpoint() + "/v1/projects/-/serviceAccounts/x@y:generateAccessToken"
	external["quota_project_id"] = "payer"
	content, err := json.Marshal(external)
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, content)
	write(t, subject, []byte("subject"))
	first := server.Token()
	server.Issue(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ":generateAccessToken") {
			if r.Header.Get("Authorization") != "Bearer "+first {
				rw.WriteHeader(http.StatusForbidden)
				return
			}
			fmt.Fprintf(rw, `{"accessToken":%q,"expireTime":%q}`, server.Token(), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
			return
		}
		fmt.Fprintf(rw, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, first)
	})
	check(t, "impersonation", newWrapper(t, fileConfig(server, name)), nil, "")
	for _, r := range server.Requests() {
		if got := r.Metadata.Get("authorization")[0]; got == "Bearer "+first {
			t.Error("the first token went to the KMS")
		}
		if got := r.Metadata.Get("x-goog-user-project"); len(got) != 1 || got[0] != "payer" {
			t.Errorf("the quota project is %q", got)
		}
	}
}

// environment leaves nothing of this machine's in sight.
func environment(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	for name, value := range map[string]string{
		"GOOGLE_APPLICATION_CREDENTIALS": "", "HOME": home, "USERPROFILE": home, "APPDATA": filepath.Join(home, ".config"),
		"GCE_METADATA_HOST": "127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	return home
}

// The environment is read where it is allowed, on every call, in the order that
// Google documents.
func TestEnvironment(t *testing.T) {
	home := environment(t)
	server, asked := newServer(t), ""
	cfg := fileConfig(server, "")
	cfg.AllowEnvironment = true
	w := newWrapper(t, cfg)
	check(t, "nothing", w, kms.ErrUnavailable, "GOOGLE_APPLICATION_CREDENTIALS is not set")

	machine := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		if r.Header.Get("Metadata-Flavor") != "Google" || !strings.HasSuffix(r.URL.Path, "/service-accounts/default/token") {
			http.NotFound(rw, r)
			return
		}
		fmt.Fprintf(rw, `{"access_token":%q,"expires_in":3600,"token_type":"Bearer"}`, server.Token())
	}))
	defer machine.Close()
	t.Setenv("GCE_METADATA_HOST", machine.Listener.Addr().String())
	check(t, "the metadata server, up by now", w, nil, "")
	if !strings.Contains(asked, "cloudkms") {
		t.Errorf("the metadata server was asked for %q", asked)
	}
	server.Revoke()

	gcloud := filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
	if runtime.GOOS == "windows" {
		gcloud = filepath.Join(home, ".config", "gcloud", filepath.Base(gcloud))
	}
	if err := os.MkdirAll(filepath.Dir(gcloud), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, gcloud, server.ServiceAccount())
	check(t, "gcloud's file", w, nil, "")
	server.Revoke()
	check(t, "gcloud's file, revoked", w, kms.ErrUnauthenticated, "renew")

	named := filepath.Join(t.TempDir(), "named.json")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", named)
	check(t, "the named file, not there", w, kms.ErrUnauthenticated, named)
	write(t, named, server.ServiceAccount())
	check(t, "the named file", w, nil, "")
}

// What the metadata server says is told apart.
func TestMetadataServer(t *testing.T) {
	environment(t)
	for name, c := range map[string]struct {
		code  int
		body  string
		want  error
		words string
	}{
		"no account":    {404, "", kms.ErrUnauthenticated, "not defined"},
		"refused":       {403, "no", kms.ErrUnauthenticated, "no"},
		"no token":      {200, `{"access_token":"","expires_in":3600}`, kms.ErrUnauthenticated, "is no token"},
		"not JSON":      {200, `<html>`, kms.ErrUnauthenticated, "is no token"},
		"never answers": {0, "", kms.ErrUnavailable, "deadline"},
	} {
		machine := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if c.code == 0 {
				<-r.Context().Done()
				return
			}
			rw.WriteHeader(c.code)
			fmt.Fprint(rw, c.body)
		}))
		t.Setenv("GCE_METADATA_HOST", machine.Listener.Addr().String())
		server := newServer(t)
		cfg := fileConfig(server, "")
		cfg.AllowEnvironment = true
		if c.code == 0 {
			cfg.Timeout = 200 * time.Millisecond
		}
		check(t, name, newWrapper(t, cfg), c.want, c.words)
		machine.Close()
	}
}

// The host's own credentials are asked on every call, and their errors told.
func TestHostToken(t *testing.T) {
	server := newServer(t)
	failing := func(err error) func(context.Context) (*auth.Token, error) {
		return func(context.Context) (*auth.Token, error) { return nil, err }
	}
	answer := func(code int, header http.Header) error {
		return fmt.Errorf("host: %w", &auth.Error{Response: &http.Response{StatusCode: code, Header: header}, Body: []byte("no")})
	}
	for name, c := range map[string]struct {
		token func(context.Context) (*auth.Token, error)
		want  error
		words string
	}{
		"good":          {token(server.Token()), nil, ""},
		"none":          {failing(nil), kms.ErrUnauthenticated, "the host's Token"},
		"empty":         {token(""), kms.ErrUnauthenticated, "empty or not printable"},
		"not printable": {token("line\nbreak"), kms.ErrUnauthenticated, "empty or not printable"},
		"unknown":       {token("unknown"), kms.ErrUnauthenticated, "renew"},
		"words":         {failing(errors.New("no idea")), kms.ErrUnauthenticated, "no idea"},
		"refused":       {failing(answer(400, nil)), kms.ErrUnauthenticated, "400"},
		"late clock":    {failing(answer(400, http.Header{"Date": {"Mon, 02 Jan 2006 15:04:05 GMT"}})), kms.ErrClockSkew, "(ahead)"},
		"throttled":     {failing(answer(429, http.Header{"Retry-After": {"1000000000000"}})), kms.ErrThrottled, "(after 24h0m0s)"},
		"unavailable":   {failing(answer(503, nil)), kms.ErrUnavailable, "503"},
		"unreachable":   {failing(&url.Error{Op: "Post", URL: "https://user:canary@issuer/path", Err: errors.New("no route")}), kms.ErrUnavailable, "its issuer: no route"},
	} {
		cfg := server.Config("a")
		cfg.Token = c.token
		w := newWrapper(t, cfg)
		check(t, name, w, c.want, c.words)
		if _, err := w.Probe(t.Context()); strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: the error shows a URL: %v", name, err)
		}
	}
}

// A call that waits for another's token ends with its own context.
func TestTokensInTurn(t *testing.T) {
	server, dir := newServer(t), t.TempDir()
	name, subject := filepath.Join(dir, "credentials.json"), filepath.Join(dir, "token")
	write(t, name, server.ExternalAccount(subject))
	write(t, subject, []byte("subject"))
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	server.Issue(func(rw http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		fmt.Fprintf(rw, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, server.Token())
	})
	w := newWrapper(t, fileConfig(server, name))

	var first sync.WaitGroup
	first.Go(func() { check(t, "first", w, nil, "") })
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.Probe(ctx); !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), "waiting for an access token") {
		t.Errorf("second: %v", err)
	}
	close(release)
	first.Wait()
	if n := len(arrived); n != 0 {
		t.Errorf("%d more exchanges", n)
	}
}
