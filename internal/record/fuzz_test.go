package record_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/testlevel"
)

func FuzzParse(f *testing.F) {
	s := full(f).State
	f.Add(storedBytes(f, &s))
	f.Add(small(f))
	f.Add(bytes.Replace(small(f), []byte(`"min_reader":1`), []byte(`"min_reader":3`), 1))
	f.Add([]byte(`{"slots":[{"tree":{"threshold":{"of":[{},{}]}}}]}`))
	f.Add([]byte(`{"operation":{"desired":[{"spec":{"of":[{},null]}}]}}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		r, clear, sealed, err := record.Parse(stored)
		if err != nil {
			if !errors.Is(err, record.ErrMalformed) && !errors.Is(err, record.ErrNewer) || r != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := r.Clear()
		if err != nil || !bytes.Equal(again, clear) || !bytes.Equal(record.Assemble(clear, sealed), stored) {
			t.Fatal("a record that is written otherwise than it was read")
		}
	})
}

func FuzzParseSecrets(f *testing.F) {
	s := full(f).State
	f.Add(s.Marshal())
	young := initialized(f, named{"p", onePerson})
	f.Add(young.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := record.ParseSecrets(b)
		if err != nil {
			if !errors.Is(err, record.ErrMalformed) || s != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		if !bytes.Equal(s.Marshal(), b) {
			t.Fatal("secrets that are written otherwise than they were read")
		}
	})
}

// FuzzTransitions takes a store through a sequence of transitions, good and bad
// ones, and holds every step against the laws of histories.
func FuzzTransitions(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17})
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		moves := make([]byte, 120)
		for i := range moves {
			moves[i] = byte(r.Uint32())
		}
		f.Add(moves)
	}
	f.Fuzz(func(t *testing.T, moves []byte) {
		if len(moves) > 120 {
			moves = moves[:120]
		}
		if _, err := walk(moves); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRandomHistories is the same over a fixed number of random sequences.
func TestRandomHistories(t *testing.T) {
	histories := 130
	if !testlevel.Whole() {
		histories = 20
	}
	if testing.Short() {
		histories = 5
	}
	r := rand.New(rand.NewPCG(1, 2))
	var total tour
	for range histories {
		moves := make([]byte, 120)
		for i := range moves {
			moves[i] = byte(r.Uint32())
		}
		n, err := walk(moves)
		if err != nil {
			t.Fatal(err)
		}
		total.made += n.made
		total.refused += n.refused
		for kind, made := range n.kinds {
			total.kinds[kind] += made
		}
	}
	for kind, made := range total.kinds {
		if made == 0 && testlevel.Whole() && !testing.Short() {
			t.Errorf("no transition of kind %d was ever made", kind)
		}
	}
	if testing.Short() {
		t.Logf("of a sample: histories=%d transitions=%d refusals=%d", histories, total.made, total.refused)
		return
	}
	t.Logf("GUARANTEE 13 record-history: histories=%d transitions=%d refusals=%d set_numbers_reused=0 slot_ids_reused=0 term_numbers_reused=0",
		histories, total.made, total.refused)
}

// A tour counts what a walk did.
type tour struct {
	made, refused int
	kinds         [kindsOfMoves]int
}

const kindsOfMoves = 19

// walk makes a transition of each two bytes.
func walk(moves []byte) (n tour, err error) {
	var s record.State
	given := map[uint32]bool{} // share sets
	for len(moves) >= 2 {
		kind, arg := int(moves[0])%kindsOfMoves, moves[1]
		moves = moves[2:]
		op := ""
		if s.Operation != nil && arg&64 == 0 {
			op = s.Operation.ID
		} else if arg&32 != 0 {
			op = "op-" + string('a'+rune(arg%3))
		}
		before, st, was := s, stepOn(&s, op), []byte(nil)
		if before.Generation > 0 {
			was = image(&before)
		}
		after, err := move(&before, st, kind, arg)
		if was != nil && !bytes.Equal(was, image(&before)) {
			return n, errors.New("a transition changed the state it was given")
		}
		if err != nil {
			n.refused++
			continue
		}
		n.made++
		n.kinds[kind]++
		if err := lawful(&before, &after, st); err != nil {
			return n, err
		}
		clear, err := after.Clear()
		if err != nil {
			return n, err
		}
		if _, _, _, err := record.Parse(record.Assemble(clear, sealedPart)); err != nil {
			return n, err
		}
		if _, err := record.ParseSecrets(after.Marshal()); err != nil {
			return n, err
		}
		for i := range after.Slots {
			if before.Slot(after.Slots[i].ID) != nil {
				continue
			}
			for _, set := range setNumbers(&after.Slots[i]) {
				if given[set] {
					return n, errors.New("a share set was given twice")
				}
				given[set] = true
			}
		}
		s = after
	}
	return n, nil
}

var specs = []record.Spec{people3of2, onePerson, kmsA, kmsB, aAndPeople}

// move makes one transition; which slot, name or term it is about, arg says.
func move(s *record.State, st record.Step, kind int, arg byte) (record.State, error) {
	name := []string{"people", "auto", "tree", "other"}[arg%4]
	spec := specs[int(arg/4)%len(specs)]
	var slot *record.Slot
	if len(s.Slots) > 0 {
		slot = &s.Slots[int(arg)%len(s.Slots)]
	}
	term := max(1, uint32(arg%8)+max(s.LastTerm, 4)-4)
	if s.Generation == 0 && kind != 0 {
		return record.State{}, record.ErrUnproven
	}
	switch kind {
	case 0:
		base := s.Record
		if base.Generation == 0 {
			base = record.Record{Store: storeID}
		}
		base.Root++
		if st.Operation == "" {
			st.Operation = "op-init"
		}
		return record.Init(st, base, termOf(&base, record.TermActive), []record.NewSlot{slotOf(&base, name, spec)})
	case 1, 2:
		return s.Add(st, slotOf(&s.Record, name, spec))
	case 3, 4, 5:
		fresh := proofOf(s, slot)
		if arg > 250 {
			fresh.Generation--
		}
		if old := s.Predecessor(slot); old != nil {
			r := rewrapOf(s, old.ID)
			return s.Prove(st, fresh, &r)
		}
		return s.Prove(st, fresh, nil)
	case 6:
		return s.Drop(st, []uint32{slot.ID}, nil, rewrapOf(s, slot.ID))
	case 7:
		other := &s.Slots[int(arg/16)%len(s.Slots)]
		fresh := proofOf(s, other)
		return s.Drop(st, []uint32{slot.ID}, &fresh, rewrapOf(s, slot.ID))
	case 8:
		r := rewrapOf(s)
		r.Term = nil
		return s.RotateRoot(st, r)
	case 9:
		state := record.TermActive
		if arg&1 != 0 {
			state = record.TermPassive
		}
		t := termOf(&s.Record, state)
		if arg > 240 {
			t.Number = term
		}
		return s.Rotate(st, t)
	case 10:
		return s.Activate(st, term)
	case 11:
		return s.Retire(st, term)
	case 12:
		kinds := []string{record.OpProve, record.OpDrop, record.OpMigrate}
		if st.Operation == "" {
			st.Operation = "op-x"
		}
		return s.Begin(st, record.Operation{Kind: kinds[int(arg)%len(kinds)], Slot: name})
	case 13:
		return s.Claim(st)
	case 14:
		return s.End(st)
	case 15:
		return reissue(s, st, slot, name, spec)
	case 16:
		return s.Renew(st, slot.ID, rewrapped(slot.Tree))
	case 17:
		lost := record.Term{Number: term, State: record.TermActive, Key: sha256.Sum256(filler("lost", term))}
		return s.Restore(st, knowing(s, max(s.Generation, 4)+uint64(arg%9)-4), []record.Term{lost}, branchOf(s, term+3))
	case 18:
		fork := termOf(&s.Record, record.TermPassive)
		fork.Number += uint32(arg % 3)
		return s.Join(st, &s.Record, []record.Term{s.Terms[0], fork}, branchOf(s, s.LastTerm+uint32(arg%5)))
	}
	panic("no such kind of move")
}
