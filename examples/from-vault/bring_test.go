package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/examples/internal/built"
	"github.com/sealwright/sealwright/internal/freeport"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/vaultstore"
)

const stores = "../../migrate/vaultstore/testdata/stores/"

// sharesFile writes the shares of a fixture to a file, as people keep them.
func sharesFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(stores + "keys/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var in struct {
		Keys []string `json:"unseal_keys_b64"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i, key := range in.Keys {
		fmt.Fprintf(&lines, "Unseal Key %d: %s\n", i+1, key)
	}
	return file(t, lines.String())
}

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// staticStanza is the configuration that the fixture "static" was made with.
const staticStanza = `seal "static" {
  current_key_id = "20260101-1"
  current_key = "2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfe"
}`

// ran returns what a run prints.
func ran(t *testing.T, o options) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := o.run(t.Context(), &out)
	return out.String(), err
}

func TestLooking(t *testing.T) {
	shares := sharesFile(t, "vault-shamir-5of3")
	vault := options{path: stores + "vault-shamir-5of3", shares: shares}
	static := options{path: stores + "static", configs: texts{file(t, staticStanza)}}
	for name, c := range map[string]struct {
		o     options
		with  func(*options)
		words []string
	}{
		"list":           {vault, func(o *options) { o.list = true }, []string{"mounts secret/ kv version 2", "policy default", "secret secret/hello 1 versions"}},
		"list static":    {static, func(o *options) { o.list = true }, []string{"opened by static, 2 terms", "secret secret/after-rotate"}},
		"get":            {vault, func(o *options) { o.get = "secret/hello" }, []string{`"greeting": "vault"`}},
		"export":         {vault, func(o *options) { o.export = "-" }, []string{`"data":{"greeting":"vault"}`, `{"kind":"end"`}},
		"diagnose":       {vault, func(o *options) { o.diagnose = true }, []string{"opens by shares, and so does each of its 29 entries"}},
		"leave the seal": {static, func(o *options) { o.repair = filepath.Join(t.TempDir(), "new"); o.toShares = true }, []string{"no-such"}},
	} {
		c.with(&c.o)
		out, err := ran(t, c.o)
		if name == "leave the seal" {
			if err != nil || !strings.Contains(out, "every entry was compared") {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, words := range c.words {
			if !strings.Contains(out, words) {
				t.Errorf("%s: %q is not in\n%s", name, words, out)
			}
		}
	}
	for name, c := range map[string]struct {
		o     options
		words string
	}{
		"nothing asked":     {vault, "are required"},
		"two things":        {options{path: "x", list: true, diagnose: true}, "are required"},
		"an export to list": {options{from: "x", list: true}, "are required"},
		"no shares":         {options{path: stores + "vault-shamir-5of3", list: true}, "it takes 3 shares"},
		"no seal":           {options{path: stores + "static", list: true, shares: shares}, "sealed by static"},
		"diagnosed":         {options{path: stores + "static", diagnose: true, shares: shares}, "does not open it as it is"},
		"a word for shares": {options{path: stores + "static", list: true, shares: file(t, "hunter2\n")}, "line 1 of the shares"},
		"a remote in clear": {options{path: stores + "vault-shamir-5of3", shares: shares, importInto: "http://192.0.2.1:8200"}, "in clear"},
		"no token":          {options{path: stores + "vault-shamir-5of3", shares: shares, importInto: "http://127.0.0.1:1"}, "-token-file"},
	} {
		if _, err := ran(t, c.o); err == nil || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A target is examples/server, built and run as people do, initialized and
// unsealed.
type target struct {
	t     *testing.T
	url   string
	token string
}

func newTarget(t *testing.T) *target {
	t.Helper()
	testlevel.NeedsWhole(t, "builds and runs a program")
	dir := t.TempDir()
	program := filepath.Join(dir, "server.exe") // the name that all systems run
	if err := built.Program(".", "../server", program); err != nil {
		t.Fatal(err)
	}
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	config := file(t, fmt.Sprintf("storage \"file\" {\n path = %q\n}\nlistener \"tcp\" {\n address = %q\n tls_disable = \"true\"\n}\n", filepath.Join(dir, "data"), address))
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	server := exec.CommandContext(ctx, program, "-config", config)
	server.Stderr = io.Discard
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); server.Wait() })
	s := &target{t: t, url: "http://" + address}
	for range 600 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	made := s.want(200, "PUT", "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1})
	s.want(200, "PUT", "sys/unseal", map[string]any{"key": made["keys"].([]any)[0]})
	s.token = made["root_token"].(string)
	return s
}

func (s *target) want(status int, method, path string, body any) map[string]any {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", s.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	var out map[string]any
	json.Unmarshal(answer, &out)
	if resp.StatusCode != status {
		s.t.Fatalf("%s %s answers %d: %s", method, path, resp.StatusCode, answer)
	}
	return out
}

// TestBringing into one server, which is the real one.
func TestBringing(t *testing.T) {
	s := newTarget(t)
	t.Run("stores", func(t *testing.T) { bringStores(t, s) })
	t.Run("an export", func(t *testing.T) { bringExport(t, s) })
}

// bringStores: the three, and one twice; what was there and is another one is
// refused by name, and the rest goes on.
func bringStores(t *testing.T, s *target) {
	o := options{importInto: s.url, tokenFile: file(t, s.token+"\n"), policies: true}
	vault := o
	vault.path, vault.shares = stores+"vault-shamir-5of3", sharesFile(t, "vault-shamir-5of3")
	out, err := ran(t, vault)
	if err != nil || !strings.Contains(out, "1 secrets were brought and compared, 0 were there already") {
		t.Fatal(err, out)
	}
	got := s.want(200, "GET", "secret/data/hello", nil)["data"].(map[string]any)
	if got["data"].(map[string]any)["greeting"] != "vault" || got["metadata"].(map[string]any)["created_time"] != "2026-11-22T01:10:23.910214971Z" {
		t.Error(got)
	}
	if out, err = ran(t, vault); err != nil || !strings.Contains(out, "0 secrets were brought and compared, 1 were there already and are the same") {
		t.Error(err, out)
	}
	static := o
	static.path, static.configs = stores+"static", texts{file(t, staticStanza)}
	out, err = ran(t, static)
	if err == nil || !strings.Contains(err.Error(), "not brought: hello (the server answers 409") || !strings.Contains(out, "1 secrets were brought") {
		t.Error(err, out)
	}
	if got := s.want(200, "GET", "secret/data/after-rotate", nil)["data"].(map[string]any)["data"].(map[string]any); got["term"] != "2" {
		t.Error(got)
	}
}

// bringExport: of several mounts and namespaces, with versions of every
// kind, settings, policies and keys; and one that is cut.
func bringExport(t *testing.T, s *target) {
	export := `{"kind":"mount","mount":"pki/","table":"mounts","engine":{"type":"pki"}}
{"kind":"policy","policy":{"kind":"acl","name":"default","text":"path \"x\" {}"}}
{"kind":"policy","policy":{"kind":"acl","name":"team","text":"path \"secret/data/team/*\" { capabilities = [\"read\"] }"}}
{"kind":"kv","mount":"secret/","config":{"max_versions":7,"cas_required":true}}
{"kind":"secret","mount":"secret/","secret":{"path":"a b/ü","engine":2,"created":"2020-01-02T03:04:05Z","updated":"2020-01-02T03:04:05Z","current_version":3,"custom_metadata":{"k":"v"},"max_versions":9,"versions":[{"version":1,"created":"2020-01-02T03:04:05Z","destroyed":true},{"version":2,"created":"2020-01-03T03:04:05Z","deleted":"2020-01-04T03:04:05Z","data":{"gone":true}},{"version":3,"created":"2020-01-05T03:04:05Z","data":{"n":12345678901234567890,"html":"<&>"}}]}}
{"kind":"secret","mount":"old/","secret":{"path":"flat","engine":1,"versions":[{"version":1,"data":{"k":"v1"}}]}}
{"kind":"secret","namespace":"team/","mount":"kv/","secret":{"path":"x","engine":2,"created":"2020-01-02T03:04:05Z","versions":[{"version":4,"created":"2020-01-02T03:04:05Z","lost":true},{"version":5,"created":"2020-01-02T03:04:06Z","data":{"k":"v5"}}]}}
{"kind":"unreadable","key":"logical/1/2","error":"damaged"}
` + transitLines(t) + `{"kind":"end","counts":{}}
`
	o := options{importInto: s.url, tokenFile: file(t, s.token), policies: true, transit: true, from: file(t, export)}
	for _, again := range []bool{false, true} {
		out, err := ran(t, o)
		if err != nil {
			t.Fatal(err, out)
		}
		t.Log(out)
		want := "3 secrets were brought and compared, 0 were there already and are the same; 8 transit keys"
		if again {
			want = "0 secrets were brought and compared, 3 were there already and are the same; 8 transit keys"
		}
		for _, words := range []string{want, `the engine "pki"`, "logical/1/2 could not be read", "version 4 of team/kv/x could not be read"} {
			if !strings.Contains(out, words) {
				t.Errorf("%q is not in\n%s", words, out)
			}
		}
	}
	got := s.want(200, "GET", "secret/data/old/flat", nil)["data"].(map[string]any)["data"].(map[string]any)
	if got["k"] != "v1" {
		t.Error(got)
	}
	if got := s.want(200, "GET", "secret/config", nil)["data"].(map[string]any); got["max_versions"] != 7.0 || got["cas_required"] != true {
		t.Error(got)
	}
	if got := s.want(200, "GET", "sys/policies/acl/team", nil)["data"].(map[string]any); !strings.Contains(got["policy"].(string), "secret/data/team/*") {
		t.Error(got)
	}
	s.want(200, "GET", "transit/keys/other-transit-aes256-gcm96", nil)
	o.from = file(t, export[:strings.LastIndex(export, `{"kind":"end"`)])
	if _, err := ran(t, o); err == nil || !strings.Contains(err.Error(), "the export is cut") {
		t.Error(err)
	}
	// A key of the name that is another one is found by its proof.
	o.from = file(t, transitLines(t)+`{"kind":"end"}`)
	if _, err := ran(t, o); err == nil {
		t.Error("other keys pass for the same")
	}
}

// transitLines are records of keys of many types, as a store has them.
func transitLines(t *testing.T) string {
	t.Helper()
	ring, err := throwAway()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := named.New(named.Config{Keyring: ring, Store: named.NewMemStore(), Keep: func(migrate.Source) {}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, spec := range []named.Spec{
		{Type: named.AES256}, {Type: named.AES256, Derived: true, Convergent: true}, {Type: named.Ed25519}, {Type: named.Ed25519, Derived: true},
		{Type: named.ECDSAP256}, {Type: named.ECDSAP384}, {Type: named.RSA2048}, {Type: named.HMAC, KeySize: 32},
	} {
		name := string(spec.Type)
		if spec.Derived {
			name += "-derived"
		}
		spec.Exportable, spec.AllowPlaintextBackup = true, true
		if _, err := keys.Create(t.Context(), name, spec); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Rotate(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		secret, err := keys.Backup(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := base64.StdEncoding.DecodeString(secret.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		var parts struct {
			Policy  json.RawMessage `json:"policy"`
			Archive json.RawMessage `json:"archived_keys"`
		}
		if err := json.Unmarshal(plain, &parts); err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(vaultstore.Record{Kind: vaultstore.RecordTransit, Mount: "other/transit/", Transit: &vaultstore.TransitKey{Name: name, Policy: parts.Policy, Archive: parts.Archive}})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.String()
}
