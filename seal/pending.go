package seal

import (
	"context"
	"fmt"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// asked reports whether the operation in progress asks for the proof of a slot
// that opens nothing yet. Its shares, given to a sealed server, are then the
// answer: whoever rekeyed, was told that the new shares are complete, and has
// destroyed the old ones is not locked out by a restart. Only that: shares that
// nobody asked for, as of a delivery that was intercepted, replace nothing. While
// sealed nothing vouches for the operation, but where it is forged the record
// does not open, and an answer is worth nothing without the record.
func asked(rec *record.Record, slot *record.Slot) bool {
	o := rec.Operation
	return slot.State == record.Pending && o != nil && o.Kind == record.OpProve && o.Slot == slot.Name
}

// opensNothing is what is said to a custodian of a slot that waits to be proven,
// whose share was not asked for.
func opensNothing(slot *record.Slot) error {
	return fmt.Errorf("%w: the share is right, and slot %q opens nothing yet: give it where the slot is proven, and until then the shares that were there before", ErrNoOperation, slot.Name)
}

// proveOpened stores that a slot has opened the record just now, and unseals
// with it, if as says so. The predecessor of one that was asked for goes in the
// same swap, as for [Admin.Prove]. The caller keeps o.
func (t *turn) proveOpened(ctx context.Context, o *ledger.Opened, slot *record.Slot, by By, as intent) error {
	if asked(&o.State.Record, slot) {
		by.Operation = OperationID(o.State.Operation.ID)
	}
	event, root := EventProve, o.Root
	var rewrap *record.NewRoot
	var err error
	if old := o.State.Predecessor(slot); old != nil {
		event = EventReplace
		if rewrap, root, err = newRoot(&o.State, []uint32{old.ID}, true); err != nil {
			return err
		}
		defer clear(root)
		defer rewrap.Wipe()
	}
	fresh := record.FreshProof{Slot: slot.ID, Root: o.State.Root, Generation: o.State.Generation}
	next, err := o.State.Prove(t.b.step(o.Digest, by), fresh, rewrap)
	if err == nil {
		var draft *ledger.Opened
		var stored []byte
		if draft, stored, err = ledger.Draft(next, root); err == nil {
			err = t.swap(ctx, stored, o.Rev, draft, as)
		}
		next.Secrets.Wipe()
	}
	t.tell(by, Event{Kind: event, Slot: slot.Name, Detail: "by unsealing", Err: err})
	return err
}
