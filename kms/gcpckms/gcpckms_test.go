package gcpckms_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/google/go-cmp/cmp"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"google.golang.org/grpc"
)

// The words of a blob are those of the KMS, and its bytes too, behind the
// version.
func TestBlob(t *testing.T) {
	server := newServer(t)
	server.Rotate("a")
	var answered []byte
	server.Intercept(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		a, err := next(ctx, q)
		answered = bytes.Clone(a.(*kmspb.EncryptResponse).Ciphertext)
		return a, err
	})
	w := newWrapper(t, server.Config("a"))
	got, err := w.Wrap(t.Context(), make([]byte, 32), home)
	if err != nil {
		t.Fatal(err)
	}
	want := &kms.Blob{Type: "gcpckms", KeyID: server.KeyID("a"), Version: "2", Ciphertext: append([]byte("2:"), answered...)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, what := range []struct {
		blob *kms.Blob
		want bool
	}{
		{got, true},
		{&kms.Blob{Type: got.Type, KeyID: got.KeyID, Version: "1", Ciphertext: got.Ciphertext}, true}, // of the same key
		{&kms.Blob{Type: got.Type, KeyID: server.KeyID("b"), Version: got.Version, Ciphertext: got.Ciphertext}, false},
		{&kms.Blob{Type: got.Type, KeyID: got.KeyID + "/cryptoKeyVersions/2", Version: got.Version, Ciphertext: got.Ciphertext}, false},
		{&kms.Blob{Type: "awskms", KeyID: got.KeyID}, false},
		{nil, false},
	} {
		if w.Authenticates(what.blob) != what.want {
			t.Errorf("Authenticates(%+v) is %v", what.blob, !what.want)
		}
	}
}

// A blob of an earlier release opens. Do not make the file anew.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "blob-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var blob kms.Blob
	if err := json.Unmarshal(text, &blob); err != nil {
		t.Fatal(err)
	}
	server := newServer(t)
	got, err := newWrapper(t, server.Config("golden")).Unwrap(t.Context(), &blob, home)
	if err != nil || string(got) != "a key of thirty-two random bytes" {
		t.Fatalf("%q, %v", got, err)
	}
	t.Logf("GUARANTEE 10 gcpckms: blobs=1 opened=1")
}

// The binding goes to the KMS as associated data, byte by byte.
func TestAssociatedData(t *testing.T) {
	server := newServer(t)
	var seen [][]byte
	server.Intercept(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		switch q := q.(type) {
		case *kmspb.EncryptRequest:
			seen = append(seen, q.AdditionalAuthenticatedData)
			if q.PlaintextCrc32C == nil || q.AdditionalAuthenticatedDataCrc32C == nil {
				t.Error("wrap: a checksum is missing")
			}
		case *kmspb.DecryptRequest:
			seen = append(seen, q.AdditionalAuthenticatedData)
			if q.CiphertextCrc32C == nil || q.AdditionalAuthenticatedDataCrc32C == nil {
				t.Error("unwrap: a checksum is missing")
			}
		}
		return next(ctx, q)
	})
	w := newWrapper(t, server.Config("a"))
	blob, err := w.Wrap(t.Context(), make([]byte, 32), home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Unwrap(t.Context(), blob, home); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{home.Bytes(), home.Bytes()}, seen); diff != "" {
		t.Error(diff)
	}
}

// After a rotation the host learns which blobs to wrap anew, and each version
// can be taken from it by itself.
func TestVersions(t *testing.T) {
	server := newServer(t)
	var stale []*kms.Blob
	cfg := server.Config("a")
	cfg.Stale = func(b *kms.Blob) { stale = append(stale, b) }
	w := newWrapper(t, cfg)
	wrap := func() *kms.Blob {
		t.Helper()
		blob, err := w.Wrap(t.Context(), make([]byte, 32), home)
		if err != nil {
			t.Fatal(err)
		}
		return blob
	}
	unwrap := func(what string, blob *kms.Blob, want error) {
		t.Helper()
		if _, err := w.Unwrap(t.Context(), blob, home); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	old := wrap()
	unwrap("primary", old, nil)
	if len(stale) != 0 {
		t.Errorf("a blob of the primary version is stale")
	}
	server.Rotate("a")
	fresh := wrap()
	unwrap("fresh", fresh, nil)
	unwrap("old", old, nil)
	if len(stale) != 1 || stale[0] != old {
		t.Errorf("stale are %v, want the old blob alone", stale)
	}
	if h, err := w.Probe(t.Context()); err != nil || h.Version != fresh.Version || h.Version == old.Version {
		t.Errorf("the probe says version %q, the blobs %q and %q: %v", h.Version, old.Version, fresh.Version, err)
	}

	server.ScheduleDeletion("a", old.Version, time.Now().Add(24*time.Hour))
	unwrap("old version scheduled", old, kms.ErrKeyGone)
	unwrap("old version scheduled", fresh, nil)
	server.Enable("a", old.Version)
	server.Disable("a", old.Version)
	unwrap("old version disabled", old, kms.ErrKeyDisabled)
	unwrap("old version disabled", fresh, nil)
	server.Destroy("a", old.Version)
	unwrap("old version destroyed", old, kms.ErrKeyGone)
	unwrap("old version destroyed", fresh, nil)
	if len(stale) != 1 {
		t.Errorf("stale was called for what did not open")
	}
}

// Without a listener a stale blob opens all the same.
func TestStaleUnheard(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	blob, err := w.Wrap(t.Context(), make([]byte, 32), home)
	if err != nil {
		t.Fatal(err)
	}
	server.Rotate("a")
	if _, err := w.Unwrap(t.Context(), blob, home); err != nil {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name string
		do   func()
		want kms.Health
	}{
		{"healthy", func() {}, kms.Health{Version: "1", Enabled: true}},
		{"disabled", func() { server.Disable("a", "") }, kms.Health{Version: "1"}},
		{"scheduled", func() { server.ScheduleDeletion("a", "", at) }, kms.Health{Version: "1", Deletion: at}},
		{"destroyed", func() { server.Destroy("a", "") }, kms.Health{Version: "1"}},
		{"rotated", func() { server.Rotate("a") }, kms.Health{Version: "2", Enabled: true}},
		{"no version", func() {
			server.Intercept(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				a, err := next(ctx, q)
				a.(*kmspb.CryptoKey).Primary = nil
				return a, err
			})
		}, kms.Health{}},
	} {
		c.do()
		c.want.KeyID = server.KeyID("a")
		got, err := w.Probe(t.Context())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// Blobs that cannot be the configured key's are refused without a request.
func TestRefusedUnasked(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	id := server.KeyID("a")
	for name, c := range map[string]struct {
		blob  *kms.Blob
		want  error
		words string
	}{
		"nil":                 {nil, kms.ErrCorrupt, "there is no blob"},
		"zero":                {&kms.Blob{}, kms.ErrWrongKey, `belongs to "" key ""`},
		"another type":        {&kms.Blob{Type: "awskms", KeyID: id, Version: "1", Ciphertext: []byte("1:x")}, kms.ErrWrongKey, `belongs to "awskms"`},
		"another key":         {&kms.Blob{Type: "gcpckms", KeyID: server.KeyID("b"), Version: "1", Ciphertext: []byte("1:x")}, kms.ErrWrongKey, "cryptoKeys/b"},
		"no version":          {&kms.Blob{Type: "gcpckms", KeyID: id, Ciphertext: []byte(":x")}, kms.ErrCorrupt, "not of the blob's version"},
		"another version":     {&kms.Blob{Type: "gcpckms", KeyID: id, Version: "2", Ciphertext: []byte("1:x")}, kms.ErrCorrupt, "not of the blob's version"},
		"version alone":       {&kms.Blob{Type: "gcpckms", KeyID: id, Version: "1", Ciphertext: []byte("1:")}, kms.ErrCorrupt, "empty"},
		"without a version":   {&kms.Blob{Type: "gcpckms", KeyID: id, Version: "1", Ciphertext: []byte("x")}, kms.ErrCorrupt, "not of the blob's version"},
		"ciphertext too long": {&kms.Blob{Type: "gcpckms", KeyID: id, Version: "1", Ciphertext: append([]byte("1:"), make([]byte, 1<<20)...)}, kms.ErrCorrupt, "too long"},
	} {
		_, err := w.Unwrap(t.Context(), c.blob, home)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.want, c.words)
		}
	}
	if n := len(server.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// A KMS that lies cannot be caught here, and must not be taken for another
// fault: whoever unwraps compares.
func TestLies(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	key := bytes.Repeat([]byte{7}, 32)
	blob, err := w.Wrap(t.Context(), key, home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Wrap(t.Context(), bytes.Repeat([]byte{8}, 32), home); err != nil {
		t.Fatal(err)
	}
	for _, f := range []kmstest.Failure{kmstest.WrongPlaintext, kmstest.OtherPlaintext} {
		server.Script(kmstest.Always(kmstest.Fault{Failure: f}))
		got, err := w.Unwrap(t.Context(), blob, home)
		if err != nil || len(got) != len(key) || bytes.Equal(got, key) {
			t.Errorf("%s: %d bytes, %v", f, len(got), err)
		}
	}
}

// No secret is in an error, nor in what shows a Config or a Wrapper.
func TestSilence(t *testing.T) {
	server, dir := newServer(t), t.TempDir()
	canary := "canary-" + strings.Repeat("0123456789abcdef", 8)
	key := bytes.Repeat([]byte("plaintext-canary"), 2)
	file := filepath.Join(dir, "credentials.json")
	account := server.ServiceAccount()
	write(t, file, account)
	var private struct {
		Key string `json:"private_key"`
	}
	if err := json.Unmarshal(account, &private); err != nil {
		t.Fatal(err)
	}
	secrets := []string{canary, string(key), strings.Split(private.Key, "\n")[1]}
	scan := func(what, text string) (found bool) {
		for _, s := range secrets {
			for _, form := range []string{s, fmt.Sprintf("%x", s), strings.Trim(fmt.Sprint([]byte(s)), "[]")} {
				found = found || strings.Contains(text, form)
			}
		}
		return found
	}
	if !scan("planted", "before "+canary+" behind") || !scan("planted", fmt.Sprint(key)) {
		t.Fatal("the scanner sees nothing")
	}

	byFile := fileConfig(server, file)
	byToken := byFile
	byToken.CredentialsFile, byToken.Token = "", token(canary)
	texts := make(map[string]string)
	for name, cfg := range map[string]gcpckms.Config{"file": byFile, "token": byToken} {
		w := newWrapper(t, cfg)
		each(t.Context(), w, nil) // so that there is something to show
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
			texts[name+verb] = fmt.Sprintf(verb+verb+verb, cfg, w, *w)
		}
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", cfg, "wrapper", w)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", cfg, "wrapper", w)
		texts[name+" logged"] = out.String()
	}

	// Everything that fails with a secret in sight, an issuer that echoes it too.
	write(t, file, account)
	w := newWrapper(t, byFile)
	blob, err := w.Wrap(t.Context(), key, home)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range kmstest.Failures() {
		if f == kmstest.Hang || i%step(4) != 1%step(4) {
			continue
		}
		server.Script(kmstest.Always(kmstest.Fault{Failure: f}))
		_, wrap := w.Wrap(t.Context(), key, home)
		_, unwrap := w.Unwrap(t.Context(), blob, home)
		_, probe := newWrapper(t, byToken).Probe(t.Context())
		texts[string(f)] = fmt.Sprintf("%+v %+v %+v", wrap, unwrap, probe)
	}
	server.Script(nil)
	external, subject := filepath.Join(dir, "external.json"), filepath.Join(dir, "token")
	write(t, external, server.ExternalAccount(subject))
	write(t, subject, []byte(canary))
	for _, code := range []int{200, 400, 403, 500} {
		server.Issue(echo(code))
		_, err := newWrapper(t, fileConfig(server, external)).Probe(t.Context())
		if err == nil {
			t.Errorf("a token from an echo with %d", code)
		}
		texts[fmt.Sprint("echo ", code)] = fmt.Sprintf("%+v", err)
	}
	for _, content := range [][]byte{account[:len(account)/2], bytes.Replace(account, []byte("BEGIN"), []byte("BEGUN"), 1), bytes.Replace(account, []byte("-----BEGIN"), []byte(canary), 1)} {
		write(t, file, content)
		_, err := w.Probe(t.Context())
		if err == nil {
			t.Error("credentials that are none were used")
		}
		texts["credentials "+fmt.Sprint(len(content))] = fmt.Sprintf("%+v", err)
	}
	failing := byToken
	failing.Token = func(context.Context) (*auth.Token, error) { return nil, errors.New("bad token " + canary) }
	_, err = newWrapper(t, failing).Probe(t.Context())
	texts["host"] = fmt.Sprintf("%+v", err)

	shown := 0
	for name, text := range texts {
		if scan(name, text) {
			shown++
			t.Errorf("%s: shows a secret", name)
		}
	}
	proved(t, "GUARANTEE 20 gcpckms: texts=%d shown=%d", len(texts), shown)
}
