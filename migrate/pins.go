package migrate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

// A slot whose wrap anybody can make who has the public key, as with RSA-OAEP of
// Azure Key Vault, or with a key that an alias chooses, opens the store for a
// process that knows it and not for one that starts, unless its fingerprint is
// pinned. Whoever drops the old slot first finds out at the next restart.

// checkPins says of the wanted slots which need a pin that they do not have.
// Where the plan drops what opens the store today it is a problem, else a
// warning: with the slot made, there is a fingerprint to pin.
func (p Plan) checkPins(ctx context.Context, b *seal.Barrier, s seal.Status, refused map[string]bool, r *Report) {
	for _, name := range slices.Sorted(maps.Keys(p.Slots)) {
		var err error
		if slot := newest(s, name); slot != nil {
			err = unpinned(slot)
		} else if !refused[name] && b.Admin().Forgeable(ctx, p.Slots[name]) {
			err = fmt.Errorf("%w: slot %q will not unseal a process that starts before it is pinned: carry the plan out without Drop, add the fingerprint that Reconcile returns to Config.Pins, restart, and drop then", seal.ErrUnpinned, name)
		}
		switch {
		case err != nil && len(p.Drop) > 0:
			r.Problems = append(r.Problems, err)
		case err != nil:
			r.Warnings = append(r.Warnings, err.Error())
		}
	}
}

// unpinned returns an error for a slot that a process which starts would not
// believe.
func unpinned(slot *seal.SlotStatus) error {
	if !slot.NeedsPin {
		return nil
	}
	return fmt.Errorf("%w: slot %q will not unseal a process that starts: add %s to Config.Pins and restart first", seal.ErrUnpinned, slot.Name, slot.Fingerprint)
}

// newest returns the slot of that name that will open the store when the plan is
// carried out: the pending one, or the one that opens it now.
func newest(s seal.Status, name string) *seal.SlotStatus {
	if slot := find(s, name, seal.SlotPending); slot != nil {
		return slot
	}
	return opening(s, name)
}

// pinsOf returns the fingerprints of the wanted slots that need a pin.
func (p Plan) pinsOf(s seal.Status) (pins map[string]string) {
	for name := range p.Slots {
		if slot := newest(s, name); slot != nil && slot.NeedsPin {
			if pins == nil {
				pins = map[string]string{}
			}
			pins[name] = slot.Fingerprint
		}
	}
	return pins
}

// mayDrop returns an error where a wanted slot would not unseal a process that
// starts: what is to be dropped is what does.
func (p Plan) mayDrop(s seal.Status) error {
	for _, name := range slices.Sorted(maps.Keys(p.Slots)) {
		if slot := newest(s, name); slot != nil {
			if err := unpinned(slot); err != nil {
				return fmt.Errorf("stopped before the drop: %w; then call Reconcile again", err)
			}
		}
	}
	return nil
}
