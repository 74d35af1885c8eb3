package custody

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/shamir"
)

// A builder makes the tree of one slot.
type builder struct {
	keys     *Keys
	store    string
	slot     string
	identity [32]byte // its SHA-256, which shares and blobs carry
	nextSet  uint32
	sets     []ShareSet
	leaves   []leaf
}

// A leaf is what a KMS is still to be asked for.
type leaf struct {
	name  string
	value []byte // what the leaf protects
	at    position
	node  *record.Key // where it goes
}

// NewSlot makes the slot that would be the next one of rec: its seed, the tree
// that protects it, and the root key encrypted to it. The shares are the
// caller's.
func (k *Keys) NewSlot(ctx context.Context, rec *record.Record, name string, spec record.Spec, root []byte) (record.NewSlot, []ShareSet, error) {
	seed := RandomKey()
	defer clear(seed)
	n := record.NewSlot{Name: name}
	rand.Read(n.Identity[:])
	b := builder{keys: k, store: rec.Store, slot: name, identity: record.FingerprintOf(n.Identity), nextSet: rec.LastSet}
	var err error
	defer b.wipe()
	if n.Tree, err = b.grow(spec, seed, top); err == nil {
		err = b.askKeys(ctx)
	}
	if err == nil {
		n.PublicKey, n.Wrap, err = b.encrypt(seed, rec, root)
	}
	if err != nil {
		wipeSets(b.sets)
		return n, nil, err
	}
	return n, b.sets, nil
}

// encrypt returns the slot's public key, and the root key encrypted to it.
func (b *builder) encrypt(seed []byte, rec *record.Record, root []byte) (public, wrap []byte, err error) {
	key, err := SlotKey(seed)
	if err != nil {
		return nil, nil, err
	}
	defer key.Wipe()
	public = key.PublicKey()
	wrap, err = WrapRoot(public, rec.Store, rec.LastSlot+1, rec.Root, root)
	return public, wrap, err
}

// grow returns a node that protects value. Its KMS leaves are empty until askKeys
// has filled them.
func (b *builder) grow(spec record.Spec, value []byte, at position) (record.Node, error) {
	switch {
	case spec.KMS != "":
		return b.growKey(spec.KMS, value, at), nil
	case spec.Of == nil:
		return b.growShares(spec, value, at)
	}
	parts, err := shamir.Split(value, len(spec.Of), spec.Threshold)
	if err != nil {
		return record.Node{}, fmt.Errorf("seal: split: %w", err)
	}
	defer wipeAll(parts)
	tree := &record.Tree{Threshold: spec.Threshold}
	for i, child := range spec.Of {
		node, err := b.grow(child, parts[i][:len(value)], at.child(i, spec.Threshold, len(spec.Of)))
		if err != nil {
			return record.Node{}, err
		}
		tree.Of = append(tree.Of, node)
	}
	return record.Node{Threshold: tree}, nil
}

// growKey returns a leaf that askKeys is to fill; value is copied.
func (b *builder) growKey(name string, value []byte, at position) record.Node {
	node := &record.Key{Name: name}
	b.leaves = append(b.leaves, leaf{name, bytes.Clone(value), at, node})
	return record.Node{KMS: node}
}

// askKeys has the KMS of all leaves wrap, side by side.
func (b *builder) askKeys(ctx context.Context) error {
	return causes.Join(all(len(b.leaves), func(i int) error {
		secret.BurnStack()
		defer secret.BurnStack()
		return b.fill(ctx, &b.leaves[i])
	})...)
}

func (b *builder) fill(ctx context.Context, l *leaf) error {
	plain := make([]byte, 64) // w, then the identity that travels with it
	defer clear(plain)
	rand.Read(plain[:32])
	copy(plain[32:], b.identity[:])
	blob, err := b.keys.WrapChecked(ctx, l.name, plain, kms.Binding{Store: b.store, Slot: b.slot, Path: l.at.path})
	if err != nil {
		return err
	}
	box, err := aead.SealBox(plain[:32], LeafContext(b.store, b.slot, l.at.path, l.at.threshold, l.at.width, blob), l.value, nil)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	l.node.Blob, l.node.Box = *blob, box
	return nil
}

// wipe clears what the leaves protect.
func (b *builder) wipe() {
	for _, l := range b.leaves {
		clear(l.value)
	}
}

func (b *builder) growShares(spec record.Spec, value []byte, at position) (record.Node, error) {
	parts := [][]byte{withX(value, 1)}
	if spec.Shares > 1 {
		wipeAll(parts)
		var err error
		if parts, err = shamir.Split(value, spec.Shares, spec.Threshold); err != nil {
			return record.Node{}, fmt.Errorf("seal: split: %w", err)
		}
	}
	defer wipeAll(parts)
	b.nextSet++
	node := &record.Shares{Shares: spec.Shares, Threshold: spec.Threshold, Set: b.nextSet}
	set := ShareSet{Path: at.path, Set: b.nextSet, Threshold: spec.Threshold}
	for _, part := range parts {
		y, x := part[:len(value)], part[len(value)]
		c := commitment(b.store, b.slot, at.path, node.Set, x, y)
		node.Commitments = append(node.Commitments, c[:])
		own := append(make([]byte, 0, len(y)), y...)
		set.Shares = append(set.Shares, Share{[12]byte(b.identity[:12]), node.Set, x, secret.New(own)})
	}
	b.sets = append(b.sets, set)
	return record.Node{Shamir: node}, nil
}

// LeafContext binds the box of a KMS leaf to its place, its parent's threshold
// and width, and to the key that answered.
func LeafContext(store, slot, path string, threshold, width int, blob *kms.Blob) string {
	return string(encode("sealwright/leaf/v1", store, slot, path, threshold, width, blob.Type, blob.KeyID, blob.Version))
}

// commitment is what the record holds of a share. The share has 256 bits that
// nobody can guess, so its hash tells nothing of it.
func commitment(store, slot, path string, set uint32, x byte, y []byte) [32]byte {
	text := slices.Concat(encode("sealwright/share/v1", store, slot, path, set, x), y)
	defer clear(text)
	return aead.Digest(text)
}

// Renew returns the slot's tree with every KMS leaf wrapped anew: the leaf's
// value is opened, and protected again. What people hold stays.
func (k *Keys) Renew(ctx context.Context, store string, slot *record.Slot, identity [32]byte) (record.Node, error) {
	b := builder{keys: k, store: store, slot: slot.Name, identity: record.FingerprintOf(identity)}
	defer b.wipe()
	var old []*record.Key
	tree := b.renew(&slot.Tree, top, &old)
	o := opener{keys: k, store: store, slot: slot}
	err := causes.Join(all(len(old), func(i int) error {
		secret.BurnStack()
		defer secret.BurnStack()
		p, err := o.openKey(ctx, old[i], b.leaves[i].at)
		if err != nil {
			return err
		}
		b.leaves[i].value = p.value
		return b.fill(ctx, &b.leaves[i])
	})...)
	return tree, err
}

// renew returns the tree with its KMS leaves to be filled, and lists the old
// ones in the order of b.leaves.
func (b *builder) renew(node *record.Node, at position, old *[]*record.Key) record.Node {
	switch {
	case node.Shamir != nil:
		return *node
	case node.KMS != nil:
		*old = append(*old, node.KMS)
		return b.growKey(node.KMS.Name, nil, at)
	}
	tree := &record.Tree{Threshold: node.Threshold.Threshold}
	for i := range node.Threshold.Of {
		tree.Of = append(tree.Of, b.renew(&node.Threshold.Of[i], at.child(i, node.Threshold.Threshold, len(node.Threshold.Of)), old))
	}
	return record.Node{Threshold: tree}
}
