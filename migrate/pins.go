package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

// A slot whose wrap anybody can make who has the public key, as with RSA-OAEP of
// Azure Key Vault, or with a key that an alias chooses, opens the store for a
// process that knows it and not for one that starts, unless its fingerprint is
// pinned; so does one that Config.Shapes does not have. Whoever drops the old slot
// first finds out at the next restart.

// checkStart says which of the wanted slots a process that starts would not believe.
// Where the plan drops what opens the store today it is a problem, else a warning:
// with the slot made, there is a fingerprint to pin.
func (p Plan) checkStart(ctx context.Context, b *seal.Barrier, s seal.Status, refused map[string]bool, r *Report) {
	for _, name := range slices.Sorted(maps.Keys(p.Slots)) {
		made := newest(s, name) != nil
		if refused[name] && !made {
			continue
		}
		err := b.Admin().CheckStart(ctx, name, p.Slots[name], p.Drop...)
		switch {
		case err == nil:
			continue
		case !made && errors.Is(err, seal.ErrUnpinned):
			err = fmt.Errorf("%w: carry the plan out without Drop, add the fingerprint that Reconcile returns to Config.Pins, restart, and drop then", err)
		}
		if len(p.Drop) > 0 {
			r.Problems = append(r.Problems, err)
		} else {
			r.Warnings = append(r.Warnings, err.Error())
		}
	}
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
func (p Plan) pinsOf(ctx context.Context, b *seal.Barrier) (pins map[string]string) {
	s := b.Status()
	for name, spec := range p.Slots {
		slot := newest(s, name)
		if slot == nil || slot.State == seal.SlotPending || // which opens nothing yet: the error says what it needs
			!errors.Is(b.Admin().CheckStart(ctx, name, spec, p.Drop...), seal.ErrUnpinned) {
			continue
		}
		if pins == nil {
			pins = map[string]string{}
		}
		pins[name] = slot.Fingerprint
	}
	return pins
}

// mayDrop returns an error where a wanted slot would not unseal a process that
// starts: what is to be dropped is what does.
func (p Plan) mayDrop(ctx context.Context, b *seal.Barrier) error {
	for _, name := range slices.Sorted(maps.Keys(p.Slots)) {
		if err := b.Admin().CheckStart(ctx, name, p.Slots[name], p.Drop...); err != nil {
			return fmt.Errorf("stopped before the drop: %w; restart so first, then call Reconcile again", err)
		}
	}
	return nil
}
