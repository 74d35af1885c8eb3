package seal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/shamir"
)

// A tree protects a value of 32 bytes, the seed at its top. An inner node
// splits its value by Shamir's scheme, the children holding x = 1, 2, 3 … in
// their order. A KMS leaf encrypts its value under a random w of its own, and
// the KMS wraps w: what the KMS stores is never a key itself, and the box binds
// it to its place also where the KMS cannot. People hold their leaf's value in
// shares.

// A growth makes the tree of one new slot.
type growth struct {
	barrier  *Barrier
	store    string
	slot     string
	identity [32]byte // the SHA-256 that custodians hold
	nextSet  uint32
	sets     []ShareSet

	custodians map[string][]Custodian // by path
}

// grow returns a node that protects value; place is its path, k and n its
// parent's threshold and width.
func (g *growth) grow(ctx context.Context, spec record.Spec, value []byte, path string, k, n int) (record.Node, error) {
	switch {
	case spec.KMS != "":
		return g.growKey(ctx, spec.KMS, value, path, k, n)
	case spec.Of == nil:
		return g.growShares(spec, value, path)
	}
	parts, err := shamir.Split(value, len(spec.Of), spec.Threshold)
	if err != nil {
		return record.Node{}, fmt.Errorf("seal: split: %w", err)
	}
	defer wipeAll(parts)
	tree := &record.Tree{Threshold: spec.Threshold}
	for i, child := range spec.Of {
		node, err := g.grow(ctx, child, parts[i][:len(value)], record.ChildPath(path, i), spec.Threshold, len(spec.Of))
		if err != nil {
			return record.Node{}, err
		}
		tree.Of = append(tree.Of, node)
	}
	return record.Node{Threshold: tree}, nil
}

func (g *growth) growKey(ctx context.Context, name string, value []byte, path string, k, n int) (record.Node, error) {
	plain := make([]byte, 64) // w, then the identity that travels with it
	defer clear(plain)
	rand.Read(plain[:32])
	copy(plain[32:], g.identity[:])
	blob, err := g.barrier.wrapChecked(ctx, name, plain, kms.Binding{Store: g.store, Slot: g.slot, Path: path})
	if err != nil {
		return record.Node{}, err
	}
	box, err := aead.SealBox(plain[:32], leafInfo(g.store, g.slot, path, k, n, blob), value, nil)
	if err != nil {
		return record.Node{}, fmt.Errorf("seal: %w", err)
	}
	return record.Node{KMS: &record.Key{Name: name, Blob: *blob, Box: box}}, nil
}

func (g *growth) growShares(spec record.Spec, value []byte, path string) (record.Node, error) {
	parts := [][]byte{withX(value, 1)}
	if spec.Shares > 1 {
		wipeAll(parts)
		var err error
		if parts, err = shamir.Split(value, spec.Shares, spec.Threshold); err != nil {
			return record.Node{}, fmt.Errorf("seal: split: %w", err)
		}
	}
	defer wipeAll(parts)
	g.nextSet++
	node := &record.Shares{Shares: spec.Shares, Threshold: spec.Threshold, Set: g.nextSet}
	set := ShareSet{Slot: g.slot, Path: path, Set: g.nextSet, Threshold: spec.Threshold}
	for _, part := range parts {
		y, x := part[:len(value)], part[len(value)]
		c := commitment(g.store, g.slot, path, node.Set, x, y)
		node.Commitments = append(node.Commitments, c[:])
		set.Shares = append(set.Shares, newShare([12]byte(g.identity[:12]), node.Set, x, y))
	}
	for i, c := range g.custodians[path] {
		node.Custodians = append(node.Custodians, c.Name)
		if err := set.address(i, c); err != nil {
			Delivery{Sets: []ShareSet{set}}.Wipe()
			return record.Node{}, err
		}
	}
	g.sets = append(g.sets, set)
	return record.Node{Shamir: node}, nil
}

// leafInfo binds the box of a KMS leaf to its place and to the key that
// answered.
func leafInfo(store, slot, path string, k, n int, blob *kms.Blob) string {
	return string(place("sealwright/leaf/v1", store, slot, path, k, n, blob.Type, blob.KeyID, blob.Version))
}

// commitment is what the record holds of a share. The share has 256 bits that
// nobody can guess, so its hash tells nothing of it.
func commitment(store, slot, path string, set uint32, x byte, y []byte) [32]byte {
	h := sha256.New()
	h.Write(place("sealwright/share/v1", store, slot, path, set, x))
	h.Write(y)
	return [32]byte(h.Sum(nil))
}

// A harvest opens the tree of one stored slot.
type harvest struct {
	barrier *Barrier
	store   string
	slot    *record.Slot
	shares  map[uint32][]heldShare // verified, by set; nil: machines only

	// What the opened leaves said of the slot's identity. It is bound where a
	// leaf could only have been made by somebody trusted with its key.
	identities [][]byte
	bound      bool
	people     bool // a share's text named it
}

type heldShare struct {
	x byte
	y []byte
}

var errNeedsPeople = errors.New("seal: more shares are needed")

// open returns the node's value. People's shares are combined before any KMS
// is called.
func (h *harvest) open(ctx context.Context, node *record.Node, path string, k, n int) ([]byte, error) {
	switch {
	case node.KMS != nil:
		return h.openKey(ctx, node.KMS, path, k, n)
	case node.Shamir != nil:
		return h.openShares(node.Shamir)
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
			value, err := h.open(ctx, child, record.ChildPath(path, i), tree.Threshold, len(tree.Of))
			if err != nil {
				errs = append(errs, err)
				continue
			}
			parts = append(parts, withX(value, byte(i+1)))
			clear(value)
		}
	}
	if len(parts) < tree.Threshold {
		return nil, errors.Join(append(errs, fmt.Errorf("seal: slot %q: %d of the %d parts needed", h.slot.Name, len(parts), tree.Threshold))...)
	}
	value, err := shamir.Combine(parts)
	if err != nil {
		return nil, fmt.Errorf("seal: slot %q: %w", h.slot.Name, err)
	}
	return value, nil
}

// answer reports whether all that stands beside people in a node opens.
func (h *harvest) answer(ctx context.Context, node *record.Node, path string, k, n int) error {
	switch {
	case node.Shamir != nil:
		return nil
	case !node.NeedsPeople():
		value, err := h.open(ctx, node, path, k, n)
		clear(value)
		return err
	}
	tree := node.Threshold
	for i := range tree.Of {
		if err := h.answer(ctx, &tree.Of[i], record.ChildPath(path, i), tree.Threshold, len(tree.Of)); err != nil {
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

func (h *harvest) openShares(leaf *record.Shares) ([]byte, error) {
	held := h.shares[leaf.Set]
	if len(held) < leaf.Threshold {
		return nil, errNeedsPeople
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
		return nil, fmt.Errorf("seal: slot %q: %w", h.slot.Name, err)
	}
	return value, nil
}

func (h *harvest) openKey(ctx context.Context, leaf *record.Key, path string, k, n int) ([]byte, error) {
	binding := kms.Binding{Store: h.store, Slot: h.slot.Name, Path: path}
	plain, err := h.barrier.unwrap(ctx, leaf.Name, &leaf.Blob, binding)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	lying := func(what error) error {
		return &kms.Error{Op: "unwrap", Type: leaf.Blob.Type, KeyID: leaf.Blob.KeyID, Kind: kms.ErrCorrupt,
			Err: fmt.Errorf("KMS %q answered, but not with the key of slot %q: %w", leaf.Name, h.slot.Name, what)}
	}
	if len(plain) != 64 {
		return nil, lying(errors.New("an answer of the wrong length"))
	}
	value, err := aead.OpenBox(plain[:32], leafInfo(h.store, h.slot.Name, path, k, n, &leaf.Blob), leaf.Box, nil)
	if err != nil {
		return nil, lying(err)
	}
	if len(value) != seedSize {
		clear(value)
		return nil, lying(errors.New("a value of the wrong length"))
	}
	h.identities = append(h.identities, append([]byte{}, plain[32:]...))
	if a, ok := h.barrier.cfg.KMS[leaf.Name].(kms.Authenticator); ok && a.Authenticates(&leaf.Blob) {
		h.bound = true
	}
	return value, nil
}

// wipe clears the shares.
func (h *harvest) wipe() {
	for _, held := range h.shares {
		for _, share := range held {
			clear(share.y)
		}
	}
}

// vouches reports whether what the custodians hold names this identity.
func (h *harvest) vouches(identity [32]byte) bool {
	digest := record.FingerprintOf(identity)
	for _, held := range h.identities {
		if subtle.ConstantTimeCompare(held, digest[:len(held)]) != 1 {
			return false
		}
	}
	return true
}

// withX returns y ‖ x, as package shamir takes it. Y is copied once: a slice that
// grew would leave copies behind.
func withX(y []byte, x byte) []byte {
	return append(append(make([]byte, 0, len(y)+1), y...), x)
}

func wipeAll(parts [][]byte) {
	for _, p := range parts {
		clear(p)
	}
}
