package custody

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/record"
)

// A Quorum holds the shares given so far for one purpose, every one of them
// checked against its commitment: a bad share never enters, so there is nothing
// to reset, and it can hold no more than the record has shares. The zero Quorum
// is empty. Its methods are safe for concurrent use.
type Quorum struct {
	mu     sync.Mutex                // a Seal may wipe while a share comes in
	shares map[uint32]map[byte]given // by set and x
	ended  error                     // why it takes no more: nobody would wipe them
	tried  map[uint32]int            // by slot: with how many shares somebody opens it now
}

// A given is a share, and when it was given.
type given struct {
	Share
	at time.Time
}

// Ended returns a Quorum that takes no shares, for the reason given.
func Ended(why error) *Quorum { return &Quorum{ended: why} }

// into hands the shares to an opener, and what they tell of the slot.
func (q *Quorum) into(o *opener) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o.shares = map[uint32][]heldShare{}
	o.slot.Tree.Leaves(func(leaf *record.Node) bool {
		if leaf.Shamir == nil {
			return true
		}
		set := leaf.Shamir.Set
		for x, share := range q.shares[set] {
			o.shares[set] = append(o.shares[set], heldShare{x: x, y: share.Y.Reveal()})
			if !share.Raw() {
				o.named = append(o.named, bytes.Clone(share.Fingerprint[:]))
			}
		}
		return true
	})
}

// Add takes a copy of a share that fits the record, and returns the slot that
// it is a share of, also with an error where it is known. A share in text takes
// the place of the same one in bare form: it tells more, namely which slot it is
// of, and without that a pin may be wanting.
func (q *Quorum) Add(rec *record.Record, s Share) (*record.Slot, error) {
	return q.AddAt(rec, s, time.Now())
}

// AddAt is Add of a share that was given at that time, elsewhere.
func (q *Quorum) AddAt(rec *record.Record, s Share, at time.Time) (*record.Slot, error) {
	slot, set, err := Match(rec, s)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended != nil {
		return slot, fmt.Errorf("%w: in the meantime, and the share was not kept", q.ended)
	}
	if held, ok := q.shares[set][s.X]; ok {
		if !held.Raw() || s.Raw() {
			return slot, &ShareError{Kind: ErrShareDuplicate, X: s.X, Set: set}
		}
		held.Y.Wipe()
	}
	if q.shares == nil {
		q.shares = map[uint32]map[byte]given{}
	}
	if q.shares[set] == nil {
		q.shares[set] = map[byte]given{}
	}
	q.shares[set][s.X] = given{s.clone(), at}
	return slot, nil
}

// Each calls f with each share, which stays the Quorum's, and when it was given.
func (q *Quorum) Each(f func(s Share, at time.Time)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, shares := range q.shares {
		for _, s := range shares {
			f(s.Share, s.at)
		}
	}
}

// Sift drops the shares that no longer fit the record.
func (q *Quorum) Sift(rec *record.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(func(set uint32, s given) bool {
		_, now, err := Match(rec, s.Share)
		return err != nil || now != set
	})
}

// Expire drops the shares that were given at that time or before, and returns
// how many, and when the oldest of the others was; zero if none is left.
func (q *Quorum) Expire(before time.Time) (gone int, oldest time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	gone = q.remove(func(_ uint32, s given) bool { return !s.at.After(before) })
	for _, shares := range q.shares {
		for _, s := range shares {
			if oldest.IsZero() || s.at.Before(oldest) {
				oldest = s.at
			}
		}
	}
	return gone, oldest
}

// remove wipes and drops the shares of which f says so; q.mu is held.
func (q *Quorum) remove(f func(set uint32, s given) bool) (gone int) {
	for set, shares := range q.shares {
		for x, s := range shares {
			if f(set, s) {
				s.Y.Wipe()
				delete(shares, x)
				gone++
			}
		}
		if len(shares) == 0 {
			delete(q.shares, set)
		}
	}
	return gone
}

// Oldest returns when the first of the shares of a set was given; zero if none
// was.
func (q *Quorum) Oldest(set uint32) (oldest time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.shares[set] {
		if oldest.IsZero() || s.at.Before(oldest) {
			oldest = s.at
		}
	}
	return oldest
}

// Suffices reports whether the shares could open the tree, its KMS leaves
// willing.
func (q *Quorum) Suffices(n *record.Node) bool {
	switch {
	case n.KMS != nil:
		return true
	case n.Shamir != nil:
		return q.Count(n.Shamir.Set) >= n.Shamir.Threshold
	}
	willing := 0
	for i := range n.Threshold.Of {
		if q.Suffices(&n.Threshold.Of[i]) {
			willing++
		}
	}
	return willing >= n.Threshold.Threshold
}

// Consented reports whether people consented: whether any set of the tree has as
// many shares as it takes. A tree that KMS keys open alone suffices with no shares
// at all, and nobody has consented then.
func (q *Quorum) Consented(tree *record.Node) bool {
	return !tree.Leaves(func(leaf *record.Node) bool {
		return leaf.Shamir == nil || q.Count(leaf.Shamir.Set) < leaf.Shamir.Threshold
	})
}

// Count returns how many shares of a set there are.
func (q *Quorum) Count(set uint32) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.shares[set])
}

// Claim reports whether the caller may open a slot with the shares there are
// now: one at a time does with the same shares, so that what is given twice does
// not ask a KMS twice, and whoever has more does not wait for who had less. Who
// may calls release.
func (q *Quorum) Claim(slot *record.Slot) (release func(), ok bool) {
	given := 0
	slot.Tree.Leaves(func(leaf *record.Node) bool {
		if leaf.Shamir != nil {
			given += q.Count(leaf.Shamir.Set)
		}
		return true
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tried[slot.ID] >= given {
		return nil, false
	}
	if q.tried == nil {
		q.tried = map[uint32]int{}
	}
	q.tried[slot.ID] = given
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.tried[slot.ID] == given {
			delete(q.tried, slot.ID)
		}
	}, true
}

// Len returns how many shares there are.
func (q *Quorum) Len() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, shares := range q.shares {
		n += len(shares)
	}
	return n
}

// Wipe wipes the shares; why is what the Quorum says to those who come later.
func (q *Quorum) Wipe(why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = why
	for _, shares := range q.shares {
		for _, s := range shares {
			s.Y.Wipe()
		}
	}
	q.shares = nil
}
