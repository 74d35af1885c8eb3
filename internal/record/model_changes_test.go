package record_test

import (
	"errors"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/record"
)

// A change is one call of a transition. What i, j and by are depends on the
// deed: the place of a slot, of a term or of a shape in its list.
type change struct {
	do       deed
	i, j, by int8
}

type deed int8

const (
	doInitialize   deed = iota
	doInitAgain         // over a store that was never proven
	doAdd               // i: shape; a successor, if a slot of that name is active
	doProve             // i: slot
	doDrop              // i, j: slots, or j is -1; by: the slot that opened the record just now
	doDropAgreed        // the same, on the proof of people that stands in the record
	doDropPending       // i: slot, which opens nothing
	doReissue           // i: slot; by: as for drop, or -1
	doRotate            // i: 1 if the term is passive at first
	doActivate          // i: term
	doRetire            // i: term
	doRotateRoot        //
	doRenew             // i: slot
	doBeginProve        // i: slot
	doBeginDrop         // i: slot
	doBeginMigrate      //
	doClaim             //
	doEnd               //
	doRestore           // of the record that stands there, by a process that knew with
	doJoin              // with the fork with
	doTake              // the lease, also over that of another
	doKeep              // j: generation in which the lease was taken
	doEndLease          // the same
	doRetireKept        // i: term; j: the same
)

// transition is the name of the function that a deed calls.
func (d deed) transition() string {
	return [...]string{
		doInitialize: "Init", doInitAgain: "Init", doAdd: "Add", doProve: "Prove", doDrop: "Drop", doDropAgreed: "Drop", doDropPending: "Drop",
		doReissue: "Reissue", doRotate: "Rotate", doActivate: "Activate", doRetire: "Retire", doRotateRoot: "RotateRoot", doRenew: "Renew",
		doBeginProve: "Begin", doBeginDrop: "Begin", doBeginMigrate: "Begin", doClaim: "Claim", doEnd: "End", doRestore: "Restore", doJoin: "Join",
		doTake: "TakeLease", doKeep: "KeepLease", doEndLease: "EndLease", doRetireKept: "Retire",
	}[d]
}

// An offer is a change that the transition accepts, and what it makes.
type offer struct {
	change
	next rec
}

var errNot = errors.New("nobody would")

// offersOn returns the changes of a record that its transitions accept.
func (m *model) offersOn(on rec, epoch uint8) []offer {
	e := m.at(on)
	if out, ok := e.offers[epoch]; ok {
		return out
	}
	out := []offer{}
	try := func(c change) {
		if next, err := m.apply(on, c, 0, epoch); err == nil {
			out = append(out, offer{c, next})
		}
	}
	n := int8(len(e.state.Slots))
	for i := range m.shapes {
		try(change{do: doAdd, i: int8(i)})
	}
	for i := range n {
		try(change{do: doProve, i: i})
		try(change{do: doDropPending, i: i})
		try(change{do: doRenew, i: i})
		try(change{do: doBeginProve, i: i})
		try(change{do: doBeginDrop, i: i})
		for j := int8(-1); j < i; j++ {
			for by := range n {
				try(change{do: doDropAgreed, i: i, j: j, by: by})
				try(change{do: doDrop, i: i, j: j, by: by})
			}
		}
		for by := int8(-1); by < n; by++ {
			try(change{do: doReissue, i: i, by: by})
		}
	}
	for i := range e.state.Terms {
		try(change{do: doActivate, i: int8(i)})
		try(change{do: doRetire, i: int8(i)})
	}
	for _, c := range []change{
		{do: doRotate}, {do: doRotate, i: 1}, {do: doRotateRoot}, {do: doBeginMigrate}, {do: doClaim}, {do: doEnd},
	} {
		try(c)
	}
	e.offers[epoch] = out
	return out
}

// apply calls the transition, and keeps the record that it makes.
func (m *model) apply(on rec, c change, with rec, epoch uint8) (rec, error) {
	k := &maker{m, naming{on: on, change: c, with: with, epoch: epoch}, m.at(on)}
	if !m.history {
		k.naming = naming{}
	}
	next, root, err := k.make(c, with)
	if err != nil {
		return 0, err
	}
	return m.keep(next, root, on), nil
}

func (k *maker) make(c change, with rec) (next record.State, root id, err error) {
	s, root := &k.state, k.root
	st := record.Step{Previous: k.digest, Operation: k.op}
	slot := func(i int8) *record.Slot { return &s.Slots[i] }
	switch c.do {
	case doInitialize, doInitAgain:
		return k.init(c)
	case doAdd:
		if s.Generation == 0 {
			return next, root, errNot
		}
		return k.add(c, st)
	case doProve:
		return k.prove(c, st)
	case doDrop, doDropAgreed, doDropPending:
		return k.drop(c, st)
	case doReissue:
		return k.reissue(c, st)
	case doRotate:
		state := record.TermActive
		if c.i == 1 {
			state = record.TermPassive
		}
		next, err = s.Rotate(st, k.term(s.LastTerm+1, state))
		if k.faults.noReserve && errors.Is(err, record.ErrExhausted) {
			next, err = rotateAnyway(s, k.term(record.MaxNumber, state)), nil
		}
	case doActivate:
		next, err = s.Activate(st, s.Terms[c.i].Number)
	case doRetire:
		next, err = s.Retire(st, s.Terms[c.i].Number)
	case doRotateRoot:
		r, fresh := k.rewrap(nil, false)
		next, err = s.RotateRoot(st, r)
		return next, fresh, err
	case doRenew:
		if slot(c.i).State != record.Active || k.locks[c.i].keys == 0 {
			return next, root, errNot
		}
		next, err = s.Renew(st, slot(c.i).ID, newer(slot(c.i).Tree))
	case doBeginProve:
		if o := slot(c.i); !o.Tree.NeedsPeople() || o.State == record.Active {
			return next, root, errNot
		}
		next, err = s.Begin(record.Step{Previous: k.digest, Operation: "op"}, record.Operation{Kind: record.OpProve, Slot: slot(c.i).Name})
	case doBeginDrop:
		if slot(c.i).State != record.Active {
			return next, root, errNot
		}
		next, err = s.Begin(record.Step{Previous: k.digest, Operation: "op"},
			record.Operation{Kind: record.OpDrop, Desired: []record.Goal{{Name: slot(c.i).Name, Drop: true}}})
	case doBeginMigrate:
		goals := []record.Goal{} // any slot may go
		for _, shape := range allShapes {
			goals = append(goals, record.Goal{Name: shape, Drop: true})
		}
		next, err = s.Begin(record.Step{Previous: k.digest, Operation: "op"}, record.Operation{Kind: record.OpMigrate, Desired: goals})
	case doClaim:
		next, err = s.Claim(st)
	case doEnd:
		next, err = s.End(st)
	case doRestore:
		return k.restore(st, with)
	case doJoin:
		return k.join(st, with)
	case doTake, doKeep, doEndLease, doRetireKept:
		next, err = k.lease(c, st)
	}
	return next, root, err
}

func (k *maker) init(c change) (record.State, id, error) {
	s := &k.state
	if c.do == doInitAgain && (s.Generation == 0 || s.Proved()) {
		return record.State{}, 0, errNot
	}
	base := s.Record
	base.Store = strings.Repeat("0", 32)
	base.Root++
	root := k.name(rootKey, base.Root)
	var slots []record.NewSlot
	for i, shape := range k.inits[c.i] {
		slots = append(slots, k.slot(shape, root, uint32(i)))
	}
	next, err := record.Init(record.Step{Previous: k.digest, Operation: "init"}, base, k.term(s.LastTerm+1, record.TermActive), slots)
	if k.faults.believesNumbers && errors.Is(err, record.ErrExhausted) {
		next, root, err = k.initAnyway(c, base)
	}
	return next, root, err
}

func (k *maker) add(c change, st record.Step) (record.State, id, error) {
	shape := k.shapes[c.i]
	next, err := k.state.Add(st, k.slot(shape, k.root, 0))
	if err != nil || !k.faults.deliverAfter || k.state.Find(shape, record.Active) == nil {
		return next, k.root, err
	}
	// The fault of Vault's rekey: the new set takes over before anybody has it.
	after := &maker{k.model, k.naming, &entry{state: next, root: k.root}}
	o := next.Find(shape, record.Pending)
	r, root := after.rewrap([]uint32{next.Predecessor(o).ID}, true)
	done, err := next.Prove(st, proofOf(&next, o), &r)
	done.Generation = next.Generation
	return done, root, err
}

func (k *maker) prove(c change, st record.Step) (record.State, id, error) {
	s, o := &k.state, &k.state.Slots[c.i]
	if o.Tree.NeedsPeople() && !wants(s, o) {
		return record.State{}, 0, errNot
	}
	if o.Tree.NeedsPeople() && o.State == record.Active && o.Proven.Operation == st.Operation {
		return record.State{}, 0, errNot // they have said so already
	}
	old := s.Predecessor(o)
	if old == nil {
		next, err := s.Prove(st, proofOf(s, o), nil)
		return next, k.root, err
	}
	r, root := k.rewrap([]uint32{old.ID}, true)
	next, err := s.Prove(st, proofOf(s, o), &r)
	return next, root, err
}

// wants reports whether the operation in progress asks for shares of the slot.
func wants(s *record.State, o *record.Slot) bool {
	if s.Operation == nil {
		return false
	}
	switch op := s.Operation; op.Kind {
	case record.OpProve:
		return op.Slot == o.Name && o.State != record.Active
	case record.OpDrop:
		return o.State == record.Active && op.Desired[0].Name != o.Name
	case record.OpMigrate:
		return true
	}
	return false
}

func (k *maker) drop(c change, st record.Step) (record.State, id, error) {
	s := k.state
	ids := []uint32{s.Slots[c.i].ID}
	if c.do != doDropPending && c.j >= 0 {
		ids = append(ids, s.Slots[c.j].ID)
	}
	pending := !slices.ContainsFunc(ids, func(id uint32) bool { return s.Slot(id).Opens() })
	if pending != (c.do == doDropPending) {
		return record.State{}, 0, errNot
	}
	var fresh *record.FreshProof
	if c.do == doDropAgreed {
		if !s.PeopleProved(ids, &s.Slots[c.by]) {
			return record.State{}, 0, errNot
		}
		fresh = agreed(&s, &s.Slots[c.by])
	}
	if c.do == doDrop {
		counts := k.faults.pendingCounts && s.Slots[c.by].State == record.Pending
		if !counts && (s.Slots[c.by].State != record.Active || s.Slots[c.by].Tree.NeedsPeople()) {
			return record.State{}, 0, errNot // nobody asks it
		}
		if counts {
			s = taken(s, c.by)
		}
		f := proofOf(&s, &s.Slots[c.by])
		fresh = &f
	}
	r, root := k.rewrap(ids, true)
	next, err := s.Drop(st, ids, fresh, r)
	switch {
	case k.faults.lastSlot && errors.Is(err, record.ErrLastSlot):
		next, err = dropAnyway(s, ids, r), nil
	case k.faults.cancelKeeps && c.do == doDropPending && err == nil:
		next, root = keepRoot(next, &s), k.root
	}
	return next, root, err
}

func (k *maker) reissue(c change, st record.Step) (record.State, id, error) {
	s, o := &k.state, &k.state.Slots[c.i]
	shape := o.Name
	if !hasPeople(shape) || o.Opens() != (c.by >= 0) {
		return record.State{}, 0, errNot
	}
	var fresh *record.FreshProof
	if c.by >= 0 {
		switch p := &s.Slots[c.by]; {
		case p.State == record.Active && !p.Tree.NeedsPeople():
			f := proofOf(s, p)
			fresh = &f
		case s.PeopleProved([]uint32{o.ID}, p):
			fresh = agreed(s, p)
		default:
			return record.State{}, 0, errNot
		}
	}
	r, root := k.rewrap([]uint32{o.ID}, true)
	n := k.slot(shape, root, 0)
	r.Wraps[s.LastSlot+1] = n.Wrap
	next, err := s.Reissue(st, o.ID, fresh, n, r)
	return next, root, err
}

// agreed is the proof of a slot whose people have proven it to the operation, and
// whose keys answered now.
func agreed(s *record.State, o *record.Slot) *record.FreshProof {
	f := proofOf(s, o)
	f.Keys = true
	return &f
}

// newer is a tree whose KMS leaves were wrapped by the next version.
func newer(n record.Node) record.Node {
	switch {
	case n.KMS != nil:
		key := *n.KMS
		key.Blob.Version = string(key.Blob.Version[0] + 1)
		return record.Node{KMS: &key}
	case n.Threshold != nil:
		tree := record.Tree{Threshold: n.Threshold.Threshold}
		for _, child := range n.Threshold.Of {
			tree.Of = append(tree.Of, newer(child))
		}
		return record.Node{Threshold: &tree}
	}
	return n
}
