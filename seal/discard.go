package seal

import (
	"context"
	"fmt"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// Discard removes the slot of that name that waits to be proven, as
// [Admin.Drop] does, and no other: where another replica has proven it
// meanwhile, the error is [ErrNoSlot], and it stays.
func (a *Admin) Discard(ctx context.Context, name string, by By) error {
	if err := by.check(); err != nil {
		return err
	}
	err := a.b.commit(ctx, EventDrop, by, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		slot := o.State.Find(name, record.Pending)
		if slot == nil {
			return record.State{}, nil, fmt.Errorf("%w that waits to be proven", ErrNoSlot)
		}
		ids := []uint32{slot.ID}
		rewrap, root, err := newRoot(&o.State, ids, true)
		if err != nil {
			return record.State{}, nil, err
		}
		defer rewrap.Wipe()
		next, err := o.State.Drop(st, ids, nil, *rewrap)
		return next, root, err
	})
	a.b.emit(EventDrop, by, name, "", err)
	return wrapError("discard", name, err)
}
