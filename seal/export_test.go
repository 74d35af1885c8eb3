package seal

import (
	"context"
	"slices"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

type state = record.State

func deleteSlot(slots []record.Slot, id uint32) []record.Slot {
	return slices.DeleteFunc(slots, func(s record.Slot) bool { return s.ID == id })
}

// Planted faults, for the tests that must catch them.

// BelieveAnyProof makes Drop take any proof ever recorded.
func (b *Barrier) BelieveAnyProof() { b.hooks.believe = true }

// CommitBeforeDelivery makes Rekey let the new set take over in the swap that
// stores it, before anybody has its shares.
func (b *Barrier) CommitBeforeDelivery() {
	b.hooks.rewrite = func(event EventKind, before, after state) state {
		if event != EventAdd {
			return after
		}
		for i := range after.Slots {
			slot := &after.Slots[i]
			if old := after.Predecessor(slot); old != nil {
				slot.State, slot.Proven = "active", old.Proven
				id := old.ID
				after.Slots = deleteSlot(after.Slots, id)
				delete(after.Identities, id)
				return after
			}
		}
		return after
	}
}

// LeaveWraps makes a root rotation leave every slot's wrap behind.
func (b *Barrier) LeaveWraps() {
	b.hooks.rewrite = func(event EventKind, before, after state) state {
		for i := range after.Slots {
			if old := before.Slot(after.Slots[i].ID); old != nil {
				after.Slots[i].Wrap = old.Wrap
			}
		}
		return after
	}
}

// SwapStore puts another store under the Barrier.
func (b *Barrier) SwapStore(s Store) { b.ledger.Replace(s) }

// SecretsNow returns every secret that the Barrier holds: the root key, the data
// keys, the identities.
func (b *Barrier) SecretsNow() map[string][]byte {
	o, err := b.current()
	if err != nil {
		return nil
	}
	out := map[string][]byte{"root key": o.Root}
	for i := range o.State.Terms {
		out["term"+string(rune('0'+i))] = o.State.Terms[i].Key[:]
	}
	for id, identity := range o.State.Identities {
		out["identity"+string(rune('0'+id))] = identity[:]
	}
	return out
}

// SwapKMS puts other wrappers under the Barrier.
func (b *Barrier) SwapKMS(m map[string]kms.Wrapper) {
	b.cfg.KMS, b.custody = m, custody.NewKeys(m, b.cfg.Retry, b.cfg.HeadStart)
}

// UnsealAtOnce is Unseal that does not wait for a Seal at work, as an attempt does
// that Run begins just then.
func (b *Barrier) UnsealAtOnce(ctx context.Context) error { return b.unsealOnce(ctx, b.toUnseal()) }

// FollowVersions is what Run does after a drill.
func (b *Barrier) FollowVersions(ctx context.Context) { b.followVersions(ctx) }

// SealWhileAnswering has an operator seal between the encryption of the root key in
// a hand-off and its sending.
func (b *Barrier) SealWhileAnswering() {
	b.hooks.answered = func() { _ = b.Seal(By{}) }
}

// Report has a Barrier tell the roster of itself, as Run does.
func Report(ctx context.Context, b *Barrier) { b.report(ctx) }
