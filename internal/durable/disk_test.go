package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/internal/durable/durabletest"
)

// contents returns what the file may hold after a crash, each once, and "-" for
// no file.
func contents(d *durabletest.Disk, name string) []string {
	var all []string
	for crash := range d.Crashes(d.Ops()) {
		content, ok := crash[name]
		if !ok {
			content = "-"
		}
		all = append(all, content)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	d := durabletest.NewDisk(dir)
	expect := func(when, name string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, contents(d, name)); diff != "" {
			t.Errorf("%s, %s may hold (-want +got):\n%s", when, name, diff)
		}
	}
	f, err := d.CreateTemp(dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	a := filepath.Base(f.Name())
	expect("made", a, "", "-")
	if _, err := f.Write([]byte("xy")); err != nil { // thirds of two bytes are one each
		t.Fatal(err)
	}
	expect("written", a, "", "\x00", "\x00\x00", "\x00y", "-", "x", "x\x00", "xy")
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	expect("synced", a, "-", "xy")
	if err := d.Rename(f.Name(), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	expect("renamed", a, "-", "xy")
	expect("renamed", "b", "-", "xy")
	if err := d.SyncDir(dir); err != nil {
		t.Fatal(err)
	}
	expect("directory synced", a, "-")
	expect("directory synced", "b", "xy")
	if err := d.Remove(filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	expect("removed", "b", "-", "xy")

	g, err := d.OpenInPlace(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	g.Write([]byte("1"))
	g.Sync()
	d.SyncDir(dir)
	expect("made in place", "c", "1")
	if g, err = d.OpenInPlace(filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	expect("truncated", "c", "", "1")
	g.Write([]byte("2"))
	expect("written in place", "c", "", "\x00", "1", "2")
}

func TestDiskKilled(t *testing.T) {
	dir := t.TempDir()
	d := durabletest.NewDisk(dir)
	f, err := d.CreateTemp(dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	d.KillAt(2)
	if n, err := f.Write([]byte("abc")); n != 2 && n != 1 || !errors.Is(err, durabletest.ErrKilled) {
		t.Errorf("Write = %d, %v, want to die in the middle", n, err)
	}
	_, createErr := d.CreateTemp(dir, "b")
	_, openErr := d.OpenInPlace(f.Name())
	for name, err := range map[string]error{
		"create": createErr, "open": openErr, "sync": f.Sync(), "sync directory": d.SyncDir(dir),
		"rename": d.Rename(f.Name(), filepath.Join(dir, "b")), "remove": d.Remove(f.Name()),
	} {
		if !errors.Is(err, durabletest.ErrKilled) {
			t.Errorf("%s while dead: error %v, want ErrKilled", name, err)
		}
	}
	if d.Ops() != 2 {
		t.Errorf("%d operations, want 2", d.Ops())
	}
	d.KillAt(-1)
	if err := d.Remove(f.Name()); err != nil {
		t.Errorf("Remove by a new process: %v", err)
	}
}

// What fails in the directory below fails here, and is no operation.
func TestDiskErrors(t *testing.T) {
	dir := t.TempDir()
	d := durabletest.NewDisk(dir)
	missing := filepath.Join(dir, "missing")
	_, createErr := d.CreateTemp(missing, "a")
	_, openErr := d.OpenInPlace(filepath.Join(missing, "a"))
	for name, err := range map[string]error{
		"create": createErr, "open": openErr, "rename": d.Rename(missing, dir+"/b"), "remove": d.Remove(missing),
	} {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: error %v, want os.ErrNotExist", name, err)
		}
	}
	if d.Ops() != 0 {
		t.Errorf("%d operations, want none", d.Ops())
	}
}

func TestCrash(t *testing.T) {
	dir := t.TempDir()
	crash := durabletest.Crash{"a": "1", ".a.5.tmp": "2"}
	if err := crash.Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range crash {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v, want %q", name, got, err, want)
		}
	}
	if err := crash.Write(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Write into a missing directory: error %v", err)
	}
	same := durabletest.Crash{"a": "1", ".a.6.tmp": "2"}
	other := durabletest.Crash{"a": "1", ".a.5.tmp": "3"}
	if crash.Key() != same.Key() || crash.Key() == other.Key() {
		t.Errorf("keys %q, %q, %q: want the first two alike", crash.Key(), same.Key(), other.Key())
	}
}

var _ durable.FS = (*durabletest.Disk)(nil)
