//go:build unix

package filestore_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

// A swap by an administrator leaves the files to the server's user.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only an administrator can give files away")
	}
	const uid, gid = 1234, 2345
	dir := t.TempDir()
	path := filepath.Join(dir, "record")
	fileMust(t, os.Chown(dir, uid, gid))
	s := openStore(t, path)
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
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	_, _, err := openStore(t, path).Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("Load of a pipe: error %v", err)
	}
}

// Who may not read the file is told who it is.
func TestDenied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	s := openStore(t, path)
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

// Whatever stands where the store's files should, nothing is waited for and
// nothing spins: there is an error that says what it is, or it makes no
// difference.
func TestOddPaths(t *testing.T) {
	link := func(target string) func(t *testing.T, name string) {
		return func(t *testing.T, name string) { fileMust(t, os.Symlink(target, name)) }
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	fileMust(t, os.WriteFile(elsewhere, nil, 0o600))
	odd := map[string]struct {
		make         func(t *testing.T, name string)
		record, lock string // what the errors say; "" where there is none
	}{
		"dangling link":    {link("nowhere"), "leads nowhere", "leads nowhere: remove it"},
		"link to itself":   {func(t *testing.T, name string) { fileMust(t, os.Symlink(filepath.Base(name), name)) }, "too many links", "too many levels"},
		"link to a device": {link("/dev/zero"), "is no regular file", "is no regular file"},
		"link to a pipe": {func(t *testing.T, name string) {
			fileMust(t, syscall.Mkfifo(name+".pipe", 0o600))
			fileMust(t, os.Symlink(name+".pipe", name))
		}, "is no regular file", "is no regular file"},
		"link to a directory": {link("/"), "is a directory", "is a directory"},
		"link to a file":      {link(elsewhere), "the file is empty", ""},
		"directory":           {func(t *testing.T, name string) { fileMust(t, os.Mkdir(name, 0o700)) }, "is a directory", "is a directory"},
		"pipe":                {func(t *testing.T, name string) { fileMust(t, syscall.Mkfifo(name, 0o600)) }, "is no regular file", "is no regular file"},
		"socket": {func(t *testing.T, name string) {
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			fileMust(t, err)
			t.Cleanup(func() { syscall.Close(fd) })
			t.Chdir(filepath.Dir(name)) // the names of sockets are short
			fileMust(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: filepath.Base(name)}))
		}, "is no regular file", "is no regular file"},
	}
	for name, o := range odd {
		t.Run(name+" for the record", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "record")
			o.make(t, path)
			s := openStore(t, path)
			for what, do := range map[string]func(context.Context) error{
				"Load":  func(ctx context.Context) error { _, _, err := s.Load(ctx); return err },
				"Swap":  func(ctx context.Context) error { _, err := s.Swap(ctx, []byte("one"), ""); return err },
				"again": func(ctx context.Context) error { _, err := s.Swap(ctx, []byte("one"), "1"); return err },
			} {
				if err := inTime(t, what, do); err == nil || errors.Is(err, seal.ErrNotFound) || errors.Is(err, seal.ErrConflict) || !strings.Contains(err.Error(), o.record) {
					t.Errorf("%s: error %v, want %q", what, err, o.record)
				}
			}
			watchEnds(t, s)
			s.Warnings()
		})
		t.Run(name+" for the lock", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "record")
			s := openStore(t, path)
			rev, err := s.Swap(t.Context(), []byte("one"), "")
			fileMust(t, err)
			fileMust(t, os.Remove(path+".lock"))
			o.make(t, path+".lock")
			err = inTime(t, "Swap", func(ctx context.Context) error { _, err := s.Swap(ctx, []byte("two"), rev); return err })
			if o.lock == "" && err != nil || o.lock != "" && (err == nil || !strings.Contains(err.Error(), o.lock)) {
				t.Errorf("Swap: error %v, want %q", err, o.lock)
			}
			if _, _, err := s.Load(t.Context()); err != nil {
				t.Errorf("Load: error %v, and it takes no lock", err)
			}
			watchEnds(t, s)
		})
	}
}

// inTime returns what do returns, unless it takes for ever.
func inTime(t *testing.T, what string, do func(context.Context) error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do(t.Context()) }()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("%s does not come back", what)
		return nil
	}
}

// watchEnds has Watch begin, tell, and end with its context.
func watchEnds(t *testing.T, s *filestore.Store) {
	t.Helper()
	changed := make(chan struct{}, 1)
	err := inTime(t, "Watch", func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- s.Watch(ctx, changed) }()
		<-changed
		cancel()
		return <-done
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Watch = %v, want context.Canceled", err)
	}
}
