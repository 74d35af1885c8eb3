package journal_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/journal"
)

// A file that the system lets nobody change, by chattr +a, is written to all the
// same; it is not renamed, which is said, and no reason to stop.
func TestAppendOnly(t *testing.T) {
	place := inDir(t)
	j := open(t, journal.Config{Place: place})
	j.Event(event(1))
	must(t, j.Close())
	if out, err := exec.CommandContext(t.Context(), "chattr", "+a", place.Path).CombinedOutput(); err != nil {
		t.Skipf("chattr +a, which needs root and a file system that has it: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("chattr", "-a", place.Path).Run() })
	if f, err := os.OpenFile(place.Path, os.O_RDWR, 0); err == nil {
		f.Close()
		t.Skip("the file system takes chattr +a and does not hold to it")
	}
	must(t, appendText(place.Path, `{"v":1,"ch`))
	j = open(t, journal.Config{Place: place})
	j.Event(event(2))
	if err := j.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "rotate: ") {
		t.Errorf("rotate: %v", err)
	}
	j.Event(event(3))
	if s := j.Status(); s.Err != nil || s.Waiting != 0 || s.Rotation == nil {
		t.Errorf("status %+v", s)
	}
	must(t, j.Close())
	if r, err := journal.Verify(t.Context(), place, j.Status().Head); err != nil || r.Lines != 8 || r.Torn != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
