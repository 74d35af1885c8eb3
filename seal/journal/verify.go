package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// Result is what a journal holds that [Verify] found nothing wrong with.
type Result struct {
	Lines       uint64
	First, Last Head      // of its first and last line; keep the last one for the next time. A First.Seq of more than 1 says that what is before was archived
	From, To    time.Time // what those say; clocks differ, and go backwards

	Opened    uint64 // how often a process began to write
	Closed    uint64 // and ended in order
	Crashed   uint64 // and had not, when the next one began
	Unended   bool   // the last one has not ended in order: it may be writing now, or was killed
	Torn      uint64 // how often a crash left a part of a line, which is named and no event
	Lost      uint64 // events that could be neither written nor kept, as the journal says
	Backwards uint64 // how often a line's time is before that of the line before
	Tail      int64  // bytes after the last line: one being written, or a crash's, which the next process names
}

// Verify reads a whole journal and says what is wrong, by a [*Fault]: a line was
// edited, taken out, put in, moved, or is of another journal. What was cut off at
// the end, or written anew from the beginning, only a head shows that was kept
// elsewhere: each of heads must be that of a line here. Without any, who could
// write to the journal could have made it up.
//
// With an error, the result is of the lines before the fault.
//
// A journal begins with line 1. Where its beginning was archived, the place says so
// ([File] After, [Table] After), with a head that is no secret of the journal's: the
// archive's own, verified. One of heads says nothing of the kind, and none of
// them may be that of a line archived: verify the archive with those.
func Verify(ctx context.Context, place Place, heads ...Head) (Result, error) {
	w := newWalk(place, heads)
	for _, err := range w.lines(place.pieces(ctx)) {
		if err != nil {
			return w.result, err
		}
	}
	err := w.end()
	return w.result, err
}

// Read yields the events of a journal in their order, and what the journal itself
// says among them. It verifies them as it goes, as [Verify] does; an error is the
// last thing that it yields.
func Read(ctx context.Context, place Place, heads ...Head) iter.Seq2[seal.Event, error] {
	return func(yield func(seal.Event, error) bool) {
		w := newWalk(place, heads)
		for l, err := range w.lines(place.pieces(ctx)) {
			if err != nil {
				yield(seal.Event{}, err)
				return
			}
			if !yield(l.event(), nil) {
				return
			}
		}
		if err := w.end(); err != nil {
			yield(seal.Event{}, err)
		}
	}
}

// A piece is a line as it is stored, or a part of one that is too long for any.
type piece struct {
	place string // which file
	line  int
	data  []byte // without the end of line; valid until the next piece
	ended bool   // there is an end of line
	part  bool   // it is a part of what is longer than any line
}

// junk is what stands where a line should: bytes, to be named by a line after them.
type junk struct {
	piece
	size int64
	sum  hash.Hash
}

func (j *junk) add(p piece) {
	if j.sum == nil {
		j.piece, j.sum = p, sha256.New()
	}
	j.sum.Write(p.data)
	j.size += int64(len(p.data))
	if p.ended {
		j.sum.Write([]byte("\n"))
		j.size++
	}
	j.ended = j.ended || p.ended
}

// namedBy reports whether a line says that a crash left these bytes.
func (j *junk) namedBy(l *line) bool {
	return seal.EventKind(l.Kind) == KindTorn && l.Count == uint64(j.size) && l.SHA256 == hex.EncodeToString(j.sum.Sum(nil))
}

// A walk goes along a chain.
type walk struct {
	place  string
	heads  []Head // of lines that must be here
	after  Head   // of the last line archived
	known  []Head // all of these
	last   Head
	at     piece // of the last line
	junk   junk
	result Result
	when   time.Time

	missing *Fault // what a line says
}

func newWalk(place Place, heads []Head) *walk {
	w := &walk{place: place.String(), heads: heads, known: heads, after: place.archived()}
	if w.after != (Head{}) {
		w.known = append(slices.Clip(heads), w.after)
	}
	return w
}

// lines yields the lines that are in their place, and ends with the first fault.
func (w *walk) lines(pieces iter.Seq2[piece, error]) iter.Seq2[*line, error] {
	return func(yield func(*line, error) bool) {
		for p, err := range pieces {
			if err != nil {
				yield(nil, err)
				return
			}
			l, fault := w.step(p)
			if fault != nil {
				yield(nil, fault)
				return
			}
			if l != nil && !yield(l, nil) {
				return
			}
		}
	}
}

func (w *walk) step(p piece) (*line, *Fault) {
	var l *line
	err := errNoLine
	if p.ended && !p.part {
		l, err = parseLine(p.data)
	}
	switch {
	case err == errNewer:
		return nil, &Fault{p.place, p.line, 0, ErrVersion, "its \"v\" is more than 1"}
	case err != nil:
		w.junk.add(p)
		return nil, nil
	case w.junk.sum != nil && !w.junk.namedBy(l):
		return nil, w.damaged()
	case w.junk.sum == nil && seal.EventKind(l.Kind) == KindTorn:
		return nil, &Fault{p.place, p.line, l.Seq, ErrDamaged, fmt.Sprintf("%d bytes that it names are not there", l.Count)}
	}
	if fault := w.follow(l, p); fault != nil {
		return nil, fault
	}
	w.junk = junk{}
	w.count(l)
	return l, nil
}

func (w *walk) damaged() *Fault {
	return &Fault{w.junk.place, w.junk.line, 0, ErrDamaged, fmt.Sprintf("%d bytes, which no line after them names as those of a crash", w.junk.size)}
}

// follow takes a line in if it is the next one.
func (w *walk) follow(l *line, p piece) *Fault {
	fault := func(err error, format string, args ...any) *Fault {
		return &Fault{p.place, p.line, l.Seq, err, fmt.Sprintf(format, args...)}
	}
	head := Head{l.Chain, l.Seq, hashLine(p.data)}
	switch {
	case w.last.Seq == 0:
		if fault := w.begin(l, fault); fault != nil {
			return fault
		}
		w.result.First = head
	case l.Chain != w.last.Chain:
		return fault(ErrForeign, "it is of chain %s, those before it of %s", l.Chain, w.last.Chain)
	case l.Seq-1 > w.last.Seq:
		return fault(ErrGap, "seq %d to %d should be before it", w.last.Seq+1, l.Seq-1)
	case l.Seq <= w.last.Seq:
		return fault(ErrOrder, "it stands after seq %d", w.last.Seq)
	case l.Prev != hex.EncodeToString(w.last.Hash[:]):
		return &Fault{w.at.place, w.at.line, w.last.Seq, ErrEdited, fmt.Sprintf("line %d names another one in its place", l.Seq)}
	}
	for _, h := range w.known {
		if h.Chain == head.Chain && h.Seq == head.Seq && h != head {
			return fault(ErrEdited, "its head is not the one given")
		}
	}
	if seal.EventKind(l.Kind) == KindMissing && w.missing == nil { // to be told in the end: what follows is read
		w.missing = fault(ErrCut, "who wrote it knew a line that was not there any more: %s", l.Head)
	}
	w.last, w.at = head, piece{place: strings.Clone(p.place), line: p.line}
	return nil
}

// begin looks at the first line. That lines before it may be gone, heads do not say:
// they say what was there.
func (w *walk) begin(l *line, fault func(error, string, ...any) *Fault) *Fault {
	none := strings.Repeat("0", 2*sha256.Size)
	if l.Seq == 1 {
		if l.Prev != none {
			return fault(ErrEdited, "the first line names one before it")
		}
		return nil
	}
	switch at := w.after; {
	case at == Head{}:
		return fault(ErrGap, "seq 1 to %d should be before it: give the files or rows before, or, where you archived them, say so with the head of the archive's last line", l.Seq-1)
	case at.Chain != l.Chain:
		return fault(ErrForeign, "it is of chain %s, and what was archived of %s: was the journal replaced?", l.Chain, at.Chain)
	case at.Seq != l.Seq-1:
		return fault(ErrGap, "seq 1 to %d should be before it, and those archived end with seq %d", l.Seq-1, at.Seq)
	case hex.EncodeToString(at.Hash[:]) != l.Prev:
		return fault(ErrEdited, "it does not follow the line archived last")
	}
	return nil
}

func (w *walk) count(l *line) {
	r, when := &w.result, l.when()
	if r.Lines == 0 {
		r.From = when
	} else if when.Before(w.when) {
		r.Backwards++
	}
	w.when = when
	r.Lines, r.Last, r.To = r.Lines+1, w.last, when
	switch seal.EventKind(l.Kind) {
	case KindOpen:
		if r.Unended {
			r.Crashed++
		}
		r.Opened, r.Unended = r.Opened+1, true
	case KindClose:
		r.Closed, r.Unended = r.Closed+1, false
	case KindTorn: // stands before the line of who found it
		r.Torn++
	case KindLost:
		r.Lost, r.Unended = r.Lost+min(l.Count, math.MaxUint64-r.Lost), true
	default: // also where the line that it began with was archived
		r.Unended = true
	}
}

// end looks at what is after the last line, and whether that is the end.
func (w *walk) end() error {
	if w.junk.sum != nil {
		if w.junk.ended || w.junk.part {
			return w.damaged()
		}
		w.result.Tail = w.junk.size
	}
	if w.missing != nil {
		return w.missing
	}
	for i, h := range w.known {
		switch last, first := w.last, w.result.First; {
		case last.Seq == 0:
			return &Fault{w.place, 0, h.Seq, ErrCut, "there is no line at all"}
		case h.Chain != last.Chain:
			return &Fault{w.place, 0, 0, ErrForeign, fmt.Sprintf("a head given is of chain %s, and these lines are of %s: was the journal replaced?", h.Chain, last.Chain)}
		case h.Seq > last.Seq:
			return &Fault{w.place, 0, h.Seq, ErrCut, fmt.Sprintf("the last line is seq %d, and a head given is of seq %d", last.Seq, h.Seq)}
		case h.Seq < first.Seq && i < len(w.heads):
			return &Fault{w.place, 0, h.Seq, ErrGap, fmt.Sprintf("the first line is seq %d, and a head given is of seq %d, which you say was archived: verify the archive with that head", first.Seq, h.Seq)}
		}
	}
	return nil
}

// find looks for the line of a head, or, where the host says that this was the last
// one archived, for the one that follows it.
func find(ctx context.Context, place Place, head Head) (there bool, err error) {
	for p, err := range place.pieces(ctx) {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		l, err := parseLine(p.data)
		if err != nil || !p.ended || p.part || l.Chain != head.Chain {
			continue
		}
		if l.Seq == head.Seq && hashLine(p.data) == head.Hash {
			return true, nil
		}
		if head == place.archived() && l.Seq-1 == head.Seq && l.Prev == hex.EncodeToString(head.Hash[:]) {
			return true, nil
		}
	}
	return false, nil
}
