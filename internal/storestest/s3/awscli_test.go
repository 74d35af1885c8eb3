//go:build unix

package s3_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An object that the aws command took out is put back by it as docs/OPERATIONS.md
// says: if nobody has changed it, or if there is none.
func TestAnObjectThatTheAWSCommandPutBack(t *testing.T) {
	if out, err := exec.Command("aws", "--version").CombinedOutput(); err != nil {
		t.Skipf("skipped: no aws command here: %s", out)
	}
	server := start(t)
	store := open(t, connect(server.Addr(), secret), "bucket", "seal")
	first, err := store.Swap(t.Context(), []byte("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "seal.object")
	s3api := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "aws", append([]string{"--endpoint-url", "http://" + server.Addr(), "--region", "us-east-1", "s3api"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=user", "AWS_SECRET_ACCESS_KEY="+secret, "AWS_CONFIG_FILE=/dev/null", "NO_PROXY=*")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := s3api("get-object", "--bucket", "bucket", "--key", "seal", at)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var told struct{ ETag string }
	if err := json.Unmarshal([]byte(out), &told); err != nil || told.ETag == "" {
		t.Fatalf("%v: %s", err, out)
	}
	put := []string{"put-object", "--bucket", "bucket", "--key", "seal", "--body", at}
	content := strings.Repeat("b", 32) + "\ntwo"
	if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s3api(append(put, "--if-match", told.ETag)...); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if rec, rev, err := store.Load(t.Context()); err != nil || string(rec) != "two" || rev == first {
		t.Fatalf("Load = %q at %q, %v; want what was put back", rec, rev, err)
	}
	for _, condition := range [][]string{{"--if-match", told.ETag}, {"--if-none-match", "*"}} {
		if out, err := s3api(append(put, condition...)...); err == nil || !strings.Contains(out, "PreconditionFailed") {
			t.Errorf("put-object %q over what was changed: %v: %s", condition, err, out)
		}
	}
}
