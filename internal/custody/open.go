package custody

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/shamir"
)

var (
	// ErrNeedsPeople: the shares given do not suffice.
	ErrNeedsPeople = errors.New("seal: more shares are needed")
	// ErrWrongCustodian: a seed was found, and it is not this slot's.
	ErrWrongCustodian = errors.New("seal: not the key of this slot")
	// ErrDamaged: the slot's copy of the root key does not open with the slot's
	// own key.
	ErrDamaged = errors.New("damaged")
)

// An Answer is what the custodians of one slot yielded, and what they said of
// the slot's identity. Whoever gets one wipes it.
type Answer struct {
	Root []byte // nil where only the keys were asked

	// Bound: a leaf could only have been made by somebody trusted with its key.
	Bound bool
	// People: a share's text named the identity.
	People bool

	identities [][]byte
}

// Names reports whether what the custodians hold names this identity: a forger
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
	defer clear(seed)
	key, err := SlotKey(seed)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	if !equal(key.PublicKey(), slot.PublicKey) {
		return nil, ErrWrongCustodian
	}
	root, err := unwrapRoot(key, WrapContext(rec.Store, slot.ID, rec.Root), slot.Wrap)
	if err != nil {
		return nil, fmt.Errorf("the root key of slot %q: %w: %w", slot.Name, ErrDamaged, err)
	}
	o.answer.Root = root
	return &o.answer, nil
}

// AskKeys asks all that stands beside people in the slot's tree whether it
// opens, and nobody else.
func (k *Keys) AskKeys(ctx context.Context, store string, slot *record.Slot) (*Answer, error) {
	o := opener{keys: k, store: store, slot: slot}
	if err := o.ask(ctx, &slot.Tree, top); err != nil {
		return nil, err
	}
	return &o.answer, nil
}

// An opener opens the tree of one stored slot.
type opener struct {
	keys   *Keys
	store  string
	slot   *record.Slot
	shares map[uint32][]heldShare // verified, by set; nil: machines only
	answer Answer
}

type heldShare struct {
	x byte
	y []byte
}

// open returns the node's value. People's shares are combined before any KMS
// is called.
func (o *opener) open(ctx context.Context, node *record.Node, at position) ([]byte, error) {
	switch {
	case node.KMS != nil:
		return o.openKey(ctx, node.KMS, at)
	case node.Shamir != nil:
		return o.openShares(node.Shamir)
	}
	tree := node.Threshold
	var parts [][]byte
	defer func() { wipeAll(parts) }()
	var errs []error
	for _, people := range []bool{true, false} {
		for i := range tree.Of {
			child := &tree.Of[i]
			if child.People() != people || len(parts) == tree.Threshold {
				continue
			}
			if !people && len(parts)+machines(tree.Of, i) < tree.Threshold {
				break // the rest cannot reach the threshold: ask no KMS in vain
			}
			value, err := o.open(ctx, child, at.child(i, tree.Threshold, len(tree.Of)))
			if err != nil {
				errs = append(errs, err)
				continue
			}
			parts = append(parts, withX(value, byte(i+1)))
			clear(value)
		}
	}
	if len(parts) < tree.Threshold {
		return nil, errors.Join(append(errs, fmt.Errorf("seal: slot %q: %d of the %d parts needed", o.slot.Name, len(parts), tree.Threshold))...)
	}
	value, err := shamir.Combine(parts)
	if err != nil {
		return nil, fmt.Errorf("seal: slot %q: %w", o.slot.Name, err)
	}
	return value, nil
}

// ask reports whether all that stands beside people in a node opens.
func (o *opener) ask(ctx context.Context, node *record.Node, at position) error {
	switch {
	case node.Shamir != nil:
		return nil
	case !node.NeedsPeople():
		value, err := o.open(ctx, node, at)
		clear(value)
		return err
	}
	tree := node.Threshold
	for i := range tree.Of {
		if err := o.ask(ctx, &tree.Of[i], at.child(i, tree.Threshold, len(tree.Of))); err != nil {
			return err
		}
	}
	return nil
}

// machines counts the children from i on that need no people.
func machines(of []record.Node, i int) int {
	count := 0
	for ; i < len(of); i++ {
		if !of[i].People() {
			count++
		}
	}
	return count
}

func (o *opener) openShares(leaf *record.Shares) ([]byte, error) {
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

func (o *opener) openKey(ctx context.Context, leaf *record.Key, at position) ([]byte, error) {
	binding := kms.Binding{Store: o.store, Slot: o.slot.Name, Path: at.path}
	plain, err := o.keys.unwrap(ctx, leaf.Name, &leaf.Blob, binding)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	lying := func(what error) error {
		return &kms.Error{Op: "unwrap", Type: leaf.Blob.Type, KeyID: leaf.Blob.KeyID, Kind: kms.ErrCorrupt,
			Err: fmt.Errorf("KMS %q answered, but not with the key of slot %q: %w", leaf.Name, o.slot.Name, what)}
	}
	if len(plain) != 64 {
		return nil, lying(errors.New("an answer of the wrong length"))
	}
	value, err := aead.OpenBox(plain[:32], LeafContext(o.store, o.slot.Name, at.path, at.threshold, at.width, &leaf.Blob), leaf.Box, nil)
	if err != nil {
		return nil, lying(err)
	}
	if len(value) != SeedSize {
		clear(value)
		return nil, lying(errors.New("a value of the wrong length"))
	}
	o.answer.identities = append(o.answer.identities, append([]byte{}, plain[32:]...))
	if o.keys.authenticates(leaf.Name, &leaf.Blob) {
		o.answer.Bound = true
	}
	return value, nil
}

// wipe clears the shares.
func (o *opener) wipe() {
	for _, held := range o.shares {
		for _, share := range held {
			clear(share.y)
		}
	}
}
