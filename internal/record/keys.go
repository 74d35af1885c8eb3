package record

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
)

// Restore returns the state in which an older record is gone on with. Its
// generation comes above all that were seen, and its next term, active at once,
// is one that the lost records cannot have used. Knew is the newest record that
// was seen, and extra are the terms that are still known; what was written under
// them stays readable. The root key is new: whoever a lost record let in, and
// this one does not, opens nothing that comes after.
func (s State) Restore(st Step, knew *Record, extra []Term, r NewRoot) (State, error) {
	if err := s.near(knew); err != nil {
		return State{}, err
	}
	s.Generation = max(s.Generation, knew.Generation)
	return s.branch(st, "restore", extra, r, mends)
}

// Join returns the state with the terms of a fork of the same store, and a new
// active term beyond both. The root key is new, as for a Restore.
func (s State) Join(st Step, fork *Record, terms []Term, r NewRoot) (State, error) {
	if err := fork.near(&s.Record); err != nil {
		return State{}, err
	}
	return s.branch(st, "join", terms, r, grows)
}

// branch takes in the terms of another branch, under a new root key and with a
// new term, whose number is beyond all that either branch can have used.
func (s State) branch(st Step, event string, terms []Term, r NewRoot, u use) (State, error) {
	switch {
	case !s.Proved():
		return State{}, ErrUnproven
	case r.Term == nil || r.Term.State != TermActive:
		return State{}, errors.New("record: another branch is taken in under a new term, active at once")
	}
	s = s.clone()
	if err := s.adopt(terms, r.Term.Number-1); err != nil {
		return State{}, err
	}
	if err := s.rotate(r); err != nil {
		return State{}, err
	}
	s.Lease = nil // who had it worked on another branch
	return s.commit(st, event, "", u)
}

// adopt takes in terms of another branch, to read what was written under them,
// and lets the numbers go on after last. A number that has two keys is refused.
func (s *State) adopt(terms []Term, last uint32) error {
	room := append(make([]Term, 0, len(s.Terms)+len(terms)+1), s.Terms...)
	clear(s.Terms) // no copy stays behind
	s.Terms = room
	for _, t := range terms {
		i, found := slices.BinarySearchFunc(s.Terms, t.Number, func(o Term, n uint32) int { return cmp.Compare(o.Number, n) })
		switch {
		case found && subtle.ConstantTimeCompare(s.Terms[i].Key[:], t.Key[:]) != 1:
			return fmt.Errorf("%w: number %d", ErrTermTwice, t.Number)
		case found:
			continue
		case t.Number > last:
			return errors.New("record: a term from beyond the other branch's last")
		}
		if len(s.Terms) >= MaxTerms-1 { // one is the new term
			return fmt.Errorf("%w: both branches together have more than %d data keys: rewrap the data and retire some", ErrFull, MaxTerms)
		}
		t.State = TermOld
		s.Terms = slices.Insert(s.Terms, i, t)
	}
	if last < s.LastTerm {
		return errors.New("record: term numbers go back")
	}
	s.LastTerm = last
	return nil
}

// RotateRoot returns the state under a new root key, every slot re-wrapped.
func (s State) RotateRoot(st Step, root NewRoot) (State, error) {
	if !s.Proved() {
		return State{}, ErrUnproven
	}
	s = s.clone()
	if err := s.rotate(root); err != nil {
		return State{}, err
	}
	return s.commit(st, "rotate-root", "", evicts)
}

// Rotate returns the state with a term more, passive or active at once.
func (s State) Rotate(st Step, t Term) (State, error) {
	if !s.Proved() {
		return State{}, ErrUnproven
	}
	s = s.clone()
	if err := s.addTerm(t); err != nil {
		return State{}, err
	}
	return s.commit(st, "rotate", "", grows)
}

// Activate returns the state in which the passive term encrypts.
func (s State) Activate(st Step, number uint32) (State, error) {
	i := s.FindTerm(func(t *Term) bool { return t.Number == number && t.State == TermPassive })
	if i < 0 {
		return State{}, fmt.Errorf("record: term %d is not waiting to be activated", number)
	}
	s = s.clone()
	s.activate(i)
	return s.commit(st, "activate", "", evicts)
}

// Retire returns the state without the term. What was encrypted under it is
// gone for ever. Whoever counted what is under it did so under a lease, and names
// it: a count of before it was taken over is of no use any more.
func (s State) Retire(st Step, number uint32) (State, error) {
	if st.Lease != "" {
		if err := s.holds(st); err != nil {
			return State{}, err
		}
	}
	i := s.FindTerm(func(t *Term) bool { return t.Number == number })
	if i < 0 || s.Terms[i].State == TermActive {
		return State{}, ErrTermInUse
	}
	s = s.clone()
	s.Terms = slices.Delete(s.Terms, i, i+1)
	return s.commit(st, "retire", "", evicts)
}

// rotate installs a new root key: no slot may be left with the old one.
func (s *State) rotate(r NewRoot) error {
	if r.Root != s.Root+1 {
		return errors.New("record: root keys are numbered in order")
	}
	if len(r.Wraps) != len(s.Slots) {
		return errors.New("record: a new root key is wrapped for every slot")
	}
	for i := range s.Slots {
		wrap, ok := r.Wraps[s.Slots[i].ID]
		if !ok {
			return errors.New("record: a new root key is wrapped for every slot")
		}
		s.Slots[i].Wrap = wrap
	}
	s.Root = r.Root
	if r.Term != nil {
		return s.addTerm(*r.Term)
	}
	return nil
}

func (s *State) addTerm(t Term) error {
	if t.Number != s.LastTerm+1 {
		return errors.New("record: terms are numbered in order")
	}
	if len(s.Terms) >= MaxTerms {
		return fmt.Errorf("%w: a keyring holds at most %d terms: rewrap the data and retire some", ErrFull, MaxTerms)
	}
	s.LastTerm, t.Created = t.Number, stamp(t.Created)
	s.Terms = append(s.Terms, t) // clone has left room: no copy stays behind
	if t.State == TermActive {
		s.activate(len(s.Terms) - 1)
	}
	return nil
}

// activate makes the term at index i the active one, and every earlier one an
// old one: the active term never goes back to a lower number.
func (s *State) activate(i int) {
	s.Terms[i].State = TermActive
	for j := range i {
		s.Terms[j].State = TermOld
	}
}
