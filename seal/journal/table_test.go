package journal_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// memRows are rows in memory. A call fails as fail says, which is asked for each,
// before it takes place or after.
type memRows struct {
	mu   sync.Mutex
	rows map[uint64]string
	fail func(before bool) error
}

func (m *memRows) do(f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		return f()
	}
	if err := m.fail(true); err != nil {
		return err
	}
	err := f()
	if after := m.fail(false); after != nil {
		return after
	}
	return err
}

func (m *memRows) Insert(_ context.Context, seq uint64, line string) error {
	return m.do(func() error {
		if _, ok := m.rows[seq]; ok {
			return seal.ErrConflict
		}
		m.rows[seq] = line
		return nil
	})
}

func (m *memRows) sorted() (seqs []uint64) {
	for seq := range m.rows {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	return seqs
}

func (m *memRows) Last(context.Context) (seq uint64, line string, err error) {
	return seq, line, m.do(func() error {
		seqs := m.sorted()
		if len(seqs) == 0 {
			return seal.ErrNotFound
		}
		seq = seqs[len(seqs)-1]
		line = m.rows[seq]
		return nil
	})
}

func (m *memRows) After(_ context.Context, seq uint64, limit int) (lines []string, last uint64, err error) {
	last = seq
	err = m.do(func() error {
		for _, n := range m.sorted() {
			if n > seq && len(lines) < limit {
				lines, last = append(lines, m.rows[n]), n
			}
		}
		return nil
	})
	return lines, last, err
}

func (m *memRows) String() string { return "rows" }

func newRows() *memRows { return &memRows{rows: map[uint64]string{}} }

// A journal in a table whose every call fails once, before or after it took place,
// holds each line once.
func TestTableFails(t *testing.T) {
	errLost := errors.New("the connection was lost")
	for _, before := range []bool{true, false} {
		for k := range 6 {
			rows, calls := newRows(), 0
			rows.fail = func(now bool) error {
				if now != before {
					return nil
				}
				if calls++; calls == k+1 {
					return errLost
				}
				return nil
			}
			j := open(t, journal.Config{Place: journal.Table{Rows: rows}})
			for n := range 3 {
				j.Event(event(n))
				if err := j.Flush(t.Context()); err != nil {
					if !errors.Is(err, errLost) {
						t.Errorf("call %d, before %v: %v", k, before, err)
					}
					must(t, j.Flush(t.Context()))
				}
			}
			rows.fail = nil
			must(t, j.Close())
			result, err := journal.Verify(t.Context(), journal.Table{Rows: rows}, j.Status().Head)
			if err != nil || result.Lines != 5 || calls < 5 {
				t.Errorf("call %d, before %v: %+v, %v", k, before, result, err)
			}
		}
	}
}

// Two processes that write to one journal by mistake: every event is there once.
func TestTableOfTwo(t *testing.T) {
	rows := newRows()
	var wg sync.WaitGroup
	for range 2 {
		j := open(t, journal.Config{Place: journal.Table{Rows: rows}})
		wg.Go(func() {
			for n := range 30 {
				j.Event(event(n))
			}
			for range 5 {
				if j.Close() == nil {
					return
				}
			}
		})
	}
	wg.Wait()
	kinds, _, err := read(journal.Table{Rows: rows})
	if n := strings.Count(kinds, "share"); err != nil || n != 60 {
		t.Errorf("%d events, %v: %s", n, err, kinds)
	}
}

// What is done to rows is noticed, and does not stop the journal.
func TestTableTampered(t *testing.T) {
	for name, c := range map[string]struct {
		do  func(map[uint64]string)
		is  error
		seq uint64
	}{
		"deleted":        {func(r map[uint64]string) { delete(r, 3) }, journal.ErrGap, 4},
		"edited":         {func(r map[uint64]string) { r[3] = strings.Replace(r[3], "alice", "bob", 1) }, journal.ErrEdited, 3},
		"swapped":        {func(r map[uint64]string) { r[3], r[4] = r[4], r[3] }, journal.ErrGap, 4},
		"no line":        {func(r map[uint64]string) { r[3] = "" }, journal.ErrDamaged, 0},
		"two lines":      {func(r map[uint64]string) { r[3] += "\n" + r[4] }, journal.ErrDamaged, 0},
		"last deleted":   {func(r map[uint64]string) { delete(r, 6) }, journal.ErrCut, 6},
		"last edited":    {func(r map[uint64]string) { r[6] = strings.Replace(r[6], "close", "clore", 1) }, journal.ErrEdited, 6},
		"last no line":   {func(r map[uint64]string) { r[6] = "hello" }, journal.ErrDamaged, 0},
		"all deleted":    {func(r map[uint64]string) { clear(r) }, journal.ErrCut, 6},
		"nothing a line": {func(r map[uint64]string) { clear(r); r[1] = "hello" }, journal.ErrDamaged, 0},
	} {
		rows := newRows()
		place := journal.Table{Rows: rows}
		j := open(t, journal.Config{Place: place})
		for n := range 4 {
			j.Event(event(n))
		}
		must(t, j.Close())
		head := j.Status().Head
		c.do(rows.rows)
		_, err := journal.Verify(t.Context(), place, head)
		t.Run(name, func(t *testing.T) { wantFault(t, err, c.is, c.seq, "") })
		j = open(t, journal.Config{Place: place})
		j.Event(event(5))
		if err := j.Close(); err != nil {
			t.Errorf("%s: then: %v", name, err)
		}
		if _, err := journal.Verify(t.Context(), place, head); err == nil {
			t.Errorf("%s: nothing was noticed afterwards", name)
		}
	}
}

// Rows archived are not missed by who says so, with the head of the last of them.
func TestTablePruned(t *testing.T) {
	rows := newRows()
	place := journal.Table{Rows: rows}
	var heads []journal.Head
	for range 2 {
		j := open(t, journal.Config{Place: place})
		for n := range 130 { // more than a page
			j.Event(event(n % 60))
		}
		must(t, j.Close())
		heads = append(heads, j.Status().Head)
	}
	for seq := range heads[0].Seq {
		delete(rows.rows, seq+1)
	}
	for _, heads := range [][]journal.Head{heads[1:], heads} {
		_, err := journal.Verify(t.Context(), place, heads...)
		wantFault(t, err, journal.ErrGap, heads[len(heads)-1].Seq-131, "where you archived them")
	}
	place.After = heads[0]
	if r, err := journal.Verify(t.Context(), place, heads[1]); err != nil || r.Lines != 132 || r.First.Seq != heads[0].Seq+1 {
		t.Errorf("result %+v, %v", r, err)
	}
}

func TestTableErrors(t *testing.T) {
	if _, err := journal.Open(journal.Config{Place: journal.Table{}}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("no rows: %v", err)
	}
	rows := newRows()
	rows.fail = func(bool) error { return os.ErrDeadlineExceeded }
	if _, err := journal.Verify(t.Context(), journal.Table{Rows: rows}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("verify: %v", err)
	}
	j := open(t, journal.Config{Place: journal.Table{Rows: rows}})
	if err := j.Flush(t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "journal: open rows") {
		t.Errorf("flush: %v", err)
	}
	rows.fail = nil
	rows.rows[7] = `{"v":2}`
	if err := j.Flush(t.Context()); !errors.Is(err, journal.ErrVersion) {
		t.Errorf("a newer one: %v", err)
	}
}

// Another process comes first in the middle of what is written at once: what was
// written before that is not written again behind it.
func TestTableConflictWithinABatch(t *testing.T) {
	rows := newRows()
	j := open(t, journal.Config{Place: journal.Table{Rows: rows}})
	must(t, j.Flush(t.Context()))
	other := open(t, journal.Config{Place: journal.Table{Rows: rows}})
	must(t, other.Flush(t.Context())) // reads on from there
	must(t, j.Flush(t.Context()))
	rows.fail = func(bool) error { return os.ErrDeadlineExceeded }
	for n := range 5 {
		j.Event(event(n))
	}
	inserts := 0
	rows.fail = func(before bool) error {
		if last := uint64(len(rows.rows)); before && last >= 4 && inserts == 0 {
			inserts++
			theirs := strings.Replace(rows.rows[last], "share", "their", 1)
			rows.rows[last+1] = theirs // whatever it is
		}
		return nil
	}
	must(t, j.Flush(t.Context()))
	rows.fail = nil
	seen := map[string]int{}
	for _, text := range rows.rows {
		if _, detail, ok := strings.Cut(text, `"kind":"share"`); ok {
			seen[detail]++
		}
	}
	if len(seen) != 5 || inserts != 1 {
		t.Errorf("events %v, %d inserted between", seen, inserts)
	}
	for detail, n := range seen {
		if n != 1 {
			t.Errorf("%s is there %d times", detail, n)
		}
	}
}
