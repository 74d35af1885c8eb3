package record_test

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"slices"
)

const (
	replicas = 3
	everyKey = byte(1<<len(keys) - 1)
)

// The keys of the KMS, a bit for each in a mask.
var keys = [...]string{"a", "b"}

type keyState byte

const (
	alive keyState = iota
	cutOff
	resting // asks to be left alone for hours
	dead
)

// A world is all that there is at a moment. It holds numbers only: records are
// those of the model, sets likewise.
type world struct {
	store rec // 0: nothing stored
	line  line
	epoch uint8  // how often an old record was put back
	lost  [2]rec // what stood in the store when that was done

	replica  [replicas]replica
	gatherer int8 // the replica that gathers the shares of the operation, or -1

	key  [len(keys)]keyState
	gone [len(keys)]uint8 // versions of the key up to this are destroyed

	delivered set // seeds whose shares people hold
	written   set // data keys that data is under
	leaked    set // root keys and data keys that somebody knows who was dropped

	roster rosterState

	budget budget
	wrong  fault // what a move itself did that must not be
}

// A line says how the record stored comes from those before it.
type line uint8

const (
	straight line = iota // each from its predecessor, or by a door
	putBack              // an old record was put back, and nothing was changed since
	astray               // it was changed, by somebody who did not know
)

// A replica knows nothing while mark is 0, and is sealed while it is not open.
type replica struct {
	mark   rec // the newest record it has seen
	open   bool
	mute   bool // it encrypts no more until it has taken in the stored record
	waits  byte // keys that it waits for, and does nothing else
	flight flight
	keeper keeper
	told   told
	handed handed
}

// A flight is a change computed and not swapped yet, or, with phase hand, one
// that is stored and whose shares are in the replica's hands.
type flight struct {
	phase  phase
	change change
	on     rec // the record it replaces
	with   rec // the other record that it was made of, for a restore or a join
	next   rec // what it makes, in the epoch it was computed in
	epoch  uint8
	relies byte // keys that the fresh proof it relies on was given by
}

type phase uint8

const (
	idle phase = iota
	computed
	hand
	handSecond // the first team has its shares
)

// A budget bounds how often a kind of move is made.
type budget [budgets]int8

const (
	adds = iota
	rekeys
	drops
	reissues
	inits
	rotates
	activates
	retires
	roots
	rewraps
	drills
	ops
	claims
	crashes
	seals
	cuts
	deaths
	versions
	putBacks
	restores
	joins
	rests
	mutes
	leases
	beats
	ticks
	dataBack
	hangs
	rosters
	handOffs
	budgets
)

// lock is what opens a slot: threshold of its keys and its people.
type lock struct {
	seed      id
	state     string
	keys      byte
	version   [len(keys)]uint8
	threshold int
	people    bool // some leaf is theirs
	teams     bool // two leaves are
	asks      bool // it cannot be opened without them
	right     bool // its wrap is of the record's root key
}

// willing reports whether custodians would open a slot, for a process that knows
// these keys, now or when a key that is cut off answers again. Asked says
// whether people are.
func (m *model) willing(w *world, l *lock, knows byte, now, asked bool) bool {
	n := 0
	if asked && l.people && m.sets.has(w.delivered, l.seed) {
		n++
	}
	if asked && l.teams && (m.sets.has(w.delivered, l.seed|secondTeam) || n > 0 && now && m.faults.halfAgrees) {
		n++
	}
	for k := range keys {
		if l.keys&knows>>k&1 == 1 && (w.key[k] == alive || !now && w.key[k] != dead) && l.version[k] > w.gone[k] {
			n++
		}
	}
	return n >= l.threshold
}

// answers reports whether all these keys answer now.
func (w *world) answers(mask byte) bool {
	for k := range keys {
		if mask>>k&1 == 1 && w.key[k] != alive {
			return false
		}
	}
	return true
}

// view is what an unsealed replica holds: the newest record it has seen.
func (r *replica) view() rec {
	if !r.open {
		return 0
	}
	return r.mark
}

// hash is of all that the future depends on. Replicas that know the same keys
// are interchangeable.
func (m *model) hash(w *world) uint64 {
	var parts [replicas]place
	for i := range parts {
		parts[i] = m.place(w, i)
	}
	if !m.exact {
		slices.SortFunc(parts[:], func(x, y place) int { return bytes.Compare(x[:], y[:]) })
	}
	b := m.buf[:0]
	for i := range parts {
		b = append(b, parts[i][:]...)
	}
	for _, n := range [...]uint32{uint32(w.store), uint32(w.lost[0]), uint32(w.lost[1]), uint32(w.delivered), uint32(w.written), uint32(w.leaked)} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = append(b, byte(w.line), w.epoch, byte(w.wrong), byte(w.roster))
	for k := range keys {
		b = append(b, byte(w.key[k]), w.gone[k])
	}
	for _, n := range w.budget {
		b = append(b, byte(n))
	}
	m.buf = b
	return maphash.Bytes(seed, b)
}

// A place is what the future of one replica depends on.
type place [48]byte

func (m *model) place(w *world, i int) place {
	var p place // zeros stand behind what is written
	r, b := &w.replica[i], p[:0]
	b = append(b, m.knows[i], bit(r.open)|bit(r.mute)<<1, r.waits, bit(w.gatherer == int8(i)), byte(r.flight.phase))
	mark, root, active := r.mark, id(0), id(0)
	if m.forwardOnly() && mark != w.store {
		// The record it saw is gone for good. What is left of it is whether it
		// can follow, and what it encrypts under.
		if mark = 0; r.open {
			root, active = m.at(r.mark).root, m.at(r.mark).active
		}
	}
	for _, n := range [...]uint32{uint32(mark), uint32(root), uint32(active)} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	k := r.keeper
	if m.at(r.mark).leaseOf() != m.at(w.store).leaseOf() {
		k.watched = 0 // that lease, with that sign of life, never comes back
	}
	if a := r.handed; a.on != 0 {
		if a.on != w.store && m.forwardOnly() && !m.faults.takesLate {
			a.on, a.from = 0, 0 // it is of no use any more
		}
		b = append(b, 1|bit(a.late)<<1)
		for _, n := range [...]rec{a.on, a.from} {
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		}
	} else {
		b = append(b, make([]byte, 9)...)
	}
	b = append(b, k.holds, k.silent, k.watched, k.counted, k.flying)
	b = append(b, r.told.term, r.told.newest, bit(r.told.hangs)|bit(r.told.blind)<<1)
	switch f := &r.flight; {
	case f.phase >= hand:
		b = binary.LittleEndian.AppendUint32(b, uint32(m.madeFor(f)))
	case f.phase == computed && m.doomed(w, f):
		b = append(b, 1)
	case f.phase == computed:
		c := f.change
		b = append(b, 2, byte(c.do), byte(c.i), byte(c.j), byte(c.by), f.relies)
		b = binary.LittleEndian.AppendUint32(b, uint32(f.on))
		b = binary.LittleEndian.AppendUint32(b, uint32(f.with))
	}
	return place(b[:len(p)])
}

// forwardOnly reports whether no record ever comes back.
func (m *model) forwardOnly() bool { return !m.history && !m.faults.blindPut && !m.exact }

// doomed reports whether a change in flight can only find that another was
// faster.
func (m *model) doomed(w *world, f *flight) bool { return f.on != w.store && m.forwardOnly() }

var seed = maphash.MakeSeed()

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// A set is a set of names, kept once.
type set int32

type sets struct {
	members [][]id // sorted
	added   map[addition]set
	byImage map[string]set
}

type addition struct {
	to  set
	add id
}

func newSets() sets {
	return sets{members: [][]id{nil}, added: map[addition]set{}, byImage: map[string]set{"": 0}}
}

func (s *sets) has(in set, x id) bool {
	_, found := slices.BinarySearch(s.members[in], x)
	return found
}

func (s *sets) with(in set, x id) set {
	if out, ok := s.added[addition{in, x}]; ok {
		return out
	}
	out := in
	if i, found := slices.BinarySearch(s.members[in], x); !found {
		out = s.keep(slices.Insert(slices.Clone(s.members[in]), i, x))
	}
	s.added[addition{in, x}] = out
	return out
}

func (s *sets) without(in set, x id) set {
	i, found := slices.BinarySearch(s.members[in], x)
	if !found {
		return in
	}
	return s.keep(slices.Delete(slices.Clone(s.members[in]), i, i+1))
}

func (s *sets) keep(members []id) set {
	var image []byte
	for _, x := range members {
		image = binary.LittleEndian.AppendUint32(image, uint32(x))
	}
	if out, ok := s.byImage[string(image)]; ok {
		return out
	}
	s.members = append(s.members, members)
	out := set(len(s.members) - 1)
	s.byImage[string(image)] = out
	return out
}

// keyNames lists the keys of a mask.
func keyNames(mask byte) (names []string) {
	for ; mask != 0; mask &= mask - 1 {
		names = append(names, keys[bits.TrailingZeros8(mask)])
	}
	return names
}
