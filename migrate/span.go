package migrate

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/prefix"
	"github.com/sealwright/sealwright/keyring"
)

// A span is a page on its way: who works on it has it alone, and then the run.
type span struct {
	after    string // the id that it comes after
	items    []Item
	sizes    []int     // as they were read first
	stored   int       // their sum
	bytes    int       // what the page takes in memory
	verdicts []verdict // of each item
	tries    []int

	changed  int64
	troubled bool          // the source was not available in between
	took     time.Duration // of its longest batch
	err      error         // why not every item is settled
	panicked any
	done     chan struct{}
}

// A verdict is what became of an item.
type verdict struct {
	settled bool
	empty   bool
	gone    bool
	outcome outcome
	err     error // it was left as it is
}

func newSpan(after string, page []Item) *span {
	s := &span{after: after, items: page, sizes: make([]int, len(page)), verdicts: make([]verdict, len(page)), tries: make([]int, len(page)), done: make(chan struct{})}
	for i, item := range page {
		s.sizes[i] = len(item.Ciphertext)
		s.stored += len(item.Ciphertext)
		s.bytes += len(item.Ciphertext) + len(item.AAD) + len(item.ID) + itemBytes
	}
	return s
}

// tries is how often an item that others change is tried.
const tries = 3

// work settles the items of a span, or says in its err why it could not.
func (r *run) work(ctx context.Context, s *span) {
	open := make([]int, len(s.items))
	for i := range open {
		open[i] = i
	}
	w := work{run: r, span: s, limit: len(open)}
	room := s.stored + 64*len(open) // text that grows needs more, and gets it
	if r.batch == nil {
		w.limit = 1
		room = 0
	}
	w.arena = make([]byte, 0, min(room, pageBytes))
	for len(open) > 0 {
		var err error
		if open, err = w.round(ctx, open); err == nil && len(open) > 0 {
			err = w.readOpen(ctx, open)
		}
		if err != nil {
			s.err = err
			return
		}
	}
}

// work is what one worker has of a span.
type work struct {
	*run
	*span
	limit int // of a batch
	since time.Time
	waits int
	arena []byte         // the new ciphertexts of a batch
	sent  map[int][]byte // those of which nobody knows whether they were stored
}

// round goes through the open items once, in batches, and returns those that are
// open still.
func (w *work) round(ctx context.Context, open []int) (again []int, err error) {
	for len(open) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, which, rest, err := w.gather(open)
		if err != nil {
			return nil, err
		}
		open = rest
		if len(batch) == 0 {
			continue
		}
		err = w.replace(ctx, batch)
		if err != nil {
			// Nobody knows what was done: what is stored now will tell.
			if err = w.trouble(ctx, err); err != nil {
				return nil, err
			}
			if w.sent == nil {
				w.sent = map[int][]byte{}
			}
			for k, i := range which {
				w.sent[i] = bytes.Clone(batch[k].Next)
			}
			return append(append(again, which...), rest...), nil
		}
		w.since = time.Time{}
		for k, i := range which {
			switch {
			case batch[k].Replaced:
				w.verdicts[i].settled = true
			default:
				if w.lost(i) {
					again = append(again, i)
				}
			}
		}
	}
	return again, nil
}

// lost says that a live write came between, and reports whether the item is tried
// once more.
func (w *work) lost(i int) bool {
	w.changed++
	if w.tries[i]++; w.tries[i] < tries {
		return true
	}
	w.verdicts[i] = verdict{settled: true, err: ErrChanged}
	return false
}

// gather re-encrypts the first open items, as many as make a batch, and settles
// those that need no replacement.
func (w *work) gather(open []int) (batch []Replacement, which, rest []int, err error) {
	w.arena = w.arena[:0]
	for n, i := range open {
		if len(batch) == w.limit || len(w.arena) >= pageBytes {
			return batch, which, open[n:], nil
		}
		item := &w.items[i]
		if w.verdicts[i].gone || len(item.Ciphertext) == 0 {
			w.verdicts[i] = verdict{settled: true, gone: w.verdicts[i].gone, empty: true}
			continue
		}
		from := len(w.arena)
		out, outcome, err := rewrapStored(w.kr, w.opt.Legacy, w.arena, item.Ciphertext, item.AAD)
		if errors.Is(err, keyring.ErrSealed) || errors.Is(err, keyring.ErrExhausted) {
			return nil, nil, nil, err
		}
		if err != nil || outcome == current {
			if sent, ok := w.sent[i]; ok && bytes.Equal(sent, item.Ciphertext) {
				outcome = w.verdicts[i].outcome // it was made after all
			}
			w.verdicts[i] = verdict{settled: true, outcome: outcome, err: err}
			continue
		}
		w.arena = out
		w.verdicts[i] = verdict{outcome: outcome}
		if batch == nil {
			most := min(w.limit, len(open)-n)
			batch, which = make([]Replacement, 0, most), make([]int, 0, most)
		}
		batch = append(batch, Replacement{ID: item.ID, Old: item.Ciphertext, Next: out[from:len(out):len(out)]})
		which = append(which, i)
	}
	return batch, which, nil, nil
}

// tooLong is how many times as long as it should a batch may take.
const tooLong = 10

func (w *work) replace(ctx context.Context, batch []Replacement) error {
	begin := time.Now()
	defer func() { w.took = max(w.took, time.Since(begin)) }()
	if w.batch == nil {
		one := &batch[0]
		var err error
		if one.Replaced, err = w.src.Replace(ctx, one.ID, one.Old, one.Next); err != nil {
			return &SourceError{"replace", one.ID, err}
		}
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, tooLong*w.opt.BatchTime)
	defer cancel()
	err := w.batch.ReplaceBatch(bounded, batch)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && bounded.Err() != nil {
		err = errors.Join(ErrUnavailable, err)
	}
	return &SourceError{"batch", batch[0].ID, err}
}

// How long a source that is not available is waited for.
const (
	firstWait   = 20 * time.Millisecond
	longestWait = 5 * time.Second
	patience    = time.Minute
)

// trouble waits if the source is not available, and returns the error otherwise,
// or when it has not been for too long.
func (w *work) trouble(ctx context.Context, err error) error {
	w.troubled = true
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := time.Now()
	if w.since.IsZero() {
		w.since, w.waits = now, 0
	}
	if !errors.Is(err, ErrUnavailable) || now.Sub(w.since) > patience {
		return err
	}
	w.limit = max(1, w.limit/2)
	return w.backOff(ctx)
}

func (w *work) backOff(ctx context.Context) error {
	d := min(firstWait<<min(w.waits, 10), longestWait)
	w.waits++
	return w.opt.Wait(ctx, d/2+rand.N(d/2))
}

// slack is how many items may have been added between two others while a batch
// was on its way, for the second to be found again.
const slack = 100

// readOpen reads the open items again: their values may be others, or they may be
// gone. The ids are in no order that is known here, so an item is gone if it is
// not where it stood.
func (w *work) readOpen(ctx context.Context, open []int) error {
	w.items = slices.Clone(w.items) // the page is the source's
	first, last := open[0], open[len(open)-1]
	after := w.span.after
	if first > 0 {
		after = w.items[first-1].ID
	}
	missing := make(map[string]int, len(open))
	for _, i := range open {
		missing[w.items[i].ID] = i
	}
	for left := last - first + 1 + slack; left > 0 && len(missing) > 0; {
		page, err := w.readAgain(ctx, after, min(left, last-first+1+slack))
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, item := range page {
			if i, ok := missing[item.ID]; ok {
				w.items[i] = item
				delete(missing, item.ID)
			}
		}
		left -= len(page)
		after = page[len(page)-1].ID
	}
	for _, i := range missing {
		w.items[i].Ciphertext = nil
		w.verdicts[i].gone = true
	}
	return nil
}

// readAgain is readPage for as long as the source is not available.
func (r *run) readAgain(ctx context.Context, after string, limit int) ([]Item, error) {
	w := work{run: r, span: &span{}}
	for {
		page, err := readPage(ctx, r.src, after, limit)
		if err == nil || ctx.Err() != nil {
			return page, err
		}
		if err := w.trouble(ctx, err); err != nil {
			return nil, err
		}
	}
}

// An outcome is what became of a stored value.
type outcome int

const (
	current   outcome = iota // it stays as it is
	rewrapped                // it was under an older term
	adopted                  // it was a legacy value
)

// textPrefix is what tells text from binary: no binary ciphertext begins so.
var textPrefix = []byte(prefix.Text)

// rewrapStored re-encrypts a value in the form in which it is stored.
func rewrapStored(kr *keyring.Keyring, legacy *Legacy, dst, stored, aad []byte) ([]byte, outcome, error) {
	out, changed, err := rewrapOurs(kr, dst, stored, aad)
	switch {
	case err == nil && changed:
		return out, rewrapped, nil
	case err == nil:
		return out, current, nil
	case legacy != nil && legacy.takes(stored, err):
		out, err = legacy.adopt(dst, stored, aad, err)
		return out, adopted, err
	}
	return nil, current, err
}

func rewrapOurs(kr *keyring.Keyring, dst, stored, aad []byte) ([]byte, bool, error) {
	if !bytes.HasPrefix(stored, textPrefix) {
		return kr.Rewrap(dst, stored, aad)
	}
	text, changed, err := kr.RewrapString(string(stored), aad)
	return append(dst, text...), changed, err
}
