package keyring

import (
	"cmp"
	"slices"

	"github.com/sealwright/sealwright/internal/aead"
)

// A view is the terms that readers see, from one Install to the next.
type view struct {
	gate   gate       // first, for the alignment of its lanes
	terms  []*termKey // by number
	active *termKey

	// evicted left the cache since the view was published: readers inside may
	// still hold them. Guarded by Keyring.mu.
	evicted []wiper
}

type wiper interface{ wipe() }

// find returns the term of a number, or nil.
func (v *view) find(number uint32) *termKey {
	i, found := slices.BinarySearchFunc(v.terms, number, func(t *termKey, n uint32) int { return cmp.Compare(t.number, n) })
	if !found {
		return nil
	}
	return v.terms[i]
}

// match returns the term that a header names.
func (v *view) match(h *header) (*termKey, error) {
	t := v.find(h.term())
	if t == nil {
		return nil, ErrUnknownTerm
	}
	if t.keyID != h.keyID() {
		return nil, ErrWrongKey
	}
	return t, nil
}

// enterView enters the gate of the present view. The caller adds one to left
// when it is done. It returns nil if the keyring is sealed.
func (k *Keyring) enterView() (*view, *lane) {
	for {
		v := k.view.Load()
		if v == nil {
			return nil, nil
		}
		if l, ok := k.stillEnter(v); ok {
			return v, l
		}
	}
}

// stillEnter enters the gate of v, unless v is not the present view any more.
func (k *Keyring) stillEnter(v *view) (*lane, bool) {
	l := v.gate.lane()
	l.entered.Add(1)
	if k.view.Load() != v {
		l.left.Add(1)
		return nil, false
	}
	return l, true
}

// A burial is what can be wiped when a gate is idle, and every earlier burial
// is done: readers of an older view reach the keys of the younger ones.
type burial struct {
	gate *gate
	keys []wiper
}

// bury wipes keys as soon as nobody can reach them. They are no longer behind
// any pointer; Keyring.mu is held.
func (k *Keyring) bury(g *gate, keys ...wiper) {
	k.burials = append(k.burials, burial{g, keys})
	k.sweep()
}

// sweep wipes what nobody can reach, and reports whether that was all. It never
// waits. Keyring.mu is held.
func (k *Keyring) sweep() bool {
	done := 0
	for done < len(k.burials) && k.burials[done].gate.idle() {
		for _, key := range k.burials[done].keys {
			key.wipe()
		}
		done++
	}
	k.burials = slices.Delete(k.burials, 0, done)
	return len(k.burials) == 0
}

// An opener is an epoch on the reading side.
type opener struct {
	head header
	term *termKey
	aead *aead.AEAD
}

func (o *opener) wipe() { o.aead.Wipe() }

// open derives the epoch that a message's header names. It costs a derivation
// and a key schedule, and the message still has to authenticate.
func (v *view) open(h *header) (*opener, error) {
	t, err := v.match(h)
	if err != nil {
		return nil, err
	}
	a, err := t.open(h, labelMessage, "")
	if err != nil {
		return nil, err
	}
	return &opener{*h, t, a}, nil
}
