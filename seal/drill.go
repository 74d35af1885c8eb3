package seal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// A drilled is what came of the last drill of a slot.
type drilled struct {
	at    time.Time // zero where people are needed, so that nothing was tried
	err   error
	notes []custody.Note // what its keys' KMS say, worth a warning
	newer string         // the present versions of keys that have wrapped with older ones; "" for none

	wrapped []string // the versions that had wrapped the slot
}

// Drill tries, by a true unwrap with this process's own credentials, whether
// each KMS slot, or each of the named ones, still opens the store, and shows the
// outcome in Status: wrapping proves nothing, since a disabled key may still
// wrap. Where a KMS tells, it notes keys that are disabled, scheduled for
// deletion, about to expire, or have a newer version than the one that wrapped,
// and slots that a process which starts would not believe ([ErrUnpinned],
// [ErrUnexpected]). It changes
// nothing. While the store is away it tries the record last seen. What ctx cuts
// short says nothing of a slot.
func (a *Admin) Drill(ctx context.Context, slots ...string) error {
	o, err := a.b.fetch(ctx)
	if errors.Is(err, ErrStoreUnavailable) {
		o, err = a.b.current()
	}
	if err != nil {
		return wrapError("drill", "", err)
	}
	defer o.Wipe()
	var drills sync.WaitGroup
	errs := make([]error, len(o.State.Slots))
	for i := range o.State.Slots {
		slot := &o.State.Slots[i]
		if !slot.Opens() || len(slots) > 0 && !slices.Contains(slots, slot.Name) {
			continue
		}
		drills.Go(func() { // each by itself: a KMS that hangs is no news of another
			defer clean()()
			errs[i] = wrapError("drill", slot.Name, a.b.drill(ctx, o, slot))
		})
	}
	drills.Wait()
	return causes.Join(errs...)
}

// drill tries one slot, and shows the outcome in Status.
func (b *Barrier) drill(ctx context.Context, o *ledger.Opened, slot *record.Slot) error {
	var d drilled
	asking, done := b.until(ctx)
	d.notes, d.newer = b.custody.Probe(asking, slot)
	d.wrapped = versions(&slot.Tree)
	done()
	for _, n := range d.notes {
		kind := EventKeyScheduled
		switch {
		case n.Newer:
			kind = EventKeyVersion
		case n.Moved:
			kind = EventKeyMoved
		}
		b.emit(kind, By{}, slot.Name, n.Text, nil)
	}
	if !slot.Tree.NeedsPeople() {
		_, d.err = b.tryOpen(ctx, o, slot, nil)
		if errors.Is(d.err, ErrSealed) || errors.Is(d.err, ErrClosed) || d.err != nil && ctx.Err() != nil {
			return d.err // cut short, which says nothing of the slot
		}
		d.at = time.Now()
		if d.err == nil {
			d.err = b.unbelieved(slot, b.pinned(o.State.Slots), nil) // a drill answers for the process that will start
		}
		detail := "opens the store"
		if d.err != nil {
			detail = "does not open the store: do not restart unless another slot does"
		}
		b.emit(EventDrill, By{}, slot.Name, detail, d.err)
	}
	b.mu.Lock()
	b.health[slot.ID] = d
	if !d.at.IsZero() {
		delete(b.attempts, string(slot.Fingerprint))
	}
	b.mu.Unlock()
	return d.err
}
