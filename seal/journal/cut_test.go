package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// headsOf returns the head of each line, and where in the text that line ends.
func headsOf(t testing.TB, text []byte) (heads []journal.Head, ends []int) {
	t.Helper()
	end := 0
	for l := range bytes.Lines(text) {
		end += len(l)
		if is, _ := journal.Canonical(bytes.TrimSuffix(l, []byte("\n"))); is {
			r, err := journal.Verify(t.Context(), journal.Bytes(text[:end]))
			must(t, err)
			heads, ends = append(heads, r.Last), append(ends, end)
		}
	}
	return heads, ends
}

// cutAnywhere takes each run of lines out of a journal, and verifies what is left
// with the head of each line, of each two, and of all, also where lines up to each
// are said to be archived. Whole is the journal alone, or without exactly what was
// archived, and up to any line from the last head on.
func cutAnywhere(t *testing.T, text []byte, heads []journal.Head, ends []int) (cuts, noticed int) {
	t.Helper()
	last, whole, turn := len(heads)-1, 0, 0
	check := func(left []byte, after int, given ...int) {
		if turn++; testing.Short() && turn%13 != 0 {
			return
		}
		place, most := journal.Rest{Bytes: left}, given[len(given)-1]
		allowed := bytes.HasPrefix(text, left) && len(left) >= ends[max(most, after)]
		if after >= 0 {
			place.After = heads[after]
			allowed = allowed || given[0] > after && bytes.HasPrefix(text[ends[after]:], left) && ends[after]+len(left) >= ends[most]
		}
		var with []journal.Head
		for _, k := range given {
			with = append(with, heads[k])
		}
		_, err := journal.Verify(t.Context(), place, with...)
		if allowed {
			if err == nil {
				whole++
			}
			return
		}
		cuts++
		if fault, ok := errors.AsType[*journal.Fault](err); ok && fault.Words != "" {
			noticed++
			return
		}
		t.Errorf("%d bytes are left, archived up to line %d, heads of lines %v: %v", len(left), after+1, given, err)
	}
	all := make([]int, len(heads))
	for k := range all {
		all[k] = k
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	lines[len(lines)-1] = append(bytes.Clone(lines[len(lines)-1]), '\n')
	for i := range lines {
		for k := i + 1; k <= len(lines); k++ {
			left := bytes.Join(append(append([][]byte{}, lines[:i]...), lines[k:]...), nil)
			for h := range heads {
				check(left, -1, h)
				for h2 := h + 1; h2 <= last; h2++ {
					check(left, -1, h, h2)
				}
				for after := range heads {
					check(left, after, h)
				}
				check(left, h, all...)
			}
			check(left, -1, all...)
		}
	}
	if whole == 0 {
		t.Error("nothing was whole: neither what was archived, nor what has lines fewer after the last head")
	}
	return cuts, noticed
}

// fiveAndOne has six lines written, and returns the head of the fifth.
func fiveAndOne(t *testing.T, place journal.Place) journal.Head {
	j := open(t, journal.Config{Place: place})
	for n := range 4 {
		j.Event(event(n))
	}
	head := j.Status().Head
	j.Event(event(5))
	must(t, j.Close())
	return head
}

// Whoever can write to the journal takes away every line up to that of the head that
// was kept, and leaves those after it: neither who has the head takes the rest for a
// journal, nor the next process.
func TestBeginningCutUpToTheHead(t *testing.T) {
	file, rows := inDir(t), newRows()
	for name, c := range map[string]struct {
		place journal.Place
		cut   func(seq uint64)
	}{
		"file": {file, func(seq uint64) {
			must(t, os.WriteFile(file.Path, bytes.Join(bytes.SplitAfter(content(t, file), []byte("\n"))[seq:], nil), 0o600))
		}},
		"table": {journal.Table{Rows: rows}, func(seq uint64) {
			for n := range seq {
				delete(rows.rows, n+1)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			head := fiveAndOne(t, c.place)
			_, err := journal.Verify(t.Context(), c.place, head)
			must(t, err)
			c.cut(head.Seq)
			_, err = journal.Verify(t.Context(), c.place, head)
			wantFault(t, err, journal.ErrGap, head.Seq+1, "seq 1 to 5 should be before it")
			if strings.Contains(fmt.Sprint(err), head.Chain) {
				t.Errorf("it says what to give so that it is whole: %v", err)
			}
			_, events, err := read(c.place, head)
			wantFault(t, err, journal.ErrGap, head.Seq+1, "")
			if len(events) > 0 {
				t.Errorf("%d events were read", len(events))
			}
			virtual(t, func(t *testing.T) {
				heads := seal.NewMemStore()
				_, err := heads.Swap(t.Context(), []byte(head.String()), "")
				must(t, err)
				j := open(t, journal.Config{Place: c.place, Heads: heads})
				stop := run(t, j)
				j.Event(event(6))
				synctest.Wait()
				if s := j.Status(); !errors.Is(s.Missing, journal.ErrCut) || keptHead(t, heads) != head {
					t.Errorf("nothing was missed: %+v", s)
				}
				must(t, j.Close())
				stop()
			})
			if found := missingLine(t, c.place); found != head.String() {
				t.Errorf("its line of what is missing has %q, want %q", found, head)
			}
		})
	}
}

// missingLine returns the head in the line of what is missing, behind a beginning cut.
func missingLine(t *testing.T, place journal.Place) string {
	t.Helper()
	text := ""
	switch place := place.(type) {
	case journal.File:
		text = string(content(t, place))
	case journal.Table:
		lines, _, err := place.Rows.After(t.Context(), 0, 100)
		must(t, err)
		text = strings.Join(lines, "\n")
	}
	_, text, _ = strings.Cut(text, `"kind":"journal-missing"`)
	_, text, _ = strings.Cut(text, `"head":"`)
	head, _, _ := strings.Cut(text, `"`)
	return head
}

// What a place says of lines archived is held to be so.
func TestArchived(t *testing.T) {
	text, err := os.ReadFile(golden)
	must(t, err)
	heads, ends := headsOf(t, text)
	n := len(heads)
	last := string(text[ends[n-2]:])
	other, _ := headsOf(t, others(t)[0])
	edited := heads[3]
	edited.Hash[0]++
	forged := strings.Replace(last, fmt.Sprintf("%x", heads[n-2].Hash), strings.Repeat("0", 64), 1)
	for name, c := range map[string]struct {
		text  string
		after journal.Head
		heads []journal.Head
		is    error
		seq   uint64
		words string
	}{
		"another line before it":     {forged, heads[n-2], nil, journal.ErrEdited, heads[n-1].Seq, "it does not follow the line archived last"},
		"too much is gone":           {last, heads[3], nil, journal.ErrGap, heads[n-1].Seq, "and those archived end with seq 4"},
		"of another journal":         {last, other[n-2], nil, journal.ErrForeign, heads[n-1].Seq, "was the journal replaced?"},
		"another, from its line 1":   {string(text), other[3], nil, journal.ErrForeign, 0, "was the journal replaced?"},
		"all is gone":                {"", heads[3], nil, journal.ErrCut, 4, "there is no line at all"},
		"not archived, and cut":      {string(text[:ends[2]]), heads[3], nil, journal.ErrCut, 4, "the last line is seq 3"},
		"not archived, and edited":   {string(text), edited, nil, journal.ErrEdited, 4, "its head is not the one given"},
		"a head of what is not here": {last, heads[n-2], heads[2:3], journal.ErrGap, 3, "verify the archive with that head"},
		"the head of its end":        {last, heads[n-2], heads[n-2 : n-1], journal.ErrGap, heads[n-2].Seq, "verify the archive with that head"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := journal.Verify(t.Context(), journal.Rest{Bytes: []byte(c.text), After: c.after}, c.heads...)
			wantFault(t, err, c.is, c.seq, c.words)
		})
	}
	for name, c := range map[string]struct {
		text  string
		first uint64
	}{"taken away": {last, heads[n-1].Seq}, "still here": {string(text), 1}} {
		r, err := journal.Verify(t.Context(), journal.Rest{Bytes: []byte(c.text), After: heads[n-2]}, heads[n-1])
		if err != nil || r.First.Seq != c.first {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
