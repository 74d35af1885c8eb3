// Package record is the pure core of a seal: what one record holds, and the
// only ways in which it changes. State and event go in, state comes out; there
// is no clock, no I/O, no randomness and no cryptography here, so that a model
// checker can walk the very functions that run in production. Package seal is
// the shell around it; seal/STATES.md is the table of its transitions.
package record

import (
	"crypto/sha256"
	"slices"
	"strconv"

	"github.com/sealwright/sealwright/kms"
)

// Limits of a record. They bound what a hostile store can make a reader do.
const (
	Format      = 2 // the newest format that this code knows
	MaxFormat   = 1 << 16
	MaxSlots    = 16 // slots, pending ones included
	MaxLeaves   = 16 // leaves in the tree of one slot
	MaxDepth    = 4  // levels of a tree, a lone leaf being one
	MaxName     = 64 // bytes of a slot's or a KMS key's name
	MaxFormer   = 32 // share sets remembered
	MaxDigests  = 64 // digests of earlier records that the sealed part keeps
	MaxJournal  = 64 // journal entries that the sealed part keeps
	MaxTerms    = 1 << 16
	MaxIdentity = 64 // bytes of an actor, a replica or an operation id

	leaseFormat = 2 // the first that knows a lease
)

// Digest is the SHA-256 of a whole record, as stored.
type Digest [sha256.Size]byte

// Slot states. An initial slot was made by init and opens the store, so that
// unsealing by it proves it; a pending one was added later and does not open
// the store until it is proven; an active one was proven.
const (
	Initial = "initial"
	Pending = "pending"
	Active  = "active"
)

// Record is the clear part. Every byte of it is authenticated by the sealed
// part; none of it is secret.
//
//	clear part                                 sealed part, under the root key
//	store, generation, previous ─────────────▶ digests of the records before
//	slots: tree ─▶ seed ─▶ key pair            identities, one for each slot
//	       wrap: the root key for the key pair
//	last_term …: numbers ever used             terms: the data keys
//	operation in progress                      journal
type Record struct {
	Format     int        `json:"format"`
	MinReader  int        `json:"min_reader"`
	Store      string     `json:"store"`      // 32 hex digits
	Generation uint64     `json:"generation"` // 1, 2, 3 …: one more with every swap
	Previous   HexBytes   `json:"previous,omitempty"`
	Root       uint32     `json:"root"`      // number of the root key
	LastTerm   uint32     `json:"last_term"` // highest term number ever used
	LastSlot   uint32     `json:"last_slot"` // highest slot id ever used
	LastSet    uint32     `json:"last_set"`  // highest share set ever used
	Slots      []Slot     `json:"slots"`
	Former     []Former   `json:"former,omitempty"` // share sets that open nothing any more, oldest first
	Operation  *Operation `json:"operation,omitempty"`
	Lease      *Lease     `json:"lease,omitempty"`
}

// Former is a share set whose slot is gone. It is kept so that its shares are
// told from those of another store.
type Former struct {
	Set         uint32   `json:"set"`
	Fingerprint HexBytes `json:"fingerprint"`
}

// Slot is one protected copy of the root key: a tree that protects a seed, the
// public key derived from the seed, and the root key encrypted to it.
type Slot struct {
	ID          uint32   `json:"id"` // never used twice
	Name        string   `json:"name"`
	State       string   `json:"state"`
	Fingerprint HexBytes `json:"fingerprint"` // first 12 bytes of the identity's SHA-256
	Tree        Node     `json:"tree"`
	PublicKey   []byte   `json:"public_key"`
	Wrap        []byte   `json:"wrap"` // the root key, encrypted to PublicKey
	Proven      *Proof   `json:"proven,omitempty"`
}

// Proof says when a slot last opened the stored record.
type Proof struct {
	Root       uint32 `json:"root"`       // the root key it opened
	Generation uint64 `json:"generation"` // of the record it opened
	Operation  string `json:"operation,omitempty"`
	At         int64  `json:"at"` // Unix seconds, for people: no rule reads it
}

// Node is a place in a slot's tree; exactly one of its fields is set.
type Node struct {
	KMS       *Key    `json:"kms,omitempty"`
	Shamir    *Shares `json:"shamir,omitempty"`
	Threshold *Tree   `json:"threshold,omitempty"`
}

// Key is a leaf protected by a KMS: the blob yields the key of the box, the
// box the leaf's value.
type Key struct {
	Name string   `json:"name"` // of the wrapper in the host's configuration
	Blob kms.Blob `json:"blob"`
	Box  []byte   `json:"box"`
}

// Shares is a leaf held by people. Commitments[i] is that of the share x = i+1.
type Shares struct {
	Shares      int        `json:"shares"`
	Threshold   int        `json:"threshold"`
	Set         uint32     `json:"set"` // never used twice in a store
	Commitments []HexBytes `json:"commitments"`
	Custodians  []string   `json:"custodians,omitempty"` // who holds which, if it was said
}

// Tree is an inner node: Threshold of its children yield its value.
type Tree struct {
	Threshold int    `json:"threshold"`
	Of        []Node `json:"of"`
}

// Spec is the shape of a tree without what protects it.
type Spec struct {
	KMS       string `json:"kms,omitempty"`
	Shares    int    `json:"shares,omitempty"`
	Threshold int    `json:"threshold,omitempty"`
	Of        []Spec `json:"of,omitempty"`
}

// Operation is what is in progress on a store: at most one at a time.
type Operation struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Slot    string `json:"slot,omitempty"` // what is to be proven
	Began   uint64 `json:"began"`          // generation of the record that began it
	At      int64  `json:"at"`             // Unix seconds, for people
	Replica string `json:"replica"`        // where its shares are gathered
	Actor   string `json:"actor,omitempty"`
	Desired []Goal `json:"desired,omitempty"` // of a drop or a migration
}

// Covers reports whether p is a part of the migration o: a proof of a slot that
// it wants or keeps, or a drop of slots that it drops.
func (o *Operation) Covers(p *Operation) bool {
	return o.Kind == OpMigrate && p.Kind != OpMigrate && !slices.ContainsFunc(p.Desired, func(g Goal) bool {
		return !slices.ContainsFunc(o.Desired, func(h Goal) bool { return h.Drop && h.Name == g.Name })
	})
}

// Same reports whether two operations are about the same thing.
func (o *Operation) Same(p *Operation) bool {
	return o.Kind == p.Kind && o.Slot == p.Slot && slices.EqualFunc(o.Desired, p.Desired, func(a, b Goal) bool {
		return a.Name == b.Name && a.Drop == b.Drop && (a.Spec == nil) == (b.Spec == nil) && (a.Spec == nil || a.Spec.Equal(*b.Spec))
	})
}

// Operation kinds.
const (
	OpInit    = "init" // until a slot is proven
	OpProve   = "prove"
	OpDrop    = "drop"
	OpMigrate = "migrate"
)

// Goal is a slot that a migration wants; Drop names one it wants gone.
type Goal struct {
	Name string `json:"name"`
	Spec *Spec  `json:"spec,omitempty"`
	Drop bool   `json:"drop,omitempty"`
}

// Term is a data key in the sealed part.
type Term struct {
	Number  uint32
	State   TermState
	Created int64 // Unix seconds, for people
	Key     [32]byte
}

// TermState says what a term is used for.
type TermState byte

const (
	TermPassive TermState = 1 // published, decrypts; not yet encrypting
	TermActive  TermState = 2 // encrypts; exactly one
	TermOld     TermState = 3 // decrypts what was written under it
)

// Entry is a line of the journal.
type Entry struct {
	Generation uint64
	At         int64 // Unix seconds
	Event      string
	Slot       string
	Actor      string
	Replica    string
	Operation  string
}

// Secrets is what the root key encrypts.
type Secrets struct {
	Terms      []Term
	Identities map[uint32][32]byte // by slot id
	Digests    []Digest            // of the records before this one, newest first
	Journal    []Entry             // oldest first
}

// State is a record opened.
type State struct {
	Record
	Secrets
}

// Slot returns the slot with that id, or nil.
func (r *Record) Slot(id uint32) *Slot {
	for i := range r.Slots {
		if r.Slots[i].ID == id {
			return &r.Slots[i]
		}
	}
	return nil
}

// Find returns the slot with that name and state, or nil.
func (r *Record) Find(name, state string) *Slot {
	for i := range r.Slots {
		if r.Slots[i].Name == name && r.Slots[i].State == state {
			return &r.Slots[i]
		}
	}
	return nil
}

// Predecessor returns the active slot that the pending slot s would replace.
func (r *Record) Predecessor(s *Slot) *Slot {
	if s.State != Pending {
		return nil
	}
	return r.Find(s.Name, Active)
}

// ActiveTerm returns the term that encrypts.
func (s *Secrets) ActiveTerm() *Term {
	return &s.Terms[s.FindTerm(func(t *Term) bool { return t.State == TermActive })] // a state always has one
}

// FindTerm returns the index of the first term that f holds of, or -1. It hands out no
// copy, which would leave the data key on the stack.
func (s *Secrets) FindTerm(f func(*Term) bool) int {
	for i := range s.Terms {
		if f(&s.Terms[i]) {
			return i
		}
	}
	return -1
}

// Proved reports whether any slot was ever proven: before that, nothing was
// encrypted.
func (r *Record) Proved() bool {
	return slices.ContainsFunc(r.Slots, func(s Slot) bool { return s.State == Active })
}

// Opens reports whether the slot opens the store.
func (s *Slot) Opens() bool { return s.State != Pending }

// Spec returns the shape of the tree.
func (n *Node) Spec() Spec {
	switch {
	case n.KMS != nil:
		return Spec{KMS: n.KMS.Name}
	case n.Shamir != nil:
		return Spec{Shares: n.Shamir.Shares, Threshold: n.Shamir.Threshold}
	}
	s := Spec{Threshold: n.Threshold.Threshold}
	for i := range n.Threshold.Of {
		s.Of = append(s.Of, n.Threshold.Of[i].Spec())
	}
	return s
}

// Leaves calls yield for each leaf of the tree.
func (n *Node) Leaves(yield func(*Node) bool) bool {
	if n.Threshold == nil {
		return yield(n)
	}
	for i := range n.Threshold.Of {
		if !n.Threshold.Of[i].Leaves(yield) {
			return false
		}
	}
	return true
}

// Walk calls f for each leaf with its path: "" for a lone one, "2.1" for the
// first child of the second.
func (n *Node) Walk(path string, f func(path string, leaf *Node)) {
	if n.Threshold == nil {
		f(path, n)
		return
	}
	for i := range n.Threshold.Of {
		n.Threshold.Of[i].Walk(ChildPath(path, i), f)
	}
}

// At returns the leaf at a path of the tree, or nil.
func (n *Node) At(path string) (leaf *Node) {
	n.Walk("", func(p string, l *Node) {
		if p == path {
			leaf = l
		}
	})
	return leaf
}

// ChildPath returns the path of a node's child i, counted from 0.
func ChildPath(path string, i int) string {
	if path == "" {
		return strconv.Itoa(i + 1)
	}
	return path + "." + strconv.Itoa(i+1)
}

// NeedsPeople reports whether the tree cannot be opened by KMS keys alone.
func (n *Node) NeedsPeople() bool {
	switch {
	case n.KMS != nil:
		return false
	case n.Shamir != nil:
		return true
	}
	machines := 0
	for i := range n.Threshold.Of {
		if !n.Threshold.Of[i].NeedsPeople() {
			machines++
		}
	}
	return machines < n.Threshold.Threshold
}

// People reports whether any leaf is held by people.
func (n *Node) People() bool {
	found := false
	n.Leaves(func(l *Node) bool { found = l.Shamir != nil; return !found })
	return found
}

// Keys reports whether any leaf is protected by a KMS.
func (n *Node) Keys() bool {
	found := false
	n.Leaves(func(l *Node) bool { found = l.KMS != nil; return !found })
	return found
}

// Equal reports whether two shapes are the same.
func (s Spec) Equal(t Spec) bool {
	return s.KMS == t.KMS && s.Shares == t.Shares && s.Threshold == t.Threshold && slices.EqualFunc(s.Of, t.Of, Spec.Equal)
}
