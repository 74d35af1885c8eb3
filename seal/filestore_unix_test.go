//go:build unix

package seal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A swap by an administrator leaves the files to the server's user.
func TestFileStoreOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only an administrator can give files away")
	}
	const uid, gid = 1234, 2345
	dir := t.TempDir()
	path := filepath.Join(dir, "record")
	fileMust(t, os.Chown(dir, uid, gid))
	s := openFileStore(t, path)
	rev, err := s.Swap(t.Context(), []byte("one"), "")
	fileMust(t, err)
	fileMust(t, os.Chown(path, uid, gid))
	_, err = s.Swap(t.Context(), []byte("two"), rev)
	fileMust(t, err)
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Stat(name)
		fileMust(t, err)
		if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != gid {
			t.Errorf("%s is owned by %d:%d, want %d:%d", filepath.Base(name), st.Uid, st.Gid, uid, gid)
		}
	}
}

// A pipe in place of the file does not hang the server.
func TestFileStorePipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	_, _, err := openFileStore(t, path).Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("Load of a pipe: error %v", err)
	}
}

// Who may not read the file is told who it is.
func TestFileStoreDenied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	s := openFileStore(t, path)
	rev, err := s.Swap(t.Context(), []byte("one"), "")
	fileMust(t, err)
	if os.Geteuid() == 0 {
		t.Skip("an administrator may read everything; examples has this as another user")
	}
	fileMust(t, os.Chmod(path, 0))
	_, _, loaded := s.Load(t.Context())
	_, swapped := s.Swap(t.Context(), []byte("two"), rev)
	for _, err := range []error{loaded, swapped} {
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "have it own the file") {
			t.Errorf("error %v", err)
		}
	}
}
