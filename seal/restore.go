package seal

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// skipTerms is how many term numbers a restore leaves out: more than the lost
// records can have used, since nobody rotates a thousand times between two
// backups.
const skipTerms = 1024

// Restore goes on with an older record that was put into the store on purpose,
// from a backup: the door for what otherwise is [ErrRolledBack]. The caller
// names the generation of that record, so that no other slips through, and the
// process must know its digest as that of a record before its own, of which it
// remembers the last 64, or of one that it made itself. Any other record is
// [ErrNotKnown], whoever wrote it, and goes on by [Admin.RestoreUnknown]
// alone. The Barrier is unsealed; after a cold start with the older record it
// is unsealed by it as usual.
//
// Numbers of terms that the lost records may have used are left out, so that
// none ever means two keys, and a new term is active at once. Terms that this
// process still holds from the lost records are kept: what was written under
// them stays readable. Where the record was changed since it was put back, and
// has another key for one of their numbers, Restore fails with [ErrTermTwice].
//
// The root key is replaced too: a slot that only a lost record had opens nothing
// that comes after. A slot that was dropped since, and that the older record
// has, opens the store again, and with it what this process kept: drop it
// anew.
//
// Stop other processes before the record is put back. Those that saw the lost
// records report [ErrForked] or [ErrRolledBack] until they are restarted, and
// encrypt under their last term until then; any that was running on the record
// now restored would change it unasked.
func (a *Admin) Restore(ctx context.Context, generation uint64, by By) error {
	return a.b.restoreIf(ctx, fmt.Sprintf("generation %d", generation), by, func(l *ledger.Stored, cur *ledger.Opened) error {
		switch {
		case l.Generation != generation:
			return fmt.Errorf("%w: the record in the store is of generation %d, not %d", ErrConfig, l.Generation, generation)
		case !a.b.knows(l.Digest, cur):
			return fmt.Errorf("%w: its digest is %x. A former custodian could have written it: if it is the backup that you mean, name its digest to RestoreUnknown", ErrNotKnown, l.Digest)
		}
		return nil
	})
}

// RestoreUnknown is [Admin.Restore] of a record that this process does not
// know: one that is older than the last 64, or was never before its own. Nothing
// tells it from one that a former custodian wrote, with a slot of their own,
// and everything that this process knows is then encrypted to that slot. So the
// caller names the record by its digest, the SHA-256 of its bytes in 64
// hexadecimal digits, which must come from where the backup is kept and not from
// the store that it was put into; and names in admit, by its fingerprint, each
// slot that the record has and the record of this process has not. One that is
// not named is [ErrNotKnown], and nothing is changed. What is encrypted under
// the record's data keys is believed from then on.
func (a *Admin) RestoreUnknown(ctx context.Context, digest string, admit []string, by By) error {
	named, err := hex.DecodeString(digest)
	if err != nil || len(named) != len(record.Digest{}) {
		return fmt.Errorf("%w: a record's digest is 64 hexadecimal digits", ErrConfig)
	}
	return a.b.restoreIf(ctx, "unknown to this process, of digest "+hex.EncodeToString(named), by, func(l *ledger.Stored, cur *ledger.Opened) error {
		if l.Digest != record.Digest(named) {
			return fmt.Errorf("%w: the digest of the record in the store is %x, not %x", ErrConfig, l.Digest, named)
		}
		return admits(&cur.State.Record, l.Record, admit)
	})
}

// knows reports whether a record is that of this process, one before it, or one
// that this process sent itself.
func (b *Barrier) knows(digest record.Digest, cur *ledger.Opened) bool {
	return digest == cur.Digest || slices.Contains(cur.State.Digests, digest) || b.ledger.Sent(digest)
}

// admits refuses a record that has a slot which is neither in the one that is
// known nor named.
func admits(known, other *record.Record, admit []string) error {
	for i := range other.Slots {
		slot := &other.Slots[i]
		fingerprint := hex.EncodeToString(slot.Fingerprint)
		seen := slices.ContainsFunc(known.Slots, func(o record.Slot) bool {
			return bytes.Equal(o.PublicKey, slot.PublicKey) && bytes.Equal(o.Fingerprint, slot.Fingerprint)
		})
		if !seen && !slices.Contains(admit, fingerprint) {
			return fmt.Errorf("%w: it has a slot %q (%s) that the record of this process has not: admit its fingerprint if you know who holds it", ErrNotKnown, slot.Name, fingerprint)
		}
	}
	return nil
}

// restoreIf restores the record in the store, if the caller means this one.
func (b *Barrier) restoreIf(ctx context.Context, which string, by By, meant func(l *ledger.Stored, cur *ledger.Opened) error) error {
	if err := by.check(); err != nil {
		return err
	}
	err := b.restore(ctx, by, meant)
	b.emit(EventRestore, by, "", which, err)
	return wrapError("restore", "", err)
}

func (b *Barrier) restore(ctx context.Context, by By, meant func(l *ledger.Stored, cur *ledger.Opened) error) error {
	defer clean()()
	t, err := b.take(ctx) // so that what was stored before is held by now
	if err != nil {
		return err
	}
	cur, err := b.current()
	if err != nil {
		t.end()
		return err
	}
	defer cur.Wipe()
	l, err := b.ledger.LoadAny(ctx)
	t.end()
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrMissing
	case err != nil:
		return err
	case l.Store != cur.State.Store:
		return ErrOtherStore
	}
	if err := meant(l, cur); err != nil {
		return err
	}
	o, err := b.openAny(ctx, l, cur)
	if err != nil {
		return err
	}
	defer o.Wipe()
	if !sharesTerm(&o.State, &cur.State) {
		return fmt.Errorf("%w: it holds no data key that this process knows", ErrForked)
	}
	knew := cur.State.Record
	knew.Generation = max(knew.Generation, b.ledger.Newest().Generation)
	last := max(o.State.LastTerm, cur.State.LastTerm)
	rewrap, root, err := newBranch(&o.State, last+skipTerms)
	if err != nil {
		return err
	}
	defer clear(root)
	defer rewrap.Wipe()
	next, err := o.State.Restore(b.step(l.Digest, by), &knew, cur.State.Terms, *rewrap)
	if err != nil {
		return err
	}
	defer next.Secrets.Wipe()
	draft, stored, err := ledger.Draft(next, root)
	if err != nil {
		return err
	}
	return b.store(ctx, stored, l.Rev, draft)
}

// Join takes in the data keys of a fork: of a record of the same store that
// was changed apart from this one, as after two halves of a cluster each kept a
// copy. What was written on either side is readable afterwards. Where both used
// a term number for keys of their own, Join fails with [ErrTermTwice] and
// changes nothing: the two sides' data cannot be told apart by number. The
// fork is opened with the root key in use, or through a KMS slot. The root key
// is replaced, so that a slot that only the fork had opens nothing that comes
// after. Join no record of unknown origin: whoever wrote it knows the data keys
// that it brings, and what they encrypt is believed from then on.
func (a *Admin) Join(ctx context.Context, fork []byte, by By) error {
	if err := by.check(); err != nil {
		return err
	}
	err := a.b.join(ctx, fork, by)
	a.b.emit(EventJoin, by, "", "", err)
	return wrapError("join", "", err)
}

func (b *Barrier) join(ctx context.Context, fork []byte, by By) error {
	defer clean()()
	l, err := ledger.Parse(fork)
	if err != nil {
		return fmt.Errorf("%w: the fork: %w", ErrCorrupt, err)
	}
	cur, err := b.current()
	if err != nil {
		return err
	}
	defer cur.Wipe()
	if l.Store != cur.State.Store {
		return ErrOtherStore
	}
	other, err := b.openAny(ctx, l, cur)
	if err != nil {
		return fmt.Errorf("the fork: %w", err)
	}
	defer other.Wipe()
	if !sharesTerm(&other.State, &cur.State) {
		return fmt.Errorf("%w: the fork holds no data key that this process knows", ErrForked)
	}
	return b.commit(ctx, EventJoin, by, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		rewrap, root, err := newBranch(&o.State, max(o.State.LastTerm, other.State.LastTerm))
		if err != nil {
			return record.State{}, nil, err
		}
		defer rewrap.Wipe()
		next, err := o.State.Join(st, &other.State.Record, other.State.Terms, *rewrap)
		return next, root, err
	})
}

// sharesTerm reports whether two records have a data key in common, as every
// two of one store do.
func sharesTerm(a, b *record.State) bool {
	return a.FindTerm(func(t *record.Term) bool {
		return b.FindTerm(func(u *record.Term) bool { return t.Number == u.Number && t.Key == u.Key }) >= 0
	}) >= 0
}

// openAny opens a record of another branch: with the root key in use, that of a
// change this process sent, or through a KMS slot.
func (b *Barrier) openAny(ctx context.Context, l *ledger.Stored, cur *ledger.Opened) (*ledger.Opened, error) {
	o, err := b.ledger.OpenAny(l, cur.Root)
	if !errors.Is(err, aead.ErrWrongKey) {
		if errors.Is(err, aead.ErrCorrupt) {
			err = fmt.Errorf("%w: the sealed part: %w", ErrCorrupt, err)
		}
		return o, err
	}
	slots := machines(l.Record)
	o, i, _ := custody.Race(ctx, len(slots), b.cfg.HeadStart, func(ctx context.Context, i int, _ func()) (*ledger.Opened, error) {
		defer clean()()
		return b.openSlot(ctx, l, slots[i], b.custody, nil, (*ledger.Stored).Open)
	}, (*ledger.Opened).Wipe)
	if i >= 0 {
		return o, nil
	}
	return nil, fmt.Errorf("%w: it has another root key, and no KMS slot opens it: start a process on it, and unseal that with shares", ErrRootMoved)
}

// newBranch makes a root key, and a term whose number comes after last.
func newBranch(s *record.State, last uint32) (*record.NewRoot, []byte, error) {
	r, root, err := newRoot(s, nil, false)
	if err != nil {
		return nil, nil, err
	}
	term := newTerm(&record.Record{LastTerm: last}, record.TermActive)
	r.Term = &term
	return r, root, nil
}
