package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// A drilled is what came of the last drill of a slot.
type drilled struct {
	at    time.Time // zero where people are needed, so that nothing was tried
	err   error
	notes []string // what its keys' KMS say, worth a warning
}

// Drill tries, by a true unwrap with this process's own credentials, whether
// each KMS slot still opens the store, and shows the outcome in Status: wrapping
// proves nothing, since a disabled key may still wrap. Where a KMS tells, it
// notes keys that are disabled, scheduled for deletion, or have a newer version
// than the one that wrapped. It changes nothing. While the store is away it
// tries the record last seen.
func (b *Barrier) Drill(ctx context.Context) error {
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
		if !slot.Opens() {
			continue
		}
		d := drilled{notes: b.probe(ctx, slot)}
		if !slot.Tree.NeedsPeople() {
			_, d.err = b.tryOpen(ctx, o, slot, nil)
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
func (b *Barrier) probe(ctx context.Context, slot *record.Slot) (notes []string) {
	slot.Tree.Walk("", func(_ string, leaf *record.Node) {
		if leaf.KMS == nil {
			return
		}
		health, ok := b.healthOf(ctx, leaf.KMS.Name)
		if !ok || health.KeyID != leaf.KMS.Blob.KeyID {
			return
		}
		note := func(kind EventKind, format string, args ...any) {
			text := fmt.Sprintf("KMS %q: ", leaf.KMS.Name) + fmt.Sprintf(format, args...)
			notes = append(notes, text)
			b.emit(kind, By{}, slot.Name, text, nil)
		}
		switch stored := leaf.KMS.Blob.Version; {
		case !health.Deletion.IsZero():
			note(EventKeyScheduled, "the key is scheduled for deletion on %s: add another slot now, or cancel the deletion", health.Deletion.UTC().Format("2006-01-02 15:04 MST"))
		case !health.Enabled:
			note(EventKeyScheduled, "the key is disabled: do not restart; enable it, or add another slot now")
		case stored != "" && health.Version != "" && stored != health.Version:
			note(EventKeyVersion, "key version %s is stored, version %s is current: keep the old one enabled until the slot is rewrapped", stored, health.Version)
		}
	})
	return notes
}

func (b *Barrier) healthOf(ctx context.Context, name string) (kms.Health, bool) {
	p, ok := b.cfg.KMS[name].(kms.Prober)
	if !ok {
		return kms.Health{}, false
	}
	health, err := ask(ctx, b, p.Probe)
	return health, err == nil
}

// Rewrap has the KMS keys of a slot wrap anew, by their present versions, so
// that the versions that wrapped before can be retired. Custodians, seed and
// root key stay; where people hold a part of the slot, theirs does too. The slot
// is opened through the new blobs before they are stored.
func (b *Barrier) Rewrap(ctx context.Context, name string, by By) error {
	if err := by.check(); err != nil {
		return err
	}
	done, err := b.take(ctx)
	if err != nil {
		return wrapError("rewrap", name, err)
	}
	defer done()
	err = b.commit(ctx, EventRewrap, by, func(ctx context.Context, st record.Step, o *opened) (record.State, []byte, error) {
		slot := o.state.Find(name, record.Active)
		if slot == nil {
			return record.State{}, nil, ErrNoSlot
		}
		tree, err := b.rewrap(ctx, o, slot, &slot.Tree, "", 1, 1)
		if err != nil {
			return record.State{}, nil, err
		}
		if !slot.Tree.NeedsPeople() {
			renewed := *slot
			renewed.Tree = tree
			if _, err := b.tryOpen(ctx, o, &renewed, nil); err != nil {
				return record.State{}, nil, err
			}
		}
		next, err := o.state.Rewrap(st, slot.ID, tree)
		return next, nil, err
	})
	b.emit(EventRewrap, by, name, "", err)
	return wrapError("rewrap", name, err)
}

// rewrap returns the tree with every KMS leaf wrapped anew: the leaf's value is
// opened, and protected again.
func (b *Barrier) rewrap(ctx context.Context, o *opened, slot *record.Slot, node *record.Node, path string, k, n int) (record.Node, error) {
	switch {
	case node.Shamir != nil:
		return *node, nil
	case node.KMS != nil:
		h := harvest{barrier: b, store: o.state.Store, slot: slot}
		value, err := h.openKey(ctx, node.KMS, path, k, n)
		if err != nil {
			return record.Node{}, err
		}
		defer clear(value)
		g := growth{barrier: b, store: o.state.Store, slot: slot.Name, identity: record.FingerprintOf(o.state.Identities[slot.ID])}
		return g.growKey(ctx, node.KMS.Name, value, path, k, n)
	}
	tree := &record.Tree{Threshold: node.Threshold.Threshold}
	for i := range node.Threshold.Of {
		child, err := b.rewrap(ctx, o, slot, &node.Threshold.Of[i], record.ChildPath(path, i), node.Threshold.Threshold, len(node.Threshold.Of))
		if err != nil {
			return record.Node{}, err
		}
		tree.Of = append(tree.Of, child)
	}
	return record.Node{Threshold: tree}, nil
}
