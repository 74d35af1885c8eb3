package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/examples/internal/flags/flagstest"
	"github.com/sealwright/sealwright/seal"
)

// A process is a running server over a directory, spoken to over HTTP.
type process struct {
	t     *testing.T
	url   string
	token string
	stop  func() // as SIGTERM
	log   *journal
}

// A journal is a log that is read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func run(t *testing.T, dir, seals string, change ...func(*config)) *process {
	t.Helper()
	src := fmt.Sprintf("%s\nstorage \"file\" { path = %q }\nlistener \"tcp\" { tls_disable = \"true\" }\nui = true\n", seals, filepath.ToSlash(dir))
	cfg, err := parseConfig([]byte(src), "test.hcl", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	p := &process{t: t, url: "http://" + l.Addr().String(), log: new(journal)}
	go func() { done <- serve(ctx, cfg, l, slog.New(slog.NewTextHandler(p.log, nil))) }()
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
		if !strings.Contains(p.log.String(), "actor=shutdown") {
			t.Errorf("it did not seal at its end:\n%s", p.log)
		}
	}
	t.Cleanup(p.stop)
	return p
}

type object = map[string]any

func (p *process) do(method, path string, body any) (int, object) {
	p.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequest(method, p.url+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", p.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var out object
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			p.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return resp.StatusCode, out
}

func (p *process) want(code int, method, path string, body any) object {
	p.t.Helper()
	got, out := p.do(method, path, body)
	if got != code {
		p.t.Fatalf("%s %s: %d %v, want %d", method, path, got, out, code)
	}
	return out
}

func (p *process) unseal(migrate bool, shares ...any) (out object) {
	p.t.Helper()
	for _, share := range shares {
		out = p.want(200, "PUT", "sys/unseal", object{"key": share, "migrate": migrate})
	}
	return out
}

// untilUnsealed waits for Run to unseal.
func (p *process) untilUnsealed() {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if code, _ := p.do("GET", "sys/health", nil); code == 200 {
			return
		}
	}
	p.t.Fatal("it does not unseal by itself")
}

func (p *process) reads(path, want string) {
	p.t.Helper()
	out := p.want(200, "GET", "secret/data/"+path, nil)
	if got := out["data"].(object)["data"].(object)["greeting"]; got != want {
		p.t.Fatalf("%s reads %v, want %s", path, got, want)
	}
}

// TestOperator is the life of a server as its operator sees it: people, a KMS
// key, the key's loss, and people again, with secrets that stay.
func TestOperator(t *testing.T) {
	dir := t.TempDir()
	p := run(t, dir, "")
	p.want(501, "GET", "sys/health", nil)
	p.want(503, "GET", "secret/data/hello", nil)
	refused := p.want(400, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": []string{"?"}})
	if text := fmt.Sprint(refused["errors"]); !strings.Contains(text, "pgp: not a public key") {
		t.Errorf("a bad key is refused with %s", text)
	}
	made := p.want(200, "PUT", "sys/init", object{"secret_shares": 5, "secret_threshold": 3})
	shares, token := made["keys"].([]any), made["root_token"].(string)
	p.unseal(false, shares[:3]...)
	p.want(403, "PUT", "secret/data/hello", object{"data": object{"greeting": "world"}})
	p.token = token
	p.want(200, "PUT", "secret/data/hello", object{"data": object{"greeting": "world"}, "options": object{}})
	p.stop()

	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(hex.EncodeToString(bytes.Repeat([]byte{7}, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	stanza := fmt.Sprintf("seal \"static\" {\n  current_key_id = \"2026\"\n  current_key = \"file://%s\"\n%%s}\n", filepath.ToSlash(key))
	enabled, disabled := fmt.Sprintf(stanza, ""), fmt.Sprintf(stanza, "  disabled = \"true\"\n")

	p = run(t, dir, enabled)
	p.token = token
	if out := p.unseal(true, shares[1:3]...); out["migration"] != true || out["progress"] != 2.0 {
		t.Fatal(out)
	}
	if out := p.unseal(true, shares[3]); out["migration"] != false || out["sealed"] != false || out["type"] != "static" {
		t.Fatal(out)
	}
	p.reads("hello", "world")
	p.stop()

	p = run(t, dir, enabled)
	p.token = token
	p.untilUnsealed()
	p.reads("hello", "world")
	p.stop()

	// The KMS is gone: the stanza is not even there.
	p = run(t, dir, "")
	p.token = token
	if out := p.unseal(false, shares[2:]...); out["sealed"] != false {
		t.Fatal(out)
	}
	p.reads("hello", "world")
	p.stop()

	p = run(t, dir, disabled)
	p.token = token
	p.untilUnsealed()
	if out := p.unseal(true, shares[:3]...); out["migration"] != false || out["type"] != "shamir" {
		t.Fatal(out)
	}
	p.stop()

	p = run(t, dir, disabled)
	p.token = token
	if out := p.unseal(false, shares[:3]...); out["sealed"] != false {
		t.Fatal(out)
	}
	p.reads("hello", "world")
	p.want(204, "PUT", "sys/seal", nil)
	p.want(503, "GET", "secret/data/hello", nil)
}

func TestSecrets(t *testing.T) {
	p := run(t, t.TempDir(), "")
	made := p.want(200, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
	p.unseal(false, made["keys"].([]any)...)
	p.token = made["root_token"].(string)

	mount := p.want(200, "GET", "sys/internal/ui/mounts/secret/hello", nil)["data"].(object)
	if mount["path"] != "secret/" || mount["options"].(object)["version"] != "2" {
		t.Fatal(mount)
	}
	p.want(403, "GET", "sys/internal/ui/mounts/kv/hello", nil)
	p.want(404, "GET", "secret/data/hello", nil)
	p.want(404, "GET", "secret/metadata?list=true", nil)
	for i, greeting := range []string{"one", "two"} {
		out := p.want(200, "PUT", "secret/data/hello", object{"data": object{"greeting": greeting}})
		if n := out["data"].(object)["version"]; n != float64(i+1) {
			t.Fatalf("version %v", n)
		}
	}
	p.reads("hello", "two")
	p.reads("hello?version=1", "one")
	p.want(404, "GET", "secret/data/hello?version=3", nil)
	p.want(400, "PUT", "secret/data/hello", object{"data": object{}, "options": object{"cas": 1}})
	p.want(400, "PUT", "secret/data/hello", object{})
	p.want(200, "POST", "secret/data/team/a", object{"data": object{"greeting": "a"}, "options": object{"cas": 0}})
	p.want(200, "POST", "secret/data/team/b/c", object{"data": object{"greeting": "c"}})
	for path, want := range map[string]string{"secret/metadata/?list=true": "[hello team/]", "secret/metadata/team?list=true": "[a b/]"} {
		if got := fmt.Sprint(p.want(200, "GET", path, nil)["data"].(object)["keys"]); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	p.want(200, "LIST", "secret/metadata/team/", nil)
	p.want(204, "DELETE", "secret/data/hello", nil)
	gone := p.want(404, "GET", "secret/data/hello", nil)
	if gone["data"].(object)["metadata"].(object)["deletion_time"] == "" {
		t.Error(gone)
	}
	p.reads("hello?version=1", "one")
	p.want(204, "DELETE", "secret/data/nothing", nil)
	for range maxVersions {
		p.want(200, "PUT", "secret/data/hello", object{"data": object{"greeting": "x"}})
	}
	p.want(404, "GET", "secret/data/hello?version=1", nil)
	p.want(403, "GET", "sys/internal/ui/mounts/", nil)
}

// The file holds no secret, no token and no share; and a token that is put into
// it opens nothing.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	p := run(t, dir, "")
	made := p.want(200, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
	share, token := made["keys"].([]any)[0].(string), made["root_token"].(string)
	p.unseal(false, share)
	p.token = token
	p.want(200, "PUT", "secret/data/hello", object{"data": object{"greeting": "canary-in-the-file"}})
	p.stop()
	path := filepath.Join(dir, "sealwright.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"canary-in-the-file", token, share} {
		if bytes.Contains(content, []byte(secret)) {
			t.Error("a secret stands in the file")
		}
	}
	if !bytes.Contains(content, []byte("hello")) {
		t.Error("the scan does not find the path, which is in clear")
	}

	// Somebody who can write to the file puts a token of their own there.
	forged := &server{db: &boltfile.File{Path: path}}
	if forged.barrier, err = seal.Open(seal.Config{Store: boltfile.Record{File: forged.db}}); err != nil {
		t.Fatal(err)
	}
	planted, err := forged.mint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged.close()
	p = run(t, dir, "")
	p.unseal(false, share)
	p.token = planted
	p.want(403, "GET", "secret/data/hello", nil)
}

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct{ src, words string }{
		"nothing":       {``, `storage "file"`},
		"other storage": {"storage \"raft\" {\n path = \"x\"\n}\nlistener \"tcp\" {\n tls_disable = 1\n}", `storage "file"`},
		"no listener":   {"storage \"file\" {\n path = \"x\"\n}", `listener "tcp"`},
		"no TLS":        {"storage \"file\" {\n path = \"x\"\n}\nlistener \"tcp\" {\n}", "tls_cert_file"},
		"no path":       {"storage \"file\" {\n}", `one storage "file" block with a path`},
		"no HCL":        {"\n{{", "test.hcl:2: "},
		"a seal":        {"storage \"file\" {\n path = \"x\"\n}\nlistener \"tcp\" {\n tls_disable = 1\n}\nseal \"abacus\" {\n}", "abacus"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig([]byte(test.src), "test.hcl", nil)
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Fatal(err)
			}
		})
	}
	src, err := os.ReadFile("dev.hcl")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := parseConfig(src, "dev.hcl", nil)
	if err != nil || cfg.address != "127.0.0.1:8200" || cfg.db != filepath.Join("server-data", "sealwright.db") {
		t.Fatal(cfg, err)
	}
}

func TestDemo(t *testing.T) {
	var out strings.Builder
	if err := runDemo(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "Every step verified itself") {
		t.Error(out.String())
	}
	if err := start(t.Context(), "", "", "", "", false); err == nil || !strings.Contains(err.Error(), "-demo") {
		t.Error(err)
	}
}

func TestForgottenDash(t *testing.T) { flagstest.Dashless(t, main) }
