package record_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

// TestLawsAreHeld breaks each law once, and sees lawful tell.
func TestLawsAreHeld(t *testing.T) {
	h := proven(t)
	h.then(h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermPassive)))
	before := h.State
	ids := []uint32{before.Find("auto", record.Active).ID}
	fresh := proofOf(&before, before.Find("people", record.Active))
	st := stepOn(&before, "")
	dropped := func() (record.State, error) { return before.Drop(st, ids, &fresh, rewrapOf(&before, ids...)) }
	added := func() (record.State, error) { return before.Add(st, slotOf(&before.Record, "x", aAndPeople)) }
	slot := func(s *record.State, name string) *record.Slot {
		i := slices.IndexFunc(s.Slots, func(o record.Slot) bool { return o.Name == name })
		return &s.Slots[i]
	}
	for _, tt := range []struct {
		name  string
		made  func() (record.State, error)
		wreck func(*record.State)
		says  string
	}{
		{"a generation is skipped", added, func(s *record.State) { s.Generation++ }, "generation"},
		{"another predecessor", added, func(s *record.State) { s.Digests[0][0] ^= 1 }, "the predecessor is not named"},
		{"a number goes back", added, func(s *record.State) { s.LastSet = 0 }, "a number went back"},
		{"another store", added, func(s *record.State) { s.Store = strings.Repeat("0", 32) }, "another store"},
		{"nothing proven", added, func(s *record.State) {
			for i := range s.Slots {
				s.Slots[i].State = record.Pending
			}
		}, "nothing is proven any more"},
		{"a long journal", added, func(s *record.State) { s.Journal = make([]record.Entry, record.MaxJournal+1) }, "grew over its limit"},
		{"no word in the journal", added, func(s *record.State) { s.Journal[len(s.Journal)-1].Generation-- }, "the journal does not tell"},
		{"a term number again", added, func(s *record.State) { s.Terms = slices.Insert(s.Terms, 0, record.Term{State: record.TermOld}) }, "means two keys"},
		{"another key", added, func(s *record.State) { s.Terms[0].Key[0] ^= 1 }, "has another key"},
		{"a passive term below", added, func(s *record.State) { s.Terms[0].State, s.Terms[1].State = record.TermPassive, record.TermActive }, "passive below the active one"},
		{"an old term above", added, func(s *record.State) { s.Terms[1].State = record.TermOld }, "not passive above the active one"},
		{"a slot id again", added, func(s *record.State) { slot(s, "x").ID = 0 }, "slot id 0 was given before"},
		{"a share set again", added, func(s *record.State) { slot(s, "x").Tree.Threshold.Of[1].Shamir.Set = 1 }, "share set 1 was given before"},
		{"another tree", added, func(s *record.State) { slot(s, "auto").Tree = slot(s, "people").Tree }, "changed what protects it"},
		{"a wrap left behind", dropped, func(s *record.State) { slot(s, "people").Wrap = before.Find("people", record.Active).Wrap }, "do not go together"},
		{"an active slot becomes pending", dropped, func(s *record.State) {
			slot(s, "people").State = record.Pending
			s.Slots = append(s.Slots, *before.Find("auto", record.Active))
		}, "is active no more"},
		{"a root key stays", dropped, func(s *record.State) { s.Root--; slot(s, "people").Wrap = before.Find("people", record.Active).Wrap }, "its root key stayed"},
		{"a set is forgotten", func() (record.State, error) {
			ids := []uint32{before.Find("people", record.Active).ID}
			fresh := proofOf(&before, before.Find("auto", record.Active))
			return before.Drop(st, ids, &fresh, rewrapOf(&before, ids...))
		}, func(s *record.State) { s.Former = nil }, "is forgotten"},
		{"a restore keeps the root key", func() (record.State, error) {
			return before.Restore(st, knowing(&before, 40), nil, branchOf(&before, 40))
		}, func(s *record.State) {
			s.Root--
			for i := range s.Slots {
				s.Slots[i].Wrap = before.Slot(s.Slots[i].ID).Wrap
			}
		}, "its root key stayed"},
		{"an identity is lost", added, func(s *record.State) { clear(s.Identities) }, "not one identity"},
	} {
		after, err := tt.made()
		if err != nil {
			t.Fatal(err)
		}
		if err := lawful(&before, &after, st); err != nil {
			t.Fatalf("%s: before anything is broken: %v", tt.name, err)
		}
		tt.wreck(&after)
		if err := lawful(&before, &after, st); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v does not say %q", tt.name, err, tt.says)
		}
	}
}
