package seal

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
)

// Inspect is [Barrier.Status] that loads the record to say more while sealed:
// Slots are those of the stored record, and Progress has every set that opens
// the store, also with no share given yet. Nothing vouches for them before the
// record was opened: show them to people, and decide nothing by them.
//
// The error says why the record could not be read, [ErrUninitialized] where
// there is none; the Status is then that of memory. An unsealed Barrier does
// not ask the store.
func (a *Admin) Inspect(ctx context.Context) (Status, error) {
	s := a.b.Status()
	if !s.Sealed {
		return s, nil
	}
	l, err := a.b.ledger.Peek(ctx)
	if err != nil {
		return s, wrapError("inspect", "", err)
	}
	a.b.recordIsThere(l.Record)
	if s = a.b.Status(); !s.Sealed {
		return s, nil
	}
	s.Store, s.Generation, s.Progress, s.Former = l.Store, l.Generation, nil, formerSets(l.Record)
	for i := range l.Slots {
		s.Slots = append(s.Slots, clearStatus(&l.Slots[i]))
	}
	a.b.mu.Lock()
	g := a.b.gathers[""]
	a.b.mu.Unlock()
	if g == nil {
		g = &custody.Quorum{}
	}
	custody.EachSet(l.Record, func(slot *record.Slot, leaf *record.Shares, path string) {
		if slot.Opens() || asked(l.Record, slot) && g.Count(leaf.Set) > 0 {
			s.Progress = append(s.Progress, SetProgress{
				Slot: slot.Name, Path: path, Set: leaf.Set,
				Given: g.Count(leaf.Set), Threshold: leaf.Threshold, Shares: leaf.Shares, Expires: a.b.expires(g, leaf.Set),
			})
		}
	})
	return s, nil
}

// clearStatus is what a slot says of itself in clear.
func clearStatus(slot *record.Slot) SlotStatus {
	out := SlotStatus{
		Name: slot.Name, Spec: specOf(slot.Tree.Spec()), State: SlotState(slot.State),
		Fingerprint: hex.EncodeToString(slot.Fingerprint),
	}
	if slot.Proven != nil {
		out.Proven = time.Unix(slot.Proven.At, 0).UTC()
	}
	slot.Tree.Walk("", func(path string, n *record.Node) {
		leaf := Leaf{Path: path}
		switch {
		case n.Shamir != nil:
			leaf.Set, leaf.Threshold, leaf.Shares = n.Shamir.Set, n.Shamir.Threshold, n.Shamir.Shares
			leaf.Custodians = slices.Clone(n.Shamir.Custodians)
			out.Sets = append(out.Sets, leaf.Set)
			out.Custodians = append(out.Custodians, leaf.Custodians...)
		case n.KMS != nil:
			leaf.KMS, leaf.Type, leaf.KeyID, leaf.Version = n.KMS.Name, n.KMS.Blob.Type, n.KMS.Blob.KeyID, n.KMS.Blob.Version
		}
		out.Leaves = append(out.Leaves, leaf)
	})
	return out
}

func formerSets(rec *record.Record) (sets []uint32) {
	for _, f := range rec.Former {
		sets = append(sets, f.Set)
	}
	return sets
}
