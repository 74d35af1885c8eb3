package examples_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programs builds every example, once for all tests, into a directory that any
// user may read. To link is most of the work, and half of that is for debuggers.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sealwright-examples-")
	if err != nil {
		return "", err
	}
	built.dir = dir
	build := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", dir+string(filepath.Separator), "./...")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, os.Chmod(dir, 0o755)
})

var built struct{ dir string }

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}
