package seal

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"sync"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
)

// A gather holds the shares given so far for one operation, every one of them
// checked against its commitment: a bad share never enters, so there is nothing
// to reset, and it can hold no more than the record has shares.
type gather struct {
	mu     sync.Mutex                // a Seal may wipe while a share comes in
	shares map[uint32]map[byte]Share // by set and x
	ended  error                     // why it takes no more: nobody would wipe them
}

// into hands the shares to a harvest, and what they tell of the slot.
func (g *gather) into(h *harvest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h.shares = map[uint32][]heldShare{}
	h.slot.Tree.Leaves(func(leaf *record.Node) bool {
		if leaf.Shamir == nil {
			return true
		}
		set := leaf.Shamir.Set
		for x, share := range g.shares[set] {
			h.shares[set] = append(h.shares[set], heldShare{x: x, y: share.RevealRaw()[:seedSize]})
			if !share.Raw() {
				fingerprint := share.Fingerprint()
				h.identities = append(h.identities, fingerprint[:])
				h.people = true
			}
		}
		return true
	})
}

// add takes a share that fits the record, and reports what it is a share of.
func (g *gather) add(rec *record.Record, s Share) (*record.Slot, error) {
	slot, set, err := matchShare(rec, s)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended != nil {
		return slot, fmt.Errorf("%w: in the meantime, and the share was not kept", g.ended)
	}
	if _, ok := g.shares[set][s.X()]; ok {
		return slot, &ShareError{Kind: ErrShareDuplicate, X: s.X(), Set: set}
	}
	if g.shares == nil {
		g.shares = map[uint32]map[byte]Share{}
	}
	if g.shares[set] == nil {
		g.shares[set] = map[byte]Share{}
	}
	// A copy of the Barrier's own: the caller may wipe what it gave.
	g.shares[set][s.X()] = copyShare(s)
	return slot, nil
}

func copyShare(s Share) Share {
	raw := s.RevealRaw()
	defer clear(raw)
	y := bytes.Clone(raw[:seedSize])
	return Share{key: secret.New(y), fingerprint: s.fingerprint, set: s.set, x: s.x}
}

// sift drops the shares that no longer fit the record.
func (g *gather) sift(rec *record.Record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for set, shares := range g.shares {
		for x, s := range shares {
			if _, now, err := matchShare(rec, s); err != nil || now != set {
				s.Wipe()
				delete(shares, x)
			}
		}
		if len(shares) == 0 {
			delete(g.shares, set)
		}
	}
}

// suffices reports whether the shares could open the tree, its KMS leaves
// willing.
func (g *gather) suffices(n *record.Node) bool {
	switch {
	case n.KMS != nil:
		return true
	case n.Shamir != nil:
		return g.count(n.Shamir.Set) >= n.Shamir.Threshold
	}
	willing := 0
	for i := range n.Threshold.Of {
		if g.suffices(&n.Threshold.Of[i]) {
			willing++
		}
	}
	return willing >= n.Threshold.Threshold
}

// quorum reports whether any set of the tree has as many shares as it takes.
// Where keys alone open the tree it suffices without, and nobody has agreed to
// anything.
func (g *gather) quorum(tree *record.Node) bool {
	return !tree.Leaves(func(leaf *record.Node) bool {
		return leaf.Shamir == nil || g.count(leaf.Shamir.Set) < leaf.Shamir.Threshold
	})
}

// count returns how many shares of a set there are.
func (g *gather) count(set uint32) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.shares[set])
}

// wipe wipes the shares, and ends the gather with why.
func (g *gather) wipe(why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = why
	for _, shares := range g.shares {
		for _, s := range shares {
			s.Wipe()
		}
	}
	g.shares = nil
}

// matchShare finds the slot and the set that a share belongs to, by its
// commitment, or says what is wrong with it.
func matchShare(rec *record.Record, s Share) (*record.Slot, uint32, error) {
	raw := s.RevealRaw()
	defer clear(raw)
	if len(raw) != seedSize+1 {
		return nil, 0, malformed("an empty share")
	}
	y, x := raw[:len(raw)-1], raw[len(raw)-1]
	wrong := &ShareError{Kind: ErrShareOtherStore, X: x, Set: s.Set()}
	var found *record.Slot
	var set, newest uint32
	eachLeaf(rec, func(slot *record.Slot, leaf *record.Shares, path string) {
		newest = max(newest, leaf.Set)
		if !s.Raw() && leaf.Set != s.Set() {
			if fingerprint := s.Fingerprint(); wrong.Kind == ErrShareOtherStore && bytes.Equal(slot.Fingerprint, fingerprint[:]) {
				wrong.Kind, wrong.Want = ErrShareStale, leaf.Set
			}
			return
		}
		if fingerprint := s.Fingerprint(); !s.Raw() && !bytes.Equal(slot.Fingerprint, fingerprint[:]) {
			return
		}
		if !s.Raw() {
			wrong.Kind, wrong.Want = ErrShareAltered, 0
		}
		if int(x) > len(leaf.Commitments) {
			return
		}
		c := commitment(rec.Store, slot.Name, path, leaf.Set, x, y)
		if subtle.ConstantTimeCompare(c[:], leaf.Commitments[x-1]) == 1 {
			found, set = slot, leaf.Set
		}
	})
	if found != nil {
		return found, set, nil
	}
	for _, f := range rec.Former {
		if fingerprint := s.Fingerprint(); !s.Raw() && f.Set == s.Set() && bytes.Equal(f.Fingerprint, fingerprint[:]) {
			wrong.Kind, wrong.Want = ErrShareStale, newest
		}
	}
	return nil, 0, wrong
}

// eachLeaf calls f for each set of shares in the record.
func eachLeaf(rec *record.Record, f func(slot *record.Slot, leaf *record.Shares, path string)) {
	for i := range rec.Slots {
		slot := &rec.Slots[i]
		slot.Tree.Walk("", func(path string, n *record.Node) {
			if n.Shamir != nil {
				f(slot, n.Shamir, path)
			}
		})
	}
}
