package seal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

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
	b.drills.drilled(slot, d)
	return d.err
}

// doubts reports whether a slot failed to unseal, and was not drilled since: it is
// drilled soon, so that a KMS that was away for a minute is not called so for hours.
func (b *Barrier) doubts() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open != nil && b.cfg.Drill >= 0 && b.drills.failed(machines(&b.open().State.Record))
}

// lost reports whether a slot's key cannot be had, or is another: what its KMS
// says of the slot's blob then is no answer to whether that proves who made it.
func lost(err error) bool { return errors.Is(err, kms.ErrKeyGone) || errors.Is(err, kms.ErrWrongKey) }
