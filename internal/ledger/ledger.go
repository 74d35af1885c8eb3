// Package ledger is the record in its store: it loads and swaps it, finds out
// what became of a swap whose outcome the store did not tell, and remembers the
// newest record that was seen, so that an old one or a fork is noticed, also
// with an anchor after a restart. It opens a record with a root key that it is
// handed. It must not know how a root key is found: nothing here asks a KMS,
// takes a share, decides whom to believe, or tells anybody what happened.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/internal/record"
)

// MaxRecordSize is the length in bytes of the longest record that is read.
const MaxRecordSize = record.MaxSize

// Attempts is how often a change is tried again when others change the record,
// or the anchor, at the same time.
const Attempts = 16

// A Store keeps one record; package seal has its contract.
type Store interface {
	Load(ctx context.Context) (rec []byte, rev string, err error)
	Swap(ctx context.Context, rec []byte, old string) (rev string, err error)
}

// Config is what [New] needs.
type Config struct {
	Store   Store
	Anchor  Store         // nil for none
	Timeout time.Duration // of one call
	Pinned  bool          // an empty store is a lost record, never a new one
}

// A Ledger is one store's record, as far as this process knows it. Its methods
// are safe for concurrent use; whoever swaps has the Barrier's turn.
type Ledger struct {
	cfg Config

	// One call each may hang in the store; the next waits for it, and for no
	// longer than its own time: a store that never comes back costs one
	// goroutine, and not one for each call.
	loads, swaps, anchors bounded.Gate

	mu          sync.Mutex // guards what follows; never held during I/O
	newest      Mark       // the newest record seen
	anchored    Mark       // what the anchor holds, as far as this process knows
	anchorErr   error      // what came of the last attempt to move it on
	anchorTried uint64     // for which generation
	parsed      *Stored    // the record last parsed; not authenticated
	peeked      *peek      // a Peek that goes on; nil for none
	warnings    []string   // what the store said of itself at the last load
	keeping     bool       // whether the root keys of unresolved swaps are kept
	unresolved  []func() *Opened
}

// New returns the ledger of a store. It touches nothing.
func New(cfg Config) *Ledger {
	return &Ledger{cfg: cfg, loads: bounded.NewGate(), swaps: bounded.NewGate(), anchors: bounded.NewGate()}
}

// Replace puts another store under the ledger, as tests do whose store fails
// from some moment on.
func (l *Ledger) Replace(s Store) { l.cfg.Store = s }

// Unsealed has the root keys of swaps with an unknown outcome remembered, so
// that this process can follow its own change.
func (l *Ledger) Unsealed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeping = true
}

// Sealed wipes the keys that are remembered.
func (l *Ledger) Sealed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeping = false
	for _, o := range l.unresolved {
		o().Wipe()
	}
	l.unresolved = nil
}

// Newest returns the mark of the newest record seen.
func (l *Ledger) Newest() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// Warnings returns what the store said of itself at the last load.
func (l *Ledger) Warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.warnings)
}

// Parsed returns the clear part of the record last loaded, which nothing vouches
// for; nil where none was.
func (l *Ledger) Parsed() *record.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.parsed == nil {
		return nil
	}
	return l.parsed.Record
}

// Saw makes o the newest record seen.
func (l *Ledger) Saw(o *Opened) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = markOf(o)
}

// call calls f when the call before it has come back, within the time of one
// call in all.
func call[T any](ctx context.Context, l *Ledger, gate bounded.Gate, f func(context.Context) (T, error)) (out T, err error) {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	defer func() {
		if late := ctx.Err() != nil && caller.Err() == nil; late && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bounded.ErrNoAnswer)) {
			err = fmt.Errorf("no answer within %v (Config.StoreTimeout): %w", l.cfg.Timeout, err)
		}
	}()
	return bounded.Through(ctx, gate, f)
}

// A revision is a record as the store holds it, and the revision it has there.
type revision struct {
	rec      []byte
	rev      string
	warnings []string // what the store says of itself
}

func (l *Ledger) loadFrom(ctx context.Context, store Store, gate bounded.Gate) ([]byte, string, error) {
	r, err := call(ctx, l, gate, func(ctx context.Context) (r revision, err error) {
		r.rec, r.rev, err = store.Load(ctx)
		if w, ok := store.(interface{ Warnings() []string }); ok && err == nil {
			for _, text := range w.Warnings() { // within the bound: a disk may hang here too
				r.warnings = append(r.warnings, foreign.Clean(text))
			}
		}
		return r, err
	})
	if err == nil && gate == l.loads {
		l.mu.Lock()
		l.warnings = r.warnings
		l.mu.Unlock()
	}
	return r.rec, r.rev, err
}

// swapIn is Store.Swap in time. What a swap that was given up on does later is
// an unknown outcome like any other.
func (l *Ledger) swapIn(ctx context.Context, store Store, gate bounded.Gate, rec []byte, old string) (string, error) {
	return call(ctx, l, gate, func(ctx context.Context) (string, error) { return store.Swap(ctx, rec, old) })
}
