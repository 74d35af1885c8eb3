package durable_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/internal/durable/durabletest"
)

// recorder carries operations out and writes down which.
type recorder struct {
	durable.OS
	steps []string
}

func (r *recorder) CreateTemp(dir, pattern string) (durable.File, error) {
	r.steps = append(r.steps, "create")
	f, err := r.OS.CreateTemp(dir, pattern)
	return &recordedFile{f, r}, err
}

func (r *recorder) Rename(oldname, newname string) error {
	r.steps = append(r.steps, "rename")
	return r.OS.Rename(oldname, newname)
}

func (r *recorder) SyncDir(name string) error {
	r.steps = append(r.steps, "sync directory")
	return r.OS.SyncDir(name)
}

type recordedFile struct {
	durable.File
	r *recorder
}

func (f *recordedFile) Write(data []byte) (int, error) {
	f.r.steps = append(f.r.steps, "write")
	return f.File.Write(data)
}

func (f *recordedFile) Sync() error {
	f.r.steps = append(f.r.steps, "sync")
	return f.File.Sync()
}

func (f *recordedFile) Close() error {
	f.r.steps = append(f.r.steps, "close")
	return f.File.Close()
}

func TestReplace(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"file", filepath.Join(t.TempDir(), "file")} { // in this directory, too
		for _, content := range []string{"first", "second, which is longer", ""} {
			r := &recorder{}
			if err := durable.Replace(r, name, []byte(content), nil); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(name); err != nil || string(got) != content {
				t.Errorf("%s holds %q, %v, want %q", name, got, err, content)
			}
			if want := []string{"create", "write", "sync", "close", "rename", "sync directory"}; !slices.Equal(r.steps, want) {
				t.Errorf("steps %q, want %q", r.steps, want)
			}
			entries, err := os.ReadDir(filepath.Dir(name))
			if err != nil || len(entries) != 1 {
				t.Errorf("%d files in the directory, %v, want 1", len(entries), err)
			}
		}
	}
}

func TestReplaceMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes on Windows")
	}
	name := filepath.Join(t.TempDir(), "file")
	if err := durable.Replace(durable.OS{}, name, nil, nil); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]fs.FileMode{0o600: 0o600, 0o640: 0o640, 0o664: 0o660, 0o400: 0o400} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		like, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := durable.Replace(durable.OS{}, name, []byte("x"), like); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %04o became %v, %v, want %04o", mode, info.Mode(), err, want)
		}
	}
}

func TestReplaceErrors(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]struct {
		name  string
		is    error
		words string
	}{
		"missing directory":     {filepath.Join(dir, "missing", "file"), fs.ErrNotExist, "make a file beside it: "},
		"directory of the name": {filepath.Join(dir, "full"), nil, "put the new file in its place: "},
	}
	if err := os.MkdirAll(filepath.Join(dir, "full", "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		err := durable.Replace(durable.OS{}, test.name, []byte("x"), nil)
		if err == nil || !strings.HasPrefix(err.Error(), test.words) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: error %v, want %q and %v", name, err, test.words, test.is)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v left behind, %v", entries, err)
	}
}

func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	remove := []string{".file.0.tmp", ".file.1234567890.tmp"}
	keep := []string{".file.tmp", ".file..tmp", ".file.x1.tmp", ".file.old.1.tmp", "file.1.tmp", ".file.1.tmp.old", ".other.1.tmp", "file"}
	for _, name := range append(remove, keep...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".file.7.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	durable.RemoveLeftovers(durable.OS{}, filepath.Join(dir, "file"))
	durable.RemoveLeftovers(durable.OS{}, filepath.Join(dir, "missing", "file")) // nothing to do
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := append(keep, ".file.7.tmp")
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}

// The least that a process has to write to find its way after any crash, on a
// disk that forgets: whatever Replace is given is there in whole or not at all.
func TestReplaceOnForgetfulDisk(t *testing.T) {
	dir := t.TempDir()
	disk := durabletest.NewDisk(dir)
	name := filepath.Join(dir, "file")
	for _, content := range []string{"first", "second"} {
		before := disk.Ops()
		if err := durable.Replace(disk, name, []byte(content), nil); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for ops := before; ops <= disk.Ops(); ops++ {
			for crash := range disk.Crashes(ops) {
				seen[crash["file"]] = true
				if ops == disk.Ops() && crash["file"] != content {
					t.Errorf("the file holds %q after Replace(%q) returned", crash["file"], content)
				}
			}
		}
		want := map[string]map[string]bool{"first": {"": true, "first": true}, "second": {"first": true, "second": true}}[content]
		if len(seen) != 2 || !seen[content] || len(want) != 2 {
			t.Errorf("a crash during Replace(%q) leaves one of %v, want %v", content, seen, want)
		}
		for s := range seen {
			if !want[s] {
				t.Errorf("a crash during Replace(%q) leaves %q", content, s)
			}
		}
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	holders, most := 0, 0
	var mu sync.Mutex
	change := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		holders += by
		most = max(most, holders)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				unlock, err := durable.Lock(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				change(1)
				runtime.Gosched()
				change(-1)
				unlock()
			}
		})
	}
	wg.Wait()
	if most != 1 {
		t.Errorf("up to %d holders at once, want 1", most)
	}
}

func TestLockWaits(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	unlock, err := durable.Lock(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := durable.Lock(ctx, name); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "wait for the lock") {
		t.Errorf("Lock beside a holder: error %v, want context.DeadlineExceeded", err)
	}
	unlock()
	unlock, err = durable.Lock(t.Context(), name)
	if err != nil {
		t.Errorf("Lock after the holder: %v", err)
	}
	unlock()
}

// Who waited for a file that was removed meanwhile waits for the one of its
// name.
func TestLockRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file stays on Windows")
	}
	name := filepath.Join(t.TempDir(), "lock")
	lock := func() (unlock func()) {
		unlock, err := durable.Lock(t.Context(), name)
		if err != nil {
			t.Error(err)
			return func() {}
		}
		return unlock
	}
	const while = 30 * time.Millisecond // for the waiter to get somewhere: too short shows nothing
	first := lock()
	waiter := make(chan func())
	go func() { waiter <- lock() }()
	time.Sleep(while)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	second := lock()
	first()
	select {
	case unlock := <-waiter:
		unlock()
		t.Error("two hold the lock of one name")
	case <-time.After(while):
		second()
		(<-waiter)()
	}
}

func TestLockErrors(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{"missing directory": filepath.Join(dir, "missing", "lock"), "a directory": dir} {
		if _, err := durable.Lock(t.Context(), path); err == nil || !strings.Contains(err.Error(), "open the lock file: ") {
			t.Errorf("Lock of %s: error %v", name, err)
		}
	}
	nowhere := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", nowhere); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if _, err := durable.Lock(t.Context(), nowhere); err == nil || !strings.Contains(err.Error(), "a symbolic link that leads nowhere: remove it") {
		t.Errorf("Lock of a link that leads nowhere: error %v", err)
	}
}
