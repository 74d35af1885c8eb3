package sequences_test

import (
	"errors"
	"maps"
	"slices"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

var (
	errDead = errors.New("the process died")        // of a replica, at a swap
	errAny  = errors.New("an error of some kind")   // where it depends on which slot was tried last
	errWait = errors.New("nobody has given enough") // to openByShares
)

// An oracle is the store as it must be, and what each process knows of it.
type oracle struct {
	now      *truth // nil while the store is empty
	up       map[string]bool
	replicas []*mind
	ids      int
}

// A mind is what a process knows.
type mind struct {
	n       int
	away    bool   // its store cannot be reached
	view    *truth // what it has open; nil while sealed
	mark    *truth // the newest it has seen; nil if none
	gathers map[seal.OperationID]gather
	plan    map[int]storetest.Effect // what goes wrong at the next swaps
	swaps   int                      // since the plan was made
	drafts  []int                    // root keys of its last four changes that a slow network may deliver yet
}

type gather map[*set]map[byte]bool

func (g gather) suffices(s *slot) bool { return len(g[s.set]) >= s.shape.k }

// sift forgets shares that are no longer of the record.
func (g gather) sift(t *truth) {
	maps.DeleteFunc(g, func(held *set, _ map[byte]bool) bool {
		return !slices.ContainsFunc(t.slots, func(s slot) bool { return s.set == held })
	})
}

func (m *mind) gather(op seal.OperationID) gather {
	if m.gathers[op] == nil {
		m.gathers[op] = gather{}
	}
	return m.gathers[op]
}

// forget is a seal; a process that died has no mark either.
func (m *mind) forget() { m.view, m.drafts, m.gathers = nil, nil, map[seal.OperationID]gather{} }

// machine reports whether the slot opens now with nobody's help.
func (o *oracle) machine(s *slot) bool { return s.shape.k == 0 && o.up[s.shape.kms] }

// kmsOf is the error of a KMS that the shape needs and that is away.
func (o *oracle) kmsOf(s shape) error {
	if s.kms != "" && !o.up[s.kms] {
		return kms.ErrKeyDisabled
	}
	return nil
}

// load is what the process finds in the store.
func (o *oracle) load(m *mind) (*truth, error) {
	switch {
	case m.away:
		return nil, seal.ErrStoreUnavailable
	case o.now == nil:
		return nil, seal.ErrUninitialized
	case m.mark != nil && m.mark != o.now && o.now.generation < m.mark.generation:
		return nil, seal.ErrRolledBack
	case m.mark != nil && m.mark != o.now && o.now.generation == m.mark.generation:
		return nil, seal.ErrForked
	}
	return o.now, nil
}

// follows reports whether the process believes that t comes after what it saw:
// it must still hold the data key that was in use then.
func (m *mind) follows(t *truth) bool {
	return m.mark == nil || m.mark == t || !m.mark.proven() || t.terms[m.mark.active]
}

// install is what a process does with a record that it has opened.
func (m *mind) install(t *truth, unseal bool) {
	m.mark = t
	if m.view == nil && !unseal {
		return
	}
	m.view = t
	for id := range m.gathers {
		if id != "" && (t.op == nil || t.op.id != id || t.op.replica != m.n) {
			delete(m.gathers, id)
		}
	}
}

// fetch takes in the stored record.
func (o *oracle) fetch(m *mind) error {
	if m.view == nil {
		return seal.ErrSealed
	}
	t, err := o.load(m)
	switch {
	case err != nil:
		return err
	case t == m.view:
		return nil
	case t.root == m.view.root: // whoever has it may have retired the term used last
	case !m.follows(t) || !slices.ContainsFunc(t.slots, func(s slot) bool { return s.state != seal.SlotPending && o.machine(&s) }):
		return seal.ErrRootMoved
	}
	m.install(t, false)
	return nil
}

// commit stores what f makes of the record.
func (o *oracle) commit(m *mind, f func(next *truth) error) error {
	if err := o.fetch(m); err != nil {
		return err
	}
	next := m.view.clone()
	if err := f(next); err != nil {
		return err
	}
	return o.swap(m, next, false)
}

func (o *oracle) swap(m *mind, next *truth, unseal bool) error {
	o.ids++
	next.id = o.ids
	next.generation++
	m.swaps++
	switch m.plan[m.swaps] {
	case storetest.CrashBefore:
		return errDead
	case storetest.CrashAfter:
		o.now = next
		return errDead
	case storetest.FailBefore:
		if m.view != nil {
			m.drafts = append(m.drafts, next.root)
			m.drafts = m.drafts[max(0, len(m.drafts)-4):]
		}
		return seal.ErrOutcomeUnknown // as far as the process can tell, it may arrive yet
	}
	// FailAfter: the process loads the record, and finds its own.
	o.now = next
	m.install(next, unseal)
	return nil
}

// newRoot is a new root key, which comes with a new term but for RotateRoot.
func (o *oracle) newRoot(t *truth) {
	o.ids++
	t.root = o.ids
	t.addTerm(t.lastTerm + 1)
}

// place puts a new slot into the record, with the shares in d, if they were
// ever handed out.
func (o *oracle) place(t *truth, name string, sh shape, state seal.SlotState, d seal.Delivery) {
	o.ids++
	s := slot{id: o.ids, name: name, shape: sh, state: state}
	if sh.k > 0 {
		s.set = &set{}
		for _, delivered := range d.Sets {
			if delivered.Slot == name {
				s.set.shares = delivered.Shares
			}
		}
	}
	t.slots = append(t.slots, s)
}

func (o *oracle) init(m *mind, shapes map[string]shape, op seal.OperationID, again bool, d seal.Delivery) error {
	t, err := o.load(m)
	next := &truth{terms: map[uint32]bool{}}
	switch {
	case errors.Is(err, seal.ErrUninitialized):
	case err != nil:
		return err
	case t.proven():
		return seal.ErrInitialized
	case !again && op != t.op.id:
		return seal.ErrUnproven
	default:
		next.generation, next.former, next.lastTerm = t.generation, slices.Clip(t.former), t.lastTerm
		next.slots = slices.Clone(t.slots)
		for _, s := range t.slots {
			next.remove(s.id)
		}
	}
	o.newRoot(next)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		if err := o.kmsOf(shapes[name]); err != nil {
			return err
		}
		o.place(next, name, shapes[name], seal.SlotInitial, d)
	}
	next.op = &operation{id: op, kind: "init", replica: m.n, began: next.generation + 1}
	if err := o.swap(m, next, false); err != nil {
		return err
	}
	// Its KMS slots open it, and all of them prove themselves.
	if err := o.unseal(m); err == errDead || m.view == nil {
		return nil
	}
	for _, s := range slices.Clone(m.view.slots) {
		if s.state == seal.SlotInitial && s.shape.k == 0 {
			if o.prove(m, s.id, "") == errDead {
				return errDead
			}
		}
	}
	return nil
}

// admit makes a record that a slot has opened the process's own, and proves the
// slot if it never was.
func (o *oracle) admit(m *mind, t *truth, id int) error {
	if !m.follows(t) {
		return seal.ErrForked
	}
	if s := t.slot(id); s.state != seal.SlotActive {
		next, pending := t.clone(), s.state == seal.SlotPending
		op, old := seal.OperationID(""), t.predecessor(s)
		if pending {
			op = t.op.id // which asks for it
		}
		next.prove(id, op)
		if old != nil {
			next.remove(old.id)
			o.newRoot(next)
		}
		err := o.swap(m, next, true)
		switch {
		case err == nil:
			delete(m.gathers, "")
			return nil
		case err == errDead || !t.proven() || pending:
			return err
		}
	}
	m.install(t, true)
	delete(m.gathers, "")
	return nil
}

// prove is the change of the record that a proof makes, its successor's
// predecessor apart.
func (t *truth) prove(id int, op seal.OperationID) {
	if !t.proven() {
		t.op = nil // that of init
	}
	s := t.slot(id)
	s.state, s.proof = seal.SlotActive, proof{op, t.root, t.generation}
	if t.op != nil && t.op.id == op && t.op.kind == seal.OperationProve {
		t.op = nil
	}
}

func (o *oracle) unseal(m *mind) error {
	if m.view != nil {
		return nil
	}
	t, err := o.load(m)
	if err != nil {
		return err
	}
	for i := range t.slots {
		if s := &t.slots[i]; s.state != seal.SlotPending && o.machine(s) && m.follows(t) {
			return o.admit(m, t, s.id)
		}
	}
	m.gather("").sift(t)
	if err := o.openByShares(m, t, ""); err != nil {
		if err == errDead {
			return err
		}
		return errAny
	}
	return nil
}

// asks reports whether a proof of the pending slot is what the operation in
// progress is for: then a quorum given to a sealed process is that proof.
func (t *truth) asks(s *slot) bool {
	return s.state == seal.SlotPending && t.op != nil && t.op.kind == seal.OperationProve && t.op.slot == s.name
}

// openByShares opens the record with the shares given for unsealing, through the
// slots of that name, or through any.
func (o *oracle) openByShares(m *mind, t *truth, name string) error {
	g, err := m.gather(""), errWait
	for i := range t.slots {
		s := &t.slots[i]
		if s.state == seal.SlotPending && !t.asks(s) || name != "" && s.name != name || s.shape.k == 0 || !g.suffices(s) {
			continue
		}
		openErr := o.kmsOf(s.shape)
		if openErr == nil {
			openErr = o.admit(m, t, s.id)
		}
		if openErr == nil || openErr == errDead {
			return openErr
		}
		err = openErr
	}
	return err
}

func (o *oracle) submitToUnseal(m *mind, s seal.Share) error {
	if m.view != nil {
		if err := o.fetch(m); err == nil || err == seal.ErrStoreUnavailable {
			_, err := m.view.takes(s, false)
			return err
		} else if err != seal.ErrRootMoved {
			return err
		}
		// It cannot follow the record that is stored: the shares open that.
	}
	t, err := o.load(m)
	if err != nil {
		return err
	}
	g := m.gather("")
	g.sift(t)
	to, err := t.takes(s, true)
	if err != nil {
		return err
	}
	again := !g.add(to.set, s.X())
	err = o.openByShares(m, t, to.name)
	switch {
	case err == errWait && again:
		return seal.ErrShareDuplicate
	case err == errWait:
		return nil
	}
	return err
}

// takes says whose share it is, if it serves to unseal.
func (t *truth) takes(s seal.Share, sealed bool) (*slot, error) {
	to, err := t.match(s)
	if err == nil && to.state == seal.SlotPending && !(sealed && t.asks(to)) {
		return nil, seal.ErrNoOperation
	}
	return to, err
}

func (g gather) add(to *set, x byte) bool {
	if g[to][x] {
		return false
	}
	if g[to] == nil {
		g[to] = map[byte]bool{}
	}
	g[to][x] = true
	return true
}
