package record_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/testlevel"
)

// A store at a limit: people, a and b are proven; a has a successor, c is
// pending, and an operation is in progress. Everything that evicts has something
// to evict.
func atLimit(t *testing.T, change func(*record.State)) *history {
	t.Helper()
	h := proven(t)
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "b", kmsB)))
	h.prove("b", record.Pending, "")
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "auto", onePerson)))
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "c", onePerson)))
	h.then(rotate(&h.State))
	h.then(h.Begin(stepOn(&h.State, "op"), record.Operation{Kind: record.OpMigrate}))
	change(&h.State)
	return h
}

type attempt struct {
	name string
	do   func(s *record.State) (record.State, error)
}

// evicting are all transitions that must have room when nothing grows any more.
func evicting() []attempt {
	pending := func(s *record.State, name string) *record.Slot { return s.Find(name, record.Pending) }
	ended := func(s *record.State) *record.State {
		out := *s
		out.Operation = nil
		return &out
	}
	return []attempt{
		{"drop on another's proof", func(s *record.State) (record.State, error) {
			ids := []uint32{s.Find("auto", record.Active).ID}
			f := proofOf(s, s.Find("b", record.Active))
			return s.Drop(stepOn(s, "op"), ids, &f, rewrapOf(s, ids...))
		}},
		{"give up a pending slot", func(s *record.State) (record.State, error) {
			ids := []uint32{pending(s, "c").ID}
			return s.Drop(stepOn(s, "op"), ids, nil, rewrapOf(s, ids...))
		}},
		{"drop by people's proof", func(s *record.State) (record.State, error) {
			h := *ended(s)
			next, err := h.Begin(stepOn(&h, "op-2"), record.Operation{Kind: record.OpDrop, Desired: []record.Goal{{Name: "auto", Drop: true}}})
			if err != nil {
				return next, err
			}
			if next, err = next.Prove(stepOn(&next, "op-2"), proofOf(&next, next.Find("people", record.Active)), nil); err != nil {
				return next, err
			}
			ids := []uint32{next.Find("auto", record.Active).ID}
			return next.Drop(stepOn(&next, "op-2"), ids, nil, rewrapOf(&next, ids...))
		}},
		{"replace by a successor", func(s *record.State) (record.State, error) {
			o := pending(s, "auto")
			r := rewrapOf(s, s.Predecessor(o).ID)
			return s.Prove(stepOn(s, "op"), proofOf(s, o), &r)
		}},
		{"ask people to prove a successor", func(s *record.State) (record.State, error) {
			h := ended(s)
			return h.Begin(stepOn(h, "op-2"), record.Operation{Kind: record.OpProve, Slot: "auto"})
		}},
		{"reissue", func(s *record.State) (record.State, error) {
			return reissue(s, stepOn(s, "op"), pending(s, "c"), "c", onePerson)
		}},
		{"retire", func(s *record.State) (record.State, error) {
			i := slices.IndexFunc(s.Terms, func(t record.Term) bool { return t.State == record.TermOld })
			return s.Retire(stepOn(s, ""), s.Terms[i].Number)
		}},
		{"activate", func(s *record.State) (record.State, error) {
			h := *s // a rotation after it has made it old: it is passive again
			h.Terms = slices.Clone(s.Terms)
			h.Terms[len(h.Terms)-1].State, h.Terms[len(h.Terms)-2].State = record.TermPassive, record.TermActive
			return h.Activate(stepOn(&h, ""), h.LastTerm)
		}},
		{"rotate the root key", func(s *record.State) (record.State, error) {
			r := rewrapOf(s)
			r.Term = nil
			return s.RotateRoot(stepOn(s, ""), r)
		}},
		{"drill", func(s *record.State) (record.State, error) {
			return s.Prove(stepOn(s, ""), proofOf(s, s.Find("b", record.Active)), nil)
		}},
		{"rewrap a slot", func(s *record.State) (record.State, error) {
			o := s.Find("b", record.Active)
			return s.Renew(stepOn(s, ""), o.ID, rewrapped(o.Tree))
		}},
		{"claim", func(s *record.State) (record.State, error) { return s.Claim(stepOn(s, "op")) }},
		{"end", func(s *record.State) (record.State, error) { return s.End(stepOn(s, "op")) }},
	}
}

func rotate(s *record.State) (record.State, error) {
	return s.Rotate(stepOn(s, ""), termOf(&s.Record, record.TermActive))
}

func addPending(s *record.State) (record.State, error) {
	return s.Add(stepOn(s, "op"), slotOf(&s.Record, "more", aAndPeople))
}

// Rotations filled the record to its last byte, and a compromised slot could not
// be dropped any more; at 65,536 terms nobody could be evicted. Each store here
// begins a few steps before a limit. What makes it grow goes on to the limit, and
// everything that evicts still passes there.
func TestNobodyIsEvictedFromAFullRecord(t *testing.T) {
	const few = 3
	number := func(n *uint32) { *n = record.MaxNumber - record.ReserveNumbers - few }
	terms := func(s *record.State, n int) {
		// The last one is passive, the one before it active.
		s.LastTerm += uint32(n)
		for i := range s.Terms {
			s.Terms[i].Number += uint32(n)
		}
		more := make([]record.Term, n)
		for i := range more {
			more[i] = record.Term{Number: uint32(i + 1), State: record.TermOld}
		}
		s.Terms = append(more, s.Terms...)
	}
	for _, tt := range []struct {
		name  string
		short func(s *record.State)
		grow  func(s *record.State) (record.State, error)
		steps int // that grow can be made
		is    error
		says  string
	}{
		{"generations", func(s *record.State) { s.Generation = record.MaxGeneration - record.ReserveNumbers - few }, rotate, few, record.ErrExhausted, "the generation would be"},
		{"root keys", func(s *record.State) { number(&s.Root) }, nil, 0, nil, ""},
		{"term numbers", func(s *record.State) { number(&s.LastTerm) }, rotate, few, record.ErrExhausted, "the number of the last term would be"},
		{"slot ids", func(s *record.State) { number(&s.LastSlot) }, addAndDrop, few, record.ErrExhausted, "the number of the last slot would be"},
		{"share sets", func(s *record.State) { number(&s.LastSet) }, addAndDrop, few / 2, record.ErrExhausted, "the number of the last share set would be"},
		{"data keys", func(s *record.State) { terms(s, record.MaxTerms-record.ReserveTerms-len(s.Terms)-few) }, rotate, few, record.ErrFull, "it would hold 65281 data keys, more than 65280: rewrap the data and retire"},
		{"bytes", func(s *record.State) {
			fatten(s)
			terms(s, (record.MaxSize-record.ReserveSize-s.Size())/60-few)
		}, rotate, few, record.ErrFull, "bytes, more than 4063232: rewrap the data and retire old terms, or drop slots"},
	} {
		if testing.Short() && tt.name == "data keys" { // TestGrowthStopsBeforeTheReserve has that limit
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			h := atLimit(t, tt.short)
			var err error
			steps := 0
			for tt.grow != nil {
				var next record.State
				if next, err = tt.grow(&h.State); err != nil {
					break
				}
				h.State, steps = next, steps+1
				if steps > 2*few+3 {
					t.Fatal("it grows and grows")
				}
			}
			if !errors.Is(err, tt.is) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v does not say %q", err, tt.says)
			}
			if tt.name != "bytes" && steps != tt.steps || tt.grow != nil && steps == 0 {
				t.Errorf("%d steps to the limit, not %d", steps, tt.steps)
			}
			for i, e := range evicting() {
				if testing.Short() && len(h.Terms) > 1000 && i%6 != 0 { // each copies them all
					continue
				}
				next, err := e.do(&h.State)
				if err != nil {
					t.Errorf("%s: %v", e.name, err)
				} else if size := next.Size(); size > record.MaxSize {
					t.Errorf("%s: %d bytes", e.name, size)
				}
			}
			if !slices.ContainsFunc(h.Levels(0), record.Level.Half) {
				t.Error("no level is above a half")
			}
		})
	}
}

// fatten gives the slot of people, which stays, the largest tree there is.
func fatten(s *record.State) {
	next, fat := uint32(0), record.Spec{Threshold: 2}
	for range record.MaxLeaves {
		fat.Of = append(fat.Of, record.Spec{Shares: 255, Threshold: 2})
	}
	s.Find("people", record.Active).Tree = nodeOf(fat, &next)
}

// addAndDrop takes a slot id and two share sets, and leaves nothing else behind.
func addAndDrop(s *record.State) (record.State, error) {
	next, err := addPending(s)
	if err != nil {
		return next, err
	}
	ids := []uint32{next.Find("more", record.Pending).ID}
	return next.Drop(stepOn(&next, "op"), ids, nil, rewrapOf(&next, ids...))
}

// What grows a record says at the limit that it is full, each in its own way.
func TestGrowthStopsBeforeTheReserve(t *testing.T) {
	atTerms := func(s *record.State) {
		s.Terms = append(make([]record.Term, record.MaxTerms-record.ReserveTerms-len(s.Terms)), s.Terms...)
		s.Operation = nil
	}
	over := func(s *record.State) { atTerms(s); s.Terms = append(make([]record.Term, 1), s.Terms...) }
	for i, tt := range []struct {
		name string
		at   func(*record.State)
		do   func(s *record.State) (record.State, error)
	}{
		{"rotate", atTerms, rotate},
		{"join", atTerms, func(s *record.State) (record.State, error) {
			return s.Join(stepOn(s, ""), &s.Record, nil, branchOf(s, s.LastTerm+1))
		}},
		{"add", over, func(s *record.State) (record.State, error) {
			return s.Add(stepOn(s, ""), slotOf(&s.Record, "more", kmsB))
		}},
		{"add, asked before a slot is made", over, func(s *record.State) (record.State, error) {
			return record.State{}, s.CanAdd(stepOn(s, ""), "more")
		}},
		{"rekey", over, func(s *record.State) (record.State, error) {
			return s.Add(stepOn(s, ""), slotOf(&s.Record, "b", kmsB))
		}},
		{"begin a migration", over, func(s *record.State) (record.State, error) {
			return s.Begin(stepOn(s, "op"), record.Operation{Kind: record.OpMigrate})
		}},
		{"restore, with more than half of the reserve", func(s *record.State) { s.Terms = make([]record.Term, record.MaxTerms-record.ReserveTerms/2) }, func(s *record.State) (record.State, error) {
			return s.Restore(stepOn(s, ""), &s.Record, nil, branchOf(s, s.LastTerm+1))
		}},
		{"reissue, with more than half of the reserve", func(s *record.State) { s.Terms = make([]record.Term, record.MaxTerms-record.ReserveTerms/2) }, func(s *record.State) (record.State, error) {
			return reissue(s, stepOn(s, "op"), s.Find("c", record.Pending), "c", onePerson)
		}},
	} {
		if testing.Short() && i%2 != 0 { // each copies all data keys
			continue
		}
		h := atLimit(t, tt.at)
		if _, err := tt.do(&h.State); !errors.Is(err, record.ErrFull) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	base := record.Record{Store: storeID, Root: 1}
	at, made := base, []record.NewSlot(nil)
	for i := range record.MaxSlots {
		made = append(made, slotOf(&at, "slot"+string(rune('a'+i)), kmsA))
		at.LastSlot++
	}
	if _, err := record.Init(record.Step{Operation: "op"}, base, termOf(&base, record.TermActive), made); !errors.Is(err, record.ErrFull) {
		t.Errorf("init: %v", err)
	}
	if _, err := record.Init(record.Step{Operation: "op"}, base, termOf(&base, record.TermActive), made[1:]); err != nil {
		t.Errorf("init with one slot less: %v", err)
	}
}

// The reserve is for evictions with the longest texts that there can be, one
// after the other, until one slot is left.
func TestTheReserveSuffices(t *testing.T) {
	text := strings.Repeat("<", record.MaxIdentity) // six bytes each in JSON
	name := func(i int) string { return strings.Repeat("n", record.MaxName-1) + string(rune('a'+i)) }
	h := proven(t)
	slots := record.MaxSlots - record.ReserveSlots - 2
	if testing.Short() {
		slots = 2
	}
	for i := range slots {
		h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, name(i), people3of2)))
		h.prove(name(i), record.Pending, "")
	}
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "auto", people3of2)))
	fatten(&h.State)
	room := (record.MaxSize - record.ReserveSize - h.Size()) / 60
	more := make([]record.Term, room)
	h.LastTerm += uint32(room)
	for i := range more {
		more[i] = record.Term{Number: uint32(i + 1), State: record.TermOld}
	}
	for i := range h.Terms {
		h.Terms[i].Number += uint32(room)
	}
	h.Terms = append(more, h.Terms...)
	if _, err := h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermActive)); err == nil && h.Size() < record.MaxSize-record.ReserveSize-120 {
		t.Fatal("the store does not begin at its limit")
	}
	st := func() record.Step {
		return record.Step{Previous: record.Digest{byte(h.Generation)}, At: math.MaxInt64, Actor: text, Replica: text, Operation: text}
	}
	before := h.Size()
	for h.Find("auto", record.Pending) != nil || len(h.Slots) > 1 {
		var victims []uint32
		goals := []record.Goal{}
		for i := range h.Slots {
			if o := &h.Slots[i]; o.Name != "people" {
				goals = append(goals, record.Goal{Name: o.Name, Drop: true})
				if len(victims) == 0 {
					victims = []uint32{o.ID}
				}
			}
		}
		h.then(h.Begin(st(), record.Operation{Kind: record.OpDrop, Desired: goals}))
		for i := range h.Slots {
			if o := &h.Slots[i]; o.State == record.Active && (o.Name == "people" || testlevel.Whole() && !testing.Short()) {
				h.then(h.Prove(st(), proofOf(&h.State, o), nil))
			}
		}
		h.then(h.Claim(st()))
		if c := h.Find("auto", record.Pending); c != nil {
			h.then(reissue(&h.State, st(), c, "auto", people3of2))
			victims = []uint32{h.Find("auto", record.Pending).ID}
		}
		f := proofOf(&h.State, h.Find("people", record.Active))
		r := rewrapOf(&h.State, victims...)
		h.then(h.Drop(st(), victims, &f, r))
		if h.Size() > record.MaxSize {
			t.Fatal("over the end")
		}
		if h.Operation != nil {
			h.then(h.End(st()))
		}
	}
	t.Logf("from %d bytes to %d", before, h.Size())
}
