//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The server of examples/server is initialized, unsealed, given a secret, and killed:
// what is left of it is one bbolt file, which nobody else's code reads.
func TestTheServerIsGone(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./server")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("skipped: examples/server does not build here: %s", out)
	}
	w := &world{dir: dir}
	data := filepath.Join(dir, "data")
	config := w.write(t, "server.hcl", fmt.Sprintf("storage \"file\" { path = %q }\nlistener \"tcp\" {\n  address = \"127.0.0.1:0\"\n  tls_disable = true\n}\n", data))
	cmd := exec.CommandContext(t.Context(), binary, "-config", config)
	cmd.Env = environment()
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	address := ""
	lines := bufio.NewScanner(log)
	for address == "" && lines.Scan() {
		if m := regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			address = m[1]
		}
	}
	go io.Copy(io.Discard, log)
	call := func(method, path, token string, body, answer any) {
		t.Helper()
		text, _ := json.Marshal(body)
		r, _ := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, bytes.NewReader(text))
		r.Header.Set("X-Vault-Token", token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		if resp.StatusCode >= 300 {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, got)
		}
		if answer != nil {
			json.Unmarshal(got, answer)
		}
	}
	var made struct {
		Keys  []string
		Token string `json:"root_token"`
	}
	call("PUT", "/v1/sys/init", "", map[string]int{"secret_shares": 3, "secret_threshold": 2}, &made)
	for _, k := range made.Keys[:2] {
		secretOf(t, k)
		call("PUT", "/v1/sys/unseal", "", map[string]string{"key": k}, nil)
	}
	call("POST", "/v1/secret/data/app/db", made.Token, map[string]any{"data": map[string]string{"password": canary}}, nil)
	secretOf(t, canary)

	file := filepath.Join(data, "sealwright.db")
	shares := strings.Join(made.Keys[:2], "\n")
	out := filepath.Join(dir, "secrets.jsonl")
	export := []string{"export", "bolt", "--store", file, "--bucket", "secrets", "--place", "secret", "--out", out}
	run(t, shares, export...).want(t, 1, "a server has the store open", "stop it, or ask it (bao operator …)")
	run(t, shares, "prove", "shamir", "--store", file).want(t, 1, "a server has the store open")
	cmd.Process.Kill()
	cmd.Wait()
	run(t, "", "inspect", "--store", data).want(t, 1, "name the file in it: "+file)
	run(t, "", "inspect", "--store", file).want(t, 0, "any 2 of 3 shares")
	run(t, shares, export...).want(t, 0, "exported 1 values")
	if got := string(fileContent(t, out)); !strings.Contains(got, `{"id":["app/db"],"value":"`) || !strings.Contains(got, canary) {
		t.Error(got)
	}
	// No flag is needed: the file's lock is the proof that no server is there.
	run(t, shares, "rekey", "nosuch", "--people", "1/1", "--to", "a=terminal", "--store", file).want(t, 1)
}
