package journal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/journal"
)

// A crash leaves a part of what was being written, or the end of the file as it
// was made longer and not yet filled. Who comes next names it, and goes on.
func TestTornTail(t *testing.T) {
	place := inDir(t)
	j := open(t, journal.Config{Place: place})
	j.Event(event(1))
	whole := content(t, place)
	acknowledged := j.Status().Head
	j.Event(event(2))
	j.Event(event(3))
	must(t, j.Close())
	after := content(t, place)[len(whole):]
	tails := map[string][]byte{"zeros": make([]byte, 200_000), "zeros and an end": append(make([]byte, 5000), '\n'), "empty lines": []byte("\n\n\n")}
	for n := range after {
		near := bytes.Contains(after[max(0, n-2):min(len(after), n+2)], []byte("\n"))
		if !near && n%9 != 0 || testing.Short() && !near && n%5 != 0 {
			continue
		}
		tails[string(after[:n])] = after[:n]
	}
	named := uint64(0)
	for _, tail := range tails {
		must(t, os.WriteFile(place.Path, append(bytes.Clone(whole), tail...), 0o600))
		if len(tail) < journal.MaxLine && !bytes.HasSuffix(tail, []byte("\n")) { // as it is seen while it is written
			if _, err := journal.Verify(t.Context(), place, acknowledged); err != nil {
				t.Errorf("with %d bytes more: %v", len(tail), err)
			}
		}
		for range 2 { // and again after the crash
			j = open(t, journal.Config{Place: place})
			j.Event(event(4))
			must(t, j.Close())
		}
		if !bytes.HasPrefix(content(t, place), append(bytes.Clone(whole), tail...)) {
			t.Fatalf("after %q: what was there was written over", tail)
		}
		result, err := journal.Verify(t.Context(), place, acknowledged, j.Status().Head)
		if err != nil {
			t.Fatalf("after %q: %v", tail[:min(200, len(tail))], err)
		}
		if result.Torn > 1 || result.Tail != 0 || result.Opened != 3 {
			t.Errorf("after %q: %+v", tail, result)
		}
		named += result.Torn
	}
	if want := uint64(len(tails) - 6); named != want { // whole lines, with or without an end, are none that is torn
		t.Errorf("%d of %d were named, want %d", named, len(tails), want)
	}
}

// shortHandle is a disk that takes only so many bytes more, and then fails.
type shortHandle struct {
	journal.Handle
	room *int // negative: as many as there are; the sync fails at 0
}

var errFull = errors.New("no space left")

func (h shortHandle) take(p []byte, write func([]byte) (int, error)) (int, error) {
	if *h.room < 0 || len(p) <= *h.room {
		return write(p)
	}
	n, _ := write(p[:*h.room])
	return n, errFull
}

func (h shortHandle) WriteAt(p []byte, at int64) (int, error) {
	return h.take(p, func(p []byte) (int, error) { return h.Handle.WriteAt(p, at) })
}

func (h shortHandle) Write(p []byte) (int, error) { return h.take(p, h.Handle.Write) }

func (h shortHandle) Sync() error {
	if *h.room >= 0 {
		return errFull
	}
	return h.Handle.Sync()
}

// A write that fails after any number of bytes, or whose sync fails, is made again
// at the same place: nothing stands there twice, and nothing is torn.
func TestWriteFails(t *testing.T) {
	for name, grows := range map[string]bool{"any file": false, "append-only": true} {
		t.Run(name, func(t *testing.T) {
			for room := range 600 {
				if room%11 != 0 && (room < 225 || room > 240) { // between the lines of the batch is about there
					continue
				}
				if testing.Short() && room%10 != 0 && (grows || room < 225 || room > 240) {
					continue
				}
				place := inDir(t)
				left := -1
				j := open(t, journal.Config{Place: journal.Faulty{File: place, OpenFile: func(name string, flag int, open func(string, int) (journal.Handle, error)) (journal.Handle, error) {
					if grows && flag == os.O_RDWR {
						return nil, fs.ErrPermission
					}
					f, err := open(name, flag)
					return shortHandle{f, &left}, err
				}}})
				j.Event(event(1))
				left = room
				j.Event(event(2))
				if s := j.Status(); s.Waiting != 1 || !errors.Is(s.Err, errFull) {
					t.Fatalf("at %d: %+v", room, s)
				}
				j.Event(event(3)) // kept, and not tried so soon
				left = -1
				must(t, j.Flush(t.Context()))
				must(t, j.Close())
				result, err := journal.Verify(t.Context(), place, j.Status().Head)
				if err != nil || result.Lines != 5 || result.Torn != 0 {
					t.Fatalf("at %d: %+v, %v", room, result, err)
				}
			}
		})
	}
}

// What is done to the file under a process that writes is said in the file, in
// Status, and to the host.
func TestReplacedWhileRunning(t *testing.T) {
	for name, c := range map[string]struct {
		do      func(path string) error
		missing bool
	}{
		"cut":         {func(path string) error { return os.Truncate(path, 10) }, true},
		"emptied":     {func(path string) error { return os.Truncate(path, 0) }, true},
		"removed":     {os.Remove, true},
		"replaced":    {func(path string) error { must(t, os.Remove(path)); return os.WriteFile(path, nil, 0o600) }, true},
		"written to":  {func(path string) error { return appendText(path, "hello\n") }, false},
		"moved along": {func(path string) error { return os.Rename(path, path+".000000000003") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			place := inDir(t)
			j := open(t, journal.Config{Place: place, Wait: 1 << 40})
			j.Event(event(1))
			j.Event(event(2))
			head := j.Status().Head
			must(t, c.do(place.Path))
			j.Event(event(3))
			s := j.Status()
			if s.Err != nil || s.Waiting != 0 || (s.Missing != nil) != c.missing || c.missing && !errors.Is(s.Missing, journal.ErrCut) {
				t.Errorf("status %+v", s)
			}
			must(t, j.Close())
			_, err := journal.Verify(t.Context(), place)
			if kinds, _, _ := read(place); !strings.HasSuffix(kinds, "share journal-close") {
				t.Errorf("what was written afterwards is not read: %s", kinds)
			}
			if c.missing {
				wantFault(t, err, journal.ErrCut, 2+seqOf(name), "who wrote it knew a line that was not there any more: "+head.String())
			} else if result, err := journal.Verify(t.Context(), place, head, j.Status().Head); err != nil || result.Opened != 1 || result.Crashed != 0 || result.Unended {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
}

// seqOf: a file that is cut holds bytes, which are named first.
func seqOf(name string) uint64 {
	if name == "cut" {
		return 1
	}
	return 0
}

func appendText(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// What can't be opened is said, in words of what to do about it.
func TestNotOpened(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/directory", 0o700))
	for name, c := range map[string]struct {
		path string
		is   error
	}{
		"no directory": {dir + "/none/journal", fs.ErrNotExist},
		"a directory":  {dir + "/directory", nil},
	} {
		j := open(t, journal.Config{Place: journal.File{Path: c.path}})
		if err := j.Flush(t.Context()); err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	must(t, os.WriteFile(dir+"/newer", []byte(`{"v":2,"anything":1}`+"\n"), 0o600))
	j := open(t, journal.Config{Place: journal.File{Path: dir + "/newer"}})
	if err := j.Flush(t.Context()); !errors.Is(err, journal.ErrVersion) {
		t.Errorf("a newer one: %v", err)
	}
}
