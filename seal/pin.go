package seal

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// A process that runs knows the slots of its record, so that its own unwrap says
// nothing of the one that will start: that one asks Shapes and Pins.

// unbelieved returns why a process that starts with this configuration would not
// believe a slot that opens the store: [ErrUnexpected] or [ErrUnpinned]. Beside says
// that a pinned slot opens the store as well, which is what shares need. Tried is
// what came of the slot last: where its key is lost, a pin helps nothing.
func (b *Barrier) unbelieved(slot *record.Slot, beside bool, tried error) error {
	if err := b.expected(slot.Name, slot.Tree.Spec()); err != nil {
		return err
	}
	fingerprint := hex.EncodeToString(slot.Fingerprint)
	switch {
	case b.isPin(slot.Fingerprint):
		return nil
	case len(b.cfg.Pins) == 0 && (b.cfg.TrustUnpinned || lost(tried) || !b.custody.Forgeable(slot)):
		return nil
	case len(b.cfg.Pins) == 0 && !slot.Opens(): // with a pin, what opens the store now would need one as well
		return fmt.Errorf("%w: anybody with write access to the store could make such a slot, and a process that starts will not believe it: when it is proven, add %s to Config.Pins", ErrUnpinned, fingerprint)
	case len(b.cfg.Pins) == 0:
		return fmt.Errorf("%w: anybody with write access to the store could make such a slot, and a process that starts will not believe it: add %s to Config.Pins", ErrUnpinned, fingerprint)
	case !slot.Tree.NeedsPeople():
		return fmt.Errorf("%w: a process that starts believes pinned slots alone: add %s to Config.Pins", ErrUnpinned, fingerprint)
	case !beside:
		return fmt.Errorf("%w: a process that starts believes people's shares only beside a pinned slot: add %s to Config.Pins", ErrUnpinned, fingerprint)
	}
	return nil
}

// expected returns ErrUnexpected for a slot that is not as [Config.Shapes] has it.
func (b *Barrier) expected(name string, has record.Spec) error {
	want, ok := b.cfg.Shapes[name]
	switch {
	case len(b.cfg.Shapes) == 0:
		return nil
	case !ok:
		return fmt.Errorf("%w: slot %q is not among them, so that a process that starts will not believe it: add it, %v", ErrUnexpected, name, specOf(has))
	case !want.record().Equal(has):
		return fmt.Errorf("%w: slot %q is %v, and Config.Shapes has %v, so that a process that starts will not believe it: give the new shape a name of its own, or restart without Config.Shapes for the change", ErrUnexpected, name, specOf(has), want)
	}
	return nil
}

// atStart reports whether an error of a drill is what only a process that starts
// meets: this one opens the store by the slot.
func atStart(err error) bool {
	return errors.Is(err, ErrUnpinned) || errors.Is(err, ErrUnexpected)
}

// pinned reports whether a pinned slot opens the store, but those of the names.
func (b *Barrier) pinned(slots []record.Slot, but ...string) bool {
	return slices.ContainsFunc(slots, func(o record.Slot) bool {
		return o.Opens() && b.isPin(o.Fingerprint) && !slices.Contains(but, o.Name)
	})
}

// starts refuses a change after which a process that starts with this configuration
// would believe no slot, where it believes one now: whose configuration does not fit
// the record as it is, is not hindered. The slots of these ids go, and the one in
// comes, or comes back otherwise; it may be nil.
func (b *Barrier) starts(s *record.Record, gone []uint32, in *record.Slot) error {
	var after []record.Slot
	for _, o := range s.Slots {
		if o.Opens() && !slices.Contains(gone, o.ID) && (in == nil || o.ID != in.ID) {
			after = append(after, o)
		}
	}
	if in != nil {
		came := *in
		came.State = record.Active
		after = append(after, came)
	}
	err := b.anyStarts(after)
	if err == nil || b.anyStarts(s.Slots) != nil {
		return nil
	}
	err = fmt.Errorf("nothing would unseal a process that starts: %w", err)
	if in == nil || len(b.cfg.Pins) > 0 || !errors.Is(err, ErrUnpinned) {
		return err
	}
	// Where there were no pins the first one has every other slot need one too, and
	// this one opens nothing yet.
	var pins []string
	for _, o := range s.Slots {
		if o.Opens() || o.ID == in.ID {
			pins = append(pins, hex.EncodeToString(o.Fingerprint))
		}
	}
	return fmt.Errorf("%w, and to begin with of what opens the store now too: %s", err, strings.Join(pins, ", "))
}

// replaces is starts of a proof: the predecessor of a slot that waits for it goes.
func (b *Barrier) replaces(s *record.Record, slot *record.Slot) error {
	if old := s.Predecessor(slot); old != nil {
		return b.starts(s, []uint32{old.ID}, slot)
	}
	return nil
}

// anyStarts returns nil if one of the slots that open the store unseals a process
// that starts, or else why the last one does not.
func (b *Barrier) anyStarts(slots []record.Slot) (err error) {
	beside := b.pinned(slots)
	for i := len(slots) - 1; i >= 0; i-- {
		if !slots[i].Opens() || lost(b.drills.last(&slots[i]).err) {
			continue
		}
		if e := b.unbelieved(&slots[i], beside, nil); e == nil {
			return nil
		} else if err == nil {
			err = e
		}
	}
	return err
}

// pinsOf returns the fingerprints of those of the named slots that need a pin, by
// name, or will when they have replaced what they are to: of two, the one that waits
// to be proven. Where there are no pins it leaves out what opens nothing yet: with
// that pin alone nothing would open the store.
func (b *Barrier) pinsOf(names ...string) (pins map[string]string) {
	_, slots := b.status()
	rec, beside := &record.Record{Slots: slots}, b.pinned(slots)
	for i := range slots {
		slot := &slots[i]
		if !slices.Contains(names, slot.Name) || !slot.Opens() && len(b.cfg.Pins) == 0 || rec.Find(slot.Name, record.Pending) != nil && slot.State != record.Pending {
			continue
		}
		if !errors.Is(cmp.Or(b.unbelieved(slot, beside, nil), b.replaces(rec, slot)), ErrUnpinned) {
			continue
		}
		if pins == nil {
			pins = map[string]string{}
		}
		pins[slot.Name] = hex.EncodeToString(slot.Fingerprint)
	}
	return pins
}

// CheckStart returns why a process that starts with this configuration would not
// believe the slot of that name when those of the names in dropped are gone:
// [ErrUnpinned], which names the fingerprint to pin, or [ErrUnexpected]; nil if it
// would. Where there is no such slot yet, or one of another spec, it answers for one
// of that spec: each key is asked to wrap, and one that does not answer proves nothing.
func (a *Admin) CheckStart(ctx context.Context, name string, spec Spec, dropped ...string) error {
	b := a.b
	shape, err := b.checkSpec(spec)
	if err != nil {
		return wrapError("check start", name, err)
	}
	o, err := b.current()
	if err != nil {
		return wrapError("check start", name, err)
	}
	defer o.Wipe()
	beside := b.pinned(o.State.Slots, dropped...)
	if slot := provable(&o.State, name); slot != nil && slot.Tree.Spec().Equal(shape) {
		return wrapError("check start", name, b.unbelieved(slot, beside, nil))
	}
	return wrapError("check start", name, b.unmade(ctx, name, spec, shape, beside))
}

// unmade is unbelieved of a slot that is not there yet.
func (b *Barrier) unmade(ctx context.Context, name string, spec Spec, shape record.Spec, beside bool) error {
	if err := b.expected(name, shape); err != nil {
		return err
	}
	switch {
	case b.cfg.TrustUnpinned, NeedsPeople(spec) && (beside || len(b.cfg.Pins) == 0):
		return nil
	case len(b.cfg.Pins) == 0 && b.anyAuthenticates(ctx, shape):
		return nil
	}
	return fmt.Errorf("%w: slot %q will not unseal a process that starts before it is pinned", ErrUnpinned, name)
}

// anyAuthenticates reports whether one of the shape's keys proves who wrapped.
func (b *Barrier) anyAuthenticates(ctx context.Context, shape record.Spec) (proves bool) {
	eachKMS(shape, func(name string) {
		ctx, done := b.until(ctx)
		defer done()
		proves = proves || b.custody.Authenticates(ctx, name, kms.Binding{Store: b.ledger.Newest().Store, Slot: "rehearsal"})
	})
	return proves
}
