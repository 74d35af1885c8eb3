package filestore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/storetest"
)

var (
	_ seal.Store   = (*filestore.Store)(nil)
	_ seal.Watcher = (*filestore.Store)(nil)
)

func Example() {
	dir, err := os.MkdirTemp("", "sealwright")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := filestore.Open(filepath.Join(dir, "record"))
	if err != nil {
		panic(err)
	}
	ctx := context.Background()

	_, _, err = store.Load(ctx)
	fmt.Println("nothing yet:", errors.Is(err, seal.ErrNotFound))

	first, err := store.Swap(ctx, []byte("one"), "")
	if err != nil {
		panic(err)
	}
	if _, err := store.Swap(ctx, []byte("two"), first); err != nil {
		panic(err)
	}
	_, err = store.Swap(ctx, []byte("three"), first)
	fmt.Println("a stale writer:", errors.Is(err, seal.ErrConflict))

	rec, _, err := store.Load(ctx)
	fmt.Printf("%s, %v\n", rec, err)
	// Output:
	// nothing yet: true
	// a stale writer: true
	// two, <nil>
}

func openStore(t testing.TB, path string) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s.PollInterval = time.Millisecond
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) seal.Store {
		return openStore(t, filepath.Join(t.TempDir(), "record"))
	})
}

// Several processes share the file, some under another name.
func TestShared(t *testing.T) {
	storetest.Run(t, func(t *testing.T) seal.Store {
		dir := t.TempDir()
		if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
		return storetest.Turns(
			openStore(t, filepath.Join(dir, "record")),
			openStore(t, filepath.Join(dir, "record")),
			openStore(t, filepath.Join(dir, "link", "record")))
	})
}

func TestUnreachable(t *testing.T) {
	tests := []struct {
		name  string
		make  func(t *testing.T, dir string) (path string)
		is    error
		words string
	}{
		{"missing directory", func(t *testing.T, dir string) string {
			return filepath.Join(dir, "volume", "record")
		}, fs.ErrNotExist, "its directory is missing: is the volume mounted?"},
		{"vanished directory", func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "volume", "record")
			fileMust(t, os.Mkdir(filepath.Dir(path), 0o700))
			_, err := openStore(t, path).Swap(t.Context(), []byte("one"), "")
			fileMust(t, err)
			fileMust(t, os.RemoveAll(filepath.Dir(path)))
			return path
		}, fs.ErrNotExist, "its directory is missing: is the volume mounted?"},
		{"file for a directory", func(t *testing.T, dir string) string {
			fileMust(t, os.WriteFile(filepath.Join(dir, "volume"), nil, 0o600))
			return filepath.Join(dir, "volume", "record")
		}, syscall.ENOTDIR, "not a directory"},
		{"directory for a file", func(t *testing.T, dir string) string {
			fileMust(t, os.Mkdir(filepath.Join(dir, "record"), 0o700))
			return filepath.Join(dir, "record")
		}, syscall.EISDIR, "is a directory"},
		{"link that leads nowhere", func(t *testing.T, dir string) string {
			fileMust(t, os.Symlink(filepath.Join(dir, "volume", "record"), filepath.Join(dir, "record")))
			return filepath.Join(dir, "record")
		}, fs.ErrNotExist, "a symbolic link that leads nowhere: is the volume mounted?"},
		{"link to itself", func(t *testing.T, dir string) string {
			fileMust(t, os.Symlink("record", filepath.Join(dir, "record")))
			return filepath.Join(dir, "record")
		}, nil, "too many links"},
		{"empty file", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, "", 0o600)
		}, seal.ErrCorrupt, "the file is empty: restore it from a backup"},
		{"zeros", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, strings.Repeat("\x00", 8192), 0o600)
		}, seal.ErrCorrupt, "is it another file?"},
		{"another file", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, `{"format":1}`, 0o600)
		}, seal.ErrCorrupt, "is it another file?"},
		{"too large", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, strings.Repeat("x", seal.MaxRecordSize+1024), 0o600)
		}, seal.ErrCorrupt, "larger than any record"},
		{"newer format", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, "sealwright record 2 something else\n", 0o600)
		}, seal.ErrNewerFormat, `does not begin with "sealwright record 1 "`},
		{"cut in the header", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, goldenFile[:60], 0o600)
		}, seal.ErrCorrupt, "ends in its header"},
		{"cut", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, goldenFile[:len(goldenFile)-1], 0o600)
		}, seal.ErrCorrupt, "cut or altered"},
		{"longer", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, goldenFile+"\n", 0o600)
		}, seal.ErrCorrupt, "cut or altered"},
		{"altered", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, goldenFile[:len(goldenFile)-2]+"?}", 0o600)
		}, seal.ErrCorrupt, "cut or altered"},
		{"open to every user", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, goldenFile, 0o604)
		}, seal.ErrExposed, "(mode 0604): run chmod o= on it"},
		{"writable to every user", func(t *testing.T, dir string) string {
			return writeRecordFile(t, dir, goldenFile, 0o602)
		}, seal.ErrExposed, "(mode 0602)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && (errors.Is(test.is, seal.ErrExposed) || strings.Contains(test.name, "link")) {
				t.Skip("not so on Windows")
			}
			if testing.Short() && test.name == "too large" {
				t.Skip("-short: reads 4 MiB six times")
			}
			path := test.make(t, t.TempDir())
			storetest.RunUnreachable(t, func(t *testing.T) seal.Store { return openStore(t, path) })
			_, _, loadErr := openStore(t, path).Load(t.Context())
			_, swapErr := openStore(t, path).Swap(t.Context(), []byte("new"), "")
			for op, err := range map[string]error{"load": loadErr, "swap": swapErr} {
				prefix := fmt.Sprintf("filestore: %s file %q: ", op, path)
				if !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), test.words) {
					t.Errorf("%s: error %q, want %q and %q", op, err, prefix, test.words)
				}
				if test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("%s: error %v, want errors.Is(%v)", op, err, test.is)
				}
			}
		})
	}
}

func TestOpen(t *testing.T) {
	for _, path := range []string{"", "directory/", "/"} {
		s, err := filestore.Open(path)
		if s != nil || !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "is not the name of a file") {
			t.Errorf("Open(%q) = %v, %v, want ErrConfig", path, s, err)
		}
	}
}

// A relative name means the directory of that time.
func TestRelative(t *testing.T) {
	first := t.TempDir()
	t.Chdir(first)
	s := openStore(t, "record")
	t.Chdir(t.TempDir())
	if _, err := s.Swap(t.Context(), []byte("one"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(first, "record")); err != nil {
		t.Error(err)
	}
}

// goldenFile is a file of format 1, as it stays readable for ever.
const goldenFile = "sealwright record 1 000102030405060708090a0b0c0d0e0f " +
	"1948a2de2094aaeb62c64398c666b846a36df279a5ef8d9e3f75b8d95526bfd3\n" +
	`{"golden":true}`

func TestGolden(t *testing.T) {
	s := openStore(t, writeRecordFile(t, t.TempDir(), goldenFile, 0o600))
	rec, rev, err := s.Load(t.Context())
	if err != nil || string(rec) != `{"golden":true}` {
		t.Fatalf("Load = %q, %v", rec, err)
	}
	if want := "83696ac565f609315ede5f8fb6c1063a5641978e154f8ead91dc46c60e14e0e8"; rev != want {
		t.Errorf("revision %s, want %s", rev, want)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(goldenFile))
	f.Add([]byte(""))
	f.Add([]byte(goldenFile[:118]))
	f.Add([]byte("sealwright record 2 "))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "record")
		fileMust(t, os.WriteFile(path, data, 0o600))
		rec, _, err := openStore(t, path).Load(t.Context())
		if err == nil && (len(data) < len(rec) || !bytes.HasSuffix(data, rec)) {
			t.Fatalf("Load returned %q of a file %q", rec, data)
		}
		if errors.Is(err, seal.ErrNotFound) {
			t.Fatalf("Load: %v", err)
		}
	})
}

// Every single changed byte and every truncation of a file is noticed.
func TestAltered(t *testing.T) {
	path := writeRecordFile(t, t.TempDir(), goldenFile, 0o600)
	load := func(what, data string) {
		t.Helper()
		fileMust(t, os.WriteFile(path, []byte(data), 0o600))
		_, _, err := openStore(t, path).Load(t.Context())
		if !errors.Is(err, seal.ErrCorrupt) && !errors.Is(err, seal.ErrNewerFormat) {
			t.Errorf("%s: error %v, want ErrCorrupt", what, err)
		}
	}
	const nonce, nonceEnd = 20, 52 // a change there makes another revision, not another record
	step := 1
	if testing.Short() {
		step = 4
	}
	for i := 0; i < len(goldenFile); i += step {
		load(fmt.Sprintf("cut at %d", i), goldenFile[:i])
		if i < nonce || i >= nonceEnd {
			load(fmt.Sprintf("byte %d", i), goldenFile[:i]+string(goldenFile[i]^1)+goldenFile[i+1:])
		}
	}
}

// A Kubernetes volume holds the file behind two links, and swaps the directory.
func TestKubernetesLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such volumes on Windows")
	}
	dir := t.TempDir()
	version := func(name, rec string) {
		t.Helper()
		fileMust(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		_, err := openStore(t, filepath.Join(dir, name, "record")).Swap(t.Context(), []byte(rec), "")
		fileMust(t, err)
		fileMust(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		fileMust(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..2026_01", "one")
	fileMust(t, os.Symlink(filepath.Join("..data", "record"), filepath.Join(dir, "record")))
	s := openStore(t, filepath.Join(dir, "record"))
	rec, first, err := s.Load(t.Context())
	if err != nil || string(rec) != "one" {
		t.Fatalf("Load = %q, %v", rec, err)
	}

	changed, stopped := make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { stopped <- s.Watch(ctx, changed) }()
	<-changed // of its beginning
	version("..2026_02", "two")
	<-changed
	cancel()
	<-stopped

	rec, second, err := s.Load(t.Context())
	if err != nil || string(rec) != "two" {
		t.Fatalf("Load after the volume changed = %q, %v", rec, err)
	}
	if _, err := s.Swap(t.Context(), []byte("three"), first); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap at the revision before: error %v, want ErrConflict", err)
	}
	if _, err := s.Swap(t.Context(), []byte("three"), second); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"record", "..data/record", "..2026_02/record"} {
		rec, _, err := openStore(t, filepath.Join(dir, name)).Load(t.Context())
		if err != nil || string(rec) != "three" {
			t.Errorf("%s holds %q, %v", name, rec, err)
		}
	}
	if info, err := os.Lstat(filepath.Join(dir, "record")); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
}

// A link that changes while a writer waits is noticed: what it leads to now was
// neither locked nor compared.
func TestLinkChanges(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege on Windows")
	}
	for try := range 20 { // the writer may come too late to wait
		dir := t.TempDir()
		for _, name := range []string{"a", "b"} {
			_, err := openStore(t, filepath.Join(dir, name)).Swap(t.Context(), []byte(name), "")
			fileMust(t, err)
		}
		link := filepath.Join(dir, "record")
		fileMust(t, os.Symlink("a", link))
		s := openStore(t, link)
		_, rev, err := s.Load(t.Context())
		fileMust(t, err)
		unlock, err := durable.Lock(t.Context(), filepath.Join(dir, "a.lock"))
		fileMust(t, err)
		done := make(chan error)
		go func() {
			_, err := s.Swap(t.Context(), []byte("new"), rev)
			done <- err
		}()
		time.Sleep(time.Duration(try) * time.Millisecond)
		fileMust(t, os.Remove(link))
		fileMust(t, os.Symlink("b", link))
		unlock()
		err = <-done
		if err == nil {
			t.Fatal("Swap stored what nobody will load")
		}
		if strings.Contains(err.Error(), "the symbolic link changed at this moment: try again") {
			return
		}
	}
	t.Error("no writer noticed that the link changed")
}

func TestMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes on Windows")
	}
	path := filepath.Join(t.TempDir(), "record")
	s := openStore(t, path)
	rev, err := s.Swap(t.Context(), []byte("one"), "")
	fileMust(t, err)
	mode := func() fs.FileMode {
		info, err := os.Stat(path)
		fileMust(t, err)
		return info.Mode().Perm()
	}
	if got := mode(); got != 0o600 {
		t.Errorf("a new file has mode %04o, want 0600", got)
	}
	if got := s.Warnings(); got != nil && !onDoubtfulFileSystem(got) {
		t.Errorf("Warnings() = %q, want none", got)
	}
	fileMust(t, os.Chmod(path, 0o660))
	if _, err = s.Swap(t.Context(), []byte("two"), rev); err != nil {
		t.Fatal(err)
	}
	if got := mode(); got != 0o660 {
		t.Errorf("a replaced file of mode 0660 has mode %04o", got)
	}
	if got := s.Warnings(); len(got) == 0 || !strings.Contains(got[0], "open to its group (mode 0660)") {
		t.Errorf("Warnings() = %q, want one of the group", got)
	}
	fileMust(t, os.Chmod(path, 0o600))
	fileMust(t, os.Chmod(filepath.Dir(path), 0o777))
	if got := s.Warnings(); len(got) == 0 || !strings.Contains(got[0], "every user may write to the directory") {
		t.Errorf("Warnings() = %q, want one of the directory", got)
	}
	lost := openStore(t, filepath.Join(t.TempDir(), "missing", "record"))
	if got := lost.Warnings(); len(got) != 1 || !strings.Contains(got[0], "can't be examined: its directory is missing") {
		t.Errorf("Warnings() of a missing directory = %q", got)
	}
}

func onDoubtfulFileSystem(warnings []string) bool {
	return len(warnings) == 1 && strings.Contains(warnings[0], " is on ")
}

func TestWarnsOfMemory(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "sealwright")
	if err != nil {
		t.Skipf("no file system in memory here: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	got := openStore(t, filepath.Join(dir, "record")).Warnings()
	if len(got) != 1 || !strings.Contains(got[0], "in memory (tmpfs)") {
		t.Errorf("Warnings() = %q, want one of tmpfs", got)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("an administrator may write to any directory")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "record")
	rev, err := openStore(t, path).Swap(t.Context(), []byte("one"), "")
	fileMust(t, err)
	fileMust(t, os.Chmod(dir, 0o500))
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	if rec, _, err := openStore(t, path).Load(t.Context()); err != nil || string(rec) != "one" {
		t.Errorf("Load = %q, %v", rec, err)
	}
	if _, err := openStore(t, path).Swap(t.Context(), []byte("two"), rev); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "make a file beside it") {
		t.Errorf("Swap: error %v, want fs.ErrPermission", err)
	}
}

// What a killed process left behind goes with the next swap; what is not the
// store's stays.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".record.123.tmp", ".record.tmp", ".record.old.123.tmp", ".other.123.tmp", "record.123.tmp"} {
		fileMust(t, os.WriteFile(filepath.Join(dir, name), []byte("half a rec"), 0o600))
	}
	s := openStore(t, filepath.Join(dir, "record"))
	if _, _, err := s.Load(t.Context()); !errors.Is(err, seal.ErrNotFound) {
		t.Errorf("Load beside leftovers: error %v, want ErrNotFound", err)
	}
	_, err := s.Swap(t.Context(), []byte("one"), "")
	fileMust(t, err)
	entries, err := os.ReadDir(dir)
	fileMust(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := []string{".other.123.tmp", ".record.old.123.tmp", ".record.tmp", "record", "record.123.tmp", "record.lock"}
	if !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// A copy of the file, put back, is the record and the revision that it was.
func TestRestored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	s := openStore(t, path)
	first, err := s.Swap(t.Context(), []byte("one"), "")
	fileMust(t, err)
	backup, err := os.ReadFile(path)
	fileMust(t, err)
	second, err := s.Swap(t.Context(), []byte("two"), first)
	fileMust(t, err)
	fileMust(t, os.WriteFile(path, backup, 0o600))
	rec, rev, err := s.Load(t.Context())
	if err != nil || string(rec) != "one" || rev != first {
		t.Errorf("Load = %q, %q, %v, want the first record and revision", rec, rev, err)
	}
	if _, err := s.Swap(t.Context(), []byte("three"), second); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap by a writer that saw what is gone: error %v, want ErrConflict", err)
	}
}

// A writer waits for the lock, and no longer than its context.
func TestLocked(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts processes")
	}
	path := filepath.Join(t.TempDir(), "record")
	child := startWriter(t, path, "hold")
	child.waitFor(t, "held")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := openStore(t, path).Swap(ctx, []byte("one"), "")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "wait for the lock") {
		t.Errorf("Swap beside a holder of the lock: error %v, want context.DeadlineExceeded", err)
	}
	child.kill()
	if _, err := openStore(t, path).Swap(t.Context(), []byte("one"), ""); err != nil {
		t.Errorf("Swap after the holder was killed: %v", err)
	}
}

// Processes that append to the record are killed at any moment. What one of
// them reported as stored is in the record, once, and in order.
func TestKilledWriters(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts processes")
	}
	path := filepath.Join(t.TempDir(), "record")
	s := openStore(t, path)
	_, err := s.Swap(t.Context(), []byte("start\n"), "")
	fileMust(t, err)
	stored := map[int][]string{}
	for round := range 3 {
		a, b := startWriter(t, path, fmt.Sprint(2*round)), startWriter(t, path, fmt.Sprint(2*round+1))
		for range 10 {
			stored[2*round] = append(stored[2*round], a.line(t))
			stored[2*round+1] = append(stored[2*round+1], b.line(t))
		}
		a.kill()
		b.kill()
	}
	rec, _, err := s.Load(t.Context())
	fileMust(t, err)
	lines := strings.Split(string(rec), "\n")
	for writer, want := range stored {
		at := 0
		for _, line := range want {
			i := slices.Index(lines[at:], line)
			if i < 0 {
				t.Fatalf("writer %d stored %q, and it is lost or out of order", writer, line)
			}
			at += i + 1
		}
	}
	sorted := slices.Sorted(slices.Values(lines))
	if len(slices.Compact(sorted)) != len(lines) {
		t.Errorf("lines are doubled: %q", lines)
	}
}

// TestWriter is the other process of the two tests above.
func TestWriter(t *testing.T) {
	path, name, ok := strings.Cut(os.Getenv("SEALWRIGHT_TEST_WRITER"), "|")
	if !ok {
		return
	}
	if name == "hold" {
		_, err := durable.Lock(t.Context(), path+".lock")
		fileMust(t, err)
		fmt.Println("held")
		time.Sleep(time.Hour)
	}
	s := openStore(t, path)
	for n := 0; ; {
		rec, rev, err := s.Load(t.Context())
		fileMust(t, err)
		line := fmt.Sprintf("writer %s, line %d", name, n)
		_, err = s.Swap(t.Context(), append(rec, line+"\n"...), rev)
		if errors.Is(err, seal.ErrConflict) {
			continue
		}
		fileMust(t, err)
		fmt.Println(line)
		n++
	}
}

type fileWriter struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func startWriter(t *testing.T, path, name string) *fileWriter {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriter$")
	cmd.Env = append(os.Environ(), "SEALWRIGHT_TEST_WRITER="+path+"|"+name)
	out, err := cmd.StdoutPipe()
	fileMust(t, err)
	fileMust(t, cmd.Start())
	w := &fileWriter{cmd, bufio.NewScanner(out)}
	t.Cleanup(w.kill)
	return w
}

func (w *fileWriter) line(t *testing.T) string {
	t.Helper()
	if !w.out.Scan() {
		t.Fatalf("the writer ended: %v", w.out.Err())
	}
	return w.out.Text()
}

func (w *fileWriter) waitFor(t *testing.T, line string) {
	t.Helper()
	for w.line(t) != line {
	}
}

func (w *fileWriter) kill() {
	w.cmd.Process.Kill()
	w.cmd.Wait()
}

func writeRecordFile(t *testing.T, dir, content string, mode fs.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(dir, "record")
	fileMust(t, os.WriteFile(path, []byte(content), 0o600))
	fileMust(t, os.Chmod(path, mode)) // past the umask
	return path
}

func fileMust(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
