package sequences_test

import (
	"slices"

	"github.com/sealwright/sealwright/seal"
)

// The changes of a store that is unsealed, as the oracle makes them. Each names
// the operation it is a step of.

func (o *oracle) add(m *mind, name string, sh shape, op seal.OperationID, rekey bool, d seal.Delivery) error {
	return o.commit(m, func(t *truth) error {
		switch active := t.find(name, seal.SlotActive) != nil; {
		case active && !rekey:
			return seal.ErrSlotExists
		case !active && rekey:
			return seal.ErrNoSlot
		case t.find(name, seal.SlotInitial) != nil, t.find(name, seal.SlotPending) != nil, len(t.slots) == 16:
			return seal.ErrSlotExists
		}
		if err := t.mine(op); err != nil {
			return err
		}
		if err := o.kmsOf(sh); err != nil {
			return err
		}
		o.place(t, name, sh, seal.SlotPending, d)
		return nil
	})
}

// proveByName is the call; its operation is the one begun where people are
// needed.
func (o *oracle) proveByName(m *mind, name string, op, begun seal.OperationID) error {
	if err := o.fetch(m); err != nil {
		return err
	}
	s := m.view.provable(name)
	if s == nil {
		return seal.ErrNoSlot
	}
	if s.shape.k > 0 {
		return o.begin(m, operation{kind: seal.OperationProve, slot: name}, op, begun)
	}
	return o.prove(m, s.id, op)
}

// prove has a slot open the record; people have given what they can.
func (o *oracle) prove(m *mind, id int, op seal.OperationID) error {
	return o.commit(m, func(t *truth) error {
		s := t.slot(id)
		if err := o.kmsOf(s.shape); err != nil {
			return err
		}
		old := t.predecessor(s)
		if old == nil {
			t.prove(id, op)
			return nil
		}
		if err := t.mine(op); err != nil {
			return err
		}
		t.prove(id, op)
		t.remove(old.id)
		o.newRoot(t)
		return nil
	})
}

// begin begins an operation or joins the same one.
func (o *oracle) begin(m *mind, want operation, op, begun seal.OperationID) error {
	if err := o.fetch(m); err != nil {
		return err
	}
	if cur := m.view.op; cur != nil && (cur.same(&want) || op == cur.id && cur.covers(&want)) {
		return nil
	}
	return o.commit(m, func(t *truth) error {
		if t.op != nil {
			return seal.ErrInProgress
		}
		want.id, want.replica, want.began = begun, m.n, t.generation+1
		t.op = &want
		return nil
	})
}

// freshProof reports whether a slot that stays opens the record now: by keys
// alone, with the shares in g, or with keys beside people who have agreed.
func (o *oracle) freshProof(t *truth, ids []int, g gather) error {
	others := 0
	for i := range t.slots {
		s := &t.slots[i]
		if s.state != seal.SlotActive || slices.Contains(ids, s.id) {
			continue
		}
		others++
		asked := s.shape.k == 0 || g != nil && g.suffices(s) || t.agreed(ids, s)
		if asked && o.kmsOf(s.shape) == nil {
			return nil
		}
	}
	if others == 0 {
		return seal.ErrLastSlot
	}
	return seal.ErrNoProof
}

func (o *oracle) drop(m *mind, names []string, op seal.OperationID, g gather) error {
	return o.commit(m, func(t *truth) error {
		var ids []int
		opens := false
		for _, name := range names {
			s := t.provable(name)
			if s == nil {
				return seal.ErrNoSlot
			}
			ids = append(ids, s.id)
			opens = opens || s.state != seal.SlotPending
		}
		if opens {
			if err := o.freshProof(t, ids, g); err != nil {
				return err
			}
		}
		if err := t.mine(op); err != nil {
			return err
		}
		for _, id := range ids {
			t.remove(id)
		}
		o.newRoot(t)
		if t.op != nil && t.op.id == op && t.op.kind != seal.OperationMigrate {
			t.op = nil
		}
		return nil
	})
}

// dropByName is the call, which asks people where no machine can give a proof.
func (o *oracle) dropByName(m *mind, names []string, op, begun seal.OperationID) error {
	err := o.drop(m, names, op, nil)
	if err != seal.ErrNoProof {
		return err
	}
	want := operation{kind: seal.OperationDrop}
	for _, name := range names {
		want.goals = append(want.goals, seal.Goal{Name: name, Drop: true})
	}
	for _, s := range m.view.slots {
		if s.state == seal.SlotActive && s.shape.k > 0 && !slices.Contains(names, s.name) {
			return o.begin(m, want, op, begun)
		}
	}
	return err
}

func (o *oracle) reissue(m *mind, name string, sh shape, op seal.OperationID, d seal.Delivery) error {
	return o.commit(m, func(t *truth) error {
		s := t.provable(name)
		if s == nil {
			return seal.ErrNoSlot
		}
		if s.state == seal.SlotInitial {
			if err := o.freshProof(t, []int{s.id}, nil); err != nil {
				return err
			}
		}
		if err := o.kmsOf(sh); err != nil {
			return err
		}
		if s.state == seal.SlotActive {
			return seal.ErrSlotExists
		}
		if err := t.mine(op); err != nil {
			return err
		}
		state := s.state
		t.remove(s.id)
		o.place(t, name, sh, state, d)
		o.newRoot(t)
		return nil
	})
}

func (o *oracle) renew(m *mind, name string) error {
	return o.commit(m, func(t *truth) error {
		s := t.find(name, seal.SlotActive)
		if s == nil {
			return seal.ErrNoSlot
		}
		return o.kmsOf(s.shape)
	})
}

func (o *oracle) rotate(m *mind) error {
	return o.commit(m, func(t *truth) error { t.addTerm(t.lastTerm + 1); return nil })
}

func (o *oracle) rotateRoot(m *mind) error {
	return o.commit(m, func(t *truth) error { o.ids++; t.root = o.ids; return nil })
}

func (o *oracle) retire(m *mind, term uint32) error {
	return o.commit(m, func(t *truth) error {
		if !t.terms[term] || term == t.active {
			return seal.ErrTermInUse
		}
		delete(t.terms, term)
		return nil
	})
}

func (o *oracle) cancel(m *mind, op seal.OperationID) error {
	err := o.commit(m, func(t *truth) error {
		if t.op == nil || t.op.id != op {
			return seal.ErrNoOperation
		}
		t.op = nil
		return nil
	})
	if err == nil {
		delete(m.gathers, op)
	}
	return err
}

func (o *oracle) claim(m *mind, op seal.OperationID) error {
	return o.commit(m, func(t *truth) error {
		if t.op == nil || t.op.id != op {
			return seal.ErrNoOperation
		}
		t.op.replica = m.n
		return nil
	})
}

// submitTo gives a share to an operation, and does what that is for.
func (o *oracle) submitTo(m *mind, s seal.Share, id seal.OperationID) error {
	if err := o.fetch(m); err != nil {
		return err
	}
	t := m.view
	switch {
	case t.op == nil || t.op.id != id:
		return seal.ErrNoOperation
	case t.op.replica != m.n:
		return seal.ErrElsewhere
	}
	to, err := t.match(s)
	if err != nil {
		return err
	}
	op := *t.op
	switch {
	case op.kind == seal.OperationProve && to.id != t.provable(op.slot).id,
		op.kind == seal.OperationDrop && (to.state != seal.SlotActive || op.drops(to.name)):
		return seal.ErrNoOperation
	}
	g := m.gather(id)
	g.sift(t)
	again := !g.add(to.set, s.X())
	if !g.suffices(to) {
		if again {
			return seal.ErrShareDuplicate
		}
		return nil
	}
	if err := o.prove(m, to.id, id); err != nil {
		return err
	}
	defer delete(m.gathers, id)
	if op.kind != seal.OperationDrop {
		return nil
	}
	var names []string
	for _, g := range op.goals {
		names = append(names, g.Name)
	}
	return o.drop(m, names, id, g)
}

// restore goes on with an older record, which was put into the store.
func (o *oracle) restore(m *mind) error {
	t := o.now
	if t.root != m.view.root && !slices.Contains(m.drafts, t.root) && !slices.ContainsFunc(t.slots, func(s slot) bool { return s.state != seal.SlotPending && o.machine(&s) }) {
		return seal.ErrRootMoved
	}
	next := t.clone()
	common := false
	for term := range m.view.terms {
		common = common || t.terms[term]
		next.terms[term] = true
	}
	if !common {
		return seal.ErrForked
	}
	o.ids++
	next.root = o.ids
	next.addTerm(max(t.lastTerm, m.view.lastTerm) + 1024 + 1)
	next.generation = max(next.generation, m.mark.generation)
	return o.swap(m, next, false)
}
