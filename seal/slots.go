package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// Add stores one more slot and returns the shares made for it, if it is held
// by people. The slot is pending: it opens nothing until [Admin.Prove] has
// shown that it opens the stored record. A slot that is never proven is removed
// by [Admin.Drop].
func (a *Admin) Add(ctx context.Context, name string, spec Spec, by By) (Delivery, error) {
	return a.b.add(ctx, "add", name, spec, by, func(s *record.State) error {
		if s.Find(name, record.Active) != nil {
			return fmt.Errorf("%w: %q: to replace it, rekey it", ErrSlotExists, name)
		}
		return nil
	})
}

func (b *Barrier) add(ctx context.Context, op, name string, spec Spec, by By, check func(*record.State) error) (d Delivery, err error) {
	if err := by.check(); err != nil {
		return d, err
	}
	if err := record.CheckName(name); err != nil {
		return d, wrapError(op, "", fmt.Errorf("%w: %w", ErrConfig, err))
	}
	if _, err := b.checkSpec(spec); err != nil {
		return d, wrapError(op, name, err)
	}
	err = b.commit(ctx, EventAdd, by, func(ctx context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		d.Wipe() // of an attempt that met another writer
		d = Delivery{Operation: by.Operation}
		if err := check(&o.State); err != nil {
			return record.State{}, nil, err
		}
		// A dry run first: no KMS is called for what cannot be.
		if err := o.State.CanAdd(st, name); err != nil {
			return record.State{}, nil, err
		}
		n, sets, err := b.newSlot(ctx, &o.State.Record, name, spec, o.Root)
		if err != nil {
			return record.State{}, nil, err
		}
		d.Sets = sets
		next, err := o.State.Add(st, n)
		return next, nil, err
	})
	b.emit(EventAdd, by, name, "", err)
	if err != nil {
		d.Wipe()
		return Delivery{}, wrapError(op, name, err)
	}
	d.Pins = b.pinsOf(name)
	return d, nil
}

// Prove shows that a slot opens the stored record. It makes a pending slot
// active; of an active one it changes only the time of its last proof, and is
// its drill. The record is loaded anew, and a KMS is truly asked. One that would
// replace the last slot that a process which starts with this configuration would
// believe, and is none itself, is refused ([ErrUnpinned], [ErrUnexpected]).
//
// Where the slot needs people, Prove begins an operation, or finds the one in
// progress, and returns its id and done == false: their shares go to
// [Barrier.Submit] with that id, and the last one needed proves the slot.
func (a *Admin) Prove(ctx context.Context, name string, by By) (op OperationID, done bool, err error) {
	if err := by.check(); err != nil {
		return "", false, err
	}
	o, err := a.b.fetch(ctx)
	if err != nil {
		return "", false, wrapError("prove", name, err)
	}
	defer o.Wipe()
	slot := provable(&o.State, name)
	if slot == nil {
		return "", false, wrapError("prove", name, ErrNoSlot)
	}
	if slot.Tree.NeedsPeople() {
		op, err = a.b.begin(ctx, record.Operation{Kind: record.OpProve, Slot: name}, by, nil)
		return op, false, wrapError("prove", name, err)
	}
	err = a.b.prove(ctx, slot.ID, by, nil)
	return by.Operation, err == nil, wrapError("prove", name, err)
}

// provable returns the slot of that name that waits for a proof, or else the
// one that opens the store.
func provable(s *record.State, name string) *record.Slot {
	for _, state := range []string{record.Pending, record.Initial, record.Active} {
		if slot := s.Find(name, state); slot != nil {
			return slot
		}
	}
	return nil
}

// prove opens the stored record through the slot, with the shares in g, and
// stores that it did.
func (b *Barrier) prove(ctx context.Context, id uint32, by By, g *custody.Quorum) error {
	name, event := "", EventProve
	err := b.commit(ctx, EventProve, by, func(ctx context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		slot := o.State.Slot(id)
		if slot == nil {
			return record.State{}, nil, ErrNoSlot
		}
		name = slot.Name
		if err := b.replaces(&o.State.Record, slot); err != nil {
			return record.State{}, nil, err
		}
		fresh, err := b.tryOpen(ctx, o, slot, g)
		if err != nil {
			return record.State{}, nil, err
		}
		old := o.State.Predecessor(slot)
		if old == nil {
			next, err := o.State.Prove(st, fresh, nil)
			return next, nil, err
		}
		event = EventReplace
		rewrap, root, err := newRoot(&o.State, []uint32{old.ID}, true)
		if err != nil {
			return record.State{}, nil, err
		}
		defer rewrap.Wipe()
		next, err := o.State.Prove(st, fresh, rewrap)
		return next, root, err
	})
	detail := ""
	if event == EventReplace {
		detail = b.leaves(err)
	}
	if pin := b.pinsOf(name)[name]; err == nil && pin != "" {
		detail = "a process that starts will not believe it before " + pin + " is pinned"
	}
	b.emit(event, by, name, detail, err)
	return err
}

// Drop removes slots. In the same swap the root key and the data key are
// replaced, so that nobody who held what opens a dropped slot opens what comes
// after, even with an old copy of the record. Other processes keep encrypting
// under the old data key until they load the new record; one that reports
// [ErrRootMoved], until it is unsealed again.
//
// A slot that opens the store goes only after one that stays has opened the
// stored record, now: each KMS slot is asked. Where none can, and people hold
// one that stays, Drop begins an operation and returns its id and done ==
// false: their shares, given to [Barrier.Submit] with that id, complete it. The
// last proven slot cannot go ([ErrLastSlot]), nor the last one that a process which
// starts with this configuration would believe ([ErrUnpinned], [ErrUnexpected]). Slots
// that wait to be proven open nothing, and go with no proof at all.
//
// Of two slots of one name, the one that waits to replace the other goes. With
// states, only slots in one of them do: [SlotPending] is for whoever gives up a
// slot that waits to be proven, where another replica may have proven it
// meanwhile. Then it stays, and the error is [ErrNoSlot].
func (a *Admin) Drop(ctx context.Context, names []string, by By, states ...SlotState) (op OperationID, done bool, err error) {
	if err := by.check(); err != nil {
		return "", false, err
	}
	list := strings.Join(names, " ")
	err = a.b.drop(ctx, names, by, nil, states...)
	if errors.Is(err, ErrNoProof) {
		begun, beginErr := a.b.beginDrop(ctx, names, by, states...)
		if beginErr == nil {
			return begun, false, nil
		}
		if !errors.Is(beginErr, ErrNoProof) {
			err = causes.Join(err, beginErr)
		}
	}
	a.b.emit(EventDrop, by, list, a.b.leaves(err), err)
	return by.Operation, err == nil, wrapError("drop", list, err)
}

// beginDrop asks people for the proof that no KMS could give, if a slot of
// theirs stays.
func (b *Barrier) beginDrop(ctx context.Context, names []string, by By, states ...SlotState) (OperationID, error) {
	op := record.Operation{Kind: record.OpDrop}
	for _, name := range names {
		op.Desired = append(op.Desired, record.Goal{Name: name, Drop: true})
	}
	return b.begin(ctx, op, by, func(s *record.State) error {
		for _, name := range names {
			if _, err := toDrop(s, name, states); err != nil {
				return err
			}
		}
		err := ErrLastSlot
		for i := range s.Slots {
			if o := &s.Slots[i]; o.State == record.Active && !slices.Contains(names, o.Name) {
				if o.Tree.People() {
					return nil
				}
				err = ErrNoProof
			}
		}
		return err
	})
}

// toDrop returns the slot of that name that goes, in one of the states if any
// are given.
func toDrop(s *record.State, name string, states []SlotState) (*record.Slot, error) {
	slot := provable(s, name)
	switch {
	case slot == nil:
		return nil, fmt.Errorf("%w: %q", ErrNoSlot, name)
	case len(states) > 0 && !slices.Contains(states, SlotState(slot.State)):
		return nil, fmt.Errorf("%w: slot %q is %s by now, and stays", ErrNoSlot, name, slot.State)
	}
	return slot, nil
}

// drop removes the slots if they may go, with the shares in g for a proof.
func (b *Barrier) drop(ctx context.Context, names []string, by By, g *custody.Quorum, states ...SlotState) error {
	return b.commit(ctx, EventDrop, by, func(ctx context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		var ids []uint32
		opens := false
		for _, name := range names {
			slot, err := toDrop(&o.State, name, states)
			if err != nil {
				return record.State{}, nil, err
			}
			ids = append(ids, slot.ID)
			opens = opens || slot.Opens()
		}
		var fresh *record.FreshProof
		switch {
		case b.hooks.believe:
			fresh = anyProof(&o.State, ids)
		case opens:
			err := b.starts(&o.State.Record, ids, nil)
			if err != nil {
				return record.State{}, nil, err
			}
			if fresh, err = b.freshProof(ctx, o, ids, g); err != nil {
				return record.State{}, nil, err
			}
		}
		rewrap, root, err := newRoot(&o.State, ids, true)
		if err != nil {
			return record.State{}, nil, err
		}
		defer rewrap.Wipe()
		next, err := o.State.Drop(st, ids, fresh, *rewrap)
		return next, root, err
	})
}

// freshProof has the slots that stay open the record, until one does, the first
// at once and each further one after a head start. KMS slots are asked; people
// slots are opened with the shares in g; where a quorum already proved itself to
// the operation in progress, only the KMS leaves are asked. It returns ErrLastSlot
// where there is nothing to ask.
func (b *Barrier) freshProof(ctx context.Context, o *ledger.Opened, ids []uint32, g *custody.Quorum) (*record.FreshProof, error) {
	var asked []*record.Slot
	others := 0
	for i := range o.State.Slots {
		slot := &o.State.Slots[i]
		if slot.State != record.Active || slices.Contains(ids, slot.ID) {
			continue
		}
		others++
		if opens(slot, g) || o.State.PeopleProved(ids, slot) {
			asked = append(asked, slot)
		}
	}
	if others == 0 {
		return nil, ErrLastSlot
	}
	// Each compares its answer with a copy of its own: one that is late does so when
	// the caller has wiped o.
	parts := make([]atomic.Pointer[ledger.Opened], len(asked))
	for i, slot := range asked {
		parts[i].Store(o.Part(slot.ID))
	}
	defer func() {
		for i := range parts {
			if part := parts[i].Swap(nil); part != nil { // it was not asked
				part.Wipe()
			}
		}
	}()
	fresh, i, errs := custody.Race(ctx, len(asked), b.cfg.HeadStart, func(ctx context.Context, i int, _ func()) (record.FreshProof, error) {
		defer clean()()
		o := parts[i].Swap(nil)
		if o == nil { // the race was over before it began
			return record.FreshProof{}, context.Canceled
		}
		defer o.Wipe()
		try := b.tryKeys
		if opens(asked[i], g) {
			try = func(ctx context.Context, o *ledger.Opened, slot *record.Slot) (record.FreshProof, error) {
				return b.tryOpen(ctx, o, slot, g)
			}
		}
		fresh, err := try(ctx, o, asked[i])
		return fresh, wrapError("open", asked[i].Name, err)
	}, func(record.FreshProof) {})
	if i < 0 {
		return nil, causes.Join(append([]error{ErrNoProof}, errs...)...)
	}
	return &fresh, nil
}

// opens reports whether a slot may be asked to open the record, with nobody or
// with the people whose shares are in g.
func opens(slot *record.Slot, g *custody.Quorum) bool {
	return !slot.Tree.NeedsPeople() || g != nil && g.Suffices(&slot.Tree)
}

// anyProof is the planted fault of hooks.believe.
func anyProof(s *record.State, ids []uint32) *record.FreshProof {
	for i := range s.Slots {
		if o := &s.Slots[i]; o.State == record.Active && !slices.Contains(ids, o.ID) {
			return &record.FreshProof{Slot: o.ID, Root: s.Root, Generation: s.Generation}
		}
	}
	return nil
}

// Rekey makes new shares, or another shape, for a slot: a pending successor of
// the same name. The old set stays valid until the successor is proven, by
// [Admin.Prove]; the same swap then removes it and replaces root key and data
// key. [Admin.Drop] with [SlotPending] removes a successor that is not wanted
// after all.
func (a *Admin) Rekey(ctx context.Context, name string, spec Spec, by By) (Delivery, error) {
	return a.b.add(ctx, "rekey", name, spec, by, func(s *record.State) error {
		if s.Find(name, record.Active) == nil {
			return ErrNoSlot
		}
		return nil
	})
}

// Reissue makes a slot that was never proven anew, in the shape of spec, for a
// Delivery that was lost. What was delivered before opens nothing afterwards,
// since root key and data key are replaced with it. No quorum is asked: none has
// ever shown that it holds the slot. A slot made by Init opens the store, so
// another one must open the stored record now, as for [Admin.Drop].
func (a *Admin) Reissue(ctx context.Context, name string, spec Spec, by By) (d Delivery, err error) {
	if err := by.check(); err != nil {
		return d, err
	}
	if _, err := a.b.checkSpec(spec); err != nil {
		return d, wrapError("reissue", name, err)
	}
	err = a.b.commit(ctx, EventReissue, by, func(ctx context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		d.Wipe()
		d = Delivery{Operation: by.Operation}
		slot := provable(&o.State, name)
		if slot == nil {
			return record.State{}, nil, ErrNoSlot
		}
		var fresh *record.FreshProof
		if slot.State == record.Initial {
			var err error
			if fresh, err = a.b.freshProof(ctx, o, []uint32{slot.ID}, nil); err != nil {
				return record.State{}, nil, err
			}
		}
		n, sets, err := a.b.newSlot(ctx, &o.State.Record, name, spec, o.Root)
		if err != nil {
			return record.State{}, nil, err
		}
		d.Sets = sets
		rewrap, root, err := newRoot(&o.State, []uint32{slot.ID}, true)
		if err != nil {
			return record.State{}, nil, err
		}
		defer rewrap.Wipe()
		id := o.State.LastSlot + 1
		if rewrap.Wraps[id], err = custody.WrapRoot(n.PublicKey, o.State.Store, id, rewrap.Root, root); err != nil {
			return record.State{}, nil, err
		}
		next, err := o.State.Reissue(st, slot.ID, fresh, n, *rewrap)
		return next, root, err
	})
	a.b.emit(EventReissue, by, name, "", err)
	if err != nil {
		d.Wipe()
		return Delivery{}, wrapError("reissue", name, err)
	}
	d.Pins = a.b.pinsOf(name)
	return d, nil
}
