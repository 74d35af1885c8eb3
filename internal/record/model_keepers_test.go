package record_test

import (
	"fmt"
	"slices"

	"github.com/sealwright/sealwright/internal/record"
)

// Keepers: replicas that re-encrypt the data, one at a time, by the lease in the
// record. Time goes by in ticks, of which every process has its own count: how
// long it has watched a lease without a sign of life, and how long ago it gave
// its own. A process may be stopped at any point and go on later.

const (
	silentFor = 2 // ticks after its last sign of life who has the lease works no more
	silence   = 3 // ticks of watching, after which another takes it over
)

// A keeper is what a replica knows of leases.
type keeper struct {
	holds   uint8 // generation in which its lease was taken, or 0
	silent  uint8 // ticks since it began to give its last sign of life
	watched uint8 // ticks that it has watched the lease, in the record it saw last
	counted uint8 // number of the term that nothing was under when it counted; 0: none
	flying  uint8 // ticks that its change has been in flight
}

func leaseID(taken uint8) string { return fmt.Sprintf("lease %d", taken) }

// works reports whether a replica works on the data.
func (k *keeper) works() bool { return k.holds != 0 && k.silent < silentFor }

// leaseOf is the lease in a record, its sign of life included; "" for none.
func (e *entry) leaseOf() string {
	if e.state.Lease == nil {
		return ""
	}
	return fmt.Sprint(e.state.Lease.ID, e.state.Lease.Beat)
}

// has reports whether a replica has the lease in the record.
func (e *entry) has(k *keeper) bool {
	return k.holds != 0 && e.state.Lease != nil && e.state.Lease.ID == leaseID(k.holds)
}

// watches is for a replica that takes in another record.
func (m *model) watches(r *replica, next rec) {
	if m.at(r.mark).leaseOf() != m.at(next).leaseOf() {
		r.keeper.watched = 0
	}
}

// tick has time go by.
func (m *model) tick(w *world, f func(string, world)) {
	if w.budget[ticks] == 0 {
		return
	}
	n := *w
	n.budget[ticks]--
	for i := range n.replica {
		r := &n.replica[i]
		more := func(c *uint8) { *c = min(*c+1, silence) }
		if r.keeper.holds != 0 {
			more(&r.keeper.silent)
		}
		if r.open && m.at(r.mark).state.Lease != nil && !m.at(r.mark).has(&r.keeper) {
			more(&r.keeper.watched)
		}
		if d := r.flight.change.do; r.flight.phase == computed && (d == doTake || d == doKeep) {
			more(&r.keeper.flying)
		}
	}
	f(m.say("Time goes by."), n)
}

// keeps is what an unsealed replica does as a keeper.
func (m *model) keeps(w *world, i int, f func(string, world)) {
	r, e := &w.replica[i], m.at(w.store)
	try := func(c change, text string) {
		m.compute(w, i, offer{c, 0}, 0, func(text string, n world) {
			n.replica[i].keeper.flying = 0
			f(text, n)
		}, text)
	}
	if !e.state.Proved() {
		return
	}
	wait := uint8(silence)
	if m.faults.hasty {
		wait = 1
	}
	switch {
	case e.has(&r.keeper):
		try(change{do: doKeep, j: int8(r.keeper.holds)}, m.say("%s computes: a sign of life.", who(i)))
		try(change{do: doEndLease, j: int8(r.keeper.holds)}, m.say("%s computes: the end of its lease.", who(i)))
	case r.keeper.works():
	case e.state.Lease == nil:
		try(change{do: doTake}, m.say("%s computes: take the lease.", who(i)))
	case r.keeper.watched >= wait:
		try(change{do: doTake}, m.say("%s computes: take over the lease, of which it saw no sign of life.", who(i)))
	}
	if r.keeper.works() {
		m.goThrough(w, i, f)
	}
	for j, t := range e.state.Terms {
		if t.State == record.TermOld && uint8(t.Number) == r.keeper.counted && (e.has(&r.keeper) || m.faults.unfenced) {
			try(change{do: doRetireKept, i: int8(j), j: int8(r.keeper.holds)}, m.say("%s computes: retire term %d, since it found nothing under it.", who(i), t.Number))
		}
	}
}

// goThrough re-encrypts the data under a term that no process encrypts under, and
// counts.
func (m *model) goThrough(w *world, i int, f func(string, world)) {
	e := m.at(w.store)
	for j, t := range e.state.Terms {
		used := slices.ContainsFunc(w.replica[:], func(r replica) bool { return m.at(r.view()).active == e.terms[j] })
		if t.State != record.TermOld || used || w.replica[i].keeper.counted == uint8(t.Number) {
			continue
		}
		n := *w
		n.written = m.sets.without(n.written, e.terms[j])
		n.replica[i].keeper.counted = uint8(t.Number)
		f(m.say("%s goes through the data: nothing is left under term %d.", who(i), t.Number), n)
	}
}

// returns has an operator put back data of a backup, under an old term: not while
// the replica that has the lease has counted, which Status shows.
func (m *model) returns(w *world, f func(string, world)) {
	e := m.at(w.store)
	if w.budget[dataBack] == 0 || w.store == 0 ||
		slices.ContainsFunc(w.replica[:], func(r replica) bool { return r.keeper.counted != 0 && e.has(&r.keeper) }) {
		return
	}
	for j, t := range e.state.Terms {
		if t.State != record.TermOld || m.sets.has(w.written, e.terms[j]) {
			continue
		}
		n := *w
		n.budget[dataBack]--
		n.written = m.sets.with(n.written, e.terms[j])
		f(m.say("An operator puts back data of a backup, which is under term %d.", t.Number), n)
	}
}

// kept is what a swap of a keeper's changes.
func (m *model) kept(n *world, i int, fl *flight) {
	k := &n.replica[i].keeper
	switch fl.change.do {
	case doTake:
		*k = keeper{holds: uint8(m.at(fl.next).state.Generation), silent: k.flying}
	case doKeep:
		k.silent = k.flying
	case doEndLease:
		*k = keeper{}
	case doRetireKept:
		k.counted = 0
		if !m.at(fl.on).has(k) {
			n.wrong = max(n.wrong, twoRetire)
		}
	}
	k.flying = 0
	for j := range n.replica {
		for l := range j {
			if n.replica[j].keeper.works() && n.replica[l].keeper.works() {
				n.wrong = max(n.wrong, twoWork)
			}
		}
	}
}

// lease makes the changes of the lease, and those that are made under it.
func (k *maker) lease(c change, st record.Step) (record.State, error) {
	s := &k.state
	st.Lease = leaseID(uint8(c.j))
	switch c.do {
	case doTake:
		st.Lease = leaseID(uint8(s.Generation + 1))
		return s.TakeLease(st, 60, s.Lease)
	case doKeep:
		return s.KeepLease(st)
	case doEndLease:
		return s.EndLease(st)
	}
	if k.faults.unfenced {
		st.Lease = ""
	}
	return s.Retire(st, s.Terms[c.i].Number)
}
