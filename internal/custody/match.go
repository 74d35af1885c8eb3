package custody

import (
	"bytes"

	"github.com/sealwright/sealwright/internal/record"
)

// Match finds the slot and the set that a share belongs to, by its commitment,
// or says with a [*ShareError] what is wrong with it. The verdicts in their
// order: the share of a set that the record has, whatever else fits; altered,
// where the record has its set; stale, where its slot or its set is or was
// known; and of another store, or of this one at a later time. A raw share names
// neither set nor slot, so that one without a commitment is of another store, as
// far as anybody can tell.
func Match(rec *record.Record, s Share) (*record.Slot, uint32, error) {
	y := s.Y.Reveal()
	defer clear(y)
	if len(y) != SeedSize || s.X == 0 {
		return nil, 0, &ShareError{Kind: ErrShareMalformed}
	}
	if slot, set := committed(rec, s, y); slot != nil {
		return slot, set, nil
	}
	wrong := &ShareError{Kind: ErrShareOtherStore, X: s.X, Set: s.Set}
	if s.Raw() {
		return nil, 0, wrong
	}
	has, newest := setsOf(rec, s)
	switch {
	case has:
		wrong.Kind = ErrShareAltered
	case newest != 0:
		wrong.Kind, wrong.Want = ErrShareStale, newest
	case retired(rec, s):
		wrong.Kind, wrong.Want = ErrShareStale, newestSet(rec)
	case s.Set > rec.LastSet: // of another store, or of this one after a rekey that the record does not know
		wrong.Want = rec.LastSet
	}
	return nil, 0, wrong
}

// committed returns the slot and the set whose commitment the share meets; no
// slot if there is none.
func committed(rec *record.Record, s Share, y []byte) (found *record.Slot, set uint32) {
	EachSet(rec, func(slot *record.Slot, leaf *record.Shares, path string) {
		if !s.Raw() && (leaf.Set != s.Set || !bytes.Equal(slot.Fingerprint, s.Fingerprint[:])) {
			return
		}
		if int(s.X) > len(leaf.Commitments) {
			return
		}
		c := commitment(rec.Store, slot.Name, path, leaf.Set, s.X, y)
		if equal(c[:], leaf.Commitments[s.X-1]) {
			found, set = slot, leaf.Set
		}
	})
	return found, set
}

// setsOf looks at the sets of the slot with the share's fingerprint: whether its
// own is among them, and the newest; 0 if there is no such slot.
func setsOf(rec *record.Record, s Share) (has bool, newest uint32) {
	EachSet(rec, func(slot *record.Slot, leaf *record.Shares, _ string) {
		if bytes.Equal(slot.Fingerprint, s.Fingerprint[:]) {
			has = has || leaf.Set == s.Set
			newest = max(newest, leaf.Set)
		}
	})
	return has, newest
}

// retired reports whether the share is of a set that the record had.
func retired(rec *record.Record, s Share) bool {
	for _, f := range rec.Former {
		if f.Set == s.Set && bytes.Equal(f.Fingerprint, s.Fingerprint[:]) {
			return true
		}
	}
	return false
}

// newestSet is the newest set that opens the store, or else of those that are to; 0 if
// people hold none.
func newestSet(rec *record.Record) uint32 {
	var opens, waits uint32
	EachSet(rec, func(slot *record.Slot, leaf *record.Shares, _ string) {
		if slot.Opens() {
			opens = max(opens, leaf.Set)
		}
		waits = max(waits, leaf.Set)
	})
	if opens == 0 {
		return waits
	}
	return opens
}

// EachSet calls f for each set of shares in the record.
func EachSet(rec *record.Record, f func(slot *record.Slot, leaf *record.Shares, path string)) {
	for i := range rec.Slots {
		slot := &rec.Slots[i]
		slot.Tree.Walk("", func(path string, n *record.Node) {
			if n.Shamir != nil {
				f(slot, n.Shamir, path)
			}
		})
	}
}
