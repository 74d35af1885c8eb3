package journal

import (
	"errors"
	"fmt"
)

// What [Verify] and [Read] find wrong; each comes in a [*Fault], which says where.
var (
	ErrDamaged = errors.New("there are bytes that are no line")
	ErrGap     = errors.New("lines are missing")
	ErrOrder   = errors.New("a line is not in its place")
	ErrEdited  = errors.New("a line is not the one that was written")
	ErrForeign = errors.New("it is of another journal")
	ErrCut     = errors.New("lines that were written are gone")
	ErrVersion = errors.New("a line is of a newer version: read it with a newer release")
)

// A Fault is the first thing that is wrong with a journal.
type Fault struct {
	Place string // which file or table
	Line  int    // of the file, counted from 1; of a table, of what was read; 0 where it is about none
	Seq   uint64 // of the line that it is about; 0 where that is not known
	Err   error  // one of this package's
	Words string // what exactly
}

func (f *Fault) Error() string {
	where := f.Place
	if f.Line > 0 {
		where = fmt.Sprintf("%s line %d", where, f.Line)
	}
	if f.Seq > 0 {
		where = fmt.Sprintf("%s (seq %d)", where, f.Seq)
	}
	return fmt.Sprintf("journal: %s: %v: %s", where, f.Err, f.Words)
}

func (f *Fault) Unwrap() error { return f.Err }
