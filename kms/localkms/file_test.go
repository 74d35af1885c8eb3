package localkms

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/kms"
)

func TestFileFailure(t *testing.T) {
	for name, test := range map[string]struct {
		err, kind error
		words     string
	}{
		"missing":   {fs.ErrNotExist, kms.ErrKeyGone, "is its volume mounted?"},
		"exists":    {fs.ErrExist, kms.ErrMisconfigured, "already exists"},
		"forbidden": {fs.ErrPermission, kms.ErrDenied, "permission denied"},
		"broken":    {syscall.EIO, kms.ErrUnavailable, "try again later"},
	} {
		cause := &fs.PathError{Op: "open", Path: "key", Err: test.err}
		err := fileFailure("unwrap", fmt.Errorf("read: %w", cause))
		if !errors.Is(err, test.kind) || !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v, want %v with %q", name, err, test.kind, test.words)
		}
	}
}

// TestExclusive lets somebody who takes no lock make the file at the last
// moment.
func TestExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(exclusive{}, path, []byte("ours"), nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Replace: %v, want fs.ErrExist", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "theirs" {
		t.Errorf("the file holds %q: %v", got, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files were left: %v", len(entries), err)
	}
}
