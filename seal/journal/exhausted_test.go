package journal_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/journal"
)

var seqField = regexp.MustCompile(`"seq":\d+`)

// numbered returns a line of another number.
func numbered(line string, seq uint64) string {
	return seqField.ReplaceAllString(line, `"seq":`+strconv.FormatUint(seq, 10))
}

// A writer to the file gives its last line a number at the end of all: nothing is
// written behind it that no reader would take for a line, and it is said why. Once
// the file is moved aside the journal goes on.
func TestLastLineNumberedNearTheEnd(t *testing.T) {
	const most = 1 << 62
	for name, c := range map[string]struct {
		seq     uint64
		written int // lines that follow it: that a process began, and events
	}{
		"the highest":     {math.MaxUint64, 0},
		"of SQL":          {math.MaxInt64, 0},
		"the last of all": {most, 0},
		"two before":      {most - 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			place := inDir(t)
			j := open(t, journal.Config{Place: place})
			j.Event(event(1))
			must(t, j.Close())
			text := content(t, place)
			lines := bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
			text = append(text, numbered(string(lines[len(lines)-1]), c.seq)+"\n"...)
			must(t, os.WriteFile(place.Path, text, 0o600))
			j = open(t, journal.Config{Place: place})
			for n := range 4 {
				j.Event(event(n))
			}
			if err := j.Flush(t.Context()); !errors.Is(err, journal.ErrExhausted) || !strings.Contains(err.Error(), "move them aside, and begin a new journal") {
				t.Errorf("flush: %v", err)
			}
			s := j.Status()
			waiting := 4 - max(0, c.written-1)
			if !errors.Is(s.Err, journal.ErrExhausted) || s.Waiting != waiting {
				t.Errorf("status %+v", s)
			}
			after, _ := bytes.CutPrefix(content(t, place), text)
			if n := bytes.Count(after, []byte("\n")); n != c.written {
				t.Errorf("%d lines follow, want %d: %s", n, c.written, after)
			}
			must(t, os.Rename(place.Path, place.Path+".evidence"))
			must(t, j.Flush(t.Context()))
			must(t, j.Close())
			kinds, _, _ := read(place)
			if n := strings.Count(kinds, "share"); n != waiting {
				t.Errorf("in the new journal: %s", kinds)
			}
		})
	}
}

// A writer to the table gives its last row a number at the end of all.
func TestLastRowNumberedNearTheEnd(t *testing.T) {
	for _, seq := range []uint64{math.MaxInt64, 1 << 62, math.MaxUint64 - 4} { // the last is -5, as a bigint is read
		rows := newRows()
		place := journal.Table{Rows: rows}
		j := open(t, journal.Config{Place: place})
		j.Event(event(1))
		must(t, j.Close())
		rows.rows[seq] = numbered(rows.rows[1], seq)
		j = open(t, journal.Config{Place: place})
		j.Event(event(2))
		if s := j.Status(); !errors.Is(s.Err, journal.ErrExhausted) || s.Waiting != 1 || len(rows.rows) != 4 {
			t.Errorf("row %d: status %+v, %d rows", seq, s, len(rows.rows))
		}
		delete(rows.rows, seq)
		must(t, j.Close())
		if _, err := journal.Verify(t.Context(), place, j.Status().Head); err != nil {
			t.Error(err)
		}
	}
}

// Losses near the end of all numbers do not add up to few.
func TestLossesDoNotWrap(t *testing.T) {
	text, err := os.ReadFile(golden)
	must(t, err)
	lines := strings.SplitAfter(string(text), "\n")
	lost := strings.Replace(lines[5], `"count":3`, `"count":18446744073709551615`, 1)
	if lost == lines[5] {
		t.Fatalf("the golden's line 6 is %s", lost)
	}
	both := journal.Rechain(lines[0], lost, lost)
	if r, err := journal.Verify(t.Context(), journal.Bytes(both)); err != nil || r.Lost != math.MaxUint64 {
		t.Errorf("%+v, %v", r, err)
	}
}
