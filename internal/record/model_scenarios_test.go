package record_test

import "github.com/sealwright/sealwright/internal/record"

// A scenario is where a walk begins and how much of everything there is in it.
// Small ones are walked to their ends, so that between them every operation
// meets every other one, at every moment, with nothing left out.
type scenario struct {
	name    string
	stored  []string   // slots of the store that it begins with, proven; none: there is no store
	inits   [][]string // slots that a store is made with
	shapes  []string   // slots that operators add
	knows   [replicas]byte
	history bool // records are told apart by their histories, since old ones are put back
	anchors bool // a process that starts knows the record that it saw last
	lags    bool // shares are given to unsealed processes that cannot follow
	near    string
	budget  budget
}

// What a scenario begins near to.
const (
	nearGrowth  = "growth"  // where rotations end
	nearStrange = "strange" // the last numbers, in a record that nobody vouches for

	nearEnd = record.MaxNumber - record.ReserveNumbers
)

var everybody = [replicas]byte{everyKey, everyKey, everyKey}

// scenarios are in the order of their sizes: what the small ones leave of the
// states to visit is for the others.
func scenarios() []scenario {
	return []scenario{
		{
			name: "a stranger's numbers", inits: [][]string{{people}, {people, "a"}}, near: nearStrange, knows: everybody,
			budget: budget{inits: 2, rotates: 1, crashes: 1},
		},
		{
			name: "replicas that cannot follow", stored: []string{people}, lags: true, knows: everybody,
			budget: budget{roots: 1, rotates: 1, retires: 1, mutes: 2, seals: 1, crashes: 1},
		},
		{
			name: "a key that rests", stored: []string{people, "a"}, shapes: []string{"b"}, knows: everybody,
			budget: budget{rests: 2, adds: 1, drops: 1, roots: 1, crashes: 1},
		},
		{
			name: "hand-off", stored: []string{people}, lags: true, knows: everybody,
			budget: budget{roots: 1, rotates: 1, retires: 1, seals: 1, crashes: 2, mutes: 1, handOffs: 3},
		},
		{
			name: "a hand-off of an old record", stored: []string{people}, history: true, knows: everybody,
			budget: budget{rotates: 2, crashes: 1, putBacks: 2, restores: 1, handOffs: 2},
		},
		{
			name: "a full record", stored: []string{people, "a"}, shapes: []string{"b"}, near: nearGrowth, knows: everybody,
			budget: budget{adds: 1, rotates: 3, drops: 1, crashes: 1},
		},
		{
			name: "a tree of teams", stored: []string{"a"}, shapes: []string{teams}, knows: everybody,
			budget: budget{adds: 1, reissues: 1, drops: 1, ops: 1, crashes: 2},
		},
		{
			name: "restore after a drop", stored: []string{people, "a"}, history: true, knows: everybody,
			budget: budget{drops: 1, rotates: 1, crashes: 1, seals: 1, putBacks: 1, restores: 1},
		},
		{
			name: "rekey", stored: []string{people}, shapes: []string{people}, lags: true, knows: everybody,
			budget: budget{rekeys: 2, drops: 1, reissues: 1, ops: 1, claims: 1, crashes: 1},
		},
		{
			name: "rewrap", stored: []string{people, "a"}, shapes: []string{"a"}, knows: everybody,
			budget: budget{rewraps: 2, versions: 1, rekeys: 1, drops: 1, roots: 1, crashes: 1, drills: 1},
		},
		{
			name: "two forks", stored: []string{people}, history: true, knows: everybody,
			budget: budget{rotates: 2, roots: 1, crashes: 1, putBacks: 2, restores: 1, joins: 2},
		},
		{
			name: "keys", stored: []string{people, "a"}, knows: everybody,
			budget: budget{rotates: 2, activates: 2, retires: 1, roots: 1, crashes: 2, seals: 1, drills: 1},
		},
		{
			name: "keepers", stored: []string{"a"}, knows: everybody,
			budget: budget{leases: 2, beats: 1, ticks: 4, crashes: 1},
		},
		{
			name: "keepers that retire", stored: []string{"a"}, knows: everybody,
			budget: budget{rotates: 1, leases: 2, ticks: 3, retires: 1, dataBack: 1},
		},
		{
			name: "a replica that hangs", stored: []string{"a"}, knows: everybody,
			budget: budget{rotates: 2, activates: 1, retires: 1, hangs: 1, rosters: 1, seals: 1},
		},
		{
			name: "init", inits: [][]string{{people}, {"a"}, {people, "a"}, {mixed}}, knows: everybody,
			budget: budget{inits: 3, crashes: 3, cuts: 1, deaths: 1},
		},
		{
			name: "key to key", stored: []string{"a"}, shapes: []string{"b", "a"}, knows: everybody,
			budget: budget{adds: 1, rekeys: 1, drops: 2, roots: 1, crashes: 1, cuts: 1, deaths: 1},
		},
		{
			name: "mixed configurations", stored: []string{"a"}, shapes: []string{"b", both}, knows: [replicas]byte{1, 2, 3},
			budget: budget{adds: 2, drops: 2, roots: 1, crashes: 1, cuts: 1, deaths: 1},
		},
		{
			name: "people to a tree", stored: []string{people}, shapes: []string{mixed}, knows: everybody,
			budget: budget{adds: 1, reissues: 1, drops: 2, ops: 2, crashes: 1, deaths: 1},
		},
		{
			name: "two operators", stored: []string{people, "a"}, shapes: []string{"b"}, knows: everybody,
			budget: budget{adds: 1, drops: 1, ops: 2, claims: 1, crashes: 1},
		},
		{
			name: "restore", stored: []string{people, "a"}, shapes: []string{"b"}, history: true, knows: everybody,
			budget: budget{adds: 1, rotates: 1, crashes: 1, seals: 1, putBacks: 1, restores: 1},
		},
		{
			name: "anchors", stored: []string{people, "a"}, shapes: []string{"b"}, history: true, anchors: true, knows: everybody,
			budget: budget{adds: 1, rotates: 1, crashes: 2, putBacks: 1, restores: 1},
		},
		{
			name: "people to key", stored: []string{people}, shapes: []string{"a"}, knows: everybody,
			budget: budget{adds: 1, rekeys: 1, drops: 2, ops: 2, crashes: 1, deaths: 1},
		},
		{
			name: "init, and its shares lost", inits: [][]string{{people, "a"}}, knows: everybody,
			budget: budget{inits: 1, reissues: 1, drops: 1, ops: 1, crashes: 2, cuts: 1, deaths: 1},
		},
		{
			name: "join", stored: []string{people}, shapes: []string{"a"}, history: true, knows: everybody,
			budget: budget{adds: 1, rotates: 2, crashes: 1, putBacks: 1, restores: 1, joins: 1},
		},
		{
			name: "trees", stored: []string{"a"}, shapes: []string{both, mixed, anyTwo}, knows: everybody,
			budget: budget{adds: 2, drops: 1, ops: 1, crashes: 1, deaths: 1},
		},
		{
			name: "key to people", stored: []string{"a"}, shapes: []string{people}, knows: everybody,
			budget: budget{adds: 1, rekeys: 1, reissues: 1, drops: 2, ops: 2, crashes: 1, deaths: 1},
		},
		{
			name: "all at once", inits: [][]string{{people}, {"a"}, {people, "a"}}, shapes: []string{"a", "b", both, mixed, people}, knows: everybody,
			budget: budget{
				adds: 2, rekeys: 1, drops: 2, reissues: 1, inits: 1, rotates: 1, activates: 1, retires: 1, roots: 1, rewraps: 1,
				drills: 1, ops: 1, claims: 1, crashes: 2, seals: 1, cuts: 1, deaths: 1, versions: 1,
			},
		},
	}
}

// begin is the world that the scenario begins in.
func (m *model) begin() world {
	w := world{gatherer: -1, budget: m.budget}
	if m.near == nearStrange {
		w.store = m.strange()
	}
	if len(m.stored) == 0 {
		return w
	}
	m.inits = [][]string{m.stored}
	r, err := m.apply(0, change{do: doInitialize}, 0, 0)
	for i := 0; err == nil && i < len(m.stored); i++ {
		s := &m.at(r).state
		var next record.State
		if next, err = s.Prove(record.Step{Previous: m.at(r).digest}, proofOf(s, &s.Slots[i]), nil); err == nil {
			r = m.keep(next, m.at(r).root, r)
		}
	}
	if err != nil {
		panic(err)
	}
	if m.near == nearGrowth {
		s := m.at(r).state.Clone()
		s.LastTerm = nearEnd - 2
		r = m.keep(s, m.at(r).root, r)
	}
	w.store = r
	for _, l := range m.at(r).locks {
		if l.people {
			w.delivered = m.sets.with(w.delivered, l.seed)
		}
	}
	return w
}

// strange is a record that a stranger wrote: nobody has what opens it, and its
// numbers are near their ends.
func (m *model) strange() rec {
	r, err := m.apply(0, change{do: doInitialize}, 0, 0)
	if err != nil {
		panic(err)
	}
	s := m.at(r).state.Clone()
	s.Root, s.LastTerm, s.LastSlot, s.LastSet = record.MaxNumber-1, record.MaxNumber-9, record.MaxNumber-9, record.MaxNumber-9
	return m.keep(s, m.at(r).root, r)
}
