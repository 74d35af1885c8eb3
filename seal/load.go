package seal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
)

// A loaded is a record as the store gave it: parsed, and not older than what
// this process or its anchor has seen, but not yet authenticated.
type loaded struct {
	*record.Record
	clear, sealed []byte
	rev           string
	digest        record.Digest
}

// load reads the record. It returns ErrUninitialized only where the store was
// reached, holds none, and nothing says that it should.
func (b *Barrier) load(ctx context.Context) (*loaded, error) {
	if err := b.recall(ctx); err != nil {
		return nil, err
	}
	stored, rev, err := b.loadStored(ctx)
	b.mu.Lock()
	seen := b.mark
	b.mu.Unlock()
	switch {
	case errors.Is(err, ErrNotFound):
		if seen.generation > 0 {
			return nil, fmt.Errorf("%w: generation %d of it was seen: restore it", ErrMissing, seen.generation)
		}
		if len(b.cfg.Pins) > 0 {
			return nil, fmt.Errorf("%w: the configuration pins a record and the store is empty: is the right volume mounted? To begin anew, remove the pins", ErrMissing)
		}
		return nil, ErrUninitialized
	case err != nil:
		return nil, storeError(err)
	}
	l, err := b.parse(stored)
	if err != nil {
		return nil, err
	}
	l.rev = rev
	if w, ok := b.cfg.Store.(interface{ Warnings() []string }); ok {
		warnings := w.Warnings()
		b.mu.Lock()
		b.storeWarnings = warnings
		b.mu.Unlock()
	}
	switch {
	case seen.generation == 0 || l.digest == seen.digest:
	case l.Store != seen.store:
		return nil, fmt.Errorf("%w: store %s, where %s was before", ErrOtherStore, l.Store, seen.store)
	case l.Generation < seen.generation:
		return nil, fmt.Errorf("%w: the record is of generation %d, and generation %d was seen", ErrRolledBack, l.Generation, seen.generation)
	case l.Generation == seen.generation:
		return nil, fmt.Errorf("%w: another record of generation %d", ErrForked, l.Generation)
	}
	return l, nil
}

// storeError tells a store that cannot be read now from one that holds what
// nobody should read.
func storeError(err error) error {
	for _, known := range []error{ErrCorrupt, ErrNewerFormat, ErrExposed} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
}

// parse reads a stored record, or remembers it: most loads find the record of
// the load before.
func (b *Barrier) parse(stored []byte) (*loaded, error) {
	if len(stored) > MaxRecordSize {
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", ErrCorrupt, len(stored), MaxRecordSize)
	}
	digest := record.DigestOf(stored)
	b.mu.Lock()
	last := b.parsed
	b.mu.Unlock()
	if last != nil && last.digest == digest {
		l := *last
		return &l, nil
	}
	rec, clear, sealed, err := record.Parse(stored)
	switch {
	case errors.Is(err, record.ErrNewer):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w: restore it from a backup", ErrCorrupt, err)
	}
	l := loaded{Record: rec, clear: clear, sealed: sealed, digest: digest}
	b.mu.Lock()
	b.parsed = &l
	b.mu.Unlock()
	out := l
	return &out, nil
}

const sealedInfo = "sealwright/record/v1"

// unlock opens the sealed part with a root key, of a record that descends from
// the one this process knew. The opened has a copy of root.
func (b *Barrier) unlock(l *loaded, root []byte) (*opened, error) {
	o, err := unlockAny(l, root)
	if err != nil {
		return nil, err
	}
	if err := b.descends(&o.state, l.digest); err != nil {
		o.wipe()
		return nil, err
	}
	return o, nil
}

// unlockAny is unlock for any record, also an older one or a fork.
func unlockAny(l *loaded, root []byte) (*opened, error) {
	digest := sha256.Sum256(l.clear)
	secrets, err := openSecrets(root, l.sealed, digest)
	if err != nil {
		return nil, err
	}
	o := &opened{
		state: record.State{Record: *l.Record, Secrets: *secrets}, root: bytes.Clone(root),
		rev: l.rev, digest: l.digest, clear: digest, sealed: l.sealed,
	}
	if err := o.state.Agree(); err != nil {
		o.wipe()
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

// descends checks that a record now authenticated is the one this process knew
// or comes after it.
func (b *Barrier) descends(s *record.State, digest record.Digest) error {
	b.mu.Lock()
	seen := b.mark
	b.mu.Unlock()
	if seen.generation == 0 || digest == seen.digest {
		return nil
	}
	if seen.term != [32]byte{} && !slices.ContainsFunc(s.Terms, func(t record.Term) bool { return termDigest(&t) == seen.term }) {
		// Whoever once read a sealed part knows the identities of all its
		// slots, and digests are public; the data key in use is neither.
		return fmt.Errorf("%w: generation %d does not hold the data key that this process used last: if that term was retired in the meantime, restart the process", ErrForked, s.Generation)
	}
	switch after, sure := s.After(seen.generation, seen.digest); {
	case !after:
		return fmt.Errorf("%w: generation %d does not descend from the generation %d this process knew", ErrForked, s.Generation, seen.generation)
	case !sure:
		b.emit(EventLongFork, By{}, "", fmt.Sprintf("%d changes were missed, and the record tells of %d", s.Generation-seen.generation, len(s.Digests)), nil)
	}
	return nil
}

// unlockThrough opens the record with the seed of one of its slots, and checks
// that what the custodians hold names this slot's identity: a forger knows
// every public key, and not the identities.
func (b *Barrier) unlockThrough(l *loaded, slot *record.Slot, seed []byte, h *harvest) (*opened, error) {
	key, err := slotKey(seed)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	if subtle.ConstantTimeCompare(key.PublicKey(), slot.PublicKey) != 1 {
		return nil, ErrWrongCustodian
	}
	root, err := unwrapRoot(key, wrapPlace(l.Store, slot.ID, l.Root), slot.Wrap)
	if err != nil {
		return nil, fmt.Errorf("%w: the root key of slot %q: %w: restore the record from a backup", ErrCorrupt, slot.Name, err)
	}
	defer clear(root)
	o, err := b.unlock(l, root)
	switch {
	case errors.Is(err, aead.ErrWrongKey), errors.Is(err, aead.ErrCorrupt):
		return nil, fmt.Errorf("%w: the sealed part: %w: restore the record from a backup", ErrCorrupt, err)
	case err != nil:
		return nil, err
	}
	if err := b.believe(o, slot, h); err != nil {
		o.wipe()
		return nil, err
	}
	return o, nil
}

// believe decides whether an opened record was made by those who made the
// slot's keys.
func (b *Barrier) believe(o *opened, slot *record.Slot, h *harvest) error {
	identity := o.state.Identities[slot.ID]
	if !h.vouches(identity) {
		return fmt.Errorf("%w: it opens with slot %q, but does not know what its custodians hold: find out who can write to the store, and restore it", ErrForged, slot.Name)
	}
	fingerprint := record.FingerprintOf(identity)
	pinned := slices.ContainsFunc(b.cfg.Pins, func(p string) bool {
		pin, _ := parsePin(p)
		return subtle.ConstantTimeCompare(pin, fingerprint[:12]) == 1
	})
	b.mu.Lock()
	known := b.mark.store == o.state.Store && slices.Contains(b.mark.fingerprints, [12]byte(fingerprint[:12]))
	b.mu.Unlock()
	switch {
	case pinned, known, h.people:
		// A slot of a record that this process has opened is as good as pinned,
		// and a share's own text is a pin that its custodian brings along.
		return nil
	case len(b.cfg.Pins) > 0:
		// Also where the KMS authenticates: an old record that a former holder
		// of its root key puts back opens with a key that was never dropped.
		return fmt.Errorf("%w: slot %q is not one of the pinned ones: if it is meant to open the store, pin its fingerprint", ErrForged, slot.Name)
	case h.bound:
		return nil
	case b.cfg.Unpinned:
		b.emit(EventUnpinned, By{}, slot.Name, "the store is believed without a pin, as configured", nil)
		return nil
	}
	return fmt.Errorf("%w: anybody with write access to the store could have made slot %q: set Config.Pins to its fingerprint, or Config.Unpinned", ErrUnpinned, slot.Name)
}

func parsePin(text string) ([]byte, error) {
	pin, err := hex.DecodeString(text)
	if err != nil || len(pin) != 12 {
		return nil, fmt.Errorf("%w: the pin %.40q is not the 24 hex digits of a slot's fingerprint", ErrConfig, text)
	}
	return pin, nil
}

// fetch returns the record now in the store, opened, for the caller to wipe;
// the caller has the turn, and the Barrier is unsealed. Where the root key was
// rotated elsewhere it follows through a KMS slot.
func (b *Barrier) fetch(ctx context.Context) (*opened, error) {
	cur, err := b.current()
	if err != nil {
		return nil, err
	}
	l, err := b.load(ctx)
	if err != nil {
		cur.wipe()
		return nil, err
	}
	if l.digest == cur.digest {
		cur.rev = l.rev
		return cur, nil
	}
	o, err := b.unlock(l, cur.root)
	cur.wipe()
	if errors.Is(err, aead.ErrWrongKey) {
		o, err = b.follow(ctx, l)
	}
	switch {
	case errors.Is(err, aead.ErrCorrupt):
		return nil, fmt.Errorf("%w: the sealed part: %w", ErrCorrupt, err)
	case err != nil:
		return nil, err
	}
	if err := b.install(o, intent{}); err != nil {
		return nil, err
	}
	b.moor(ctx)
	b.emit(EventRefresh, By{}, "", "", nil)
	return b.current()
}

// follow opens a record whose root key this process does not have: with that of
// a change it sent itself, or through a KMS slot.
func (b *Barrier) follow(ctx context.Context, l *loaded) (*opened, error) {
	roots, mine := b.draftRoots(l.digest)
	defer wipeAll(roots)
	open := b.unlock
	if mine {
		open = unlockAny // of a restore, which does not descend from what was here
	}
	for _, root := range roots {
		if o, err := open(l, root); err == nil {
			return o, nil
		}
	}
	o, _, err := b.openByKMS(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRootMoved, err)
	}
	return o, nil
}

// draftRoots returns copies of the root keys of the changes whose outcome is not
// known, and whether the record of that digest is one of them.
func (b *Barrier) draftRoots(digest record.Digest) (roots [][]byte, mine bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, draft := range b.drafts {
		roots = append(roots, bytes.Clone(draft().root))
		mine = mine || draft().digest == digest
	}
	return roots, mine
}

// Refresh takes in what other replicas changed. Call it when [keyring.Decrypt]
// meets an unknown term; Run does it whenever the store changes.
func (b *Barrier) Refresh(ctx context.Context) error {
	done, err := b.take(ctx)
	if err != nil {
		return wrapError("refresh", "", err)
	}
	defer done()
	o, err := b.fetch(ctx)
	if err != nil {
		return wrapError("refresh", "", err)
	}
	o.wipe()
	return nil
}

// now returns the time for stamps. No rule reads them.
func now() int64 { return time.Now().Unix() }
