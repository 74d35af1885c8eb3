package record

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

func (s *State) addSlot(n NewSlot, state string) error {
	switch {
	case s.Find(n.Name, state) != nil:
		return fmt.Errorf("%w: %q", ErrSlotExists, n.Name)
	case len(s.Slots) == MaxSlots:
		return fmt.Errorf("%w: a record has at most %d slots: drop one", ErrFull, MaxSlots)
	}
	next, inOrder := s.LastSet, true
	tree := n.Tree // so that n, with its identity, is not moved to the heap
	tree.Leaves(func(l *Node) bool {
		if l.Shamir != nil {
			next++
			inOrder = inOrder && l.Shamir.Set == next
		}
		return true
	})
	if !inOrder {
		return errors.New("record: share sets are numbered in order")
	}
	s.LastSlot++
	s.LastSet = next
	fingerprint := FingerprintOf(n.Identity)
	slot := Slot{
		ID: s.LastSlot, Name: n.Name, State: state, Fingerprint: fingerprint[:12],
		Tree: tree, PublicKey: n.PublicKey, Wrap: n.Wrap,
	}
	if err := slot.validate(); err != nil {
		return fmt.Errorf("record: slot %q: %w", n.Name, err)
	}
	s.Slots = append(s.Slots, slot)
	s.Identities[slot.ID] = n.Identity
	return nil
}

func (s *State) remove(id uint32) {
	gone := s.Slot(id)
	gone.Tree.Leaves(func(l *Node) bool {
		if l.Shamir != nil {
			s.Former = append(slices.Clip(s.Former), Former{Set: l.Shamir.Set, Fingerprint: gone.Fingerprint})
		}
		return true
	})
	s.Former = s.Former[max(0, len(s.Former)-MaxFormer):]
	s.Slots = slices.DeleteFunc(s.Slots, func(o Slot) bool { return o.ID == id })
	delete(s.Identities, id)
}

// commit makes s the successor of the record it was cloned from, if there is room
// for it.
func (s State) commit(st Step, event, slot string, u use) (State, error) {
	if s.Generation > 0 {
		s.Previous = st.Previous[:]
		s.Digests = append([]Digest{st.Previous}, s.Digests[:min(len(s.Digests), MaxDigests-1)]...)
	}
	s.Generation++
	s.setFormat()
	if extra := len(s.Journal) + 1 - MaxJournal; extra > 0 {
		s.Journal = s.Journal[extra:]
	}
	s.Journal = append(slices.Clip(s.Journal), Entry{
		Generation: s.Generation, At: stamp(st.At), Event: event, Slot: slot,
		Actor: st.Actor, Replica: st.Replica, Operation: st.Operation,
	})
	if err := s.fits(u, st.Limit); err != nil {
		s.Secrets.Wipe() // a clone's
		return State{}, err
	}
	return s, nil
}

// stamp is a time that a record can hold, whatever the clock says.
func stamp(at int64) int64 { return min(max(at, 0), MaxTime) }

// Clone returns a copy whose secrets can be wiped on their own.
func (s State) Clone() State { return s.clone() }

// clone copies all that a transition changes in place, and the secrets.
func (s State) clone() State {
	s.Slots = slices.Clone(s.Slots)
	s.Terms = append(make([]Term, 0, len(s.Terms)+1), s.Terms...)
	s.Identities = maps.Clone(s.Identities)
	if s.Operation != nil {
		o := *s.Operation
		s.Operation = &o
	}
	if s.Lease != nil {
		l := *s.Lease
		s.Lease = &l
	}
	return s
}
