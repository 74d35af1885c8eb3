package ledger

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
)

const sealedInfo = "sealwright/record/v1"

// A Stored is a record as the store gave it: parsed, but not yet authenticated.
type Stored struct {
	*record.Record
	Rev    string
	Digest record.Digest

	clear, sealed []byte
}

// An Opened is a record with what it protects. At rest it has no other key than
// the root key. Whoever holds one wipes it.
type Opened struct {
	State  record.State
	Root   []byte // in locked memory at rest
	Rev    string
	Digest record.Digest

	// Missed says, where this process missed more changes than the record tells
	// of, that its descent could not be verified; "" where it was.
	Missed string

	// By is what opened it, as whoever did so calls it, for the tale alone.
	By []string

	// Peer is the replica whose root key opened it; "" for none.
	Peer string

	clear  [sha256.Size]byte // digest of the clear part
	sealed []byte
}

// Parse reads a record that is in no store, as of a fork.
func Parse(stored []byte) (*Stored, error) {
	if len(stored) > MaxRecordSize {
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", ErrCorrupt, len(stored), MaxRecordSize)
	}
	rec, clear, sealed, err := record.Parse(stored)
	if err != nil {
		return nil, err
	}
	return &Stored{Record: rec, clear: clear, sealed: sealed, Digest: record.DigestOf(stored)}, nil
}

// Open opens the record with its root key, of which the Opened has a copy,
// whatever this process has seen before. A root key that is not the record's is
// aead.ErrWrongKey.
func (s *Stored) Open(root []byte) (*Opened, error) {
	digest := sha256.Sum256(s.clear)
	secrets, err := openSecrets(root, s.sealed, digest)
	if err != nil {
		return nil, err
	}
	o := &Opened{
		State: record.State{Record: *s.Record, Secrets: *secrets}, Root: bytes.Clone(root),
		Rev: s.Rev, Digest: s.Digest, clear: digest, sealed: s.sealed,
	}
	if err := o.State.Agree(); err != nil {
		o.Wipe()
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return o, nil
}

// openSecrets opens a sealed part; digest is that of the clear part.
func openSecrets(root, sealed []byte, digest [sha256.Size]byte) (*record.Secrets, error) {
	plain, err := aead.OpenBox(root, sealedInfo, sealed, digest[:])
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	secrets, err := record.ParseSecrets(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return secrets, nil
}

// Wipe wipes all keys.
func (o *Opened) Wipe() {
	secret.Free(o.Root)
	o.Root = nil
	o.State.Secrets.Wipe()
}

// LockRoot wipes all keys but the root key, which it moves to locked memory.
func (o *Opened) LockRoot() {
	root := secret.Keep(o.Root)
	clear(o.Root)
	o.Root = root
	for i := range o.State.Terms {
		o.State.Terms[i].Key = [32]byte{}
	}
	clear(o.State.Identities)
}

// Reopen returns a copy of an Opened at rest with all its keys, for the caller to
// wipe.
func (o *Opened) Reopen() (*Opened, error) {
	secrets, err := openSecrets(o.Root, o.sealed, o.clear)
	if err != nil {
		return nil, fmt.Errorf("%w: what this process held: %w", ErrCorrupt, err)
	}
	out := *o
	out.State, out.Root = o.State.Clone(), bytes.Clone(o.Root)
	out.State.Secrets = *secrets
	return &out, nil
}

// Part returns what it takes to try one slot of an Opened: the record, the root key
// and the slot's identity, for the caller to wipe.
func (o *Opened) Part(slot uint32) *Opened {
	identity := map[uint32][32]byte{slot: o.State.Identities[slot]}
	return &Opened{State: record.State{Record: o.State.Record, Secrets: record.Secrets{Identities: identity}}, Root: bytes.Clone(o.Root)}
}

// Draft seals the state under the root key, and opens the result again before
// anybody else has to.
func Draft(next record.State, root []byte) (*Opened, []byte, error) {
	clearPart, err := next.Record.Clear()
	if err != nil {
		return nil, nil, fmt.Errorf("seal: encode the record: %w", err)
	}
	digest := sha256.Sum256(clearPart)
	plain := next.Secrets.Marshal()
	defer clear(plain)
	sealed, err := aead.SealBox(root, sealedInfo, plain, digest[:])
	if err != nil {
		return nil, nil, fmt.Errorf("seal: seal the record: %w", err)
	}
	stored := record.Assemble(clearPart, sealed)
	if len(stored) > MaxRecordSize {
		return nil, nil, fmt.Errorf("%w: it would have %d bytes, more than %d", ErrTooLarge, len(stored), MaxRecordSize)
	}
	s, err := Parse(stored)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: the record made does not read back: %w", err)
	}
	check, err := s.Open(root)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: the record made does not open: %w", err)
	}
	return check, stored, nil
}
