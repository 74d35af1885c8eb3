package record_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/testlevel"
)

// Size is that of the stored record, and the bound is above it.
func TestSize(t *testing.T) {
	crowded := full(t)
	crowded.then(crowded.End(stepOn(&crowded.State, "op-1")))
	crowded.crowd(record.Spec{Shares: 255, Threshold: 2})
	crowded.Slots[0].Tree.Leaves(func(l *record.Node) bool {
		if l.KMS != nil {
			l.KMS.Blob.KeyID = strings.Repeat("<\x01\xff", 600)
			l.KMS.Blob.Version = strings.Repeat("\u2028", 600)
		}
		return true
	})
	for i := range crowded.Slots {
		if s := crowded.Slots[i].Tree.Shamir; s != nil {
			s.Custodians = slices.Repeat([]string{strings.Repeat("&", record.MaxIdentity)}, s.Shares)
		}
	}
	for name, h := range map[string]*history{"young": {t, initialized(t, named{"people", people3of2})}, "proven": proven(t), "full": full(t), "crowded": crowded} {
		clear, err := h.Clear()
		if err != nil {
			t.Fatal(err)
		}
		sealed := make([]byte, len(h.Marshal())+60)
		if got, want := h.Size(), len(record.Assemble(clear, sealed)); got != want {
			t.Errorf("%s: %d bytes, not %d", name, got, want)
		}
		if h.AtMost() < h.Size() {
			t.Errorf("%s: %d bytes are bounded by %d", name, h.Size(), h.AtMost())
		}
		rest := h.State // as a Barrier holds it
		rest.Identities = nil
		if rest.Size() != h.Size() {
			t.Errorf("%s: at rest %d bytes, not %d", name, rest.Size(), h.Size())
		}
	}
}

func TestLevels(t *testing.T) {
	h := proven(t)
	for _, l := range h.Levels(0) {
		if l.Half() || l.Used == 0 || l.Used >= l.Limit {
			t.Errorf("a new store: %+v", l)
		}
	}
	h.Terms = append(make([]record.Term, (record.MaxTerms-record.ReserveTerms)/2), h.Terms...)
	half := map[string]bool{}
	for _, l := range h.Levels(0) {
		half[l.What] = l.Half()
	}
	if !half["data keys"] || half["generation"] {
		t.Errorf("%v", half)
	}
}

// A store that takes less than others has a reserve as well.
func TestASmallStoreHasAReserve(t *testing.T) {
	limits := []int{64 << 10, 1 << 20}
	if testlevel.Whole() {
		limits = append(limits, record.MaxSize, 2*record.MaxSize, -1)
	}
	if testing.Short() {
		limits = limits[:1]
	}
	for _, limit := range limits {
		real := min(limit, record.MaxSize)
		if limit <= 0 {
			real = record.MaxSize
		}
		h := proven(t)
		step := func(op string) record.Step {
			return record.Step{ // stepOn would encode megabytes each time
				Previous: record.Digest{byte(h.Generation)}, At: 1_700_000_000 + int64(h.Generation),
				Actor: "tester", Replica: "r1", Operation: op, Limit: limit,
			}
		}
		for { // pending slots, until the next one does not fit
			fat := record.Spec{Threshold: 2, Of: slices.Repeat([]record.Spec{{Shares: 255, Threshold: 2}}, record.MaxLeaves)}
			if real < 1<<20 {
				fat = people3of2
			}
			next, err := h.Add(step(""), slotOf(&h.Record, "fat"+string(rune('a'+len(h.Slots))), fat))
			if err != nil {
				break
			}
			h.State = next
		}
		var err error
		fill := (real - h.Size()) / 60 * 9 / 10
		more := make([]record.Term, max(0, min(fill, 65000)))
		for i := range more {
			more[i] = record.Term{Number: uint32(i + 1), State: record.TermOld}
		}
		for i := range h.Terms {
			h.Terms[i].Number += uint32(len(more))
		}
		h.LastTerm += uint32(len(more))
		h.Terms = append(more, h.Terms...)
		for range 200 {
			var next record.State
			if next, err = h.Rotate(step(""), termOf(&h.Record, record.TermActive)); err != nil {
				break
			}
			h.State = next
		}
		if !errors.Is(err, record.ErrFull) {
			t.Fatalf("limit %d: %v at %d bytes", limit, err, h.Size())
		}
		h.then(h.Begin(step("op"), record.Operation{Kind: record.OpDrop, Desired: []record.Goal{{Name: "auto", Drop: true}}}))
		h.then(h.Prove(step("op"), proofOf(&h.State, h.Find("people", record.Active)), nil))
		ids := []uint32{h.Find("auto", record.Active).ID}
		h.then(h.Drop(step("op"), ids, nil, rewrapOf(&h.State, ids...)))
		if h.Size() > real {
			t.Errorf("limit %d: %d bytes", limit, h.Size())
		}
		if l := h.Levels(limit); !l[0].Half() && !l[1].Half() {
			t.Errorf("limit %d: %v", limit, l)
		}
	}
}
