package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/sealwright/sealwright/seal"
)

// A Place is where a journal is: a [File] or a [Table]. There are no others.
type Place interface {
	String() string

	// pieces yields what is there, from its beginning.
	pieces(ctx context.Context) iter.Seq2[piece, error]

	// open takes the place to write to, for this process alone where that is
	// possible, and says how it ends.
	open(ctx context.Context) (shelf, ending, error)

	// archived is the head of the last line that the host says it took away.
	archived() Head

	check() error
}

// checkArchived refuses a head that can be that of no line.
func checkArchived(h Head) error {
	if h != (Head{}) && (!isChain(h.Chain) || h.Seq == 0 || h.Seq > maxSeq) {
		return fmt.Errorf("%w: journal: After is %q, want what Head.String or ParseHead has of the last line archived, or nothing", seal.ErrConfig, h)
	}
	return nil
}

// A shelf is a place opened to write to. Its methods are not called at once.
type shelf interface {
	// put has lines, with their ends, follow what is there, for good. After an error
	// they may be there in part; it is called with the same ones again then, until it
	// returns nil or errMoved. The first n are there for good: all of them without an
	// error.
	put(ctx context.Context, lines [][]byte) (n int, err error)

	// rotate has the next line begin a new file, and this one keep a name with seq.
	rotate(seq uint64) error

	size() int64 // of the file written to; 0 of a table
	close()
}

// errMoved says that the place is not as it was left: to be opened anew.
var errMoved = errors.New("what is there is not what was written")

// ErrExhausted is why nothing more can be written after a line with so high a number
// that no server has written it.
var ErrExhausted = errors.New("the last line has a number beyond all that a server reaches, so somebody else wrote it: keep these files or rows as evidence, move them aside, and begin a new journal")

// checkSeq refuses to go on after a line near the end of all numbers.
func checkSeq(last Head) error {
	if last.Seq >= maxSeq {
		return fmt.Errorf("%w (seq %d, of at most %d)", ErrExhausted, last.Seq, uint64(maxSeq))
	}
	return nil
}

// ErrInUse is why nothing can be written where another process does, to the same file.
var ErrInUse = errors.New("another process writes to this journal: give each process its own")

// An ending is how a place ends.
type ending struct {
	last Head // of no line where there is none
	torn junk // bytes after the last line
}

// scan returns how pieces end.
func scan(pieces iter.Seq2[piece, error]) (end ending, unended *piece, err error) {
	for p, err := range pieces {
		if err != nil {
			return ending{}, nil, err
		}
		l, err := parseLine(p.data)
		switch {
		case errors.Is(err, errNewer):
			return ending{}, nil, fmt.Errorf("%w: %s line %d", ErrVersion, p.place, p.line)
		case err != nil || p.part:
			end.torn.add(p)
		default: // also one whose end alone is missing, which is given it
			end = ending{last: Head{l.Chain, l.Seq, hashLine(p.data)}}
		}
		unended = nil
		if !p.ended {
			unended = &p
		}
	}
	return end, unended, nil
}
