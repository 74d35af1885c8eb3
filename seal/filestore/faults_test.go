package filestore

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/seal"
)

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// failingFS fails at the step of that name.
type failingFS struct {
	durable.OS
	step string
	err  error
}

func (f failingFS) fail(step string) error {
	if f.step == step {
		return f.err
	}
	return nil
}

func (f failingFS) CreateTemp(dir, pattern string) (durable.File, error) {
	if err := f.fail("create"); err != nil {
		return nil, err
	}
	file, err := f.OS.CreateTemp(dir, pattern)
	return failingFile{file, f}, err
}

func (f failingFS) Rename(oldname, newname string) error {
	if err := f.fail("rename"); err != nil {
		return err
	}
	return f.OS.Rename(oldname, newname)
}

func (f failingFS) SyncDir(name string) error {
	if err := f.fail("sync directory"); err != nil {
		return err
	}
	return f.OS.SyncDir(name)
}

type failingFile struct {
	durable.File
	fs failingFS
}

func (f failingFile) Write(data []byte) (int, error) {
	if err := f.fs.fail("write"); err != nil {
		n, _ := f.File.Write(data[:len(data)/2])
		return n, err
	}
	return f.File.Write(data)
}

func (f failingFile) Chmod(mode os.FileMode) error {
	return errors.Join(f.fs.fail("chmod"), f.File.Chmod(mode))
}

func (f failingFile) Stat() (os.FileInfo, error) {
	if err := f.fs.fail("stat"); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f failingFile) Sync() error  { return errors.Join(f.fs.fail("sync"), f.File.Sync()) }
func (f failingFile) Close() error { return errors.Join(f.fs.fail("close"), f.File.Close()) }

// A step that fails leaves the old record and nothing beside it. The last one
// leaves the new record, and an error all the same.
func TestFailingSteps(t *testing.T) {
	tests := []struct {
		step  string
		err   error
		words string
		holds string
	}{
		{"create", syscall.ENOSPC, "make a file beside it: ", "old"},
		{"create", syscall.EROFS, "make a file beside it: ", "old"},
		{"stat", syscall.EIO, "keep the owner of the file: ", "old"},
		{"chmod", syscall.EPERM, "keep the mode of the file: ", "old"},
		{"write", syscall.ENOSPC, "write: ", "old"},
		{"sync", syscall.EIO, "sync: ", "old"},
		{"sync", syscall.ENOSPC, "sync: ", "old"},
		{"close", syscall.EIO, "close: ", "old"},
		{"rename", syscall.EACCES, "put the new file in its place: ", "old"},
		{"sync directory", syscall.EIO, "may not survive a power loss: sync its directory: ", "new"},
	}
	for _, test := range tests {
		t.Run(test.step+" "+test.err.Error(), func(t *testing.T) {
			dir := t.TempDir()
			store, err := Open(dir + "/record")
			if err != nil {
				t.Fatal(err)
			}
			rev, err := store.Swap(t.Context(), []byte("old"), "")
			if err != nil {
				t.Fatal(err)
			}
			store.fsys = failingFS{step: test.step, err: test.err}
			_, err = store.Swap(t.Context(), []byte("new"), rev)
			if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.words) || errors.Is(err, seal.ErrConflict) {
				t.Errorf("Swap: error %v, want %v behind %q", err, test.err, test.words)
			}
			store.fsys = durable.OS{}
			rec, _, err := store.Load(t.Context())
			if err != nil || string(rec) != test.holds {
				t.Errorf("Load = %q, %v, want %q", rec, err, test.holds)
			}
			if names := fileNames(t, dir); !slices.Equal(names, []string{"record", "record.lock"}) {
				t.Errorf("in the directory are %q", names)
			}
		})
	}
}

// A record that another process stored is not returned before it is certain to
// stay; one known to stay is not synced again.
func TestLoadSyncs(t *testing.T) {
	path := t.TempDir() + "/record"
	writer, _ := Open(path)
	rev, err := writer.Swap(t.Context(), []byte("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	failing := failingFS{step: "sync directory", err: syscall.EIO}
	reader, _ := Open(path)
	reader.fsys = failing
	if _, _, err := reader.Load(t.Context()); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "may not survive a power loss") {
		t.Errorf("Load without a sync: error %v, want EIO", err)
	}
	reader.fsys = durable.OS{}
	if _, got, err := reader.Load(t.Context()); err != nil || got != rev {
		t.Errorf("Load = %q, %v, want revision %q", got, err, rev)
	}
	reader.fsys, writer.fsys = failing, failing
	for name, store := range map[string]*Store{"reader": reader, "writer": writer} {
		if _, _, err := store.Load(t.Context()); err != nil {
			t.Errorf("Load of a record that the %s knows to stay: %v", name, err)
		}
	}
}

func TestFileSystemDoubt(t *testing.T) {
	if got := fileSystemDoubt(t.TempDir() + "/missing"); got != "" {
		t.Errorf("a directory that can't be examined is on %q", got)
	}
}

// hangingFS has a disk that does not answer.
type hangingFS struct {
	durable.OS
	hung, on chan struct{}
}

func (f hangingFS) SyncDir(string) error {
	f.hung <- struct{}{}
	<-f.on
	return nil
}

// While a disk hangs it keeps one Load and one Swap, whose threads nothing can
// free; what comes after them ends with its context.
func TestHungDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.TempDir() + "/record")
		if err != nil {
			t.Fatal(err)
		}
		rev, err := s.Swap(t.Context(), []byte("one"), "")
		if err != nil {
			t.Fatal(err)
		}
		s.synced = "" // as another process' record
		disk := hangingFS{hung: make(chan struct{}), on: make(chan struct{})}
		s.fsys = disk
		kept := make(chan error, 2)
		go func() { _, _, err := s.Load(t.Context()); kept <- err }()
		<-disk.hung
		go func() { _, err := s.Swap(t.Context(), []byte("two"), rev); kept <- err }()
		<-disk.hung
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _, loaded := s.Load(ctx)
			_, swapped := s.Swap(ctx, []byte("three"), rev)
			for what, err := range map[string]error{"Load": loaded, "Swap": swapped} {
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, seal.ErrConflict) {
					t.Errorf("%s while the disk hangs: error %v", what, err)
				}
			}
		}
		close(disk.on)
		for range 2 {
			if err := <-kept; err != nil {
				t.Errorf("what the disk kept: %v", err)
			}
		}
		s.fsys = durable.OS{} // whichever of the two was last, this Load may sync again
		if rec, _, err := s.Load(t.Context()); err != nil || string(rec) != "two" {
			t.Errorf("Load after the disk came back = %q, %v", rec, err)
		}
	})
}
