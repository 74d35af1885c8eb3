package record

import "slices"

// drops reports whether the operation in progress names every one of the slots
// as one to drop: people who gave their shares to it agreed to that, and to
// nothing else.
func (s *State) drops(ids []uint32) bool {
	return !slices.ContainsFunc(ids, func(id uint32) bool {
		slot := s.Slot(id)
		return slot == nil || slot.Opens() && !slices.ContainsFunc(s.Operation.Desired, func(g Goal) bool { return g.Drop && g.Name == slot.Name })
	})
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
	o.ID, o.Began, o.At, o.Replica, o.Actor = st.Operation, s.Generation+1, st.At, st.Replica, st.Actor
	s.Operation = &o
	return s.commit(st, "begin-"+o.Kind, o.Slot), nil
}

// Claim returns the state in which this replica gathers the operation's shares.
func (s State) Claim(st Step) (State, error) {
	if s.Operation == nil || s.Operation.ID != st.Operation {
		return State{}, ErrNoOperation
	}
	s = s.clone()
	s.Operation.Replica = st.Replica
	return s.commit(st, "claim", s.Operation.Slot), nil
}

// End returns the state without the operation, finished or abandoned. What it
// has done so far stays.
func (s State) End(st Step) (State, error) {
	if s.Operation == nil || s.Operation.ID != st.Operation {
		return State{}, ErrNoOperation
	}
	if !s.Proved() {
		return State{}, ErrUnproven // that of init ends with the first proof
	}
	s = s.clone()
	slot := s.Operation.Slot
	s.Operation = nil
	return s.commit(st, "end", slot), nil
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
