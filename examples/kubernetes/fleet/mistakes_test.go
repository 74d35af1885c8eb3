//go:build unix

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// What is wrong with the flags is said before the server runs, and names the flag.
func TestMistakesInFlags(t *testing.T) {
	right := config{
		name: "notes", replica: "notes-0", peers: "notes-pods:8082,10.0.0.1:8082", cert: "c", key: "k", ca: "a", token: "t", dir: "d", secrets: true,
	}
	if err := right.check(); err != nil {
		t.Fatal(err)
	}
	for want, mistake := range map[string]func(*config){
		"as notes-0":                       func(c *config) { c.replica = "web-0" },
		`-replica is "notes-a"`:            func(c *config) { c.replica = "notes-a" }, // the others would refuse it
		`-replica is "notes-00"`:           func(c *config) { c.replica = "notes-00" },
		"required":                         func(c *config) { c.token = "" },
		"one of -etcd and -secrets":        func(c *config) { c.secrets = false },
		"-etcd and -secrets are both":      func(c *config) { c.etcd = "127.0.0.1:2379" },
		`"10.0.0.1", and has to have HOST`: func(c *config) { c.peers = "notes-pods:8082,10.0.0.1" },
		`":8082", and has to have HOST`:    func(c *config) { c.peers = ":8082" },
	} {
		c := right
		mistake(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Files that are missing, or of another replica, are named with their flag.
func TestMistakesInFiles(t *testing.T) {
	dir := t.TempDir()
	certificates(t, dir, "2")
	file := func(name string) string { return filepath.Join(dir, "pods", name) }
	right := config{name: "notes", replica: "notes-0", cert: file("notes-0.crt"), key: file("notes-0.key"), ca: file("ca.crt")}
	if _, err := newIdentity(right); err != nil {
		t.Fatal(err)
	}
	for want, mistake := range map[string]func(*config){
		"-ca: open":                func(c *config) { c.ca = file("none") },
		"none and -key":            func(c *config) { c.cert = file("none") },
		"notes-1.key: tls":         func(c *config) { c.key = file("notes-1.key") },
		`not of replica "notes-1"`: func(c *config) { c.replica = "notes-1" },
	} {
		c := right
		mistake(&c)
		if _, err := newIdentity(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := readToken(file("none")); err == nil || !strings.Contains(err.Error(), "-token: open") {
		t.Errorf("a token that is missing: %v", err)
	}
}

// Who renews the certificates without the CA's key is told so: another CA would part
// the replicas that run from those that start.
func TestCertificatesAreNeverOfAnotherCA(t *testing.T) {
	dir := t.TempDir()
	certificates(t, dir, "1")
	read := func() (all string) {
		for _, name := range []string{"ca.crt", "notes-0.crt", "notes-0.key"} {
			text, err := os.ReadFile(filepath.Join(dir, "pods", name))
			must(t, err)
			all += string(text)
		}
		return all
	}
	was := read()
	key := filepath.Join(dir, "ca.key")
	must(t, os.Rename(key, key+".safe"))
	refused(t, "bring the key from the safe", dir, "notes", "1")

	other := t.TempDir()
	certificates(t, other, "1")
	must(t, os.Rename(filepath.Join(other, "ca.key"), key))
	refused(t, "do not match", dir, "notes", "1")
	if read() != was {
		t.Error("a renewal that failed has changed what is there")
	}

	must(t, os.Mkdir(filepath.Join(dir, "new"), 0o700))
	must(t, os.Rename(key+".safe", filepath.Join(dir, "new", "ca.key")))
	refused(t, "the Secret of the replicas has it", filepath.Join(dir, "new"), "notes", "1")
	refused(t, "is a number", dir, "notes", "three")
	refused(t, "three arguments", dir)
}

// A note is not waited for until its reader goes, where etcd is away.
func TestNotesThatCannotBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notes{doc: away{}, may: func(*http.Request, operator.Action) error { return nil }}
		w := httptest.NewRecorder()
		begun := time.Now()
		n.ServeHTTP(w, httptest.NewRequest("GET", "/notes/first", nil))
		if waited := time.Since(begun); w.Code != http.StatusServiceUnavailable || waited != patient {
			t.Errorf("%d after %v: %s", w.Code, waited, w.Body)
		}
	})
}

// away is a store that nobody answers for.
type away struct{ seal.Store }

func (away) Load(ctx context.Context) ([]byte, string, error) {
	select {
	case <-ctx.Done():
		return nil, "", ctx.Err()
	case <-time.After(time.Hour):
		return nil, "", seal.ErrNotFound
	}
}

// certificates are made by the script.
func certificates(t *testing.T, dir, replicas string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl in the PATH, which makes the certificates")
	}
	if out, err := exec.Command("sh", "certificates.sh", dir, "notes", replicas).CombinedOutput(); err != nil {
		t.Fatalf("certificates.sh: %v\n%s", err, out)
	}
}

// refused expects that the script ends with what to do.
func refused(t *testing.T, want string, args ...string) {
	t.Helper()
	out, err := exec.Command("sh", append([]string{"certificates.sh"}, args...)...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("certificates.sh %q: %v, %q, want %q", args, err, out, want)
	}
}
