package record_test

import (
	"errors"
	"slices"

	"github.com/sealwright/sealwright/internal/record"
)

// A yield takes a move: its sentence, if the model is telling, and where it
// leads. It returns false to end the walk.
type yield func(text string, next world) bool

// moves calls f with every state that one move leads to, always in the same
// order.
func (m *model) moves(w *world, f yield) {
	ok := true
	next := func(text string, n world) {
		ok = ok && f(text, n)
	}
	m.custodianMoves(w, next)
	m.tick(w, next)
	m.returns(w, next)
	m.takeRoster(w, next)
	if m.history && ok {
		m.putBacks(w, next)
	}
	for i := 0; i < replicas && ok; i++ {
		if !m.twin(w, i) {
			m.replicaMoves(w, i, next)
		}
	}
}

// twin reports whether an earlier replica is in the same place: its moves are
// the same.
func (m *model) twin(w *world, i int) bool {
	for j := range i {
		if !m.exact && m.place(w, j) == m.place(w, i) {
			return true
		}
	}
	return false
}

func (m *model) replicaMoves(w *world, i int, f func(string, world)) {
	r := &w.replica[i]
	if w.budget[crashes] > 0 && (r.open || r.flight.phase != idle || r.mark != 0 && !m.anchors) {
		n := *w
		n.budget[crashes]--
		n.replica[i] = replica{}
		if m.anchors {
			n.replica[i].mark = r.mark
		}
		f(m.say("%s crashes%s.", who(i), m.losing(&r.flight)), n)
	}
	if r.waits != 0 {
		return
	}
	if r.told.hangs {
		m.wakes(w, i, f)
		return
	}
	m.tells(w, i, f)
	switch {
	case r.flight.phase >= hand:
		m.handOut(w, i, f)
	case r.flight.phase == computed:
		m.land(w, i, f)
	case w.store == 0:
		for j, shapes := range m.inits {
			m.compute(w, i, offer{change{do: doInitialize, i: int8(j)}, 0}, 0, f, m.say("%s computes a new store with %s.", who(i), list(shapes)))
		}
	case !r.open:
		m.unseal(w, i, f)
	default:
		m.work(w, i, f)
	}
	if r.handed.on != 0 && r.flight.phase == idle {
		m.takesAnswer(w, i, f)
	}
	if w.budget[seals] > 0 && (r.open || r.handed.on != 0) && r.flight.phase == idle {
		n := *w
		n.budget[seals]--
		n.replica[i].open = false
		m.sealsAsker(&n.replica[i])
		f(m.say("%s is sealed by an operator; it remembers which record it saw last.", who(i)), n)
	}
}

// handOut gives people their shares: one team after the other.
func (m *model) handOut(w *world, i int, f func(string, world)) {
	n, fl := *w, &w.replica[i].flight
	seed := m.madeFor(fl)
	locks := m.at(fl.next).locks
	two := slices.ContainsFunc(locks, func(l lock) bool { return l.seed == seed && l.teams })
	n.replica[i].flight = flight{}
	switch {
	case two && fl.phase == hand:
		n.replica[i].flight = *fl
		n.replica[i].flight.phase = handSecond
		n.delivered = m.sets.with(n.delivered, seed)
		f(m.say("%s hands out the shares of the first team.", who(i)), n)
	case two:
		n.delivered = m.sets.with(n.delivered, seed|secondTeam)
		f(m.say("%s hands out the shares of the second team.", who(i)), n)
	default:
		n.delivered = m.sets.with(n.delivered, seed)
		f(m.say("%s hands out the shares.", who(i)), n)
	}
}

// madeFor is the seed of the slot whose shares a flight carries; 0: none.
func (m *model) madeFor(f *flight) id {
	e := m.at(f.next)
	if n := len(e.locks); n > 0 && (f.change.do <= doAdd || f.change.do == doReissue) {
		for i := n - 1; i >= 0; i-- { // what is new stands last
			if e.locks[i].people && e.state.Slots[i].ID > m.at(f.on).state.LastSlot {
				return e.locks[i].seed
			}
		}
	}
	return 0
}

// compute puts a change in flight. What the change needs of the world was
// looked at before.
func (m *model) compute(w *world, i int, o offer, with rec, f func(string, world), text string) {
	n := *w
	fl := flight{phase: computed, change: o.change, on: w.store, with: with, next: o.next, epoch: w.epoch}
	if fl.next == 0 {
		next, err := m.apply(w.store, o.change, with, w.epoch)
		if err != nil {
			return
		}
		fl.next = next
	}
	if b, bounded := m.cost(&fl); bounded {
		if n.budget[b] == 0 {
			return
		}
		n.budget[b]--
	}
	fl.relies = m.relies(&fl)
	n.replica[i].flight = fl
	if m.faults.unstoredTerms && n.replica[i].open {
		n.written = m.sets.with(n.written, m.at(fl.next).active)
	}
	f(text, n)
}

// cost is the budget that a change is paid from, and whether it is from any:
// the others can be made only so often as it is.
func (m *model) cost(f *flight) (kind int, bounded bool) {
	switch c := f.change; c.do {
	case doAdd:
		if m.at(f.on).state.Find(m.shapes[c.i], record.Active) != nil {
			return rekeys, true
		}
		return adds, true
	case doProve:
		l := &m.at(f.on).locks[c.i]
		return drills, l.state == record.Active && !l.asks // people prove an active slot once to an operation
	case doInitialize, doEnd, doEndLease:
		return 0, false
	default:
		return prices[c.do], true
	}
}

var prices = [...]int{
	doInitAgain: inits, doDrop: drops, doDropAgreed: drops, doDropPending: drops, doReissue: reissues,
	doRotate: rotates, doActivate: activates, doRetire: retires, doRotateRoot: roots, doRenew: rewraps,
	doBeginProve: ops, doBeginDrop: ops, doBeginMigrate: ops, doClaim: claims, doRestore: restores, doJoin: joins,
	doTake: leases, doKeep: beats, doRetireKept: retires,
}

// relies are the keys that gave the fresh proof of a change in flight.
func (m *model) relies(f *flight) byte {
	c, e := f.change, m.at(f.on)
	switch {
	case m.faults.staleProof:
	case c.do == doProve && e.state.Predecessor(&e.state.Slots[c.i]) != nil:
		return e.locks[c.i].keys
	case c.do == doDropAgreed && m.faults.keysUnasked:
	case (c.do == doDrop || c.do == doDropAgreed || c.do == doReissue) && c.by >= 0:
		return e.locks[c.by].keys
	}
	return 0
}

func (m *model) unseal(w *world, i int, f func(string, world)) {
	e, r := m.at(w.store), &w.replica[i]
	m.asks(w, i, f)
	m.asksOthers(w, i, f)
	if m.accepts(r, w.store) {
		for j := range e.locks {
			m.unsealBy(w, i, j, f)
		}
	}
	if err := e.state.CanInit(); errors.Is(err, record.ErrExhausted) && !m.faults.believesNumbers {
		n := *w
		n.store = 0
		f(m.say("An operator removes the record, as the error says: nothing is encrypted under it."), n)
	}
	// Shares of this init that never reached anybody: it is made again.
	if !e.state.Proved() && w.budget[inits] > 0 {
		for j, shapes := range m.inits {
			m.compute(w, i, offer{change{do: doInitAgain, i: int8(j)}, 0}, 0, f, m.say("%s computes the new store again, with %s.", who(i), list(shapes)))
		}
	}
}

func (m *model) unsealBy(w *world, i, j int, f func(string, world)) {
	e := m.at(w.store)
	l := &e.locks[j]
	if l.state == record.Pending && !m.faults.pendingUnseals || !l.right || !m.willing(w, l, m.knows[i], true, true) {
		return
	}
	n := *w
	name := e.state.Slots[j].Name
	text := m.say("%s is unsealed by %s%s.", who(i), m.custodians(l, name), m.writes(w.store))
	if l.state == record.Pending {
		n.wrong = unproven
	}
	n.replica[i].open = true
	if l.state == record.Initial {
		// The swap that proves the slot is the unseal: it is one move, or it
		// did not happen.
		s := &e.state
		proved, err := s.Prove(record.Step{Previous: e.digest}, proofOf(s, &s.Slots[j]), nil)
		if m.faults.believesNumbers && errors.Is(err, record.ErrExhausted) {
			proved, err = proveAnyway(s, j), nil
		}
		if err != nil {
			panic(err)
		}
		fl := flight{change: change{do: doProve, i: int8(j)}, on: w.store, next: m.keep(proved, e.root, w.store)}
		text = m.say("%s is unsealed by %s, which proves that slot%s.", who(i), m.custodians(l, name), m.writes(fl.next))
		n.replica[i].open = false // for the moment, so that nothing is written under the record before
		m.store(&n, i, &fl)
		n.replica[i].open = true
		m.write(&n, i)
		f(text, n)
		return
	}
	m.see(&n, i, w.store)
	m.watches(&n.replica[i], w.store)
	n.replica[i].mark = w.store
	m.write(&n, i)
	f(text, n)
}

// work is what an unsealed replica does: every change begins by loading.
func (m *model) work(w *world, i int, f func(string, world)) {
	r := &w.replica[i]
	if r.mark != w.store {
		m.asks(w, i, f)
		m.asksOthers(w, i, f)
		if m.accepts(r, w.store) && m.follows(w, i) {
			m.takeIn(w, i, f, m.say("%s takes in the record that is stored%s.", who(i), m.writes(w.store)))
		} else if m.reopens(w, i) {
			m.takeIn(w, i, f, m.say("%s is given shares, with no Seal before, and takes in the record that is stored%s.", who(i), m.writes(w.store)))
		}
		if !r.mute && w.budget[mutes] > 0 {
			n := *w
			n.budget[mutes]--
			n.replica[i].mute = true
			f(m.say("%s has not taken in what is stored for as long as a new term waits: it %s.", who(i), m.stops()), n)
		}
		if m.history {
			m.restores(w, i, f)
		}
		return
	}
	if m.budget[leases] > 0 {
		m.keeps(w, i, f)
	}
	for _, o := range m.offersOn(w.store, w.epoch) {
		if m.can(w, i, &o.change) {
			m.compute(w, i, o, 0, f, m.say("%s computes: %s.", who(i), m.deed(w.store, &o.change)))
		}
	}
	if m.history {
		m.restores(w, i, f)
		m.joins(w, i, f)
	}
}

func (m *model) stops() string {
	if m.faults.writesOn {
		return "encrypts on, and the others take it for one that does not"
	}
	return "encrypts no more"
}

func (m *model) takeIn(w *world, i int, f func(string, world), text string) {
	n := *w
	m.see(&n, i, w.store)
	m.watches(&n.replica[i], w.store)
	n.replica[i].mark, n.replica[i].mute = w.store, false
	m.write(&n, i)
	f(text, n)
}

// behind reports whether an unsealed replica cannot take in what is stored, though
// shares that people hold would open it.
func (m *model) behind(w *world, i int) bool {
	r := &w.replica[i]
	return m.lags && w.store != 0 && r.open && r.mark != w.store && m.accepts(r, w.store) && !m.follows(w, i) &&
		slices.ContainsFunc(m.at(w.store).locks, func(l lock) bool {
			return l.state != record.Pending && l.right && m.willing(w, &l, m.knows[i], true, true)
		})
}

// reopens reports whether shares given to an unsealed replica open the record
// that it cannot follow.
func (m *model) reopens(w *world, i int) bool { return !m.faults.deaf && m.behind(w, i) }

// asks has a replica ask a key that wants to be left alone. It remembers that and
// goes on, so that nothing has changed; the fault is to wait.
func (m *model) asks(w *world, i int, f func(string, world)) {
	if !m.faults.waitsForKeys {
		return
	}
	for k := range keys {
		opens := slices.ContainsFunc(m.at(w.store).locks, func(l lock) bool { return l.keys&m.knows[i]>>k&1 == 1 && l.state != record.Pending })
		if w.key[k] == resting && opens {
			n := *w
			n.replica[i].waits |= 1 << k
			f(m.say("%s asks key %s, and waits until it may ask again.", who(i), keys[k]), n)
		}
	}
}

// follows reports whether an unsealed replica can open the stored record: it
// has the root key, or the keys of a slot answer.
func (m *model) follows(w *world, i int) bool { return m.opensOther(w, i, w.store) }

func (m *model) opensOther(w *world, i int, r rec) bool {
	e := m.at(r)
	return m.at(w.replica[i].mark).root == e.root || slices.ContainsFunc(e.locks, func(l lock) bool {
		return l.state != record.Pending && l.right && !l.asks && m.willing(w, &l, m.knows[i], true, false)
	})
}

// can reports whether the custodians do, at this moment, what a change needs of
// them.
func (m *model) can(w *world, i int, c *change) bool {
	e := m.at(w.store)
	opens := func(j int8, asked bool) bool {
		l := &e.locks[j]
		return l.right && m.willing(w, l, m.knows[i], true, asked)
	}
	wraps := func(mask byte) bool { return mask&^m.knows[i] == 0 && w.answers(mask) }
	switch c.do {
	case doAdd:
		return wraps(shapeKeys(m.shapes[c.i]))
	case doProve:
		if e.locks[c.i].asks {
			return w.gatherer == int8(i) && opens(c.i, true)
		}
		return opens(c.i, false)
	case doDrop:
		return m.faults.staleProof || m.faults.pendingCounts && e.locks[c.by].state == record.Pending || opens(c.by, false)
	case doDropAgreed:
		return m.faults.keysUnasked || wraps(e.locks[c.by].keys)
	case doReissue:
		return wraps(shapeKeys(e.state.Slots[c.i].Name)) && (c.by < 0 || opens(c.by, false) || e.locks[c.by].asks && wraps(e.locks[c.by].keys))
	case doRenew:
		return wraps(e.locks[c.i].keys) && (e.locks[c.i].asks || opens(c.i, false))
	case doRetire:
		return m.faults.retiresEarly || m.unused(w, i, &e.state.Terms[c.i], e.terms[c.i])
	}
	return true
}

// restores goes on with the record that was put into the store.
func (m *model) restores(w *world, i int, f func(string, world)) {
	r := &w.replica[i]
	if w.line == straight || w.budget[restores] == 0 || !m.opensOther(w, i, w.store) {
		return
	}
	m.compute(w, i, offer{change{do: doRestore}, 0}, r.mark, f,
		m.say("An operator has %s restore: go on with the record that is stored.", who(i)))
}

func (m *model) joins(w *world, i int, f func(string, world)) {
	for _, fork := range w.lost {
		if fork != 0 && w.budget[joins] > 0 && m.opensOther(w, i, fork) {
			m.compute(w, i, offer{change{do: doJoin}, 0}, fork, f,
				m.say("An operator has %s join: take in the data keys of a record that was lost.", who(i)))
		}
	}
}
