package durable

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A file that was opened and then removed is not the lock any more, also when
// another has its name.
func TestIsNamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file stays on Windows")
	}
	name := filepath.Join(t.TempDir(), "lock")
	old, err := openLock(name)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if !isNamed(old, name) {
		t.Error("isNamed is false for the file of that name")
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if isNamed(old, name) {
		t.Error("isNamed is true for a removed file")
	}
	replaced, err := openLock(name)
	if err != nil {
		t.Fatal(err)
	}
	defer replaced.Close()
	if isNamed(old, name) || !isNamed(replaced, name) {
		t.Error("isNamed takes the removed file for the one that replaced it")
	}
}

// Who may replace files in the directory can lock, whoever made the lock file.
func TestLockMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes on Windows")
	}
	for dirMode, want := range map[os.FileMode]os.FileMode{0o700: 0o600, 0o770: 0o660, 0o750: 0o640, 0o777: 0o660} {
		dir := t.TempDir()
		if err := os.Chmod(dir, dirMode); err != nil {
			t.Fatal(err)
		}
		f, err := openLock(filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || info.Mode().Perm() != want {
			t.Errorf("in a directory of mode %04o the lock file has mode %v, %v, want %04o", dirMode, info.Mode(), err, want)
		}
	}
}
