package keyring

import (
	"cmp"
	"crypto/subtle"
	"fmt"
	"slices"
	"time"
)

// An Owner is the writer's side of a [Keyring]: it puts terms in, and takes
// them all away. A host that uses package seal has no need of it, since the
// Barrier owns the keyring. Its methods are safe for concurrent use.
type Owner struct {
	k *Keyring
}

// New returns the owner of a new keyring, which is sealed.
func New() *Owner {
	return &Owner{&Keyring{
		limit:   limits{epochUnits, lease, termEpochs, maxChunks},
		spent:   make(map[termName]*spent),
		streams: make(map[*streamKey]struct{}),
	}}
}

// Keyring returns the keyring, the same for the Owner's life.
func (o *Owner) Keyring() *Keyring { return o.k }

// termName is what a key must be the only one of.
type termName struct {
	store  string
	number uint32
}

// Install gives the keyring its terms, in place of those it has; it is how a
// keyring is opened, and how it follows a rotation. The store is the id of the
// store that the terms belong to, of 1 to 255 bytes: what is encrypted in one
// store does not decrypt in another, even under the same key.
//
// Exactly one term is active. What begins after Install returns encrypts under
// it; what was in flight may still end under the one before. Install does not
// wait for readers, nor they for it. The keys of terms that are gone are wiped
// as soon as the last reader has left, at the latest by Seal, and streams
// under them end with [ErrUnknownTerm].
//
// Install keeps copies, and clears the keys in terms. It returns [ErrTerms],
// with the keyring unchanged, for a list that is no keyring, and [ErrWrongKey]
// for a number that had another key in this process.
func (o *Owner) Install(store string, terms []Term) error {
	defer func() {
		for i := range terms {
			clear(terms[i].Key[:])
		}
	}()
	if err := check(store, terms); err != nil {
		return err
	}
	k := o.k
	k.mu.Lock()
	defer k.mu.Unlock()
	next, err := k.build(store, terms)
	if err != nil {
		return err
	}
	k.replace(next)
	return nil
}

// check refuses terms that make no keyring.
func check(store string, terms []Term) error {
	refuse := func(term uint32, text string) error {
		return &Error{Op: "install", Term: term, Err: fmt.Errorf("%w: %s", ErrTerms, text)}
	}
	if len(store) < 1 || len(store) > 255 {
		return refuse(0, "the store id has not 1 to 255 bytes")
	}
	active, seen := 0, make(map[uint32]bool, len(terms))
	for i := range terms {
		t := &terms[i]
		switch {
		case t.Number == 0:
			return refuse(0, "a term has the number 0")
		case seen[t.Number]:
			return refuse(t.Number, "the number is there twice")
		case t.Key == Key{}:
			return refuse(t.Number, "the key is not there")
		}
		seen[t.Number] = true
		if t.Active {
			active++
		}
	}
	if active != 1 {
		return refuse(0, fmt.Sprintf("%d terms are active, instead of one", active))
	}
	return nil
}

// build makes the next view. A term that is installed already stays the same
// termKey, and with it what is cached. Keyring.mu is held.
func (k *Keyring) build(store string, terms []Term) (*view, error) {
	old, next := k.view.Load(), &view{}
	var made []*termKey
	for i := range terms {
		var t *termKey
		if old != nil {
			t = old.find(terms[i].Number)
		}
		if t == nil || t.store != store || subtle.ConstantTimeCompare(t.key, terms[i].Key[:]) != 1 {
			t = newTermKey(store, &terms[i])
			made = append(made, t)
		}
		next.terms = append(next.terms, t)
		if terms[i].Active {
			next.active = t
		}
	}
	for _, t := range made {
		if s := k.spent[termName{store, t.number}]; s != nil && s.keyID != t.keyID {
			for _, t := range made {
				t.wipe()
			}
			return nil, &Error{Op: "install", Term: t.number, Err: ErrWrongKey}
		}
	}
	for _, t := range made {
		name := termName{store, t.number}
		if k.spent[name] == nil {
			k.spent[name] = &spent{keyID: t.keyID}
		}
		t.spent = k.spent[name]
	}
	slices.SortFunc(next.terms, func(a, b *termKey) int { return cmp.Compare(a.number, b.number) })
	return next, nil
}

// replace publishes a view, nil to seal, and has wiped what it leaves out.
// Keyring.mu is held.
func (k *Keyring) replace(next *view) {
	kept := make(map[*termKey]bool)
	var epoch *epoch
	why := ErrSealed
	if next != nil {
		for _, t := range next.terms {
			kept[t] = true
		}
		epoch = next.active.newEpoch(k.limit)
		why = ErrUnknownTerm
	}
	old := k.view.Load()
	if old != nil {
		// First out of the cache, then the next view in: nobody waits for its
		// readers, so they must not find what is about to be wiped.
		k.forget(old, kept)
	}
	k.view.Store(next)
	oldEpoch := k.epoch.Swap(epoch)
	if old == nil {
		return
	}
	dropped := old.evicted
	for _, t := range old.terms {
		if !kept[t] {
			dropped = append(dropped, t)
		}
	}
	k.endStreams(why, kept)
	k.bury(&oldEpoch.gate, oldEpoch)
	k.bury(&old.gate, dropped...)
}

// Seal takes all terms away. It waits for the operations in flight, which end
// as if Seal had come later, wipes the keys and everything derived from them,
// and returns when that is done. From its beginning until the next Install
// every call returns [ErrSealed].
func (o *Owner) Seal() {
	k := o.k
	k.mu.Lock()
	k.replace(nil)
	told := slices.Clip(k.onSeal)
	k.mu.Unlock()
	defer k.drain() // whatever the host's functions do
	for _, f := range slices.Backward(told) {
		defer f()
	}
}

// drain waits until the keys that nobody may reach any more are wiped.
func (k *Keyring) drain() {
	for wait := time.Duration(0); ; wait = min(wait+10*time.Microsecond, time.Millisecond) {
		k.mu.Lock()
		done := k.sweep()
		k.mu.Unlock()
		if done {
			return
		}
		time.Sleep(wait)
	}
}

// Usage says how much of what is safe this process has encrypted under the
// active term.
type Usage struct {
	Term      uint32
	Epochs    int // keys derived from the term's, of 2^24 messages or 256 GiB each
	MaxEpochs int // what Epochs cannot exceed; beyond, Encrypt returns [ErrExhausted]
}

// Usage returns the usage of the active term. Rotate at half of it: a service
// that encrypts a million messages a second takes six days there. The error is
// [ErrSealed].
func (o *Owner) Usage() (Usage, error) {
	k := o.k
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.view.Load()
	if v == nil {
		return Usage{}, &Error{Op: "usage", Err: ErrSealed}
	}
	return Usage{v.active.number, v.active.spent.epochs, k.limit.termEpochs}, nil
}
