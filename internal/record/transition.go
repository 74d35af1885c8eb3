package record

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors of transitions that a caller decides on. Every other error of a
// transition is a fault of the calling code.
var (
	// ErrInProgress: another operation is in progress on the store.
	ErrInProgress = errors.New("seal: another operation is in progress")
	// ErrNoOperation: the operation named is not the one in progress.
	ErrNoOperation = errors.New("seal: no such operation is in progress")
	// ErrNoSlot: the slot named is not in the record.
	ErrNoSlot = errors.New("seal: no such slot")
	// ErrSlotExists: the name is taken, or the record is full.
	ErrSlotExists = errors.New("seal: the slot exists")
	// ErrLastSlot: nothing else would open the store.
	ErrLastSlot = errors.New("seal: the last proven slot cannot go: add another one, and prove it, before")
	// ErrStaleProof: no other slot has opened the present record.
	ErrStaleProof = errors.New("seal: no fresh proof that another slot opens the store")
	// ErrUnproven: no slot of the store was ever proven.
	ErrUnproven = errors.New("seal: no slot was proven yet")
	// ErrTermTwice: two branches used one term number for two keys.
	ErrTermTwice = errors.New("seal: a term number has two keys")
	// ErrTermInUse: the term is the active one, or does not exist.
	ErrTermInUse = errors.New("seal: the term cannot be retired")
)

// Step is what every transition is told beside its own event.
type Step struct {
	Previous  Digest // of the stored record that the transition starts from
	At        int64  // Unix seconds; for the journal, no rule reads it
	Actor     string
	Replica   string
	Operation string // the operation that this is a step of, or ""
	Lease     string // the lease that this is done under, or "": see [Lease]
	Limit     int    // bytes that the store takes; 0: MaxSize
}

// NewSlot is a slot made by the shell. Its share sets are numbered from
// LastSet+1 on, and Wrap is bound to the id that the slot will get.
type NewSlot struct {
	Name      string
	Tree      Node
	PublicKey []byte
	Wrap      []byte
	Identity  [32]byte
}

// NewRoot is a new root key, encrypted to each slot that remains, and the data
// key that comes with it, if one does.
type NewRoot struct {
	Root  uint32 // its number
	Wraps map[uint32][]byte
	Term  *Term
}

// Wipe clears the data key.
func (r *NewRoot) Wipe() {
	if r.Term != nil {
		clear(r.Term.Key[:])
	}
}

// FreshProof is a proof made now: slot ID opened the record of that generation
// and found that root key. Keys means that only the KMS leaves were tried, and
// opened; the people's part rests on the proof recorded in the current operation.
type FreshProof struct {
	Slot       uint32
	Root       uint32
	Generation uint64
	Keys       bool
}

// FingerprintOf returns what a slot's shares and blobs carry of its identity: the
// SHA-256 under KMS keys, its first 12 bytes in shares.
func FingerprintOf(identity [32]byte) [32]byte { return sha256.Sum256(identity[:]) }

// Init returns the first state of a store: every slot initial, one active term.
// Base holds the store's id and the number of the root key; over a store that
// was never proven it is that store's record, whose numbers go on.
func Init(st Step, base Record, term Term, slots []NewSlot) (State, error) {
	if err := base.CanInit(); err != nil {
		return State{}, err
	}
	s := State{
		Record: Record{
			Format: 1, MinReader: 1, Store: base.Store, Generation: base.Generation, Root: base.Root,
			LastTerm: base.LastTerm, LastSlot: base.LastSlot, LastSet: base.LastSet,
			Slots: slices.Clone(base.Slots), Former: base.Former,
		},
		Secrets: Secrets{Identities: map[uint32][32]byte{}},
	}
	for _, old := range base.Slots {
		s.remove(old.ID)
	}
	switch {
	case len(slots) == 0:
		return State{}, fmt.Errorf("%w: a store begins with at least one slot", ErrLastSlot)
	case len(slots) > MaxSlots-ReserveSlots:
		return State{}, fmt.Errorf("%w: a store begins with at most %d slots", ErrFull, MaxSlots-ReserveSlots)
	}
	if err := s.addTerm(term); err != nil {
		return State{}, err
	}
	for _, n := range slots {
		if err := s.addSlot(n, Initial); err != nil {
			return State{}, err
		}
	}
	st.Operation = InitID(s.Store, st.Operation) // in the journal too
	s.Operation = &Operation{ID: st.Operation, Kind: OpInit, Began: s.Generation + 1, At: stamp(st.At), Replica: st.Replica, Actor: st.Actor}
	return s.commit(st, "init", "", grows)
}

// CanInit reports why Init would refuse to begin anew over the record.
func (r *Record) CanInit() error {
	if r.Proved() {
		return ErrSlotExists
	}
	return r.young()
}

// Add returns the state with a pending slot more. A slot named like an active
// one is its successor, and replaces it when proven.
func (s State) Add(st Step, n NewSlot) (State, error) {
	if err := s.CanAdd(st, n.Name); err != nil {
		return State{}, err
	}
	s = s.clone()
	if err := s.addSlot(n, Pending); err != nil {
		return State{}, err
	}
	return s.commit(st, "add", n.Name, grows)
}

// CanAdd reports why Add would refuse a slot of that name, before one is made.
func (s *State) CanAdd(st Step, name string) error {
	switch {
	case !s.Proved():
		return ErrUnproven
	case s.Find(name, Initial) != nil:
		return fmt.Errorf("%w: %q was made by init and is unproven", ErrSlotExists, name)
	case s.Find(name, Pending) != nil:
		return fmt.Errorf("%w: %q is pending already", ErrSlotExists, name)
	case len(s.Slots) == MaxSlots:
		return fmt.Errorf("%w: a record has at most %d slots: drop one", ErrFull, MaxSlots)
	case len(s.Slots) >= MaxSlots-ReserveSlots && s.Find(name, Active) == nil:
		return fmt.Errorf("%w: a record has at most %d slots, and the last place is kept for a rekey: drop one", ErrFull, MaxSlots)
	}
	if err := s.mine(st); err != nil {
		return err
	}
	return s.fits(grows, st.Limit)
}

// Prove returns the state in which the slot, having opened the stored record,
// is active. The predecessor of a pending slot goes in the same step, which
// needs a new root key and term: pass root if and only if there is one.
func (s State) Prove(st Step, f FreshProof, root *NewRoot) (State, error) {
	slot := s.Slot(f.Slot)
	if slot == nil {
		return State{}, ErrNoSlot
	}
	if f.Generation != s.Generation || f.Root != s.Root {
		return State{}, ErrStaleProof
	}
	if !s.Proved() {
		if err := s.young(); err != nil {
			return State{}, err // before data depends on it
		}
	}
	old := s.Predecessor(slot)
	if (old == nil) != (root == nil) {
		return State{}, errors.New("record: a successor, and only a successor, comes with a new root key")
	}
	if old != nil {
		if err := s.mine(st); err != nil {
			return State{}, err
		}
	}
	s = s.clone()
	if !s.Proved() {
		s.Operation = nil // that of init
	}
	event, name := "prove", slot.Name
	slot = s.Slot(f.Slot)
	slot.State = Active
	slot.Proven = &Proof{Root: s.Root, Generation: s.Generation, Operation: st.Operation, At: stamp(st.At)}
	if old != nil {
		event = "replace"
		s.remove(old.ID)
		if err := s.rotate(*root); err != nil {
			return State{}, err
		}
	}
	if o := s.Operation; o != nil && o.ID == st.Operation && o.Kind == OpProve {
		s.Operation = nil
	}
	return s.commit(st, event, name, evicts)
}

// Drop returns the state without the slots, under a new root key and term.
// Pending slots open nothing and go without a proof; any other needs a fresh
// one that an active slot which stays opens the present record.
func (s State) Drop(st Step, ids []uint32, fresh *FreshProof, root NewRoot) (State, error) {
	if err := s.mine(st); err != nil {
		return State{}, err
	}
	opens := false
	for _, id := range ids {
		slot := s.Slot(id)
		if slot == nil {
			return State{}, ErrNoSlot
		}
		opens = opens || slot.Opens()
	}
	if !slices.ContainsFunc(s.Slots, func(o Slot) bool { return o.State == Active && !slices.Contains(ids, o.ID) }) {
		return State{}, ErrLastSlot
	}
	if opens && !s.ProvenWithout(ids, fresh) {
		return State{}, ErrStaleProof
	}
	s = s.clone()
	var names []string
	for _, id := range ids {
		if slot := s.Slot(id); slot != nil {
			names = append(names, slot.Name)
			s.remove(id)
		}
	}
	if err := s.rotate(root); err != nil {
		return State{}, err
	}
	if o := s.Operation; o != nil && o.ID == st.Operation && o.Kind != OpMigrate {
		s.Operation = nil
	}
	return s.commit(st, "drop", strings.Join(names, " "), evicts)
}

// ProvenWithout reports whether a slot other than ids has shown that it opens the
// present record. It counts fresh, or, for a slot that needs people, the proof they
// gave to the current operation under the current root key: they cannot be asked at
// every step. A KMS key beside them in the tree may have died since, so there fresh
// must be of that slot's KMS leaves.
func (s *State) ProvenWithout(ids []uint32, fresh *FreshProof) bool {
	return slices.ContainsFunc(s.Slots, func(o Slot) bool {
		if o.State != Active || slices.Contains(ids, o.ID) {
			return false
		}
		answered := fresh != nil && fresh.Slot == o.ID && fresh.Root == s.Root && fresh.Generation == s.Generation
		if answered && !fresh.Keys {
			return true
		}
		return s.PeopleProved(ids, &o) && (answered || !o.Tree.Keys())
	})
}

// PeopleProved reports whether the people of a slot proved it to the operation in
// progress, under the present root key, and that operation is to drop ids.
func (s *State) PeopleProved(ids []uint32, o *Slot) bool {
	return o.State == Active && o.Tree.NeedsPeople() && s.Operation != nil && s.drops(ids) &&
		o.Proven.Operation == s.Operation.ID && o.Proven.Generation >= s.Operation.Began && o.Proven.Root == s.Root
}

// Reissue returns the state in which n takes the place of a slot that was never
// proven, under a new root key and term: whoever got what was made for the old
// one opens nothing that comes after. The new slot has the old one's state. An
// initial slot opens the store, and goes only as a dropped one would: with a
// fresh proof of another.
func (s State) Reissue(st Step, id uint32, fresh *FreshProof, n NewSlot, root NewRoot) (State, error) {
	slot := s.Slot(id)
	switch {
	case slot == nil:
		return State{}, ErrNoSlot
	case !s.Proved():
		return State{}, ErrUnproven
	case slot.State == Active:
		return State{}, fmt.Errorf("%w: it was proven: rekey it", ErrSlotExists)
	}
	if err := s.mine(st); err != nil {
		return State{}, err
	}
	if slot.Opens() && !s.ProvenWithout([]uint32{id}, fresh) {
		return State{}, ErrStaleProof
	}
	state := slot.State // an initial slot opens the store, and so does its heir
	s = s.clone()
	s.remove(id)
	if err := s.addSlot(n, state); err != nil {
		return State{}, err
	}
	if err := s.rotate(root); err != nil {
		return State{}, err
	}
	return s.commit(st, "reissue", n.Name, mends)
}

// Renew returns the state in which the KMS leaves of a slot are wrapped anew:
// the same seed, held by the same people and under the same names of KMS, which may
// have come to other keys by now. The shell has opened the slot through the new tree.
func (s State) Renew(st Step, id uint32, tree Node) (State, error) {
	slot := s.Slot(id)
	if slot == nil {
		return State{}, ErrNoSlot
	}
	if !sameHolders(&slot.Tree, &tree) {
		return State{}, errors.New("record: a renewal changes blobs alone")
	}
	s = s.clone()
	slot = s.Slot(id)
	slot.Tree = tree
	if err := slot.validate(); err != nil {
		return State{}, fmt.Errorf("record: slot %q: %w", slot.Name, err)
	}
	return s.commit(st, "rewrap", slot.Name, mends) // the journal's word for it
}

// sameHolders reports whether two trees differ in nothing but blobs, what
// they say of their keys, and boxes.
func sameHolders(a, b *Node) bool {
	switch {
	case a.KMS != nil && b.KMS != nil:
		return a.KMS.Name == b.KMS.Name && a.KMS.Blob.Type == b.KMS.Blob.Type
	case a.Shamir != nil:
		return a.Shamir == b.Shamir // never made anew
	case a.Threshold != nil && b.Threshold != nil:
		return a.Threshold.Threshold == b.Threshold.Threshold &&
			slices.EqualFunc(a.Threshold.Of, b.Threshold.Of, func(x, y Node) bool { return sameHolders(&x, &y) })
	}
	return false
}
