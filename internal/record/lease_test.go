package record_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
)

func underLease(s *record.State, id string) record.Step {
	st := stepOn(s, "")
	st.Lease = id
	return st
}

// leased is a record with an old term, and a lease.
func leased(t testing.TB) *history {
	h := proven(t)
	h.then(h.Rotate(stepOn(&h.State, ""), termOf(&h.Record, record.TermActive)))
	h.then(h.TakeLease(underLease(&h.State, "l1"), 60, nil))
	return h
}

func TestLease(t *testing.T) {
	h := leased(t)
	if l := *h.Lease; l.ID != "l1" || l.Replica != "r1" || l.Beat != h.Generation || l.Every != 60 {
		t.Errorf("%+v", l)
	}
	taken := *h.Lease
	h.then(h.KeepLease(underLease(&h.State, "l1")))
	if h.Lease.Beat != h.Generation || h.Lease.At != taken.At {
		t.Errorf("after a sign of life: %+v", *h.Lease)
	}
	seen := *h.Lease
	for name, over := range map[string]*record.Lease{"not seen": nil, "seen before a sign of life": &taken, "another": {ID: "l0", Beat: seen.Beat}} {
		if _, err := h.TakeLease(underLease(&h.State, "l2"), 60, over); !errors.Is(err, record.ErrLeased) {
			t.Errorf("taken over, %s: %v", name, err)
		}
	}
	h.then(h.TakeLease(underLease(&h.State, "l2"), 60, &seen))
	for name, f := range map[string]func(record.Step) (record.State, error){
		"a sign of life": h.KeepLease, "its end": h.EndLease,
		"a retirement": func(st record.Step) (record.State, error) { return h.Retire(st, 1) },
	} {
		if _, err := f(underLease(&h.State, "l1")); !errors.Is(err, record.ErrLeased) {
			t.Errorf("%s by one whose lease was taken over: %v", name, err)
		}
		ended := h.State
		ended.Lease = nil
		if _, err := f(underLease(&ended, "l1")); !errors.Is(err, record.ErrLeased) {
			t.Errorf("%s where there is no lease: %v", name, err)
		}
	}
	if _, err := h.Retire(stepOn(&h.State, ""), 1); err != nil {
		t.Errorf("an operator's retirement: %v", err)
	}
	h.then(h.Retire(underLease(&h.State, "l2"), 1))
	h.then(h.EndLease(underLease(&h.State, "l2")))
	if h.Lease != nil || h.MinReader != 1 || h.Format != 2 {
		t.Errorf("after its end: %+v, format %d for readers of %d", h.Lease, h.Format, h.MinReader)
	}
}

// A lease hinders nothing that custodians and operators do.
func TestLeaseHindersNothing(t *testing.T) {
	h := leased(t)
	h.then(h.Begin(stepOn(&h.State, "op-1"), record.Operation{Kind: record.OpMigrate, Desired: []record.Goal{{Name: "auto", Drop: true}}}))
	h.then(h.Add(stepOn(&h.State, "op-1"), slotOf(&h.Record, "people", onePerson)))
	h.prove("people", record.Pending, "op-1")
	h.prove("people", record.Active, "op-1")
	fresh := proofOf(&h.State, h.Find("people", record.Active))
	ids := []uint32{h.Find("auto", record.Active).ID}
	h.then(h.Drop(stepOn(&h.State, "op-1"), ids, &fresh, rewrapOf(&h.State, ids...)))
	h.then(h.EndLease(underLease(&h.State, "l1")))
	h.then(h.TakeLease(underLease(&h.State, "l2"), 60, nil)) // within the migration
	h.then(h.End(stepOn(&h.State, "op-1")))
	if h.Lease == nil {
		t.Error("the end of an operation ended the lease")
	}
}

// Who had it worked on another branch.
func TestLeaseEndsWithItsBranch(t *testing.T) {
	h := leased(t)
	restored, err := h.Restore(stepOn(&h.State, ""), knowing(&h.State, 40), nil, branchOf(&h.State, 40))
	if err != nil || restored.Lease != nil || restored.MinReader != 1 {
		t.Errorf("restored: %+v, %v", restored.Lease, err)
	}
	joined, err := h.Join(stepOn(&h.State, ""), knowing(&h.State, h.Generation), nil, branchOf(&h.State, 40))
	if err != nil || joined.Lease != nil {
		t.Errorf("joined: %+v, %v", joined.Lease, err)
	}
}

func TestLeaseRefused(t *testing.T) {
	h := proven(t)
	for name, f := range map[string]func() (record.State, error){
		"no id":         func() (record.State, error) { return h.TakeLease(underLease(&h.State, ""), 60, nil) },
		"never a sign":  func() (record.State, error) { return h.TakeLease(underLease(&h.State, "l"), 0, nil) },
		"seldom a sign": func() (record.State, error) { return h.TakeLease(underLease(&h.State, "l"), record.MaxEvery+1, nil) },
		"an id too long": func() (record.State, error) {
			return h.TakeLease(underLease(&h.State, strings.Repeat("l", 65)), 60, nil)
		},
	} {
		if _, err := f(); err == nil || errors.Is(err, record.ErrLeased) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := initialized(t, named{"people", people3of2})
	if _, err := s.TakeLease(underLease(&s, "l"), 60, nil); !errors.Is(err, record.ErrUnproven) {
		t.Errorf("before a slot is proven: %v", err)
	}
}

// Code that knows no lease is told by the record that it is newer; a lease behind
// its back is damage.
func TestLeaseFormat(t *testing.T) {
	h := leased(t)
	stored := string(storedBytes(t, &h.State))
	if !strings.HasPrefix(stored, `{"format":2,"min_reader":2,`) {
		t.Errorf("%.60s", stored)
	}
	if _, _, _, err := record.Parse([]byte(stored)); err != nil {
		t.Error(err)
	}
	swap := func(old, next string) string {
		t.Helper()
		out := strings.Replace(stored, old, next, 1)
		if out == stored {
			t.Fatalf("no %s in %s", old, stored)
		}
		return out
	}
	for name, bad := range map[string]string{
		"for readers that know none":      swap(`"min_reader":2`, `"min_reader":1`),
		"of no id":                        swap(`"id":"l1"`, `"id":""`),
		"of a later sign of life":         swap(`"beat":5`, `"beat":6`),
		"of no sign of life":              swap(`"beat":5`, `"beat":0`),
		"never another sign":              swap(`"every":60`, `"every":0`),
		"a sign a year":                   swap(`"every":60`, `"every":31536000`),
		"taken at no time":                swap(`"every":60,"at":1`, `"every":60,"at":-1`),
		"of a replica that nobody prints": swap(`"replica":"r1","beat"`, `"replica":"\t","beat"`),
		"with more than it has":           swap(`"beat":5`, `"beat":5,"x":1`),
	} {
		if _, _, _, err := record.Parse([]byte(bad)); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("a lease %s: %v", name, err)
		}
	}
}

// A full record still takes the lease that leads to room.
func TestLeaseInAFullRecord(t *testing.T) {
	h := leased(t)
	h.then(h.EndLease(underLease(&h.State, "l1")))
	st := underLease(&h.State, "l2")
	st.Limit = h.Size() + 1024
	if _, err := h.Add(st, slotOf(&h.Record, "x", kmsA)); !errors.Is(err, record.ErrFull) {
		t.Fatalf("the record is not full: %v", err)
	}
	h.then(h.TakeLease(st, 60, nil))
	if h.Size() > st.Limit {
		t.Errorf("%d bytes of %d", h.Size(), st.Limit)
	}
}
