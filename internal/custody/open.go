package custody

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/shamir"
)

var (
	// ErrNeedsPeople: the shares given do not suffice.
	ErrNeedsPeople = errors.New("seal: more shares are needed")
	// ErrWrongSeed: a seed was found, and it is not this slot's.
	ErrWrongSeed = errors.New("seal: not the key of this slot")
	// ErrDamaged: the slot's copy of the root key does not open with the slot's
	// own key.
	ErrDamaged = errors.New("damaged")
)

// An Answer is what the shares and KMS keys of one slot yielded, and what they said
// of the slot's identity. Whoever gets one wipes it.
type Answer struct {
	Root []byte // nil where only the keys were asked

	// Bound: a leaf could only have been made by somebody trusted with its key.
	Bound bool
	// People: a share's text named the identity.
	People bool
	// KMS has the names of those whose keys had a part in it.
	KMS []string

	identities [][]byte
}

// Names reports whether the shares and blobs that were opened name this identity: a forger
// knows every public key, and not the identities.
func (a *Answer) Names(identity [32]byte) bool {
	digest := record.FingerprintOf(identity)
	for _, held := range a.identities {
		if subtle.ConstantTimeCompare(held, digest[:len(held)]) != 1 {
			return false
		}
	}
	return true
}

// Wipe wipes the root key.
func (a *Answer) Wipe() { clear(a.Root) }

// Open opens one slot of the record, from the seed on, with the shares of q, or
// by keys alone where q is nil.
func (k *Keys) Open(ctx context.Context, rec *record.Record, slot *record.Slot, q *Quorum) (*Answer, error) {
	o := opener{keys: k, store: rec.Store, slot: slot}
	if q != nil {
		q.into(&o)
		defer o.wipe()
	}
	seed, err := o.open(ctx, &slot.Tree, top)
	if err != nil {
		return nil, err
	}
	defer seed.wipe()
	key, err := SlotKey(seed.value)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	if !equal(key.PublicKey(), slot.PublicKey) {
		return nil, ErrWrongSeed
	}
	root, err := unwrapRoot(key, WrapContext(rec.Store, slot.ID, rec.Root), slot.Wrap)
	if err != nil {
		return nil, fmt.Errorf("the root key of slot %q: %w: %w", slot.Name, ErrDamaged, err)
	}
	return &Answer{Root: root, Bound: seed.bound, People: len(o.named) > 0, KMS: seed.kms, identities: append(seed.identities, o.named...)}, nil
}

// AskKeys asks all that stands beside people in the slot's tree whether it
// opens, and nobody else.
func (k *Keys) AskKeys(ctx context.Context, store string, slot *record.Slot) (*Answer, error) {
	o := opener{keys: k, store: store, slot: slot}
	var nodes []*record.Node
	var places []position
	beside(&slot.Tree, top, func(n *record.Node, at position) { nodes, places = append(nodes, n), append(places, at) })
	parts := make([]part, len(nodes))
	err := causes.Join(all(len(nodes), func(i int) (err error) {
		parts[i], err = o.open(ctx, nodes[i], places[i])
		return err
	})...)
	var a Answer
	for _, p := range parts {
		p.wipe()
		a.identities = append(a.identities, p.identities...)
	}
	return &a, err
}

// beside calls f for each greatest part of the tree that needs no people.
func beside(n *record.Node, at position, f func(*record.Node, position)) {
	switch {
	case n.Shamir != nil:
		return
	case !n.NeedsPeople():
		f(n, at)
		return
	}
	for i := range n.Threshold.Of {
		beside(&n.Threshold.Of[i], at.child(i, n.Threshold.Threshold, len(n.Threshold.Of)), f)
	}
}

// An opener opens the tree of one stored slot. Nothing in it changes while it
// does, as members of a tree are asked side by side. One that is late may be at
// work when it has: it finds no shares then.
type opener struct {
	keys  *Keys
	store string
	slot  *record.Slot
	named [][]byte // the identities that the shares' texts name

	mu     sync.Mutex             // over the shares
	shares map[uint32][]heldShare // verified, by set; nil: machines only, or wiped
}

type heldShare struct {
	x byte
	y []byte
}

// A part is the value of a node, and what the leaves that yielded it said of
// the slot's identity, and are.
type part struct {
	value      []byte
	identities [][]byte
	bound      bool
	kms        []string
}

func (p part) wipe() { clear(p.value) }

// open returns the node's value. Of an inner node it combines what the shares
// yield first; of the keys it asks as many as are missing side by side, and one
// more when one fails or does not answer in time. Where the rest cannot reach
// the threshold it asks none.
func (o *opener) open(ctx context.Context, node *record.Node, at position) (part, error) {
	switch {
	case node.KMS != nil:
		return o.openKey(ctx, node.KMS, at)
	case node.Shamir != nil:
		value, err := o.openShares(node.Shamir)
		return part{value: value}, err
	}
	tree := node.Threshold
	child := func(ctx context.Context, i int) (part, error) {
		return o.open(ctx, &tree.Of[i], at.child(i, tree.Threshold, len(tree.Of)))
	}
	var got []finish[part]
	defer func() {
		for _, f := range got {
			f.value.wipe()
		}
	}()
	var asked []int // the children that keys have a part in, and that could open
	var errs []error
	for i := range tree.Of {
		switch {
		case len(got) == tree.Threshold:
		case tree.Of[i].Keys() && o.could(&tree.Of[i]):
			asked = append(asked, i)
		case tree.Of[i].Keys():
			errs = append(errs, ErrNeedsPeople)
		default:
			if p, err := child(ctx, i); err == nil {
				got = append(got, finish[part]{p, i})
			} else {
				errs = append(errs, err)
			}
		}
	}
	if need := tree.Threshold - len(got); need > 0 && need <= len(asked) {
		won, failed := first(ctx, len(asked), need, o.keys.head, func(ctx context.Context, i int, _ func()) (part, error) {
			secret.BurnStack()
			defer secret.BurnStack()
			return child(ctx, asked[i])
		}, part.wipe)
		for _, f := range won {
			got = append(got, finish[part]{f.value, asked[f.i]})
		}
		errs = append(errs, failed...)
	}
	if len(got) < tree.Threshold {
		return part{}, causes.Join(append(errs, fmt.Errorf("seal: slot %q: %d of the %d parts needed", o.slot.Name, len(got), tree.Threshold))...)
	}
	return o.combine(got)
}

// combine returns the value that the children's parts yield.
func (o *opener) combine(got []finish[part]) (out part, err error) {
	var parts [][]byte
	defer func() { wipeAll(parts) }()
	for _, f := range got {
		parts = append(parts, withX(f.value.value, byte(f.i+1)))
		out.identities = append(out.identities, f.value.identities...)
		out.bound = out.bound || f.value.bound
		out.kms = append(out.kms, f.value.kms...)
	}
	if out.value, err = shamir.Combine(parts); err != nil {
		return part{}, fmt.Errorf("seal: slot %q: %w", o.slot.Name, err)
	}
	return out, nil
}

// could reports whether a node opens, its keys willing.
func (o *opener) could(n *record.Node) bool {
	switch {
	case n.KMS != nil:
		return true
	case n.Shamir != nil:
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.shares[n.Shamir.Set]) >= n.Shamir.Threshold
	}
	willing := 0
	for i := range n.Threshold.Of {
		if o.could(&n.Threshold.Of[i]) {
			willing++
		}
	}
	return willing >= n.Threshold.Threshold
}

func (o *opener) openShares(leaf *record.Shares) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	held := o.shares[leaf.Set]
	if len(held) < leaf.Threshold {
		return nil, ErrNeedsPeople
	}
	if leaf.Threshold == 1 {
		return append([]byte{}, held[0].y...), nil
	}
	parts := make([][]byte, leaf.Threshold)
	defer wipeAll(parts)
	for i := range parts {
		parts[i] = withX(held[i].y, held[i].x)
	}
	value, err := shamir.Combine(parts)
	if err != nil {
		return nil, fmt.Errorf("seal: slot %q: %w", o.slot.Name, err)
	}
	return value, nil
}

func (o *opener) openKey(ctx context.Context, leaf *record.Key, at position) (part, error) {
	binding := kms.Binding{Store: o.store, Slot: o.slot.Name, Path: at.path}
	plain, err := o.keys.unwrap(ctx, leaf.Name, &leaf.Blob, binding)
	if err != nil {
		return part{}, err
	}
	defer clear(plain)
	lying := func(what error) error {
		return &kms.Error{Op: "unwrap", Type: leaf.Blob.Type, KeyID: leaf.Blob.KeyID, Kind: kms.ErrCorrupt,
			Err: fmt.Errorf("KMS %q answered, but not with the key of slot %q: %w", leaf.Name, o.slot.Name, what)}
	}
	if len(plain) != 64 {
		return part{}, lying(errors.New("an answer of the wrong length"))
	}
	value, err := aead.OpenBox(plain[:32], LeafContext(o.store, o.slot.Name, at.path, at.threshold, at.width, &leaf.Blob), leaf.Box, nil)
	if err != nil {
		return part{}, lying(err)
	}
	if len(value) != SeedSize {
		clear(value)
		return part{}, lying(errors.New("a value of the wrong length"))
	}
	return part{value, [][]byte{bytes.Clone(plain[32:])}, o.keys.authenticates(leaf.Name, &leaf.Blob), []string{leaf.Name}}, nil
}

// wipe clears the shares.
func (o *opener) wipe() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, held := range o.shares {
		for _, share := range held {
			clear(share.y)
		}
	}
	o.shares = nil
}
