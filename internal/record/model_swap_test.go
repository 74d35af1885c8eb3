package record_test

import "slices"

// land swaps what is in flight.
func (m *model) land(w *world, i int, f func(string, world)) {
	fl := w.replica[i].flight
	n := *w
	n.replica[i].flight = flight{}
	if fl.on != w.store && !m.faults.blindPut {
		f(m.say("%s finds another record in the store than it changed, and gives up.", who(i)), n)
		return
	}
	if fl.epoch != w.epoch {
		fl.next, _ = m.apply(fl.on, fl.change, fl.with, w.epoch)
	}
	m.store(&n, i, &fl)
	f(m.say("%s stores it%s.", who(i), m.outcome(w, &fl)), n)
}

// store is a swap that took place.
func (m *model) store(n *world, i int, fl *flight) {
	old, next := n.store, m.at(fl.next)
	m.depart(n, old, fl.next)
	n.store = fl.next
	switch fl.change.do {
	case doBeginProve, doBeginDrop, doBeginMigrate, doClaim:
		n.gatherer = int8(i)
	case doRestore:
		m.depart(n, fl.with, fl.next)
		for _, lost := range n.lost {
			m.depart(n, lost, fl.next)
		}
		m.compare(n, fl.with, fl.next)
		if !m.keepsAll(fl.with, fl.next) {
			n.wrong = max(n.wrong, lostKey)
		}
	case doJoin:
		m.depart(n, fl.with, fl.next)
		m.found(n, fl.with)
	case doRetire:
		// Its data was re-encrypted before, and what is written now is not
		// under it, unless a process still has it active.
		n.written = m.sets.without(n.written, m.at(old).terms[fl.change.i])
	}
	switch {
	case n.line != putBack:
	case fl.change.do == doRestore:
		n.line = straight
	default:
		n.line = astray
	}
	if next.op == "" {
		n.gatherer = -1
	}
	r := &n.replica[i]
	if fl.change.do != doRestore {
		m.see(n, i, fl.next)
	}
	m.watches(r, fl.next)
	r.mark, r.mute = fl.next, false
	m.kept(n, i, fl)
	if m.madeFor(fl) != 0 {
		r.flight = *fl
		r.flight.phase, r.flight.relies = hand, 0
	}
	for j := range n.replica {
		m.write(n, j)
	}
	if m.watch != nil {
		m.watch(n, fl)
	}
}

// depart notes what those know who could open one record, and are not in
// another: both its keys and those that it holds.
func (m *model) depart(n *world, from, to rec) {
	a, b := m.at(from), m.at(to)
	for i := range a.locks {
		seed := a.locks[i].seed
		if slices.ContainsFunc(b.locks, func(l lock) bool { return l.seed == seed }) {
			continue
		}
		n.leaked = m.sets.with(n.leaked, a.root)
		for _, t := range a.terms {
			n.leaked = m.sets.with(n.leaked, t)
		}
	}
}

// keepsAll reports whether a record has every data key of another.
func (m *model) keepsAll(of, in rec) bool {
	return !slices.ContainsFunc(m.at(of).terms, func(t id) bool { return !slices.Contains(m.at(in).terms, t) })
}

// see is what a process does with a record before it makes it its own; the
// model looks whether it should have.
func (m *model) see(n *world, i int, next rec) {
	r := &n.replica[i]
	if r.mark == 0 || !m.history {
		return
	}
	if !m.descends(next, r.mark) {
		n.wrong = max(n.wrong, tookOlder)
	}
	m.compare(n, r.mark, next)
}

// compare looks for a number that means one key in what a process knew, and
// another in what it knows now.
func (m *model) compare(n *world, knew, knows rec) {
	old, now := m.at(knew), m.at(knows)
	for j, t := range old.state.Terms {
		for k, u := range now.state.Terms {
			if t.Number == u.Number && old.terms[j] != now.terms[k] {
				n.wrong = twoKeys
			}
		}
	}
}

// write has an unsealed replica encrypt, as it does all the time.
func (m *model) write(n *world, i int) {
	if n.replica[i].mute && !m.faults.writesOn {
		return
	}
	if e := m.at(n.replica[i].view()); e.active != 0 {
		n.written = m.sets.with(n.written, e.active)
	}
}

// accepts reports whether a process takes the stored record for one that comes
// after what it has seen: load and descends of package seal.
func (m *model) accepts(r *replica, stored rec) bool {
	if r.mark == 0 || r.mark == stored || m.faults.followsOlder || m.faults.anchorIgnored && !r.open {
		return true
	}
	seen, now := m.at(r.mark), m.at(stored)
	if !m.history {
		return now.state.Generation > seen.state.Generation // there is nothing else
	}
	if seen.active != 0 && !slices.Contains(now.terms, seen.active) {
		return false
	}
	if m.faults.countsRecords {
		back := now.state.Generation - seen.state.Generation - 1
		return now.state.Generation > seen.state.Generation &&
			(back >= uint64(len(now.state.Digests)) || now.state.Digests[back] == seen.digest)
	}
	after, _ := now.state.After(seen.state.Generation, seen.digest)
	return after
}
