//go:build unix

package main_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/sealwright/sealwright/internal/etcdtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// Each command of docs/OPERATIONS.md, "The server is gone", does what the page says.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	prepare(t, dir)
	followPage(t, "The server is gone", dir)
}

// Each command of docs/OPERATIONS.md, "A record in a cluster", does what the page
// says: to a real etcd, and a Secret as an API server keeps it.
func TestClusterPage(t *testing.T) {
	if _, err := exec.LookPath("etcdctl"); err != nil {
		t.Skip("skipped: no etcdctl here, whose commands the page has")
	}
	c := etcdtest.Need(t, 1)
	dir := t.TempDir()
	prepare(t, dir)
	rec := string(fileContent(t, filepath.Join(dir, "backup.json")))
	file(t, dir, "server.json", secretWith(t, rec))
	file(t, dir, "empty.json", secretWith(t, ""))
	kubectl := file(t, dir, "bin/kubectl", kubectlScript)
	if err := os.Chmod(kubectl, 0o700); err != nil {
		t.Fatal(err)
	}
	etcd := "ETCDCTL_ENDPOINTS=" + c.Endpoints()[0]
	say(t, []string{etcd, "ETCDCTL_API=3"}, []byte(number+"\n"+rec), "etcdctl", "put", "/payments/seal")
	followPage(t, "A record in a cluster", dir, etcd)

	// What was put back last is a record that a server opens.
	value := say(t, []string{etcd, "ETCDCTL_API=3"}, nil, "etcdctl", "get", "/payments/seal", "--print-value-only")
	loadedFrom(t, "value", file(t, dir, "last.etcd", strings.TrimSuffix(value, "\n")))
	if rec := string(loadedFrom(t, "secret", filepath.Join(dir, "server.json"))); !strings.HasPrefix(rec, `{"format":`) {
		t.Errorf("the Secret has %.40q", rec)
	}
}

// kubectlScript stands for kubectl before an API server: the Secret is a file.
const kubectlScript = `#!/bin/sh
case "$*" in
"get secret payments-seal -o json") cat server.json ;;
"get secret payments-seal -o jsonpath={.data.record}") sed -n 's/.*"record": "\([^"]*\)".*/\1/p' server.json | tr -d '\n' ;;
"replace -f "*) cat "$3" > server.json && echo secret/payments-seal replaced ;;
"create secret generic payments-seal") cat empty.json > server.json && echo secret/payments-seal created ;;
*) echo "kubectl $*?" >&2; exit 1 ;;
esac
`

// followPage runs the commands of a chapter.
func followPage(t *testing.T, chapter, dir string, env ...string) {
	t.Helper()
	env = append(append(environment(), "PATH="+dir+"/bin:"+os.Getenv("PATH"), "LC_ALL=C"), env...)
	ran := 0
	for _, c := range commandsOf(t, chapter) {
		if name, ok := strings.CutPrefix(c.line, "export "); ok {
			env = append(env, name)
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", c.line)
		cmd.Dir, cmd.Env = dir, env
		detach(cmd)
		out, err := cmd.CombinedOutput()
		got := string(out)
		if err != nil {
			got += strings.ReplaceAll(err.Error(), "exit status ", "[") + "]\n"
		}
		if !c.want.MatchString(got) {
			t.Fatalf("$ %s\n%s\nthe page says:\n%s", c.line, got, c.text)
		}
		if name := shown(t, got); name != "" {
			t.Errorf("$ %s shows %s", c.line, name)
		}
		ran++
	}
	if ran < 10 {
		t.Errorf("the page has %d commands", ran)
	}
}

// A documented is a command of the page, and what it prints.
type documented struct {
	line, text string
	want       *regexp.Regexp
}

func commandsOf(t *testing.T, chapter string) (out []documented) {
	t.Helper()
	page := string(fileContent(t, filepath.Join("..", "..", "docs", "OPERATIONS.md")))
	_, page, ok := strings.Cut(page, "\n## "+chapter+"\n")
	if !ok {
		t.Fatalf("the page has no chapter %q", chapter)
	}
	page, _, _ = strings.Cut(page, "\n## ")
	for i, block := range strings.Split(page, "```\n") {
		if i%2 == 0 {
			continue
		}
		for _, part := range strings.Split("\n"+block, "\n$ ")[1:] {
			line, text, _ := strings.Cut(part+"\n", "\n")
			pattern := regexp.QuoteMeta(strings.TrimRight(text, "\n"))
			pattern = regexp.MustCompile(`(?m)^…\n?`).ReplaceAllString(pattern, `(?s:.*)`)
			pattern = strings.ReplaceAll(pattern, "…", `.*`)
			out = append(out, documented{line, text, regexp.MustCompile(`^` + pattern + `\n*$`)})
		}
	}
	return out
}

// prepare makes what the page begins with.
func prepare(t *testing.T, dir string) {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"age": ageProgram(t), "sealwright": program} {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "host.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.SQLite})
	if err == nil {
		err = s.CreateTable(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, s, false, func(b *seal.Barrier) {
		must(t, db, "CREATE TABLE tokens (id INTEGER PRIMARY KEY, secret TEXT)")
		for i, id := range []string{"1", "2"} {
			text, err := b.Box("tokens", "secret").EncryptString(t.Context(), "a token", id)
			if err != nil {
				t.Fatal(err)
			}
			must(t, db, "INSERT INTO tokens VALUES (?, ?)", i+1, text)
		}
	})
	write("backup.json", string(recordOf(t, s)))
	for i, name := range []string{"alice", "bob", "dora"} {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		write(name+".key", id.String()+"\n")
		write(name+".pub", id.Recipient().String()+"\n")
		if name == "dora" {
			continue
		}
		var b strings.Builder
		a := armor.NewWriter(&b)
		e, err := age.Encrypt(a, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		e.Write([]byte(w.shares[i]))
		e.Close()
		a.Close()
		write(name+".age", b.String())
	}
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("skipped: no ssh-keygen here, with whose key the page goes on")
	}
	say(t, nil, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "erin.key"))
	os.Rename(filepath.Join(dir, "erin.key.pub"), filepath.Join(dir, "erin.pub"))
}
