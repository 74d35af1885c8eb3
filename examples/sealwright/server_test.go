//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A served is examples/server as a process of its own, spoken to over HTTP.
type served struct {
	t            *testing.T
	url, token   string
	data, config string // its directory, and its configuration
	flags        []string
	cmd          *exec.Cmd
	log          *logged
	answers      []string
}

// A logged is what a process says, read while it runs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts a server over a new directory.
func serve(t *testing.T, w *world, flags ...string) *served {
	t.Helper()
	if _, err := builtServer(); err != nil {
		t.Skipf("skipped: examples/server does not build here: %v", err)
	}
	s := &served{t: t, data: filepath.Join(w.dir, "data"), log: new(logged), flags: flags}
	s.config = w.write(t, "listener.hcl", fmt.Sprintf("storage \"file\" { path = %q }\nlistener \"tcp\" {\n  address = \"127.0.0.1:0\"\n  tls_disable = true\n}\n", s.data))
	s.start()
	return s
}

func (s *served) start() {
	s.t.Helper()
	binary, _ := builtServer()
	s.cmd = exec.CommandContext(s.t.Context(), binary, append([]string{"-config", s.config}, s.flags...)...)
	s.cmd.Env = environment()
	out, err := s.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.kill)
	lines := bufio.NewScanner(io.TeeReader(out, s.log))
	for s.url = ""; s.url == "" && lines.Scan(); {
		if m := regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			s.url = "http://" + m[1]
		}
	}
	if s.url == "" {
		s.t.Fatalf("the server does not listen: %s", s.log)
	}
	go io.Copy(s.log, out)
}

// kill is kill -9.
func (s *served) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// call sends a request, and returns the answer to it, also where that is an error.
func (s *served) call(method, path string, body, answer any) (code int, text string) {
	s.t.Helper()
	sent, _ := json.Marshal(body)
	return s.send(method, path, "application/json", string(sent), answer)
}

// form sends what a page's form does.
func (s *served) form(path string, fields ...string) (code int, text string) {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return s.send("POST", path, "application/x-www-form-urlencoded", form.Encode(), nil)
}

func (s *served) send(method, path, kind, body string, answer any) (code int, text string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if s.token != "" {
		r.Header.Set("X-Vault-Token", s.token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.answers = append(s.answers, string(got))
	if answer != nil {
		if resp.StatusCode >= 300 {
			s.t.Fatalf("%s: %d %s", path, resp.StatusCode, got)
		}
		if err := json.Unmarshal(got, answer); err != nil {
			s.t.Fatalf("%s: %v", path, err)
		}
	}
	return resp.StatusCode, string(got)
}

// The server of examples/server is initialized, unsealed, given a secret, and killed:
// what is left of it is one bbolt file, which nobody else's code reads.
func TestTheServerIsGone(t *testing.T) {
	w := &world{dir: t.TempDir()}
	server := serve(t, w)
	var made struct {
		Keys  []string
		Token string `json:"root_token"`
	}
	server.call("PUT", "/v1/sys/init", map[string]int{"secret_shares": 3, "secret_threshold": 2}, &made)
	for _, k := range made.Keys[:2] {
		secretOf(t, k)
		server.call("PUT", "/v1/sys/unseal", map[string]string{"key": k}, new(any))
	}
	server.token = made.Token
	server.call("POST", "/v1/secret/data/app/db", map[string]any{"data": map[string]string{"password": canary}}, new(any))
	secretOf(t, canary)

	file := filepath.Join(server.data, "sealwright.db")
	shares := strings.Join(made.Keys[:2], "\n")
	out := filepath.Join(w.dir, "secrets.jsonl")
	export := []string{"export", "bolt", "--store", file, "--bucket", "secrets", "--place", "secret", "--out", out}
	run(t, shares, export...).want(t, 1, "a server has the store open", "stop it, or ask it (bao operator …)")
	run(t, shares, "prove", "shamir", "--store", file).want(t, 1, "a server has the store open")
	server.kill()
	run(t, "", "inspect", "--store", server.data).want(t, 1, "name the file in it: "+file)
	run(t, "", "inspect", "--store", file).want(t, 0, "any 2 of 3 shares")
	run(t, shares, export...).want(t, 0, "exported 1 values")
	if got := string(fileContent(t, out)); !strings.Contains(got, `{"id":["app/db"],"value":"`) || !strings.Contains(got, canary) {
		t.Error(got)
	}
	// No flag is needed: the file's lock is the proof that no server is there.
	run(t, shares, "rekey", "nosuch", "--people", "1/1", "--to", "a=terminal", "--store", file).want(t, 1)
}
