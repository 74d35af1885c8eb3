package record_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sealwright/sealwright/internal/record"
)

var update = flag.Bool("update", false, "rewrite testdata")

// TestTransitions walks one store through every transition. What each leaves
// is in testdata/transitions.txt, to be read as a diff when it changes.
func TestTransitions(t *testing.T) {
	h := &history{TB: t}
	var out strings.Builder
	do := func(command string, st record.Step, transition func(record.State, record.Step) (record.State, error)) {
		t.Helper()
		before, was := h.State, []byte(nil)
		if before.Generation > 0 {
			was = image(&before)
		}
		after, err := transition(before, st)
		out.WriteString(command + "\n----\n")
		if err != nil {
			out.WriteString("refused: " + err.Error() + "\n\n")
		} else {
			out.WriteString(describe(&after))
			if err := lawful(&before, &after, st); err != nil {
				t.Errorf("%s: %v", command, err)
			}
			if _, _, _, err := record.Parse(storedBytes(t, &after)); err != nil {
				t.Errorf("%s: %v", command, err)
			}
			h.State = after
		}
		if was != nil && !bytes.Equal(was, image(&before)) {
			t.Errorf("%s changed the state it was given", command)
		}
	}
	step := func(op string) record.Step { return stepOn(&h.State, op) }

	add := func(command, op, name string, spec record.Spec) {
		t.Helper()
		do(command, step(op), func(s record.State, st record.Step) (record.State, error) {
			return s.Add(st, slotOf(&s.Record, name, spec))
		})
	}
	prove := func(command, op, name, state string) {
		t.Helper()
		do(command, step(op), func(s record.State, st record.Step) (record.State, error) {
			o := s.Find(name, state)
			if old := s.Predecessor(o); old != nil {
				r := rewrapOf(&s, old.ID)
				return s.Prove(st, proofOf(&s, o), &r)
			}
			return s.Prove(st, proofOf(&s, o), nil)
		})
	}
	drop := func(command, op, name, state, prover string) {
		t.Helper()
		do(command, step(op), func(s record.State, st record.Step) (record.State, error) {
			o := s.Find(name, state)
			var fresh *record.FreshProof
			if prover != "" {
				f := proofOf(&s, s.Find(prover, record.Active))
				fresh = &f
			}
			return s.Drop(st, []uint32{o.ID}, fresh, rewrapOf(&s, o.ID))
		})
	}
	begin := func(command, op, kind, slot string, goals ...record.Goal) {
		t.Helper()
		do(command, step(op), func(s record.State, st record.Step) (record.State, error) {
			return s.Begin(st, record.Operation{Kind: kind, Slot: slot, Desired: goals})
		})
	}

	init := func(command string, specs ...named) {
		t.Helper()
		do(command, step("op-init"), func(s record.State, st record.Step) (record.State, error) {
			base := s.Record
			if base.Generation == 0 {
				base = record.Record{Store: storeID}
			}
			base.Root++
			at, made := base, []record.NewSlot(nil)
			for _, n := range specs {
				made = append(made, slotOf(&at, n.name, n.spec))
				at.LastSlot++
				at.LastSet += setsIn(made[len(made)-1].Tree)
			}
			return record.Init(st, base, termOf(&base, record.TermActive), made)
		})
	}
	init("init with people", named{"people", people3of2})
	init("init again, with people and a", named{"people", people3of2}, named{"auto", kmsA})
	add("add before a slot is proven", "op-init", "other", kmsB)
	prove("people unseal, which proves them and ends the init", "", "people", record.Initial)
	prove("a is proven", "", "auto", record.Initial)
	prove("a is drilled", "", "auto", record.Active)
	add("add b", "", "other", kmsB)
	drop("drop pending b, with no proof", "", "other", record.Pending, "")
	add("rekey people", "", "people", onePerson)
	add("rekey them twice", "", "people", onePerson)
	prove("the old set still proves itself", "", "people", record.Active)
	prove("the new set proves itself and replaces the old", "", "people", record.Pending)
	do("rotate, passive at first", step(""), func(s record.State, st record.Step) (record.State, error) {
		return s.Rotate(st, termOf(&s.Record, record.TermPassive))
	})
	do("activate", step(""), func(s record.State, st record.Step) (record.State, error) {
		return s.Activate(st, s.LastTerm)
	})
	do("rotate, active at once", step(""), func(s record.State, st record.Step) (record.State, error) {
		return s.Rotate(st, termOf(&s.Record, record.TermActive))
	})
	do("retire the first term", step(""), func(s record.State, st record.Step) (record.State, error) {
		return s.Retire(st, s.Terms[0].Number)
	})
	do("rotate the root key", step(""), func(s record.State, st record.Step) (record.State, error) {
		r := rewrapOf(&s)
		r.Term = nil
		return s.RotateRoot(st, r)
	})
	begin("begin a proof by people", "op-1", record.OpProve, "people")
	do("another replica takes the operation over", record.Step{Previous: digestOf(&h.State), Replica: "r2", Operation: "op-1"},
		func(s record.State, st record.Step) (record.State, error) { return s.Claim(st) })
	add("add outside the operation", "", "other", kmsB)
	prove("people prove, which ends it", "op-1", "people", record.Active)
	begin("begin a drop", "op-2", record.OpDrop, "", record.Goal{Name: "auto", Drop: true})
	drop("drop a before people gave a proof", "op-2", "auto", record.Active, "")
	prove("people give it", "op-2", "people", record.Active)
	drop("drop a, which ends the operation", "op-2", "auto", record.Active, "")
	drop("drop the last slot", "", "people", record.Active, "people")
	begin("begin a migration", "op-3", record.OpMigrate, "", record.Goal{Name: "tree", Spec: &aAndPeople}, record.Goal{Name: "people", Drop: true})
	add("it adds a tree", "op-3", "tree", aAndPeople)
	prove("the tree is proven", "op-3", "tree", record.Pending)
	drop("it drops people, and nobody asks the tree's key", "op-3", "people", record.Active, "")
	do("the key answers: it drops people, and goes on", step("op-3"), func(s record.State, st record.Step) (record.State, error) {
		ids := []uint32{s.Find("people", record.Active).ID}
		fresh := proofOf(&s, s.Find("tree", record.Active))
		fresh.Keys = true
		return s.Drop(st, ids, &fresh, rewrapOf(&s, ids...))
	})
	add("it adds people, who never get their shares", "op-3", "people", onePerson)
	do("their shares are issued anew", step("op-3"), func(s record.State, st record.Step) (record.State, error) {
		return reissue(&s, st, s.Find("people", record.Pending), "people", people3of2)
	})
	do("it ends", step("op-3"), func(s record.State, st record.Step) (record.State, error) { return s.End(st) })

	do("the tree's KMS leaf is wrapped by a newer version of the key", step(""), func(s record.State, st record.Step) (record.State, error) {
		o := s.Find("tree", record.Active)
		return s.Renew(st, o.ID, rewrapped(o.Tree))
	})
	lost := termOf(&h.Record, record.TermActive)
	do("an older record is gone on with; of the lost ones generation 40 and one term are known", step(""), func(s record.State, st record.Step) (record.State, error) {
		return s.Restore(st, knowing(&s, 40), []record.Term{lost}, branchOf(&s, lost.Number+100))
	})
	do("a fork with terms of its own is joined", step(""), func(s record.State, st record.Step) (record.State, error) {
		fork := termOf(&s.Record, record.TermActive)
		return s.Join(st, &s.Record, []record.Term{s.Terms[0], fork}, branchOf(&s, fork.Number+1))
	})

	golden := filepath.Join("testdata", "transitions.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), out.String()); d != "" {
		t.Errorf("run with -update and read the diff: (-want +got)\n%s", d)
	}
}

func reissue(s *record.State, st record.Step, o *record.Slot, name string, spec record.Spec) (record.State, error) {
	r := rewrapOf(s, o.ID)
	r.Wraps[s.LastSlot+1] = filler("wrap", r.Root, s.LastSlot+1)[:8]
	return s.Reissue(st, o.ID, freshOf(s, o.ID), slotOf(&s.Record, name, spec), r)
}

// rewrapped is the tree with its KMS leaves wrapped by another version.
func rewrapped(n record.Node) record.Node {
	switch {
	case n.KMS != nil:
		key := *n.KMS
		key.Blob.Version += "1"
		key.Blob.Ciphertext = filler("blob", key.Blob.Version)[:6]
		key.Box = filler("box", key.Blob.Version)[:5]
		return record.Node{KMS: &key}
	case n.Threshold != nil:
		tree := record.Tree{Threshold: n.Threshold.Threshold}
		for _, child := range n.Threshold.Of {
			tree.Of = append(tree.Of, rewrapped(child))
		}
		return record.Node{Threshold: &tree}
	}
	return n
}

// TestRefusals has every way in which a transition refuses.
func TestRefusals(t *testing.T) {
	h := proven(t)
	busy := &history{t, h.State}
	busy.then(busy.Begin(stepOn(&busy.State, "op-1"), record.Operation{Kind: record.OpMigrate}))
	young := initialized(t, named{"people", people3of2}, named{"auto", kmsA})
	half := &history{t, young}
	half.prove("people", record.Initial, "")
	rekeyed := &history{t, h.State}
	rekeyed.then(rekeyed.Add(stepOn(&rekeyed.State, ""), slotOf(&rekeyed.Record, "people", onePerson)))
	busyRekey := &history{t, rekeyed.State}
	busyRekey.then(busyRekey.Begin(stepOn(&busyRekey.State, "op-1"), record.Operation{Kind: record.OpMigrate}))
	fullHouse := &history{t, h.State}
	fullHouse.crowd(kmsB)
	lastPlace := &history{t, fullHouse.State}
	gone := lastPlace.Find("people", record.Pending).ID
	lastPlace.then(lastPlace.Drop(stepOn(&lastPlace.State, ""), []uint32{gone}, nil, rewrapOf(&lastPlace.State, gone)))
	manyTerms := h.Clone()
	manyTerms.LastTerm = record.MaxTerms
	manyTerms.Terms = make([]record.Term, record.MaxTerms)

	auto, people := h.Find("auto", record.Active), h.Find("people", record.Active)
	step := stepOn(&h.State, "")
	add := func(s *record.State, op string, n record.NewSlot) error {
		_, err := s.Add(stepOn(s, op), n)
		return err
	}
	next := func(s *record.State, name string, spec record.Spec, change func(*record.NewSlot)) record.NewSlot {
		n := slotOf(&s.Record, name, spec)
		if change != nil {
			change(&n)
		}
		return n
	}
	again := func(base record.Record, term record.Term, slots ...record.NewSlot) error {
		_, err := record.Init(step, base, term, slots)
		return err
	}
	empty := record.Record{Store: storeID, Root: 1}
	first := termOf(&empty, record.TermActive)
	prove := func(s *record.State, op string, f record.FreshProof, r *record.NewRoot) error {
		_, err := s.Prove(stepOn(s, op), f, r)
		return err
	}
	dropped := func(s *record.State, op string, ids []uint32, f *record.FreshProof, change func(*record.NewRoot)) error {
		r := rewrapOf(s, ids...)
		if change != nil {
			change(&r)
		}
		_, err := s.Drop(stepOn(s, op), ids, f, r)
		return err
	}
	rotateRoot := func(s *record.State, change func(*record.NewRoot)) error {
		r := rewrapOf(s)
		change(&r)
		_, err := s.RotateRoot(stepOn(s, ""), r)
		return err
	}
	fresh := func(s *record.State, o *record.Slot) *record.FreshProof {
		f := proofOf(s, o)
		return &f
	}
	succ := rekeyed.Find("people", record.Pending)

	for _, tt := range []struct {
		name string
		err  error
		is   error // nil: a fault of the calling code, told by its words alone
		says string
	}{
		{"init over a proven store", again(h.Record, termOf(&h.Record, record.TermActive), slotOf(&h.Record, "x", kmsA)), record.ErrSlotExists, "the slot exists"},
		{"init without slots", again(empty, first), record.ErrLastSlot, "begins with at least one slot"},
		{"init with a term out of order", again(empty, record.Term{Number: 2, State: record.TermActive}, slotOf(&empty, "x", kmsA)), nil, "terms are numbered in order"},
		{"init with one name twice", again(empty, first, slotOf(&empty, "x", kmsA), slotOf(&empty, "x", kmsB)), record.ErrSlotExists, `"x"`},
		{"init with a bad slot", again(empty, first, slotOf(&empty, "", kmsA)), nil, `slot "": the name ""`},

		{"add to an unproven store", add(&young, "op-init", slotOf(&young.Record, "x", kmsB)), record.ErrUnproven, "no slot was proven yet"},
		{"add a name that init made", add(&half.State, "", slotOf(&half.Record, "auto", kmsB)), record.ErrSlotExists, `"auto" was made by init and is unproven`},
		{"add a name that is pending", add(&rekeyed.State, "", slotOf(&rekeyed.Record, "people", kmsB)), record.ErrSlotExists, `"people" is pending already`},
		{"add to a full record", add(&fullHouse.State, "", slotOf(&fullHouse.Record, "z", kmsB)), record.ErrFull, "a record has at most 16 slots: drop one"},
		{"add a name in the place kept for a rekey", add(&lastPlace.State, "", slotOf(&lastPlace.Record, "z", kmsB)), record.ErrFull, "the last place is kept for a rekey"},
		{"add in the middle of an operation", add(&busy.State, "", slotOf(&busy.Record, "x", kmsB)), record.ErrInProgress, "another operation is in progress"},
		{"add for an operation that is none", add(&h.State, "op-9", slotOf(&h.Record, "x", kmsB)), record.ErrNoOperation, "no such operation"},
		{"add a share set that was given", add(&h.State, "", next(&h.State, "x", onePerson, func(n *record.NewSlot) { n.Tree.Shamir.Set = 1 })), nil, "share sets are numbered in order"},
		{"add a share set above the next", add(&h.State, "", next(&h.State, "x", onePerson, func(n *record.NewSlot) { n.Tree.Shamir.Set += 1 })), nil, "share sets are numbered in order"},
		{"add a tree with a set twice", add(&h.State, "", next(&h.State, "x", aAndPeople, func(n *record.NewSlot) { n.Tree.Threshold.Of[2].Shamir.Set-- })), nil, "share sets are numbered in order"},
		{"add a slot without a public key", add(&h.State, "", next(&h.State, "x", kmsB, func(n *record.NewSlot) { n.PublicKey = nil })), nil, `slot "x": the public key`},

		{"prove no slot", prove(&h.State, "", record.FreshProof{Slot: 99, Root: 1, Generation: h.Generation}, nil), record.ErrNoSlot, "no such slot"},
		{"prove by an older record", prove(&h.State, "", record.FreshProof{Slot: auto.ID, Root: h.Root, Generation: h.Generation - 1}, nil), record.ErrStaleProof, "no fresh proof"},
		{"prove by another root key", prove(&h.State, "", record.FreshProof{Slot: auto.ID, Root: h.Root + 1, Generation: h.Generation}, nil), record.ErrStaleProof, "no fresh proof"},
		{"replace without a new root key", prove(&rekeyed.State, "", *fresh(&rekeyed.State, succ), nil), nil, "comes with a new root key"},
		{"drill with a new root key", func() error { r := rewrapOf(&h.State); return prove(&h.State, "", *fresh(&h.State, auto), &r) }(), nil, "only a successor"},
		{"replace in the middle of an operation", func() error {
			o := busyRekey.Find("people", record.Pending)
			r := rewrapOf(&busyRekey.State, busyRekey.Predecessor(o).ID)
			return prove(&busyRekey.State, "", proofOf(&busyRekey.State, o), &r)
		}(), record.ErrInProgress, "another operation"},
		{"replace and leave a wrap behind", func() error {
			r := rewrapOf(&rekeyed.State, rekeyed.Predecessor(succ).ID)
			delete(r.Wraps, auto.ID)
			return prove(&rekeyed.State, "", *fresh(&rekeyed.State, succ), &r)
		}(), nil, "wrapped for every slot"},

		{"drop in the middle of an operation", dropped(&busy.State, "", []uint32{auto.ID}, fresh(&busy.State, people), nil), record.ErrInProgress, "another operation"},
		{"drop for an operation that is none", dropped(&h.State, "op-9", []uint32{auto.ID}, fresh(&h.State, people), nil), record.ErrNoOperation, "no such operation"},
		{"drop no slot", dropped(&h.State, "", []uint32{99}, nil, nil), record.ErrNoSlot, "no such slot"},
		{"drop the last slot", dropped(&h.State, "", []uint32{auto.ID, people.ID}, fresh(&h.State, auto), nil), record.ErrLastSlot, "the last proven slot cannot go"},
		{"drop all that is proven", dropped(&half.State, "", []uint32{half.Find("people", record.Active).ID}, nil, nil), record.ErrLastSlot, "the last proven slot cannot go"},
		{"drop without a proof", dropped(&h.State, "", []uint32{auto.ID}, nil, nil), record.ErrStaleProof, "no fresh proof that another slot"},
		{"drop on the slot's own proof", dropped(&h.State, "", []uint32{auto.ID}, fresh(&h.State, auto), nil), record.ErrStaleProof, "no fresh proof that another slot"},
		{"drop on a proof of the record before", dropped(&h.State, "", []uint32{auto.ID}, &record.FreshProof{Slot: people.ID, Root: h.Root, Generation: h.Generation - 1}, nil), record.ErrStaleProof, "no fresh proof"},
		{"drop on a proof of another root key", dropped(&h.State, "", []uint32{auto.ID}, &record.FreshProof{Slot: people.ID, Root: h.Root - 1, Generation: h.Generation}, nil), record.ErrStaleProof, "no fresh proof"},
		{"drop on a pending slot's proof", dropped(&rekeyed.State, "", []uint32{auto.ID}, fresh(&rekeyed.State, succ), nil), record.ErrStaleProof, "no fresh proof"},
		{"drop and skip a root key", dropped(&h.State, "", []uint32{auto.ID}, fresh(&h.State, people), func(r *record.NewRoot) { r.Root++ }), nil, "root keys are numbered in order"},
		{"drop and wrap for the wrong slot", dropped(&h.State, "", []uint32{auto.ID}, fresh(&h.State, people), func(r *record.NewRoot) { clear(r.Wraps); r.Wraps[99] = []byte("x") }), nil, "wrapped for every slot"},
		{"drop and skip a term", dropped(&h.State, "", []uint32{auto.ID}, fresh(&h.State, people), func(r *record.NewRoot) { r.Term.Number++ }), nil, "terms are numbered in order"},

		{"reissue an initial slot on no proof", failure(half.Reissue(stepOn(&half.State, ""), half.Find("auto", record.Initial).ID, nil, slotOf(&half.Record, "auto", kmsB), rewrapOf(&half.State))), record.ErrStaleProof, "no fresh proof"},
		{"reissue no slot", failure(h.Reissue(step, 99, nil, slotOf(&h.Record, "x", kmsB), rewrapOf(&h.State))), record.ErrNoSlot, "no such slot"},
		{"reissue before a slot is proven", failure(reissue(&young, stepOn(&young, "op-init"), &young.Slots[0], "people", onePerson)), record.ErrUnproven, "no slot was proven yet"},
		{"reissue a proven slot", failure(reissue(&h.State, step, people, "people", onePerson)), record.ErrSlotExists, "it was proven: rekey it"},
		{"reissue in the middle of an operation", failure(reissue(&busyRekey.State, stepOn(&busyRekey.State, ""), busyRekey.Find("people", record.Pending), "people", onePerson)), record.ErrInProgress, "another operation"},
		{"reissue under a name that is pending", failure(reissue(&fullHouse.State, stepOn(&fullHouse.State, ""), &fullHouse.Slots[2], fullHouse.Slots[3].Name, kmsB)), record.ErrSlotExists, "the slot exists"},
		{"reissue and keep the root key", func() error {
			r := rewrapOf(&rekeyed.State, succ.ID)
			r.Root--
			return failure(rekeyed.Reissue(stepOn(&rekeyed.State, ""), succ.ID, nil, slotOf(&rekeyed.Record, "people", onePerson), r))
		}(), nil, "root keys are numbered in order"},

		{"renew no slot", failure(h.Renew(step, 99, auto.Tree)), record.ErrNoSlot, "no such slot"},
		{"renew for another KMS", failure(h.Renew(step, auto.ID, nodeOf(kmsB, new(uint32)))), nil, "a renewal changes blobs alone"},
		{"rewrap for a key of another type", failure(h.Renew(step, auto.ID, func() record.Node {
			n := rewrapped(auto.Tree)
			n.KMS.Blob.Type = "another"
			return n
		}())), nil, "a renewal changes blobs alone"},
		{"renew for people", failure(h.Renew(step, auto.ID, people.Tree)), nil, "a renewal changes blobs alone"},
		{"renew people for other people", failure(h.Renew(step, people.ID, nodeOf(people3of2, new(uint32)))), nil, "a renewal changes blobs alone"},
		{"renew to a tree", failure(h.Renew(step, auto.ID, nodeOf(aAndPeople, new(uint32)))), nil, "a renewal changes blobs alone"},
		{"rewrap without a box", failure(h.Renew(step, auto.ID, func() record.Node {
			n := rewrapped(auto.Tree)
			n.KMS.Box = nil
			return n
		}())), nil, `slot "auto": a KMS leaf with a missing`},

		{"restore an unproven store", failure(young.Restore(step, knowing(&young, 9), nil, branchOf(&young, 9))), record.ErrUnproven, "no slot was proven yet"},
		{"restore and give a term number twice", failure(h.Restore(step, knowing(&h.State, 9), nil, branchOf(&h.State, 1))), nil, "term numbers go back"},
		{"restore with a term above the new one", failure(h.Restore(step, knowing(&h.State, 9), []record.Term{{Number: 5}}, branchOf(&h.State, 5))), nil, "beyond the other branch's last"},
		{"restore with another key for a term", failure(h.Restore(step, knowing(&h.State, 9), []record.Term{{Number: 1}}, branchOf(&h.State, 5))), record.ErrTermTwice, "a term number has two keys: number 1"},
		{"restore with too many terms", failure(manyTerms.Restore(step, knowing(&manyTerms, 9), nil, branchOf(&manyTerms, record.MaxTerms+1))), record.ErrFull, "at most 65536"},
		{"restore under the old term", failure(h.Restore(step, knowing(&h.State, 9), nil, func() record.NewRoot { r := branchOf(&h.State, 9); r.Term = nil; return r }())), nil, "under a new term"},
		{"restore under the old root key", failure(h.Restore(step, knowing(&h.State, 9), nil, func() record.NewRoot { r := branchOf(&h.State, 9); r.Root--; return r }())), nil, "root keys are numbered in order"},
		{"join under a passive term", failure(h.Join(step, &h.Record, nil, func() record.NewRoot { r := branchOf(&h.State, 9); r.Term.State = record.TermPassive; return r }())), nil, "under a new term"},
		{"join and leave a wrap behind", failure(h.Join(step, &h.Record, nil, func() record.NewRoot { r := branchOf(&h.State, 9); delete(r.Wraps, auto.ID); return r }())), nil, "wrapped for every slot"},
		{"join an unproven store", failure(young.Join(step, &young.Record, nil, branchOf(&young, 9))), record.ErrUnproven, "no slot was proven yet"},
		{"join a fork that used a number too", failure(h.Join(step, &h.Record, []record.Term{{Number: 1}}, branchOf(&h.State, 5))), record.ErrTermTwice, "a term number has two keys: number 1"},
		{"join and go back", failure(h.Join(step, &h.Record, nil, branchOf(&h.State, 1))), nil, "term numbers go back"},
		{"join with too many terms", failure(manyTerms.Join(step, &manyTerms.Record, nil, branchOf(&manyTerms, record.MaxTerms+1))), record.ErrFull, "at most 65536"},

		{"rotate the root key of an unproven store", rotateRoot(&young, func(*record.NewRoot) {}), record.ErrUnproven, "no slot was proven yet"},
		{"keep the root key", rotateRoot(&h.State, func(r *record.NewRoot) { r.Root-- }), nil, "root keys are numbered in order"},
		{"leave a wrap behind", rotateRoot(&h.State, func(r *record.NewRoot) { delete(r.Wraps, auto.ID) }), nil, "wrapped for every slot"},
		{"wrap for a slot more", rotateRoot(&h.State, func(r *record.NewRoot) { r.Wraps[99] = []byte("x") }), nil, "wrapped for every slot"},

		{"rotate an unproven store", failure(young.Rotate(step, termOf(&young.Record, record.TermActive))), record.ErrUnproven, "no slot was proven yet"},
		{"use a term number twice", failure(h.Rotate(step, record.Term{Number: 1, State: record.TermActive})), nil, "terms are numbered in order"},
		{"too many terms", failure(manyTerms.Rotate(step, termOf(&manyTerms.Record, record.TermActive))), record.ErrFull, "at most 65536 terms: rewrap the data and retire some"},
		{"activate no term", failure(h.Activate(step, 7)), nil, "term 7 is not waiting to be activated"},
		{"activate the active term", failure(h.Activate(step, 1)), nil, "term 1 is not waiting to be activated"},
		{"retire the active term", failure(h.Retire(step, 1)), record.ErrTermInUse, "the term cannot be retired"},
		{"retire no term", failure(h.Retire(step, 7)), record.ErrTermInUse, "the term cannot be retired"},

		{"begin a second operation", failure(busy.Begin(stepOn(&busy.State, "op-2"), record.Operation{Kind: record.OpDrop})), record.ErrInProgress, "another operation is in progress"},
		{"begin on an unproven store", failure(half0(young).Begin(step, record.Operation{Kind: record.OpDrop})), record.ErrUnproven, "no slot was proven yet"},
		{"claim no operation", failure(h.Claim(stepOn(&h.State, "op-1"))), record.ErrNoOperation, "no such operation is in progress"},
		{"claim another operation", failure(busy.Claim(stepOn(&busy.State, "op-2"))), record.ErrNoOperation, "no such operation is in progress"},
		{"end the init", failure(young.End(stepOn(&young, "op-init"))), record.ErrUnproven, "no slot was proven yet"},
		{"end no operation", failure(h.End(stepOn(&h.State, "op-1"))), record.ErrNoOperation, "no such operation is in progress"},
		{"end another operation", failure(busy.End(stepOn(&busy.State, "op-2"))), record.ErrNoOperation, "no such operation is in progress"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			switch {
			case tt.err == nil:
				t.Fatal("accepted")
			case tt.is != nil && !errors.Is(tt.err, tt.is):
				t.Errorf("%v is no %v", tt.err, tt.is)
			case tt.is == nil && slices.ContainsFunc(sentinels, func(e error) bool { return errors.Is(tt.err, e) }):
				t.Errorf("%v is a sentinel's, and nothing a caller could decide on", tt.err)
			}
			prefix := "seal: "
			if tt.is == nil {
				prefix = "record: "
			}
			if !strings.HasPrefix(tt.err.Error(), prefix) || !strings.Contains(tt.err.Error(), tt.says) {
				t.Errorf("%q does not begin with %q and say %q", tt.err, prefix, tt.says)
			}
		})
	}
}

var sentinels = []error{
	record.ErrInProgress, record.ErrNoOperation, record.ErrNoSlot, record.ErrSlotExists, record.ErrLastSlot,
	record.ErrStaleProof, record.ErrUnproven, record.ErrTermInUse, record.ErrTermTwice, record.ErrMalformed, record.ErrNewer,
}

func failure(_ record.State, err error) error { return err }

// half0 is an unproven store whose init is forgotten, as none is ever stored.
func half0(s record.State) *record.State {
	s.Operation = nil
	return &s
}

// TestProofOfAnEarlierOperation: an operation may come again under an id that
// was used before. What people gave to the first one is no proof for the next.
func TestProofOfAnEarlierOperation(t *testing.T) {
	h := proven(t)
	ids := []uint32{h.Find("auto", record.Active).ID}
	h.then(h.Begin(stepOn(&h.State, "op-1"), record.Operation{Kind: record.OpProve, Slot: "people"}))
	h.prove("people", record.Active, "op-1")
	h.then(h.Begin(stepOn(&h.State, "op-1"), record.Operation{Kind: record.OpDrop, Desired: []record.Goal{{Name: "auto", Drop: true}}}))
	if _, err := h.Drop(stepOn(&h.State, "op-1"), ids, nil, rewrapOf(&h.State, ids...)); !errors.Is(err, record.ErrStaleProof) {
		t.Errorf("drop on a proof given to an earlier operation of the same id: %v", err)
	}
	h.prove("people", record.Active, "op-1")
	h.then(h.Drop(stepOn(&h.State, "op-1"), ids, nil, rewrapOf(&h.State, ids...)))
}

// TestPeoplesProof: a proof given to an operation holds through it, until the
// root key changes.
func TestPeoplesProof(t *testing.T) {
	h := proven(t)
	auto := []uint32{h.Find("auto", record.Active).ID}
	h.then(h.Begin(stepOn(&h.State, "op-1"), record.Operation{Kind: record.OpMigrate, Desired: []record.Goal{{Name: "auto", Drop: true}}}))
	h.prove("people", record.Active, "op-1")
	h.then(h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermActive)))
	if !h.ProvenWithout(auto, nil) {
		t.Error("the proof did not last until the next step of its operation")
	}
	if h.ProvenWithout([]uint32{h.Find("people", record.Active).ID}, nil) {
		t.Error("a slot proves that it may go itself")
	}
	r := rewrapOf(&h.State)
	h.then(h.RotateRoot(stepOn(&h.State, ""), r))
	if h.ProvenWithout(auto, nil) {
		t.Error("a proof of the old root key stands for the new one")
	}
}

// TestKeyBesidePeople: where a tree needs a key and people, their proof stands in
// the record, and the key is asked at the drop.
func TestKeyBesidePeople(t *testing.T) {
	h := proven(t)
	ids := []uint32{h.Find("people", record.Active).ID, h.Find("auto", record.Active).ID}
	h.then(h.Add(stepOn(&h.State, ""), slotOf(&h.Record, "tree", aAndPeople)))
	h.then(h.Begin(stepOn(&h.State, "op-1"), record.Operation{Kind: record.OpMigrate, Desired: []record.Goal{{Name: "people", Drop: true}, {Name: "auto", Drop: true}}}))
	h.prove("tree", record.Pending, "op-1")
	tree := h.Find("tree", record.Active)
	asked := proofOf(&h.State, tree)
	asked.Keys = true
	if h.ProvenWithout(ids, nil) {
		t.Error("a key is believed without being asked")
	}
	before := asked
	before.Generation--
	if h.ProvenWithout(ids, &before) {
		t.Error("a key is believed for an answer about an older record")
	}
	if !h.ProvenWithout(ids, &asked) {
		t.Error("people agreed and the key answered, in vain")
	}
	h.then(h.End(stepOn(&h.State, "op-1")))
	asked.Generation = h.Generation
	if h.ProvenWithout(ids, &asked) {
		t.Error("a key's answer stands for people who agreed to nothing")
	}
}

// TestKMSProofIsNotKept: a key that answered a step ago may be gone by now.
func TestKMSProofIsNotKept(t *testing.T) {
	h := proven(t)
	h.then(h.Begin(stepOn(&h.State, "op-1"), record.Operation{Kind: record.OpMigrate}))
	h.prove("auto", record.Active, "op-1")
	if h.ProvenWithout([]uint32{h.Find("people", record.Active).ID}, nil) {
		t.Error("a KMS slot is believed without being asked")
	}
}

// TestAfter: a record tells which records came before it, across the generations
// that a restore leaves out, as far back as its memory reaches.
func TestAfter(t *testing.T) {
	h := proven(t)
	type point struct {
		generation uint64
		digest     record.Digest
	}
	var line []point
	rotate := func() {
		line = append(line, point{h.Generation, digestOf(&h.State)})
		h.then(h.RotateRoot(stepOn(&h.State, ""), rewrapOf(&h.State)))
	}
	rotate()
	lost := h.State // a branch that is given up
	lost, err := lost.RotateRoot(stepOn(&lost, ""), rewrapOf(&lost))
	if err != nil {
		t.Fatal(err)
	}
	line = append(line, point{h.Generation, digestOf(&h.State)})
	h.then(h.Restore(stepOn(&h.State, ""), knowing(&h.State, 1000), nil, branchOf(&h.State, 2000)))
	for range 20 {
		rotate()
	}
	for _, p := range line {
		if after, sure := h.After(p.generation, p.digest); !after || !sure {
			t.Errorf("generation %d: after=%v sure=%v", p.generation, after, sure)
		}
	}
	for _, p := range []point{{lost.Generation, digestOf(&lost)}, {1, record.Digest{1}}, {h.Generation, digestOf(&h.State)}, {h.Generation + 1, record.Digest{}}} {
		if after, _ := h.After(p.generation, p.digest); after {
			t.Errorf("generation %d of another branch", p.generation)
		}
	}
	for range record.MaxDigests {
		rotate()
	}
	if after, sure := h.After(lost.Generation, digestOf(&lost)); !after || sure {
		t.Errorf("further back than the record's memory: after=%v sure=%v", after, sure)
	}
	if after, _ := h.After(h.Generation-record.MaxDigests, record.Digest{1}); after {
		t.Error("a record within its memory, and not in it")
	}
}

// TestLimitsOfLists: journal, digests and former sets forget the oldest.
func TestLimitsOfLists(t *testing.T) {
	h := proven(t)
	for range record.MaxDigests + record.MaxFormer {
		before, st := h.State, stepOn(&h.State, "")
		h.then(h.Add(st, slotOf(&h.Record, "extra", onePerson)))
		if err := lawful(&before, &h.State, st); err != nil {
			t.Fatal(err)
		}
		before, st = h.State, stepOn(&h.State, "")
		id := []uint32{h.Find("extra", record.Pending).ID}
		h.then(h.Drop(st, id, nil, rewrapOf(&h.State, id...)))
		if err := lawful(&before, &h.State, st); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.Journal) != record.MaxJournal || len(h.Digests) != record.MaxDigests || len(h.Former) != record.MaxFormer {
		t.Errorf("journal %d, digests %d, former sets %d", len(h.Journal), len(h.Digests), len(h.Former))
	}
	if last := h.Former[len(h.Former)-1].Set; last != h.LastSet {
		t.Errorf("the newest former set is %d, not %d", last, h.LastSet)
	}
}

// freshOf is a proof made now by any active slot but one.
func freshOf(s *record.State, but uint32) *record.FreshProof {
	for i := range s.Slots {
		if o := &s.Slots[i]; o.ID != but && o.State == record.Active {
			return &record.FreshProof{Slot: o.ID, Root: s.Root, Generation: s.Generation}
		}
	}
	return nil
}
