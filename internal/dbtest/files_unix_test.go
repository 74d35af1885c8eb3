//go:build unix

package dbtest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The files of a server are made once, and whoever copies them has them for itself;
// what a command made that failed, or another program, is not taken.
func TestFilesAreMadeOnce(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	count, fails := filepath.Join(t.TempDir(), "count"), filepath.Join(t.TempDir(), "fails")
	program := filepath.Join(t.TempDir(), "server")
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(program, []byte("1"), 0o755))
	p := product{
		cached: "test-files",
		initialize: func(dir string) []string {
			return []string{"/bin/sh", "-c", `mkdir -p "$1/data/empty" && echo made >"$1/data/file" && echo x >>"$2" && ! test -e "$3"`, "sh", dir, count, fails}
		},
		serve: func(string) []string { return []string{program} },
	}
	files := func(want int) (file string, err error) {
		t.Helper()
		s := &Server{product: p, dir: t.TempDir()}
		err = s.makeFiles()
		if made, _ := os.ReadFile(count); len(made) != 2*want {
			t.Errorf("made %d times, want %d", len(made)/2, want)
		}
		return filepath.Join(s.dir, "data", "file"), err
	}
	must(os.WriteFile(fails, nil, 0o600))
	if file, err := files(1); err == nil || exists(file) {
		t.Errorf("the command failed: %v", err)
	}
	must(os.Remove(fails))
	for range 3 {
		file, err := files(2)
		must(err)
		if text, err := os.ReadFile(file); err != nil || string(text) != "made\n" {
			t.Errorf("the file is %q, %v", text, err)
		}
		if info, err := os.Stat(filepath.Join(filepath.Dir(file), "empty")); err != nil || !info.IsDir() {
			t.Error(err)
		}
		must(os.WriteFile(file, []byte("used"), 0o600))
	}
	must(os.WriteFile(program, []byte("version 2"), 0o755))
	_, err := files(3)
	must(err)
	must(os.RemoveAll(home), os.WriteFile(home, nil, 0o600)) // nothing can be kept
	file, err := files(4)
	must(err)
	if !exists(file) {
		t.Error("there is no file where nothing can be kept")
	}
}
