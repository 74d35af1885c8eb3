package record_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// What the tests of this package make records with. Nothing here is encrypted:
// a wrap, a box or a commitment is a hash of the place it is for.

var sealedPart = []byte("a sealed part, which this package never opens.")

func filler(parts ...any) []byte {
	sum := sha256.Sum256(fmt.Append(nil, parts...))
	return sum[:]
}

// nodeOf makes a tree of that shape, its share sets numbered from next+1 on.
func nodeOf(spec record.Spec, next *uint32) record.Node {
	switch {
	case spec.KMS != "":
		return record.Node{KMS: &record.Key{
			Name: spec.KMS,
			Blob: kms.Blob{Type: "fake", KeyID: "key/" + spec.KMS, Version: "1", Ciphertext: filler("blob", spec.KMS)[:6]},
			Box:  filler("box", spec.KMS)[:5],
		}}
	case spec.Of == nil:
		*next++
		leaf := &record.Shares{Shares: spec.Shares, Threshold: spec.Threshold, Set: *next}
		for x := range spec.Shares {
			leaf.Commitments = append(leaf.Commitments, filler("share", *next, x))
		}
		return record.Node{Shamir: leaf}
	}
	tree := &record.Tree{Threshold: spec.Threshold}
	for _, child := range spec.Of {
		tree.Of = append(tree.Of, nodeOf(child, next))
	}
	return record.Node{Threshold: tree}
}

// slotOf makes what would be the next slot of r.
func slotOf(r *record.Record, name string, spec record.Spec) record.NewSlot {
	next, id := r.LastSet, r.LastSlot+1
	return record.NewSlot{
		Name: name, Tree: nodeOf(spec, &next), PublicKey: filler("public", id)[:7],
		Wrap: filler("wrap", r.Root, id)[:8], Identity: sha256.Sum256(filler("identity", id)),
	}
}

func termOf(r *record.Record, state record.TermState) record.Term {
	number := r.LastTerm + 1
	return record.Term{Number: number, State: state, Created: 1_700_000_000, Key: sha256.Sum256(filler("term", number))}
}

// rewrapOf makes the next root key for all slots but those that go.
func rewrapOf(s *record.State, without ...uint32) record.NewRoot {
	t := termOf(&s.Record, record.TermActive)
	r := record.NewRoot{Root: s.Root + 1, Wraps: map[uint32][]byte{}, Term: &t}
	for _, o := range s.Slots {
		if !slices.Contains(without, o.ID) {
			r.Wraps[o.ID] = filler("wrap", r.Root, o.ID)[:8]
		}
	}
	return r
}

// branchOf is what a restore or a join comes with.
func branchOf(s *record.State, number uint32) record.NewRoot {
	r := rewrapOf(s)
	r.Term = &record.Term{Number: number, State: record.TermActive}
	return r
}

// knowing is the record, of that generation.
func knowing(s *record.State, generation uint64) *record.Record {
	r := s.Record
	r.Generation = generation
	return &r
}

func stepOn(s *record.State, operation string) record.Step {
	return record.Step{
		Previous: digestOf(s), At: 1_700_000_000 + int64(s.Generation),
		Actor: "tester", Replica: "r1", Operation: operation,
	}
}

func digestOf(s *record.State) record.Digest {
	clear, err := s.Clear()
	if err != nil {
		panic(err)
	}
	return record.DigestOf(record.Assemble(clear, sealedPart))
}

func proofOf(s *record.State, o *record.Slot) record.FreshProof {
	return record.FreshProof{Slot: o.ID, Root: s.Root, Generation: s.Generation}
}

const storeID = "00112233445566778899aabbccddeeff"

var (
	people3of2 = record.Spec{Shares: 3, Threshold: 2}
	onePerson  = record.Spec{Shares: 1, Threshold: 1}
	kmsA       = record.Spec{KMS: "a"}
	kmsB       = record.Spec{KMS: "b"}
	aAndPeople = record.Spec{Threshold: 2, Of: []record.Spec{kmsA, people3of2, onePerson}}
)

type named struct {
	name string
	spec record.Spec
}

func initialized(t testing.TB, slots ...named) record.State {
	t.Helper()
	base := record.Record{Store: storeID, Root: 1}
	at := base
	var made []record.NewSlot
	for _, n := range slots {
		slot := slotOf(&at, n.name, n.spec)
		made = append(made, slot)
		at.LastSlot++
		at.LastSet += setsIn(slot.Tree)
	}
	empty := record.State{}
	st := stepOn(&empty, "op-init")
	s, err := record.Init(st, base, termOf(&base, record.TermActive), made)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func setsIn(n record.Node) (count uint32) {
	n.Leaves(func(l *record.Node) bool {
		if l.Shamir != nil {
			count++
		}
		return true
	})
	return count
}

// history is a chain of transitions; each must succeed.
type history struct {
	testing.TB
	record.State
}

func (h *history) then(s record.State, err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
	h.State = s
}

func (h *history) prove(name, state, operation string) {
	h.Helper()
	o := h.Find(name, state)
	if old := h.Predecessor(o); old != nil {
		r := rewrapOf(&h.State, old.ID)
		h.then(h.Prove(stepOn(&h.State, operation), proofOf(&h.State, o), &r))
		return
	}
	h.then(h.Prove(stepOn(&h.State, operation), proofOf(&h.State, o), nil))
}

// crowd adds slots until none fits any more, the last one a successor of people.
func (h *history) crowd(spec record.Spec) {
	h.Helper()
	for len(h.Slots) < record.MaxSlots-record.ReserveSlots {
		h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "slot"+string(rune('a'+len(h.Slots))), spec)))
	}
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "people", spec)))
}

// proven is a store with people, KMS a, and a successor of people pending.
func proven(t testing.TB) *history {
	t.Helper()
	h := &history{t, initialized(t, named{"people", people3of2}, named{"auto", kmsA})}
	h.prove("people", record.Initial, "")
	h.prove("auto", record.Initial, "")
	return h
}

// full is a record in which every field is set.
func full(t testing.TB) *history {
	t.Helper()
	h := proven(t)
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "people", onePerson)))
	h.prove("people", record.Pending, "")
	h.then(h.Begin(stepOn(&h.State, "op-1"), record.Operation{Kind: record.OpMigrate, Slot: "tree", Desired: []record.Goal{
		{Name: "tree", Spec: &aAndPeople}, {Name: "auto", Drop: true},
	}}))
	h.then(h.Add(stepOn(&h.State, "op-1"), slotOf(&h.Record, "tree", aAndPeople)))
	h.prove("people", record.Active, "op-1")
	return h
}

func storedBytes(t testing.TB, s *record.State) []byte {
	t.Helper()
	clear, err := s.Clear()
	if err != nil {
		t.Fatal(err)
	}
	return record.Assemble(clear, sealedPart)
}

// image is all that a state holds, to see whether it was changed.
func image(s *record.State) []byte {
	clear, err := s.Clear()
	if err != nil {
		panic(err)
	}
	return append(clear, s.Marshal()...)
}

// lawful reports the first of the laws of histories that the step from before
// to after breaks. Step is what the transition was told.
func lawful(before, after *record.State, st record.Step) error {
	event := after.Journal[len(after.Journal)-1].Event
	switch {
	case after.Generation <= before.Generation, event != "restore" && after.Generation != before.Generation+1:
		return fmt.Errorf("generation %d after %d", after.Generation, before.Generation)
	case before.Generation > 0 && (!bytes.Equal(after.Previous, st.Previous[:]) || after.Digests[0] != st.Previous):
		return fmt.Errorf("the predecessor is not named")
	case after.LastSlot < before.LastSlot, after.LastSet < before.LastSet, after.LastTerm < before.LastTerm, after.Root < before.Root:
		return fmt.Errorf("a number went back")
	case before.Generation > 0 && after.Store != before.Store:
		return fmt.Errorf("another store")
	case before.Generation > 0 && before.Proved() && !after.Proved():
		return fmt.Errorf("nothing is proven any more")
	case len(after.Journal) > record.MaxJournal, len(after.Digests) > record.MaxDigests, len(after.Former) > record.MaxFormer:
		return fmt.Errorf("a list grew over its limit")
	case after.Journal[len(after.Journal)-1].Generation != after.Generation:
		return fmt.Errorf("the journal does not tell of this step")
	}
	// Another branch may bring back a term that was retired in this one.
	adopts := event == "restore" || event == "join"
	if adopts && after.Root == before.Root {
		return fmt.Errorf("another branch was taken in, and its root key stayed")
	}
	if err := lawfulTerms(before, after, adopts); err != nil {
		return err
	}
	if err := lawfulSlots(before, after); err != nil {
		return err
	}
	return after.Agree()
}

func lawfulTerms(before, after *record.State, adopts bool) error {
	was := map[uint32]record.Term{}
	for _, t := range before.Terms {
		was[t.Number] = t
	}
	encrypts := uint32(0)
	for _, t := range after.Terms {
		old, ok := was[t.Number]
		switch {
		case !ok && t.Number <= before.LastTerm && !adopts:
			return fmt.Errorf("term number %d means two keys", t.Number)
		case ok && old.Key != t.Key:
			return fmt.Errorf("term %d has another key", t.Number)
		case encrypts == 0 && t.State == record.TermPassive:
			return fmt.Errorf("term %d is passive below the active one", t.Number)
		case encrypts != 0 && t.State != record.TermPassive:
			return fmt.Errorf("term %d is not passive above the active one", t.Number)
		case t.State == record.TermActive:
			encrypts = t.Number
		}
	}
	if len(before.Terms) > 0 && encrypts < active(before) {
		return fmt.Errorf("the active term went back to %d", encrypts)
	}
	return nil
}

func lawfulSlots(before, after *record.State) error {
	kept := map[uint32]bool{}
	for i := range after.Slots {
		o := &after.Slots[i]
		old := before.Slot(o.ID)
		kept[o.ID] = true
		if old == nil {
			if o.ID <= before.LastSlot {
				return fmt.Errorf("slot id %d was given before", o.ID)
			}
			for _, set := range setNumbers(o) {
				if set <= before.LastSet {
					return fmt.Errorf("share set %d was given before", set)
				}
			}
			continue
		}
		if !reflect.DeepEqual(custodiansOf(old.Tree), custodiansOf(o.Tree)) || !bytes.Equal(old.PublicKey, o.PublicKey) || !bytes.Equal(old.Fingerprint, o.Fingerprint) {
			return fmt.Errorf("slot %d changed what protects it", o.ID)
		}
		if (after.Root != before.Root) == bytes.Equal(old.Wrap, o.Wrap) {
			return fmt.Errorf("the wrap of slot %d and the root key do not go together", o.ID)
		}
		if old.State == record.Active && o.State != record.Active {
			return fmt.Errorf("slot %d is active no more", o.ID)
		}
		if old.State != record.Active && o.State == record.Active && o.Proven.Generation != before.Generation {
			return fmt.Errorf("slot %d became active without opening the stored record", o.ID)
		}
	}
	for i := range before.Slots {
		gone := &before.Slots[i]
		if kept[gone.ID] {
			continue
		}
		if gone.State == record.Active && after.Root == before.Root {
			return fmt.Errorf("slot %d went, and its root key stayed", gone.ID)
		}
		for _, set := range setNumbers(gone) {
			if !slices.ContainsFunc(after.Former, func(f record.Former) bool {
				return f.Set == set && bytes.Equal(f.Fingerprint, gone.Fingerprint)
			}) {
				return fmt.Errorf("share set %d went and is forgotten", set)
			}
		}
	}
	return nil
}

// custodiansOf is a tree without what a KMS may write anew.
func custodiansOf(n record.Node) record.Node {
	switch {
	case n.KMS != nil:
		key := *n.KMS
		key.Box, key.Blob.Ciphertext, key.Blob.Version = nil, nil, ""
		return record.Node{KMS: &key}
	case n.Threshold != nil:
		tree := record.Tree{Threshold: n.Threshold.Threshold}
		for _, child := range n.Threshold.Of {
			tree.Of = append(tree.Of, custodiansOf(child))
		}
		return record.Node{Threshold: &tree}
	}
	return n
}

func setNumbers(o *record.Slot) (sets []uint32) {
	o.Tree.Leaves(func(l *record.Node) bool {
		if l.Shamir != nil {
			sets = append(sets, l.Shamir.Set)
		}
		return true
	})
	return sets
}

// describe is a state in a few lines, for traces.
func describe(s *record.State) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "generation %d root %d", s.Generation, s.Root)
	for _, t := range s.Terms {
		fmt.Fprintf(&b, ", term %d %s", t.Number, map[record.TermState]string{1: "passive", 2: "active", 3: "old"}[t.State])
	}
	fmt.Fprintln(&b)
	for i := range s.Slots {
		o := &s.Slots[i]
		fmt.Fprintf(&b, "slot %d %s %s sets %v wrap %s", o.ID, o.Name, o.State, setNumbers(o), hex.EncodeToString(o.Wrap[:2]))
		if p := o.Proven; p != nil {
			fmt.Fprintf(&b, " proven at generation %d root %d %s", p.Generation, p.Root, p.Operation)
		}
		fmt.Fprintln(&b)
	}
	for _, f := range s.Former {
		fmt.Fprintf(&b, "former set %d\n", f.Set)
	}
	if o := s.Operation; o != nil {
		fmt.Fprintf(&b, "operation %s %s %s began %d on %s\n", o.ID, o.Kind, o.Slot, o.Began, o.Replica)
	}
	e := s.Journal[len(s.Journal)-1]
	fmt.Fprintf(&b, "journal %d %s %s\n", e.Generation, e.Event, e.Slot)
	return strings.ReplaceAll(b.String(), " \n", "\n") + "\n"
}

// active is the number of the term that encrypts.
func active(s *record.State) uint32 { return s.ActiveTerm().Number }
