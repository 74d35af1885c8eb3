package servercache_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/internal/servercache"
)

// What failed half way leaves nothing that a test would take for a server.
func TestFetch(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	want, err := servercache.Dir("server", "1")
	if err != nil {
		t.Skip(err)
	}
	broken := errors.New("broken")
	calls := 0
	into := func(err error) func(string) error {
		return func(dir string) error {
			calls++
			return errors.Join(os.WriteFile(filepath.Join(dir, "program"), []byte("x"), 0o755), err)
		}
	}
	if _, err := servercache.Fetch("server", "1", into(broken)); !errors.Is(err, broken) {
		t.Errorf("Fetch: error %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(want)); err != nil || len(left) > 0 {
		t.Errorf("a failed one leaves %v, %v", left, err)
	}
	for range 2 {
		dir, err := servercache.Fetch("server", "1", into(nil))
		if err != nil || dir != want {
			t.Fatalf("Fetch = %q, %v, want %q", dir, err, want)
		}
		if _, err := os.Stat(filepath.Join(dir, "program")); err != nil {
			t.Error(err)
		}
	}
	if calls != 2 {
		t.Errorf("made %d times, want once for each answer", calls)
	}
}
