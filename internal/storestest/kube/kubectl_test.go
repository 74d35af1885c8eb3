//go:build unix

package kube_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/storestest/kube/kubeserver"
)

// What kubectl took out, with another record in it, kubectl puts back as
// docs/OPERATIONS.md says, once; and a Secret made empty by it takes a record.
func TestASecretThatKubectlPutBack(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("skipped: no kubectl here")
	}
	s := server(t)
	name, taken := newName(), filepath.Join(t.TempDir(), "seal.json")
	store := open(t, s, kubeserver.Admin, "default", name)
	kubectl := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "kubectl", append([]string{"--kubeconfig=/dev/null", "--server=" + s.URL, "--token=" + kubeserver.Admin, "--insecure-skip-tls-verify", "--namespace=default"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "NO_PROXY=*")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := kubectl("create", "secret", "generic", name); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	change := func(number, rec string) {
		t.Helper()
		text, err := kubectl("get", "secret", name, "-o", "json")
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		object["data"] = map[string][]byte{"record": []byte(rec), "revision": []byte(number)}
		next, err := json.MarshalIndent(object, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(taken, next, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ number, rec string }{{strings.Repeat("a", 32), "one"}, {strings.Repeat("b", 32), "two"}} {
		change(c.number, c.rec)
		if out, err := kubectl("replace", "-f", taken); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if rec, rev, err := store.Load(context.WithoutCancel(t.Context())); err != nil || string(rec) != c.rec || rev != c.number {
			t.Fatalf("Load = %q at %q, %v; want %q", rec, rev, err, c.rec)
		}
	}
	if out, err := kubectl("replace", "-f", taken); err == nil || !strings.Contains(out, "Conflict") {
		t.Errorf("a Secret that was changed since is replaced: %v: %s", err, out)
	}
	encoded, err := kubectl("get", "secret", name, "-o", "jsonpath={.data.record}")
	if err != nil || encoded != "dHdv" {
		t.Errorf("the bare record is %q, %v", encoded, err)
	}
}
