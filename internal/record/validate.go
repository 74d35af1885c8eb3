package record

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// CheckName reports why name cannot name a slot or a KMS key.
func CheckName(name string) error {
	if len(name) > MaxName || !namePattern.MatchString(name) {
		return fmt.Errorf("the name %.80q must be 1 to %d letters, digits, dots, dashes and underscores, and begin with a letter or digit", name, MaxName)
	}
	return nil
}

// CheckIdentity reports why text cannot name an actor, a replica or an
// operation.
func CheckIdentity(text string) error {
	if len(text) > MaxIdentity || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("%.80q must be at most %d printable ASCII characters", text, MaxIdentity)
	}
	return nil
}

// Check reports why the shape cannot protect a slot.
func (s Spec) Check() error {
	leaves := 0
	return s.check(1, &leaves)
}

func (s Spec) check(depth int, leaves *int) error {
	if depth > MaxDepth {
		return fmt.Errorf("a tree has at most %d levels", MaxDepth)
	}
	switch {
	case s.KMS != "":
		if s.Shares != 0 || s.Threshold != 0 || s.Of != nil {
			return errors.New("a KMS leaf has neither shares nor a threshold")
		}
		if err := CheckName(s.KMS); err != nil {
			return err
		}
	case s.Of != nil:
		if s.Shares != 0 {
			return errors.New("an inner node has no shares of its own")
		}
		if s.Threshold < 2 || s.Threshold > len(s.Of) {
			return fmt.Errorf("the threshold of a tree is 2 to %d, the number of its children, not %d: for \"any one of\", use a slot each", len(s.Of), s.Threshold)
		}
		for _, child := range s.Of {
			if err := child.check(depth+1, leaves); err != nil {
				return err
			}
		}
		return nil
	default:
		if s.Shares < 1 || s.Shares > 255 {
			return fmt.Errorf("shares are 1 to 255, not %d", s.Shares)
		}
		if s.Threshold < 1 || s.Threshold > s.Shares {
			return fmt.Errorf("the threshold is 1 to %d, the number of shares, not %d", s.Shares, s.Threshold)
		}
		if s.Threshold == 1 && s.Shares > 1 {
			return errors.New("a threshold of 1 would make every share the whole key: use at least 2, or a single share")
		}
	}
	if *leaves++; *leaves > MaxLeaves {
		return fmt.Errorf("a tree has at most %d leaves", MaxLeaves)
	}
	return nil
}

func (r *Record) validate() error {
	if r.Format < 1 || r.Format > MaxFormat || r.MinReader < 1 || r.MinReader > r.Format {
		return errors.New("impossible format numbers")
	}
	if id, err := hex.DecodeString(r.Store); err != nil || len(id) != 16 || hex.EncodeToString(id) != r.Store {
		return errors.New("the store id is not 32 lower-case hex digits")
	}
	if r.Generation < 1 || r.Root < 1 || r.LastTerm < 1 {
		return errors.New("generation, root and last_term begin at 1")
	}
	for _, n := range r.numbers() {
		if n.Used > n.Limit {
			return fmt.Errorf("the %s is %d, above %d", n.What, n.Used, n.Limit)
		}
	}
	if want := 32; r.Generation == 1 && len(r.Previous) != 0 || r.Generation > 1 && len(r.Previous) != want {
		return errors.New("every record but the first names the digest of its predecessor")
	}
	if len(r.Slots) < 1 || len(r.Slots) > MaxSlots {
		return fmt.Errorf("a record has 1 to %d slots, not %d", MaxSlots, len(r.Slots))
	}
	type place struct{ name, state string }
	places, ids, sets := map[place]bool{}, map[uint32]bool{}, map[uint32]bool{}
	for i := range r.Slots {
		s := &r.Slots[i]
		if err := s.validate(); err != nil {
			return fmt.Errorf("slot %.80q: %w", s.Name, err)
		}
		if s.ID < 1 || s.ID > r.LastSlot || ids[s.ID] || places[place{s.Name, s.State}] {
			return fmt.Errorf("slot %q: its id or its name stands twice, or was never given", s.Name)
		}
		if p := s.Proven; p != nil && (p.Root > r.Root || p.Generation >= r.Generation) {
			return fmt.Errorf("slot %q: proven by a root key or a record that is none before this one", s.Name)
		}
		ids[s.ID], places[place{s.Name, s.State}] = true, true
		ok := s.Tree.Leaves(func(n *Node) bool {
			if n.Shamir == nil {
				return true
			}
			set := n.Shamir.Set
			fresh := set >= 1 && set <= r.LastSet && !sets[set]
			sets[set] = true
			return fresh
		})
		if !ok {
			return fmt.Errorf("slot %q: a share set stands twice, or was never given", s.Name)
		}
	}
	if len(r.Former) > MaxFormer {
		return fmt.Errorf("more than %d former share sets", MaxFormer)
	}
	for _, f := range r.Former {
		if f.Set < 1 || f.Set > r.LastSet || sets[f.Set] || len(f.Fingerprint) != 12 {
			return errors.New("a former share set that was never given, stands twice, or is in use")
		}
		sets[f.Set] = true
	}
	if initial := r.Operation != nil && r.Operation.Kind == OpInit; initial == r.Proved() {
		return errors.New("init is in progress if and only if no slot was proven")
	}
	if l := r.Lease; l != nil {
		if r.MinReader < leaseFormat {
			return errors.New("a lease, for readers that know none")
		}
		if err := l.validate(r, r.Generation); err != nil {
			return err
		}
	}
	if r.Operation != nil {
		return r.Operation.validate(r)
	}
	return nil
}

func (s *Slot) validate() error {
	if err := CheckName(s.Name); err != nil {
		return err
	}
	if s.State != Initial && s.State != Pending && s.State != Active {
		return fmt.Errorf("unknown state %.80q", s.State)
	}
	if len(s.Fingerprint) != 12 {
		return errors.New("the fingerprint has 12 bytes")
	}
	if len(s.PublicKey) == 0 || len(s.PublicKey) > 4096 || len(s.Wrap) == 0 || len(s.Wrap) > 4096 {
		return errors.New("the public key or the wrapped root key is missing or too long")
	}
	if s.State == Active && s.Proven == nil {
		return errors.New("active, but never proven")
	}
	if s.Proven != nil {
		if s.Proven.Root < 1 || s.Proven.Generation < 1 || !isTime(s.Proven.At) {
			return errors.New("a proof with impossible values")
		}
		if err := CheckIdentity(s.Proven.Operation); err != nil {
			return err
		}
	}
	if err := s.Tree.validate(1); err != nil {
		return err
	}
	if err := s.Tree.Spec().Check(); err != nil {
		return err
	}
	return s.Tree.distinct()
}

func (n *Node) validate(depth int) error {
	kinds := 0
	if n.KMS != nil {
		kinds++
		if len(n.KMS.Box) == 0 || len(n.KMS.Box) > 1024 || len(n.KMS.Blob.Ciphertext) > 16<<10 ||
			len(n.KMS.Blob.Type) > 64 || len(n.KMS.Blob.KeyID) > 2048 || len(n.KMS.Blob.Version) > 2048 {
			return errors.New("a KMS leaf with a missing or oversized part")
		}
	}
	if n.Shamir != nil {
		kinds++
		if len(n.Shamir.Commitments) != n.Shamir.Shares {
			return errors.New("not one commitment for each share")
		}
		if c := n.Shamir.Custodians; len(c) != 0 && len(c) != n.Shamir.Shares {
			return errors.New("not one custodian for each share")
		}
		for _, c := range n.Shamir.Custodians {
			if err := CheckIdentity(c); err != nil {
				return err
			}
		}
		for _, c := range n.Shamir.Commitments {
			if len(c) != 32 {
				return errors.New("a commitment has 32 bytes")
			}
		}
	}
	if n.Threshold != nil {
		kinds++
		if depth >= MaxDepth || len(n.Threshold.Of) > MaxLeaves || len(n.Threshold.Of) == 0 {
			return errors.New("a tree that is too deep, too wide or empty")
		}
		for i := range n.Threshold.Of {
			if err := n.Threshold.Of[i].validate(depth + 1); err != nil {
				return err
			}
		}
	}
	if kinds != 1 {
		return errors.New("a node is one of kms, shamir, threshold")
	}
	return nil
}

// distinct refuses a tree with two leaves on one key: it would look like two keys
// and be one.
func (n *Node) distinct() error {
	type key struct{ kind, id string }
	seen := map[key]bool{}
	var twice *key
	n.Leaves(func(l *Node) bool {
		if l.KMS != nil {
			k := key{l.KMS.Blob.Type, l.KMS.Blob.KeyID}
			if seen[k] {
				twice = &k
			}
			seen[k] = true
		}
		return twice == nil
	})
	if twice != nil {
		return fmt.Errorf("two leaves on the same key %.200q of %.64s", twice.id, twice.kind)
	}
	return nil
}

func (o *Operation) validate(r *Record) error {
	switch o.Kind {
	case OpInit, OpProve, OpDrop, OpMigrate:
	default:
		return fmt.Errorf("unknown operation kind %.80q", o.Kind)
	}
	if o.ID == "" || o.Began < 1 || o.Began > r.Generation || len(o.Desired) > 2*MaxSlots || !isTime(o.At) {
		return errors.New("an operation with impossible values")
	}
	if o.Slot != "" {
		if err := CheckName(o.Slot); err != nil {
			return err
		}
	}
	for _, t := range []string{o.ID, o.Replica, o.Actor} {
		if err := CheckIdentity(t); err != nil {
			return err
		}
	}
	for _, g := range o.Desired {
		if err := CheckName(g.Name); err != nil {
			return err
		}
		if g.Drop == (g.Spec != nil) {
			return fmt.Errorf("the goal %q must be either wanted or dropped", g.Name)
		}
		if g.Spec != nil {
			if err := g.Spec.Check(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Secrets) validate() error {
	active, last := 0, uint32(0)
	for i := range s.Terms {
		t := &s.Terms[i]
		if t.Number <= last {
			return fmt.Errorf("%w: terms out of order", ErrMalformed)
		}
		last = t.Number
		if !isTime(t.Created) {
			return fmt.Errorf("%w: term %d was made at no time", ErrMalformed, t.Number)
		}
		switch t.State {
		case TermActive:
			active++
		case TermPassive, TermOld:
		default:
			return fmt.Errorf("%w: term %d in an unknown state", ErrMalformed, t.Number)
		}
	}
	if active != 1 {
		return fmt.Errorf("%w: %d active terms", ErrMalformed, active)
	}
	for _, e := range s.Journal {
		if !isTime(e.At) || e.Generation > MaxGeneration {
			return fmt.Errorf("%w: a journal entry with impossible values", ErrMalformed)
		}
	}
	return nil
}

// isTime reports whether a stamp is of the years 1970 to 9999: a later one has
// no text in JSON.
func isTime(at int64) bool { return at >= 0 && at <= MaxTime }

// Agree reports why a clear and a sealed part, each valid, cannot be of one
// record. Whether the identities are those that shares and blobs name is not
// asked here: a record where they differ is forged, not damaged.
func (s *State) Agree() error {
	if last := s.Terms[len(s.Terms)-1].Number; last > s.LastTerm {
		return fmt.Errorf("%w: term %d is above last_term %d", ErrMalformed, last, s.LastTerm)
	}
	if len(s.Identities) != len(s.Slots) {
		return fmt.Errorf("%w: not one identity for each slot", ErrMalformed)
	}
	for i := range s.Slots {
		if _, ok := s.Identities[s.Slots[i].ID]; !ok {
			return fmt.Errorf("%w: slot %q has no identity", ErrMalformed, s.Slots[i].Name)
		}
	}
	if len(s.Digests) > 0 && s.Generation > 1 && string(s.Digests[0][:]) != string(s.Previous) {
		return fmt.Errorf("%w: the sealed part names another predecessor", ErrMalformed)
	}
	return nil
}
