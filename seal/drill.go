package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// A drilled is what came of the last drill of a slot.
type drilled struct {
	at    time.Time // zero where people are needed, so that nothing was tried
	err   error
	notes []note // what its keys' KMS say, worth a warning
	newer string // the present versions of keys that have wrapped with older ones; "" for none
}

type note struct {
	kind EventKind
	text string
}

// Drill tries, by a true unwrap with this process's own credentials, whether
// each KMS slot, or each of the named ones, still opens the store, and shows the
// outcome in Status: wrapping proves nothing, since a disabled key may still
// wrap. Where a KMS tells, it notes keys that are disabled, scheduled for
// deletion, or have a newer version than the one that wrapped. It changes
// nothing. While the store is away it tries the record last seen. What ctx cuts
// short says nothing of a slot.
func (b *Barrier) Drill(ctx context.Context, slots ...string) error {
	done, err := b.take(ctx)
	if err != nil {
		return wrapError("drill", "", err)
	}
	o, err := b.fetch(ctx)
	if errors.Is(err, ErrStoreUnavailable) {
		o, err = b.current()
	}
	done() // nobody waits for the KMS
	if err != nil {
		return wrapError("drill", "", err)
	}
	defer o.wipe()
	var errs []error
	for i := range o.state.Slots {
		slot := &o.state.Slots[i]
		if !slot.Opens() || len(slots) > 0 && !slices.Contains(slots, slot.Name) {
			continue
		}
		var d drilled
		d.notes, d.newer = b.probe(ctx, slot)
		if !slot.Tree.NeedsPeople() {
			_, d.err = b.tryOpen(ctx, o, slot, nil)
			if errors.Is(d.err, ErrSealed) || errors.Is(d.err, ErrClosed) || d.err != nil && ctx.Err() != nil {
				return errors.Join(append(errs, wrapError("drill", slot.Name, d.err))...) // cut short, which says nothing of the slot
			}
			d.at = time.Now()
			detail := "opens the store"
			if d.err != nil {
				detail = "does not open the store: do not restart unless another slot does"
				errs = append(errs, wrapError("drill", slot.Name, d.err))
			}
			b.emit(EventDrill, By{}, slot.Name, detail, d.err)
		}
		b.mu.Lock()
		b.health[slot.ID] = d
		b.mu.Unlock()
	}
	return errors.Join(errs...)
}

// probe asks the KMS of each leaf how its key is. A probe needs a permission of
// its own, so one that fails says nothing.
func (b *Barrier) probe(ctx context.Context, slot *record.Slot) (notes []note, newer string) {
	slot.Tree.Walk("", func(_ string, leaf *record.Node) {
		if leaf.KMS == nil {
			return
		}
		health, ok := b.healthOf(ctx, leaf.KMS.Name)
		if !ok || health.KeyID != leaf.KMS.Blob.KeyID {
			return
		}
		say := func(kind EventKind, format string, args ...any) {
			text := fmt.Sprintf("KMS %q: ", leaf.KMS.Name) + fmt.Sprintf(format, args...)
			notes = append(notes, note{kind, text})
			b.emit(kind, By{}, slot.Name, text, nil)
		}
		switch stored := leaf.KMS.Blob.Version; {
		case !health.Deletion.IsZero():
			say(EventKeyScheduled, "the key is scheduled for deletion on %s: add another slot now, or cancel the deletion", health.Deletion.UTC().Format("2006-01-02 15:04 MST"))
		case !health.Enabled:
			say(EventKeyScheduled, "the key is disabled: do not restart; enable it, or add another slot now")
		case stored != "" && health.Version != "" && stored != health.Version:
			say(EventKeyVersion, "key version %s is stored, version %s is current: keep the old one enabled until the slot is rewrapped", stored, health.Version)
			newer += leaf.KMS.Name + " " + health.Version + "\n"
		}
	})
	return notes, newer
}

func (b *Barrier) healthOf(ctx context.Context, name string) (kms.Health, bool) {
	p, ok := b.cfg.KMS[name].(kms.Prober)
	if !ok {
		return kms.Health{}, false
	}
	health, err := ask(ctx, b, p.Probe)
	return health, err == nil
}
