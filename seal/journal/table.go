package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/seal"
)

// A Table is a journal in rows, a line each: with package sqlstore, in a table of a
// SQL database. Where two processes write to one by mistake, each line is written
// once all the same, behind the other's.
type Table struct {
	Rows Rows

	// After says that rows were archived: all lines up to that of this head were
	// taken away from here, and the journal begins behind it. Leave the last row.
	// Zero: nothing was.
	After Head
}

// Rows keep the lines of one journal by their numbers; sqlstore.Lines do. They say
// what they are by String.
type Rows interface {
	// Insert makes the row of a line, for good, or returns [seal.ErrConflict] where
	// there is one of that number. After any other error it may be there.
	Insert(ctx context.Context, seq uint64, line string) error

	// Last returns the line of the highest number, or [seal.ErrNotFound].
	Last(ctx context.Context) (seq uint64, line string, err error)

	// After returns at most limit lines of higher numbers than seq, from the lowest
	// on, and the number of the last of them; no line where there is none.
	After(ctx context.Context, seq uint64, limit int) (lines []string, last uint64, err error)

	String() string
}

func (t Table) String() string { return t.Rows.String() }

func (t Table) check() error {
	if t.Rows == nil {
		return fmt.Errorf("%w: journal: Table.Rows is nil, want what sqlstore.OpenLines returns", seal.ErrConfig)
	}
	return checkArchived(t.After)
}

func (t Table) archived() Head { return t.After }

func (t Table) pieces(ctx context.Context) iter.Seq2[piece, error] {
	const page = 100
	return func(yield func(piece, error) bool) {
		for seq, n := uint64(0), 0; ; {
			lines, last, err := t.after(ctx, seq, page)
			if err == nil && len(lines) > 0 && last <= seq {
				err = fmt.Errorf("the rows after %d end with %d", seq, last)
			}
			if err != nil {
				yield(piece{}, fmt.Errorf("journal: %w", err))
				return
			}
			for _, text := range lines {
				n++
				if !yield(piece{place: t.String(), line: n, data: []byte(text), ended: true, part: strings.Contains(text, "\n")}, nil) {
					return
				}
			}
			if len(lines) == 0 {
				return
			}
			seq = last
		}
	}
}

// after reads a page, for which a database has its time: one that answers nothing
// must not keep what is written from trying again.
func (t Table) after(ctx context.Context, seq uint64, limit int) (lines []string, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	return t.Rows.After(ctx, seq, limit)
}

// open finds the last line. A row that is none is gone on from as it is: the next
// line names it, and [Verify] finds it.
func (t Table) open(ctx context.Context) (shelf, ending, error) {
	seq, text, err := t.last(ctx)
	if errors.Is(err, seal.ErrNotFound) {
		return &tableShelf{rows: t.Rows, next: 1}, ending{}, nil
	}
	if err != nil {
		return nil, ending{}, err
	}
	head := Head{Seq: seq, Hash: hashLine([]byte(text))}
	l, err := parseLine([]byte(text))
	switch {
	case errors.Is(err, errNewer):
		return nil, ending{}, fmt.Errorf("%w: row %d", ErrVersion, seq)
	case err == nil:
		head.Chain = l.Chain
	default:
		end, _, err := scan(t.pieces(ctx))
		if err != nil {
			return nil, ending{}, err
		}
		if head.Chain = end.last.Chain; head.Chain == "" {
			head.Chain = strings.Repeat("A", chainSize) // of no journal
		}
	}
	return &tableShelf{rows: t.Rows, next: seq + 1}, ending{last: head}, nil
}

func (t Table) last(ctx context.Context) (seq uint64, line string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	err = bounded.Guard(func() error {
		seq, line, err = t.Rows.Last(ctx)
		return err
	})
	return seq, line, err
}

// A tableShelf is a table being written to.
type tableShelf struct {
	rows Rows
	next uint64
}

func (s *tableShelf) put(ctx context.Context, lines [][]byte) (n int, err error) {
	for i, data := range lines {
		seq, text := s.next+uint64(i), strings.TrimSuffix(string(data), "\n")
		err := s.rows.Insert(ctx, seq, text)
		if errors.Is(err, seal.ErrConflict) {
			err = s.same(ctx, seq, text)
		}
		if errors.Is(err, errMoved) {
			return i, err
		}
		if err != nil {
			return 0, err // all of them come again
		}
	}
	s.next += uint64(len(lines))
	return len(lines), nil
}

// same reports whether the row that is there is ours, of an insert whose answer was
// lost.
func (s *tableShelf) same(ctx context.Context, seq uint64, text string) error {
	lines, last, err := s.rows.After(ctx, seq-1, 1)
	if err != nil {
		return err
	}
	if len(lines) != 1 || last != seq || lines[0] != text {
		return fmt.Errorf("%w: another process has written line %d", errMoved, seq)
	}
	return nil
}

func (s *tableShelf) rotate(uint64) error { return nil }
func (s *tableShelf) size() int64         { return 0 }
func (s *tableShelf) close()              {}
