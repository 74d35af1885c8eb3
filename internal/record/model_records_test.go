package record_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// rec is a record, by its number in the model; 0 is none.
type rec int32

// id names something secret: a root key, a data key, or the seed of a slot.
type id uint32

// kinds of names, for scenarios where a record has one successor that counts.
const (
	rootKey id = (iota + 1) << 24
	dataKey
	slotSeed

	secondTeam id = 1 << 30 // with the seed of a slot, what its second team holds
)

// A naming is what a name is of. Whatever is made for a change is new, and is
// named at its swap: two swaps of the same change in place of the same record
// have an old record put back between them, which begins an epoch. What was made
// for a change that was never swapped, nobody ever sees.
type naming struct {
	on     rec
	change change
	with   rec
	epoch  uint8
	what   id // kind and number
}

// An entry is a record that was made, with what is derived from it.
type entry struct {
	state  record.State
	digest record.Digest
	root   id
	before rec // where histories are told apart
	locks  []lock
	terms  []id // in the order of state.Terms
	active id   // the data key that encrypts; 0 before a slot is proven
	op     string
	offers map[uint8][]offer // changes that somebody could make, by epoch
	stuck  *string           // why nobody can be evicted, or ""; nil: not asked yet
}

func newModel(s scenario, f faults) *model {
	m := &model{
		scenario: s, faults: f,
		records: []*entry{{}}, byImage: map[string]rec{}, names: map[naming]id{}, sets: newSets(),
	}
	for _, shapes := range append(slices.Clone(s.inits), s.stored, s.shapes) {
		for _, shape := range shapes {
			m.matters |= shapeKeys(shape)
		}
	}
	return m
}

func (m *model) at(r rec) *entry { return m.records[r] }

// keep returns the record's number. Two records of one content are one, unless
// histories are told apart.
func (m *model) keep(s record.State, root id, before rec) rec {
	if !m.history {
		before = 0
	}
	image := appendImage(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(before)), uint32(root)), &s)
	if r, ok := m.byImage[string(image)]; ok {
		return r
	}
	// What no rule reads is let go.
	s.Former, s.Identities = nil, noIdentities
	e := &entry{state: s, root: root, before: before, offers: map[uint8][]offer{}}
	if m.history {
		e.digest = sha256.Sum256(image)
	} else {
		e.state.Digests, e.state.Previous, e.state.Journal = nil, nil, nil
	}
	for i := range s.Slots {
		e.locks = append(e.locks, lockOf(root, &s.Slots[i]))
	}
	for _, t := range s.Terms {
		e.terms = append(e.terms, nameOf(t.Key[:]))
		if t.State == record.TermActive && s.Proved() {
			e.active = nameOf(t.Key[:])
		}
	}
	if s.Operation != nil {
		e.op = s.Operation.ID
	}
	m.records = append(m.records, e)
	r := rec(len(m.records) - 1)
	m.byImage[string(image)] = r
	return r
}

var noIdentities = map[uint32][32]byte{} // transitions clone it

func appendImage(b []byte, s *record.State) []byte {
	u32 := func(n uint32) { b = binary.LittleEndian.AppendUint32(b, n) }
	u32(uint32(s.Generation))
	u32(s.Root)
	u32(s.LastTerm)
	u32(s.LastSlot)
	u32(s.LastSet)
	for i := range s.Slots {
		o := &s.Slots[i]
		u32(o.ID)
		b = append(append(b, o.Name...), o.State[0])
		b = append(append(b, o.PublicKey...), o.Wrap...)
		o.Tree.Leaves(func(l *record.Node) bool {
			if l.KMS != nil {
				b = append(b, l.KMS.Blob.Version...)
			}
			return true
		})
		if p := o.Proven; p != nil {
			u32(p.Root)
			u32(uint32(p.Generation))
			b = append(b, p.Operation...)
		}
	}
	for _, t := range s.Terms {
		u32(t.Number)
		b = append(b, byte(t.State))
		b = append(b, t.Key[:4]...)
	}
	if o := s.Operation; o != nil {
		b = append(append(append(b, o.ID...), o.Kind...), o.Slot...)
		u32(uint32(o.Began))
		for _, g := range o.Desired {
			b = append(b, g.Name...)
		}
	}
	if l := s.Lease; l != nil {
		b = append(b, l.ID...)
		u32(uint32(l.Beat))
	}
	return b
}

func lockOf(root id, o *record.Slot) lock {
	l := lock{
		seed: nameOf(o.PublicKey), state: o.State, threshold: 1, asks: o.Tree.NeedsPeople(),
		right: bytes.Equal(o.Wrap, wrapOf(root, nameOf(o.PublicKey))),
	}
	if o.Tree.Threshold != nil {
		l.threshold = o.Tree.Threshold.Threshold
	}
	o.Tree.Leaves(func(leaf *record.Node) bool {
		if leaf.KMS == nil {
			l.people, l.teams = true, l.people
			return true
		}
		k := slices.Index(keys[:], leaf.KMS.Name)
		version, _ := strconv.Atoi(leaf.KMS.Blob.Version)
		l.keys |= 1 << k
		l.version[k] = uint8(version)
		return true
	})
	return l
}

// The public key of a slot is the name of its seed, and a wrap is those of the
// root key and of the seed.
func bytesOf(x id) []byte         { return binary.LittleEndian.AppendUint32(nil, uint32(x)) }
func nameOf(b []byte) id          { return id(binary.LittleEndian.Uint32(b)) }
func wrapOf(root, seed id) []byte { return append(bytesOf(root), bytesOf(seed)...) }

// descends reports whether a record is another, or comes after it.
func (m *model) descends(r, from rec) bool {
	for r != from && r != 0 {
		r = m.at(r).before
	}
	return r == from
}

// A maker makes what a change needs, and names it.
type maker struct {
	*model
	naming
	*entry
}

func (k *maker) name(kind id, number uint32) id {
	k.what = kind | id(number&0xffffff) // near its end a number is still told from the first ones
	if !k.history {
		return k.what
	}
	x, ok := k.names[k.naming]
	if !ok {
		x = id(len(k.names) + 1)
		k.names[k.naming] = x
	}
	return x
}

// Shapes of slots; a slot is named by its shape.
const (
	people = "people"
	both   = "both"   // the two keys together
	mixed  = "mixed"  // key a and people
	anyTwo = "anytwo" // two of the keys and people
	teams  = "teams"  // two teams of people together
)

var allShapes = []string{people, keys[0], keys[1], both, mixed, anyTwo, teams}

// slot makes what would be the next slot of the record, or a later one, its
// wrap for that root key.
func (k *maker) slot(shape string, root id, later uint32) record.NewSlot {
	seed := k.name(slotSeed, k.state.LastSlot+1+later)
	n := record.NewSlot{Name: shape, PublicKey: bytesOf(seed), Wrap: wrapOf(root, seed)}
	key := func(name string) record.Node {
		return record.Node{KMS: &record.Key{
			Name: name, Box: []byte("box"),
			Blob: kms.Blob{Type: "m", KeyID: name, Version: strconv.Itoa(k.newest(name))},
		}}
	}
	team := func(set uint32) record.Node {
		return record.Node{Shamir: &record.Shares{Shares: 1, Threshold: 1, Set: k.state.LastSet + set, Commitments: []record.HexBytes{make([]byte, 32)}}}
	}
	custodians := team(1)
	two := func(of ...record.Node) record.Node {
		return record.Node{Threshold: &record.Tree{Threshold: 2, Of: of}}
	}
	switch shape {
	case people:
		n.Tree = custodians
	case both:
		n.Tree = two(key(keys[0]), key(keys[1]))
	case mixed:
		n.Tree = two(key(keys[0]), custodians)
	case anyTwo:
		n.Tree = two(key(keys[0]), key(keys[1]), custodians)
	case teams:
		n.Tree = two(custodians, team(2))
	default:
		n.Tree = key(shape)
	}
	return n
}

// shapeKeys are the keys that must wrap for a new slot of that shape.
func shapeKeys(shape string) byte {
	switch shape {
	case people, teams:
		return 0
	case both, anyTwo:
		return everyKey
	case mixed:
		return 1
	}
	return 1 << strings.IndexByte("ab", shape[0])
}

func hasPeople(shape string) bool {
	return shape == people || shape == mixed || shape == anyTwo || shape == teams
}

// newest is the version of a key that wraps: a rewrap has the next one made.
func (k *maker) newest(name string) int {
	i, newest := slices.Index(keys[:], name), uint8(1)
	for _, l := range k.locks {
		newest = max(newest, l.version[i])
	}
	return int(newest)
}

// term makes the data key of that number.
func (k *maker) term(number uint32, state record.TermState) record.Term {
	t := record.Term{Number: number, State: state}
	copy(t.Key[:], bytesOf(k.name(dataKey, number)))
	return t
}

// rewrap makes the next root key for every slot but those that go.
func (k *maker) rewrap(without []uint32, withTerm bool) (record.NewRoot, id) {
	r := record.NewRoot{Root: k.state.Root + 1, Wraps: map[uint32][]byte{}}
	root := k.name(rootKey, r.Root)
	for i := range k.state.Slots {
		o := &k.state.Slots[i]
		if slices.Contains(without, o.ID) {
			continue
		}
		r.Wraps[o.ID] = wrapOf(root, nameOf(o.PublicKey))
		if k.faults.wrapLeft {
			r.Wraps[o.ID] = o.Wrap
		}
	}
	if withTerm && !k.faults.termKept {
		t := k.term(k.state.LastTerm+1, record.TermActive)
		r.Term = &t
	}
	return r, root
}
