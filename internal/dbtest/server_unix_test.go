//go:build unix

package dbtest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server whose files cannot be made is an error that says why, and leaves nothing.
func TestNoFiles(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)); err != nil { // for the server's user
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	p := product{user: "nobody", initialize: func(string) []string { return []string{"/bin/sh", "-c", "echo no room; exit 1"} }}
	if _, err := p.start(); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("start: %v, want what the command said", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
