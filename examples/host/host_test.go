package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/examples/internal/flags/flagstest"
	"github.com/sealwright/sealwright/internal/freeport"
)

// A host is one that runs, and a client of it.
type host struct {
	t    *testing.T
	url  string
	stop func() error

	ended chan error // what run returned
}

func start(t *testing.T, dir string) *host {
	t.Helper()
	return startWith(t, dir, filepath.Join(dir, "kms.key"))
}

func startWith(t *testing.T, dir, key string) *host {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, dir, key, addr) }()
	h := &host{t: t, url: "http://" + addr, stop: func() error { cancel(); return <-ended }, ended: ended}
	t.Cleanup(cancel)
	h.until("/livez", http.StatusOK)
	return h
}

// do sends a request, and decodes an answer in JSON into out where there is one.
func (h *host) do(method, path, body string, out any) (int, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", adminToken())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && out != nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		h.t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
	return answer.StatusCode, string(text)
}

// must is do for what has to succeed.
func (h *host) must(method, path, body string, out any) string {
	h.t.Helper()
	code, text := h.do(method, path, body, out)
	if code/100 != 2 {
		h.t.Fatalf("%s %s: %d %s", method, path, code, text)
	}
	return text
}

// until waits for a path to answer with a code.
func (h *host) until(path string, code int) {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		got, text := h.do(http.MethodGet, path, "", nil)
		if got == code {
			return
		}
		select {
		case err := <-h.ended:
			h.t.Fatalf("%s is not answered: the host ended with %v", path, err)
		default:
		}
		if time.Now().After(end) {
			h.t.Fatalf("%s answers %d, not %d: %s", path, got, code, text)
		}
	}
}

// TestHost runs the server that the documentation shows: new, unsealed by its key
// after a restart, sealed and unsealed by people, as the stock tools do it.
func TestHost(t *testing.T) {
	t.Setenv("ADMIN_TOKEN", "0123456789abcdef")
	var log bytes.Buffer // read when the host has ended
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	dir := t.TempDir()
	if err := createKey(t.Context(), dir, filepath.Join(dir, "kms.key")); err != nil {
		t.Fatal(err)
	}
	if err := createKey(t.Context(), dir, filepath.Join(dir, "kms.key")); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("the key is made a second time: %v", err)
	}
	h := start(t, dir)
	if code, text := h.do("POST", "/tokens/", "a token", nil); code != http.StatusServiceUnavailable || !strings.Contains(text, `"status":"sealed"`) {
		t.Errorf("before its init: %d %s", code, text)
	}
	var made struct {
		Keys         []string
		RecoveryKeys []string `json:"recovery_keys"`
	}
	h.must("PUT", "/v1/sys/init", `{"recovery_shares": 3, "recovery_threshold": 2}`, &made)
	if len(made.RecoveryKeys) != 3 || len(made.Keys) != 0 {
		t.Fatalf("init made %d recovery shares, %d others", len(made.RecoveryKeys), len(made.Keys))
	}
	h.until("/readyz", http.StatusOK)
	if got := h.must("POST", "/tokens/", "a third party's token", nil); got != "1\n" {
		t.Fatalf("the id is %q", got)
	}
	h.must("POST", "/tokens/", "another", nil)
	reads := func(when string) {
		t.Helper()
		if got := h.must("GET", "/tokens/1", "", nil); got != "a third party's token" {
			t.Errorf("%s: %q", when, got)
		}
	}
	reads("written")
	for path, want := range map[string]int{"/tokens/9": http.StatusNotFound, "/tokens/x": http.StatusBadRequest} {
		if code, text := h.do("GET", path, "", nil); code != want {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}

	h.must("PUT", "/v1/sys/seal", "", nil)
	if code, text := h.do("GET", "/tokens/1", "", nil); code != http.StatusServiceUnavailable {
		t.Errorf("sealed: %d %s", code, text)
	}
	h.until("/readyz", http.StatusServiceUnavailable)
	if text := h.must("GET", "/metrics", "", nil); !strings.Contains(text, "sealwright_sealed 1") {
		t.Errorf("metrics: %s", text)
	}
	if code, text := h.do("PUT", "/v1/sys/unseal", `{"key": "mistyped"}`, nil); code != http.StatusBadRequest {
		t.Errorf("a mistyped share: %d %s", code, text)
	}
	for i, share := range made.RecoveryKeys[1:] {
		var progress struct{ Sealed bool }
		h.must("PUT", "/v1/sys/unseal", fmt.Sprintf(`{"key": %q}`, share), &progress)
		if progress.Sealed != (i == 0) {
			t.Errorf("after %d shares: sealed %v", i+1, progress.Sealed)
		}
	}
	reads("unsealed by people")
	if err := h.stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if !strings.Contains(log.String(), "malformed share") {
		t.Errorf("the mistyped share stands in no log:\n%s", &log)
	}

	h = start(t, dir)
	h.until("/readyz", http.StatusOK)
	reads("unsealed by its key")

	// A value that is moved to another row is nobody's.
	db, err := openDatabase(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "UPDATE tokens SET secret = (SELECT secret FROM tokens WHERE id = 1) WHERE id = 2"); err != nil {
		t.Fatal(err)
	}
	if code, text := h.do("GET", "/tokens/2", "", nil); code != http.StatusInternalServerError || !strings.Contains(text, "corrupt") {
		t.Errorf("moved: %d %s", code, text)
	}
	var refreshed int // by what While runs, which began with the unseal
	if err := db.QueryRowContext(t.Context(), "SELECT refreshed FROM tokens WHERE id = 1").Scan(&refreshed); err != nil || refreshed == 0 {
		t.Errorf("refreshed %d times, %v", refreshed, err)
	}
	h.must("PUT", "/v1/sys/rotate", "", nil)
	h.must("POST", "/tokens/", "written under the next key", nil)
	reads("after a rotation")
	h.monitored()
	if err := h.stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	for name, want := range map[string]string{"": "-dir is required", dir: "ADMIN_TOKEN"} {
		t.Setenv("ADMIN_TOKEN", "short")
		if err := run(t.Context(), name, "key", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestAVolumeThatIsNotMounted: a start made a new key where the old one's directory
// was empty, and did not come up at all where there was none.
func TestAVolumeThatIsNotMounted(t *testing.T) {
	t.Setenv("ADMIN_TOKEN", "0123456789abcdef")
	slog.SetDefault(slog.New(slog.DiscardHandler))
	dir, volume := t.TempDir(), filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(volume, 0o700); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(volume, "kms.key")
	if err := createKey(t.Context(), dir, key); err != nil {
		t.Fatal(err)
	}
	h := startWith(t, dir, key)
	var made struct {
		RecoveryKeys []string `json:"recovery_keys"`
	}
	h.must("PUT", "/v1/sys/init", `{"recovery_shares": 3, "recovery_threshold": 2}`, &made)
	h.until("/readyz", http.StatusOK)
	h.must("POST", "/tokens/", "a token", nil)
	h.stop()
	if err := os.RemoveAll(volume); err != nil {
		t.Fatal(err)
	}
	for _, there := range []bool{false, true} {
		t.Run(fmt.Sprintf("its directory is there: %v", there), func(t *testing.T) {
			if there {
				if err := os.Mkdir(volume, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			h := startWith(t, dir, key)
			for _, share := range made.RecoveryKeys[1:] {
				h.must("PUT", "/v1/sys/unseal", fmt.Sprintf(`{"key": %q}`, share), nil)
			}
			if got := h.must("GET", "/tokens/1", "", nil); got != "a token" {
				t.Errorf("unsealed by people: %q", got)
			}
			if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a key was made: %v", err)
			}
			h.stop()
		})
	}
}

// TestDocumentation: what package seal's documentation shows is what runs here.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../../seal/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	text := func(src []byte) string { return string(bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))) }
	var shown strings.Builder
	for line := range strings.Lines(text(doc)) {
		shown.WriteString(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "//"), "\t") + "\n")
	}
	for name, functions := range map[string][]string{
		"serve.go":  {"func serve("},
		"tokens.go": {"func (t *tokens) add(", "func (t *tokens) get("},
	} {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, head := range functions {
			_, rest, found := strings.Cut(text(src), "\n"+head)
			body, _, ended := strings.Cut(rest, "\n}\n")
			if !found || !ended {
				t.Fatalf("%s has no %s", name, head)
			}
			if !strings.Contains(shown.String(), head+body+"\n}\n") {
				t.Errorf("seal/doc.go does not show %s as %s has it", head, name)
			}
		}
	}
}

func TestForgottenDash(t *testing.T) { flagstest.Dashless(t, main) }
