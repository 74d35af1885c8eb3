package sequences_test

import (
	"maps"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

// A truth is what the oracle knows of one record: who opens it, under which
// root key, with which data keys. Like the record it is never changed once it
// is stored.
type truth struct {
	id         int // of this very record; and those that it comes from
	generation uint64
	root       int // which root key; no two are ever the same
	terms      map[uint32]bool
	active     uint32
	lastTerm   uint32
	slots      []slot // in the order of the record
	former     []*set
	op         *operation
}

type slot struct {
	id    int
	name  string
	shape shape
	state seal.SlotState
	set   *set // nil if no people are involved
	proof proof
}

// A shape is a KMS key, people, or both together.
type shape struct {
	kms  string
	n, k int // of people; 0 if there are none
}

func (s shape) spec() seal.Spec {
	key, people := seal.KMS{Wrapper: s.kms}, seal.Shamir{Shares: s.n, Threshold: s.k}
	switch {
	case s.k == 0:
		return key
	case s.kms == "":
		return people
	}
	return seal.Threshold{K: 2, Of: []seal.Spec{key, people}}
}

// A set is the shares of a slot. Those of a process that died before it could
// hand them out are nil: nobody has them.
type set struct{ shares []seal.Share }

// A proof is the last one that a slot gave: within which operation, against
// which root key, of which record.
type proof struct {
	op         seal.OperationID
	root       int
	generation uint64
}

type operation struct {
	id      seal.OperationID
	kind    seal.OperationKind
	slot    string
	goals   []seal.Goal
	replica int // the one that gathers
	began   uint64
}

func (o *operation) same(p *operation) bool {
	return o.kind == p.kind && o.slot == p.slot && slices.EqualFunc(o.goals, p.goals, func(a, b seal.Goal) bool {
		return a.Name == b.Name && a.Drop == b.Drop && (a.Drop || a.Spec.String() == b.Spec.String())
	})
}

func (o *operation) drops(name string) bool {
	return slices.ContainsFunc(o.goals, func(g seal.Goal) bool { return g.Drop && g.Name == name })
}

// covers reports whether people asked within the migration o agreed to p.
func (o *operation) covers(p *operation) bool {
	return o.kind == seal.OperationMigrate && p.kind != seal.OperationMigrate &&
		!slices.ContainsFunc(p.goals, func(g seal.Goal) bool { return !o.drops(g.Name) })
}

func (t *truth) clone() *truth {
	next := *t
	next.terms, next.slots = maps.Clone(t.terms), slices.Clone(t.slots)
	next.former = slices.Clip(t.former)
	if t.op != nil {
		op := *t.op
		next.op = &op
	}
	return &next
}

func (t *truth) proven() bool {
	return slices.ContainsFunc(t.slots, func(s slot) bool { return s.state == seal.SlotActive })
}

func (t *truth) find(name string, state seal.SlotState) *slot {
	for i := range t.slots {
		if t.slots[i].name == name && t.slots[i].state == state {
			return &t.slots[i]
		}
	}
	return nil
}

func (t *truth) slot(id int) *slot {
	for i := range t.slots {
		if t.slots[i].id == id {
			return &t.slots[i]
		}
	}
	return nil
}

// provable is the slot that a call means by a name.
func (t *truth) provable(name string) *slot {
	for _, state := range []seal.SlotState{seal.SlotPending, seal.SlotInitial, seal.SlotActive} {
		if s := t.find(name, state); s != nil {
			return s
		}
	}
	return nil
}

func (t *truth) predecessor(s *slot) *slot {
	if s.state != seal.SlotPending {
		return nil
	}
	return t.find(s.name, seal.SlotActive)
}

func (t *truth) remove(id int) {
	if s := t.slot(id); s.set != nil {
		t.former = append(t.former, s.set)
		t.former = t.former[max(0, len(t.former)-32):]
	}
	t.slots = slices.DeleteFunc(t.slots, func(s slot) bool { return s.id == id })
}

func (t *truth) addTerm(number uint32) {
	t.lastTerm, t.active = number, number
	t.terms[number] = true
}

// mine is the refusal of a change of slots within somebody else's operation.
func (t *truth) mine(op seal.OperationID) error {
	switch {
	case t.op == nil && op != "":
		return seal.ErrNoOperation
	case t.op != nil && t.op.id != op:
		return seal.ErrInProgress
	}
	return nil
}

// agreed reports whether the people of a slot have proven it within the
// operation in progress, which is to drop ids.
func (t *truth) agreed(ids []int, s *slot) bool {
	for _, id := range ids {
		if gone := t.slot(id); t.op == nil || gone.state != seal.SlotPending && !t.op.drops(gone.name) {
			return false
		}
	}
	return s.shape.k > 0 && s.proof.op == t.op.id && s.proof.generation >= t.op.began && s.proof.root == t.root
}

// match says whose share it is.
func (t *truth) match(s seal.Share) (*slot, error) {
	for i := range t.slots {
		if t.slots[i].set.has(s) {
			return &t.slots[i], nil
		}
	}
	if slices.ContainsFunc(t.former, func(f *set) bool { return f.has(s) }) {
		return nil, seal.ErrShareStale
	}
	return nil, seal.ErrShareOtherStore
}

func (s *set) has(share seal.Share) bool {
	return s != nil && int(share.X()) <= len(s.shares) && s.shares[share.X()-1].Reveal() == share.Reveal()
}
