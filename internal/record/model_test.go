package record_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"hash/maphash"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// An explicit-state model of a store with three replicas, walked breadth first.
// Its steps are the transition functions themselves; what is symbolic is the
// cryptography: the wrap of root key r for slot s is the text "r/s". A step
// that changes the record takes two moves, as in life: a replica loads and
// computes, and later swaps, with anything in between. The adversary crashes
// replicas, cuts off keys and destroys one, as long as another slot opens the
// store at that moment.

var modelStates = flag.Int("model.states", 50_000, "states that the model visits at most")

const (
	replicas = 3
	people   = "people"
	tree     = "tree" // both keys together
)

// Custodians: the keys of the two KMS slots.
var keys = [...]string{"a", "b"}

type keyState byte

const (
	alive keyState = iota
	cutOff
	dead
)

// A budget bounds how often a kind of move is made.
type budget struct {
	adds, drops, rekeys, rotates, roots, ops, crashes, cuts, deaths int8
}

type world struct {
	store     record.State // Generation 0: nothing stored
	replica   [replicas]replica
	key       [len(keys)]keyState
	delivered uint32 // bit i: custodians hold the shares of set i
	leaked    uint32 // no term up to this may encrypt once the record is loaded
	written   uint32 // highest term that data was written under
	budget    budget
}

// A replica is sealed while its view has no generation.
type replica struct {
	view   record.State
	flight *flight
}

// A flight is a computed change that is not swapped yet.
type flight struct {
	move    string
	next    record.State
	old     uint64 // generation it replaces
	deliver uint32 // sets whose shares this replica holds for delivery
	relies  byte   // bit i: the fresh proof it relies on was given by key i
	leaks   uint32 // what a dropped custodian knows of terms
}

// faults are the ways to break the protocol that the model must catch.
type faults struct {
	blindPut      bool // swap without comparing
	deliverAfter  bool // a rekey commits before its shares are delivered
	staleProof    bool // a drop believes any proof ever recorded
	wrapLeft      bool // a root rotation leaves a slot's wrap behind
	termKept      bool // a drop keeps the data key
	unstoredTerms bool // a replica encrypts under a term it has not stored yet
}

type model struct {
	faults  faults
	seen    map[uint64]parent
	seed    maphash.Seed
	buf     []byte
	visited int
}

type parent struct {
	from uint64
	move string
}

// explore walks until a violation, the limit, or the end.
func (m *model) explore(start world, limit int) (violation string, trace []string, complete bool) {
	m.seen = map[uint64]parent{}
	m.seed = maphash.MakeSeed()
	type item struct {
		w    world
		hash uint64
	}
	h := m.hash(&start)
	m.seen[h] = parent{}
	queue := []item{{start, h}}
	for len(queue) > 0 {
		it := queue[0]
		queue[0] = item{}
		queue = queue[1:]
		m.visited++
		found := ""
		m.moves(it.w, func(move string, next world) {
			if found != "" {
				return
			}
			nh := m.hash(&next)
			if _, ok := m.seen[nh]; ok {
				return
			}
			m.seen[nh] = parent{it.hash, move}
			if v := m.violation(&next); v != "" {
				found = v
				trace = m.trace(nh)
				return
			}
			if len(m.seen) < limit {
				queue = append(queue, item{next, nh})
			}
		})
		if found != "" {
			return found, trace, false
		}
	}
	return "", nil, len(m.seen) < limit
}

func (m *model) trace(h uint64) []string {
	var out []string
	for {
		p := m.seen[h]
		if p.move == "" {
			slices.Reverse(out)
			return out
		}
		out = append(out, p.move)
		h = p.from
	}
}

// violation checks what must hold in every state.
func (m *model) violation(w *world) string {
	s := &w.store
	if s.Generation == 0 {
		return ""
	}
	if !s.Proved() {
		if w.written > 0 {
			return "data was written before any slot was proven"
		}
		return "" // nothing to lose: init is made again
	}
	if !slices.ContainsFunc(s.Slots, func(o record.Slot) bool { return w.opens(s, &o) }) {
		return "neither the old custodians nor the new ones open the store"
	}
	if w.written > 0 && !slices.ContainsFunc(s.Terms, func(t record.Term) bool { return t.Number == w.written }) {
		return fmt.Sprintf("data was written under term %d, which is not in the stored record", w.written)
	}
	if active(s) <= w.leaked {
		return fmt.Sprintf("term %d encrypts, and a dropped custodian knows it", active(s))
	}
	return ""
}

func active(s *record.State) uint32 {
	for _, t := range s.Terms {
		if t.State == record.TermActive {
			return t.Number
		}
	}
	return 0
}

// opens reports whether the slot's custodians could open that record, now or
// when a key that is cut off answers again.
func (w *world) opens(s *record.State, o *record.Slot) bool {
	return o.Opens() && string(o.Wrap) == wrapOf(s.Root, o.ID) && w.custodian(o, false)
}

func (w *world) custodian(o *record.Slot, now bool) bool { return w.yields(&o.Tree, now) }

func (w *world) yields(n *record.Node, now bool) bool {
	switch {
	case n.Shamir != nil:
		return w.delivered&(1<<n.Shamir.Set) != 0
	case n.KMS != nil:
		k := w.key[slices.Index(keys[:], n.KMS.Name)]
		return k == alive || !now && k == cutOff
	}
	willing := 0
	for i := range n.Threshold.Of {
		if w.yields(&n.Threshold.Of[i], now) {
			willing++
		}
	}
	return willing >= n.Threshold.Threshold
}

// keysOf returns the keys in a tree, a bit for each.
func keysOf(o *record.Slot) (mask byte) {
	o.Tree.Leaves(func(l *record.Node) bool {
		if l.KMS != nil {
			mask |= 1 << slices.Index(keys[:], l.KMS.Name)
		}
		return true
	})
	return mask
}

func wrapOf(root, slot uint32) string { return fmt.Sprintf("%d/%d", root, slot) }

// moves calls yield with every state that one move leads to.
func (m *model) moves(w world, yield func(string, world)) {
	for i := range keys {
		m.keyMoves(w, i, yield)
	}
	for i := range replicas {
		r := &w.replica[i]
		if w.budget.crashes > 0 && (r.view.Generation > 0 || r.flight != nil) {
			n := w
			n.budget.crashes--
			n.replica[i] = replica{}
			yield(fmt.Sprintf("replica %d crashes", i), n)
		}
		switch {
		case r.flight != nil:
			m.land(w, i, yield)
		case w.store.Generation == 0:
			m.initialize(w, i, yield)
		case r.view.Generation == 0:
			m.unseal(w, i, yield)
		default:
			m.work(w, i, yield)
		}
	}
}

func (m *model) keyMoves(w world, i int, yield func(string, world)) {
	if w.key[i] == alive && w.budget.cuts > 0 {
		n := w
		n.budget.cuts--
		n.key[i] = cutOff
		yield("key "+keys[i]+" is cut off", n)
	}
	if w.key[i] == cutOff {
		n := w
		n.key[i] = alive
		yield("key "+keys[i]+" answers again", n)
	}
	if w.key[i] != dead && w.budget.deaths > 0 {
		for j := range replicas {
			// Nothing protects against a key that dies between its proof and
			// the swap that relies on it.
			if f := w.replica[j].flight; f != nil && f.relies&(1<<i) != 0 {
				return
			}
		}
		n := w
		n.budget.deaths--
		n.key[i] = dead
		if n.store.Generation == 0 || m.violation(&n) == "" {
			yield("key "+keys[i]+" is destroyed", n)
		}
	}
}

func (m *model) step(w *world, i int, op string) record.Step {
	return record.Step{Replica: fmt.Sprint(i), Operation: op}
}

// newSlot makes the next slot of s, its wrap for root key r.
func newSlot(s *record.Record, name string, r uint32, extra uint32) record.NewSlot {
	n := record.NewSlot{
		Name: name, PublicKey: []byte("pk"), Wrap: []byte(wrapOf(r, s.LastSlot+1+extra)),
	}
	key := func(name string) record.Node {
		return record.Node{KMS: &record.Key{Name: name, Blob: kms.Blob{Type: "m", KeyID: name}, Box: []byte("box")}}
	}
	switch name {
	case tree:
		n.Tree = record.Node{Threshold: &record.Tree{Threshold: 2, Of: []record.Node{key(keys[0]), key(keys[1])}}}
	case people:
		n.Tree = record.Node{Shamir: &record.Shares{Shares: 1, Threshold: 1, Set: s.LastSet + 1, Commitments: []record.HexBytes{make([]byte, 32)}}}
	default:
		n.Tree = key(name)
	}
	return n
}

func term(s *record.State, st record.TermState) record.Term {
	return record.Term{Number: s.LastTerm + 1, State: st}
}

func (m *model) initialize(w world, i int, yield func(string, world)) {
	for _, names := range [][]string{{people}, {keys[0]}, {people, keys[0]}} {
		base := record.Record{Store: strings.Repeat("0", 32), Root: 1}
		var slots []record.NewSlot
		for j, name := range names {
			slots = append(slots, newSlot(&base, name, 1, uint32(j)))
		}
		next, err := record.Init(m.step(&w, i, "init"), base, record.Term{Number: 1, State: record.TermActive}, slots)
		if err != nil {
			panic(err)
		}
		n := w
		n.fly(i, flight{move: fmt.Sprint("init with ", names), next: next, deliver: newSets(&record.State{}, &next)})
		yield(fmt.Sprintf("replica %d computes init with %v", i, names), n)
	}
}

func newSets(before, after *record.State) uint32 {
	var sets uint32
	for i := range after.Slots {
		if s := after.Slots[i].Tree.Shamir; s != nil && s.Set > before.LastSet {
			sets |= 1 << s.Set
		}
	}
	return sets
}

func (w *world) fly(i int, f flight) {
	f.old = w.store.Generation
	w.replica[i].flight = &f
}

// land swaps what is in flight, and delivers shares only then.
func (m *model) land(w world, i int, yield func(string, world)) {
	f := w.replica[i].flight
	if f.next.Generation == 0 { // stored already, the shares still in hand
		n := w
		n.replica[i].flight = nil
		n.delivered |= f.deliver
		yield(fmt.Sprintf("replica %d delivers shares", i), n)
		return
	}
	n := w
	n.replica[i].flight = nil
	if f.old != w.store.Generation && !m.faults.blindPut {
		yield(fmt.Sprintf("replica %d: %s meets another writer", i, f.move), n)
		return
	}
	n.store = f.next
	n.leaked = max(n.leaked, f.leaks)
	if n.replica[i].view.Generation > 0 {
		n.replica[i].view = f.next
	}
	if f.deliver != 0 {
		n.replica[i].flight = &flight{move: f.move, deliver: f.deliver}
	}
	yield(fmt.Sprintf("replica %d stores: %s", i, f.move), n)
}

func (m *model) unseal(w world, i int, yield func(string, world)) {
	for j := range w.store.Slots {
		o := &w.store.Slots[j]
		if !o.Opens() || string(o.Wrap) != wrapOf(w.store.Root, o.ID) || !w.custodian(o, true) {
			continue
		}
		n := w
		if o.State == record.Active {
			n.replica[i].view = w.store
			yield(fmt.Sprintf("replica %d unseals by %s", i, o.Name), n)
			continue
		}
		next, err := w.store.Prove(m.step(&w, i, ""), fresh(&w.store, o), nil)
		if err != nil {
			panic(err)
		}
		n.store = next // the swap is the unseal: one move, or it did not happen
		n.replica[i].view = next
		yield(fmt.Sprintf("replica %d unseals by %s, which proves it", i, o.Name), n)
	}
	if !w.store.Proved() && w.budget.adds > 0 {
		// The shares of this init never reached anybody: it is made again.
		next, err := record.Init(m.step(&w, i, "init"), w.store.Record, term(&w.store, record.TermActive),
			[]record.NewSlot{newSlot(&w.store.Record, people, w.store.Root, 0)})
		if err == nil {
			n := w
			n.budget.adds--
			n.fly(i, flight{move: "init again", next: next, deliver: newSets(&w.store, &next)})
			yield(fmt.Sprintf("replica %d computes init again", i), n)
		}
	}
}

func fresh(s *record.State, o *record.Slot) record.Fresh {
	return record.Fresh{Slot: o.ID, Root: s.Root, Generation: s.Generation}
}

// rewrap makes the next root key for every slot but those that go.
func (m *model) rewrap(s *record.State, without []uint32, withTerm bool) record.Rewrap {
	r := record.Rewrap{Root: s.Root + 1, Wraps: map[uint32][]byte{}}
	for _, o := range s.Slots {
		if slices.Contains(without, o.ID) {
			continue
		}
		r.Wraps[o.ID] = []byte(wrapOf(r.Root, o.ID))
		if m.faults.wrapLeft {
			r.Wraps[o.ID] = o.Wrap
		}
	}
	if withTerm && !m.faults.termKept {
		t := term(s, record.TermActive)
		r.Term = &t
	}
	return r
}

// work is what an unsealed replica does: every change begins by loading.
func (m *model) work(w world, i int, yield func(string, world)) {
	v := &w.replica[i].view
	if t := active(v); t > w.written {
		n := w
		n.written = t
		if m.faults.unstoredTerms {
			n.written++
		}
		yield(fmt.Sprintf("replica %d writes data under term %d", i, t), n)
	}
	s := w.store
	if v.Generation != s.Generation {
		if m.follows(&w, v) {
			n := w
			n.replica[i].view = s
			yield(fmt.Sprintf("replica %d refreshes", i), n)
		}
		return
	}
	op := ""
	if s.Operation != nil {
		op = s.Operation.ID
	}
	compute := func(move string, cost func(*budget) *int8, f flight, next record.State, err error) {
		if err != nil {
			return
		}
		n := w
		if cost != nil {
			b := cost(&n.budget)
			if *b == 0 {
				return
			}
			*b--
		}
		f.move, f.next = move, next
		n.fly(i, f)
		yield(fmt.Sprintf("replica %d computes: %s", i, move), n)
	}
	st := m.step(&w, i, op)
	for _, name := range []string{keys[0], keys[1], tree, people} {
		if s.Find(name, record.Active) != nil && name != people {
			continue
		}
		made := newSlot(&s.Record, name, s.Root, 0)
		if name != people && !w.yields(&made.Tree, true) {
			continue // the KMS cannot wrap
		}
		rekey := s.Find(name, record.Active) != nil
		cost := func(b *budget) *int8 { return &b.adds }
		move := "add " + name
		if rekey {
			cost, move = func(b *budget) *int8 { return &b.rekeys }, "rekey "+name
		}
		next, err := s.Add(st, made)
		f := flight{deliver: newSets(&s, &next)}
		if err == nil && rekey && m.faults.deliverAfter {
			next = m.commitAtOnce(&s, next, st, name)
		}
		compute(move, cost, f, next, err)
	}
	for j := range s.Slots {
		o := &s.Slots[j]
		if o.State != record.Active && w.custodian(o, true) && (o.Tree.Shamir == nil || w.delivered&(1<<o.Tree.Shamir.Set) != 0) {
			f := flight{}
			var re *record.Rewrap
			if old := s.Predecessor(o); old != nil {
				r := m.rewrap(&s, []uint32{old.ID}, true)
				re, f.leaks = &r, s.LastTerm
			}
			next, err := s.Prove(st, fresh(&s, o), re)
			compute("prove "+o.Name, nil, f, next, err)
		}
		m.dropMoves(&w, &s, st, o, compute)
		if o.State != record.Active && o.Tree.Shamir != nil {
			re := m.rewrap(&s, []uint32{o.ID}, true)
			re.Wraps[s.LastSlot+1] = []byte(wrapOf(re.Root, s.LastSlot+1))
			made := newSlot(&s.Record, o.Name, re.Root, 0)
			reissue := func(proof *record.Fresh, relies byte) {
				next, err := s.Reissue(st, o.ID, proof, made, re)
				compute("reissue "+o.Name, func(b *budget) *int8 { return &b.adds },
					flight{deliver: newSets(&s, &next), leaks: s.LastTerm, relies: relies}, next, err)
			}
			reissue(nil, 0)
			for k := range s.Slots {
				if p := &s.Slots[k]; p.ID != o.ID && p.State == record.Active && !p.Tree.People() && w.custodian(p, true) {
					proof := fresh(&s, p)
					reissue(&proof, keysOf(p))
				}
			}
		}
		if o.State == record.Active && o.Tree.Shamir != nil && op != "" && w.custodian(o, true) && o.Proven.Operation != op {
			next, err := s.Prove(st, fresh(&s, o), nil)
			compute("people prove to the operation", nil, flight{}, next, err)
		}
	}
	next, err := s.Rotate(st, term(&s, record.TermPassive))
	compute("rotate", func(b *budget) *int8 { return &b.rotates }, flight{}, next, err)
	for _, t := range s.Terms {
		if t.State == record.TermPassive {
			next, err := s.Activate(st, t.Number)
			compute("activate", nil, flight{}, next, err)
		}
	}
	next, err = s.RotateRoot(st, m.rewrap(&s, nil, false))
	compute("rotate root", func(b *budget) *int8 { return &b.roots }, flight{}, next, err)
	next, err = s.Begin(m.step(&w, i, "op"), record.Operation{Kind: record.OpMigrate, Desired: []record.Goal{
		{Name: keys[0], Drop: true}, {Name: keys[1], Drop: true}, {Name: tree, Drop: true}, {Name: people, Drop: true},
	}})
	compute("begin an operation", func(b *budget) *int8 { return &b.ops }, flight{}, next, err)
	if op != "" {
		next, err = s.End(st)
		compute("end the operation", nil, flight{}, next, err)
	}
}

func (m *model) dropMoves(w *world, s *record.State, st record.Step, o *record.Slot,
	compute func(string, func(*budget) *int8, flight, record.State, error)) {
	cost := func(b *budget) *int8 { return &b.drops }
	re := m.rewrap(s, []uint32{o.ID}, true)
	f := flight{leaks: s.LastTerm}
	if !o.Opens() {
		next, err := s.Drop(st, []uint32{o.ID}, nil, re)
		compute("drop pending "+o.Name, cost, f, next, err)
		return
	}
	if s.ProvenBut([]uint32{o.ID}, nil) {
		next, err := s.Drop(st, []uint32{o.ID}, nil, re)
		compute("drop "+o.Name+" on people's proof", cost, f, next, err)
	}
	for k := range s.Slots {
		p := &s.Slots[k]
		if p.ID == o.ID || p.State != record.Active || p.Tree.People() {
			continue
		}
		if !w.custodian(p, true) && !m.faults.staleProof {
			continue // the unwrap fails
		}
		proof := fresh(s, p)
		f.relies = keysOf(p)
		if m.faults.staleProof {
			f.relies = 0
		}
		next, err := s.Drop(st, []uint32{o.ID}, &proof, re)
		compute("drop "+o.Name+" on a proof by "+p.Name, cost, f, next, err)
	}
}

// commitAtOnce is the fault of Vault's rekey: the new set takes over before
// anybody has it.
func (m *model) commitAtOnce(before *record.State, after record.State, st record.Step, name string) record.State {
	slot := after.Find(name, record.Pending)
	re := m.rewrap(&after, []uint32{after.Predecessor(slot).ID}, true)
	next, err := after.Prove(st, fresh(&after, slot), &re)
	if err != nil {
		panic(err)
	}
	next.Generation = after.Generation
	return next
}

// follows reports whether a replica with that view can open the stored record:
// it has the root key, or a key answers.
func (m *model) follows(w *world, v *record.State) bool {
	if v.Root == w.store.Root {
		return true
	}
	return slices.ContainsFunc(w.store.Slots, func(o record.Slot) bool {
		return !o.Tree.People() && o.State == record.Active && w.custodian(&o, true)
	})
}

// hash is of everything but the journal and the digests.
func (m *model) hash(w *world) uint64 {
	b := m.buf[:0]
	b = appendState(b, &w.store)
	for i := range w.replica {
		r := &w.replica[i]
		b = append(b, '|')
		// A view matters by what it holds, and by whether it is the present one.
		b = appendState(b, &r.view)
		if r.flight != nil {
			f := r.flight
			b = append(b, '>')
			b = binary.BigEndian.AppendUint64(b, f.old)
			b = binary.BigEndian.AppendUint32(b, f.deliver)
			b = append(b, f.relies)
			b = binary.BigEndian.AppendUint32(b, f.leaks)
			b = appendState(b, &f.next)
		}
	}
	for _, k := range w.key {
		b = append(b, byte(k))
	}
	for _, n := range []uint32{w.delivered, w.leaked, w.written} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	g := w.budget
	for _, n := range []int8{g.adds, g.drops, g.rekeys, g.rotates, g.roots, g.ops, g.crashes, g.cuts, g.deaths} {
		b = append(b, byte(n))
	}
	m.buf = b
	return maphash.Bytes(m.seed, b)
}

func appendState(b []byte, s *record.State) []byte {
	if s.Generation == 0 {
		return append(b, 0)
	}
	b = binary.BigEndian.AppendUint64(b, s.Generation)
	b = append(b, byte(s.Root), byte(s.LastTerm), byte(s.LastSlot), byte(s.LastSet), byte(len(s.Slots)))
	for i := range s.Slots {
		o := &s.Slots[i]
		b = append(b, byte(o.ID), o.Name[0], o.State[0])
		b = append(append(b, o.Wrap...), ';')
		if o.Proven != nil {
			b = append(b, byte(o.Proven.Root), byte(o.Proven.Generation), byte(len(o.Proven.Operation)))
		}
	}
	b = append(b, byte(len(s.Terms)))
	for _, t := range s.Terms {
		b = append(b, byte(t.Number), byte(t.State))
	}
	if s.Operation != nil {
		b = append(append(b, s.Operation.ID...), '!')
	}
	return b
}

func start() world {
	return world{budget: budget{adds: 2, drops: 2, rekeys: 1, rotates: 1, roots: 1, ops: 1, crashes: 2, cuts: 1, deaths: 1}}
}

func TestModel(t *testing.T) {
	limit := *modelStates
	if testing.Short() {
		limit = min(limit, 20_000)
	}
	m := model{}
	violation, trace, complete := m.explore(start(), limit)
	if violation != "" {
		t.Fatalf("%s:\n  %s", violation, strings.Join(trace, "\n  "))
	}
	planted := []struct {
		name string
		f    faults
	}{
		{"blind put", faults{blindPut: true}},
		{"delivery after commit", faults{deliverAfter: true}},
		{"drop on a stale proof", faults{staleProof: true}},
		{"root rotation leaves a wrap behind", faults{wrapLeft: true}},
		{"drop keeps the data key", faults{termKept: true}},
		{"data under an unstored term", faults{unstoredTerms: true}},
	}
	caught := 0
	for _, p := range planted {
		m := model{faults: p.f}
		violation, trace, _ := m.explore(start(), 1_000_000)
		if violation == "" {
			t.Errorf("planted fault %q was not caught in %d states", p.name, m.visited)
			continue
		}
		caught++
		if os.Getenv("SEALWRIGHT_TRACES") != "" {
			t.Logf("%s: after %d states: %s:\n  %s", p.name, m.visited, violation, strings.Join(trace, "\n  "))
		}
	}
	t.Logf("GUARANTEE 2 deliver-prove-commit: states=%d complete=%v violations=0 replicas=%d planted=%d/%d",
		len(m.seen), complete, replicas, caught, len(planted))
}
