package seal

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/sealwright/sealwright/internal/record"
)

// unbelieved returns ErrUnpinned for a slot that opens the store and that a
// process which starts with this configuration would all the same not believe:
// this process knows the slot, so its own unwrap says nothing of that. Tried is what
// came of the slot last: where its key is lost, a pin helps nothing.
func (b *Barrier) unbelieved(slot *record.Slot, tried error) error {
	fingerprint := hex.EncodeToString(slot.Fingerprint)
	switch {
	case slot.Tree.NeedsPeople(), slices.Contains(b.cfg.Pins, fingerprint):
		return nil
	case len(b.cfg.Pins) > 0:
		return fmt.Errorf("%w: a process that starts believes pinned slots alone: add %s to Config.Pins", ErrUnpinned, fingerprint)
	case b.cfg.TrustUnpinned || lost(tried) || !b.custody.Forgeable(slot):
		return nil
	}
	return fmt.Errorf("%w: anybody with write access to the store could make such a slot, and a process that starts will not believe it: add %s to Config.Pins", ErrUnpinned, fingerprint)
}
