package custody

import (
	"bytes"

	"github.com/sealwright/sealwright/internal/record"
)

// Match finds the slot and the set that a share belongs to, by its commitment,
// or says with a [*ShareError] what is wrong with it.
func Match(rec *record.Record, s Share) (*record.Slot, uint32, error) {
	y := s.Y.Reveal()
	defer clear(y)
	if len(y) != SeedSize || s.X == 0 {
		return nil, 0, &ShareError{Kind: ErrShareMalformed}
	}
	wrong := &ShareError{Kind: ErrShareOtherStore, X: s.X, Set: s.Set}
	var found *record.Slot
	var set, newest uint32
	EachSet(rec, func(slot *record.Slot, leaf *record.Shares, path string) {
		newest = max(newest, leaf.Set)
		if !s.Raw() && leaf.Set != s.Set {
			if wrong.Kind == ErrShareOtherStore && bytes.Equal(slot.Fingerprint, s.Fingerprint[:]) {
				wrong.Kind, wrong.Want = ErrShareStale, leaf.Set
			}
			return
		}
		if !s.Raw() && !bytes.Equal(slot.Fingerprint, s.Fingerprint[:]) {
			return
		}
		if !s.Raw() {
			wrong.Kind, wrong.Want = ErrShareAltered, 0
		}
		if int(s.X) > len(leaf.Commitments) {
			return
		}
		c := commitment(rec.Store, slot.Name, path, leaf.Set, s.X, y)
		if equal(c[:], leaf.Commitments[s.X-1]) {
			found, set = slot, leaf.Set
		}
	})
	if found != nil {
		return found, set, nil
	}
	for _, f := range rec.Former {
		if !s.Raw() && f.Set == s.Set && bytes.Equal(f.Fingerprint, s.Fingerprint[:]) {
			wrong.Kind, wrong.Want = ErrShareStale, newest
		}
	}
	return nil, 0, wrong
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
