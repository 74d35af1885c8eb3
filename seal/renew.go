package seal

import (
	"context"
	"errors"
	"slices"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// Renew has the KMS of a slot wrap anew what they protect: by the present
// versions of their keys, so that the versions that wrapped before can be
// retired; and by other keys, where the configuration has come to others and
// still opens what the old ones wrapped, as with a static seal that has a
// previous key, or an alias that was moved. The seed, the root key and every
// share stay as they are, so that other processes notice nothing, and the old
// keys with an old copy of the record go on opening the store: where one was
// compromised, Rekey the slot instead. Other processes need the new keys in
// their configuration by then.
//
// The slot is opened through the new blobs before they are stored. Run does it
// by itself for newer versions, unless [Config.KeepVersions] is set, and leaves
// other keys to an operator: it cannot know which configurations there are.
func (a *Admin) Renew(ctx context.Context, name string, by By) error {
	return a.b.renewSlot(ctx, name, by, nil)
}

var errSameVersions = errors.New("the KMS wraps by the versions that the slot has: another replica was first, or the newer ones are not in force yet; the next drill looks again")

var errOtherKey = errors.New("the configuration has come to another key: that is for an operator, who knows whether every replica has it")

// renewSlot is Renew, or, for Run, no more than what it may do by itself: other
// versions of the same keys, in a slot that is still wrapped by those that the
// drill found to be old.
func (b *Barrier) renewSlot(ctx context.Context, name string, by By, drilled []string) error {
	run := drilled != nil
	if err := by.check(); err != nil {
		return err
	}
	var id uint32
	err := b.commit(ctx, EventRenew, by, func(ctx context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		slot := o.State.Find(name, record.Active)
		if slot == nil {
			return record.State{}, nil, ErrNoSlot
		}
		if run && !slices.Equal(versions(&slot.Tree), drilled) {
			id = slot.ID
			return record.State{}, nil, errMade
		}
		asking, done := b.until(ctx)
		tree, err := b.custody.Renew(asking, o.State.Store, slot, o.State.Identities[slot.ID])
		done()
		if err != nil {
			return record.State{}, nil, err
		}
		if run {
			if err := b.onlyNewer(&slot.Tree, &tree); err != nil {
				return record.State{}, nil, err
			}
		}
		renewed := *slot
		renewed.Tree = tree
		if !slot.Tree.NeedsPeople() {
			if _, err := b.tryOpen(ctx, o, &renewed, nil); err != nil {
				return record.State{}, nil, err
			}
		}
		id = slot.ID
		next, err := o.State.Renew(st, slot.ID, tree)
		if err != nil {
			return record.State{}, nil, err
		}
		if err := b.starts(&o.State.Record, nil, &renewed); err != nil {
			next.Secrets.Wipe()
			return record.State{}, nil, err
		}
		return next, nil, nil
	})
	if err == nil || errors.Is(err, errMade) {
		b.drills.forgetVersions(id)
	}
	if errors.Is(err, errMade) {
		return nil
	}
	b.emit(EventRenew, by, name, "", err)
	return wrapError("renew", name, err)
}

// onlyNewer reports why Run does not put the tree in place of the slot's.
func (b *Barrier) onlyNewer(old, tree *record.Node) error {
	if !b.custody.SameKeys(old, tree) {
		return errOtherKey
	}
	if slices.Equal(versions(old), versions(tree)) {
		return errSameVersions
	}
	return nil
}

// versions lists those that wrapped a tree's KMS leaves.
func versions(tree *record.Node) (out []string) {
	tree.Walk("", func(_ string, leaf *record.Node) {
		if leaf.KMS != nil {
			out = append(out, leaf.KMS.Blob.Version)
		}
	})
	return out
}

// followVersions renews the slots of which the last drill said that their keys
// have newer versions, once for each. A version that the KMS does not wrap by yet
// changes no record, and is tried again after the next drill: where a primary
// version is chosen, the choice may take hours to spread. Slots that people hold
// a part of are left alone, since nobody could try them.
func (b *Barrier) followVersions(ctx context.Context) {
	if b.cfg.KeepVersions {
		return
	}
	type moved struct {
		id          uint32
		name, newer string
		wrapped     []string
	}
	var slots []moved
	b.mu.Lock()
	if b.open != nil {
		for _, slot := range b.open().State.Slots {
			newer, wrapped := b.drills.outdated(slot.ID)
			if newer != "" && slot.State == record.Active && !slot.Tree.NeedsPeople() {
				slots = append(slots, moved{slot.ID, slot.Name, newer, wrapped})
			}
		}
	}
	b.mu.Unlock()
	for _, slot := range slots {
		// Nobody asked for it, so nobody is to wait for it longer than for the
		// store: a KMS may want an hour's rest.
		ctx, cancel := context.WithTimeout(ctx, b.cfg.StoreTimeout)
		err := b.renewSlot(ctx, slot.name, By{Actor: "sealwright"}, slot.wrapped) // an event says what came of it
		cancel()
		if err == nil {
			b.drills.renewedFor(slot.id, slot.newer)
		}
	}
}
