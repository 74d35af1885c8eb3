package record

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
)

// drops reports whether the operation in progress names every one of the slots
// as one to drop: people who gave their shares to it agreed to that, and to
// nothing else.
func (s *State) drops(ids []uint32) bool {
	return !slices.ContainsFunc(ids, func(id uint32) bool {
		slot := s.Slot(id)
		return slot == nil || slot.Opens() && !slices.ContainsFunc(s.Operation.Desired, func(g Goal) bool { return g.Drop && g.Name == slot.Name })
	})
}

// InitID is what a record keeps of an init's id, under which it can be repeated.
// Whoever knows the id gets new shares, so the record, which anybody may read,
// must not say it.
func InitID(store, id string) string {
	sum := sha256.Sum256([]byte("sealwright/init/v1 " + store + " " + id)) // a store's id has one length
	return hex.EncodeToString(sum[:])
}

// BeganWith reports whether the record was made by the init of that id, and is
// unproven since.
func (r *Record) BeganWith(id string) bool {
	return r.Operation != nil && r.Operation.Kind == OpInit &&
		subtle.ConstantTimeCompare([]byte(InitID(r.Store, id)), []byte(r.Operation.ID)) == 1
}

// Begin returns the state with the operation in progress.
func (s State) Begin(st Step, o Operation) (State, error) {
	if s.Operation != nil {
		return State{}, ErrInProgress
	}
	if !s.Proved() {
		return State{}, ErrUnproven
	}
	s = s.clone()
	o.ID, o.Began, o.At, o.Replica, o.Actor = st.Operation, s.Generation+1, stamp(st.At), st.Replica, st.Actor
	s.Operation = &o
	u := evicts // the steps of a proof or a drop
	if o.Kind == OpMigrate {
		u = grows
	}
	return s.commit(st, "begin-"+o.Kind, o.Slot, u)
}

// Claim returns the state in which this replica gathers the operation's shares.
func (s State) Claim(st Step) (State, error) {
	if s.Operation == nil || s.Operation.ID != st.Operation {
		return State{}, ErrNoOperation
	}
	s = s.clone()
	s.Operation.Replica = st.Replica
	return s.commit(st, "claim", s.Operation.Slot, evicts)
}

// End returns the state without the operation, finished or abandoned. What it
// has done so far stays.
func (s State) End(st Step) (State, error) {
	if !s.Proved() {
		return State{}, ErrUnproven // that of init ends with the first proof
	}
	if s.Operation == nil || s.Operation.ID != st.Operation {
		return State{}, ErrNoOperation
	}
	s = s.clone()
	slot := s.Operation.Slot
	s.Operation = nil
	return s.commit(st, "end", slot, evicts)
}

// mine refuses a change of slots in the middle of somebody else's operation.
func (s *State) mine(st Step) error {
	switch {
	case s.Operation == nil && st.Operation != "":
		return ErrNoOperation
	case s.Operation != nil && s.Operation.ID != st.Operation:
		return ErrInProgress
	}
	return nil
}
