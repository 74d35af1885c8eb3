package seal

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// A record is opened here, and nowhere else: custody finds the root key, the
// ledger opens the record with it, and believe decides whom to believe. It is
// the one place where the two rooms meet.

// custodians asks the custodians of one slot for the root key: its keys, and
// the people whose shares are in q, if there is one. The caller wipes the
// answer.
func (b *Barrier) custodians(ctx context.Context, rec *record.Record, slot *record.Slot, keys *custody.Keys, q *custody.Quorum) (*custody.Answer, error) {
	ctx, done := b.until(ctx)
	defer done()
	a, err := keys.Open(ctx, rec, slot, q)
	if errors.Is(err, custody.ErrDamaged) {
		err = fmt.Errorf("%w: %w: restore the record from a backup", ErrCorrupt, err)
	}
	return a, err
}

// openSlot opens the record through one slot. Unlock is how the ledger opens it:
// as a descendant of what this process knew, or whatever that was.
func (b *Barrier) openSlot(ctx context.Context, l *ledger.Stored, slot *record.Slot, keys *custody.Keys, q *custody.Quorum, unlock func(*ledger.Stored, []byte) (*ledger.Opened, error)) (*ledger.Opened, error) {
	a, err := b.custodians(ctx, l.Record, slot, keys, q)
	if err != nil {
		return nil, err
	}
	defer a.Wipe()
	o, err := unlock(l, a.Root)
	switch {
	case errors.Is(err, aead.ErrWrongKey), errors.Is(err, aead.ErrCorrupt):
		return nil, fmt.Errorf("%w: the sealed part: %w: restore the record from a backup", ErrCorrupt, err)
	case err != nil:
		return nil, err
	}
	o.By = a.KMS
	if o.Missed != "" {
		b.emitEvent(By{}, missed(o))
	}
	if err := b.believe(o, slot, a); err != nil {
		o.Wipe()
		return nil, err
	}
	return o, nil
}

// missed says that too many changes were missed to verify descent.
func missed(o *ledger.Opened) Event { return Event{Kind: EventLongFork, Detail: o.Missed} }

// machines lists the slots that open the store with nobody present.
func machines(rec *record.Record) (slots []*record.Slot) {
	for i := range rec.Slots {
		if s := &rec.Slots[i]; s.Opens() && !s.Tree.NeedsPeople() {
			slots = append(slots, s)
		}
	}
	return slots
}

// openByKMS opens the record through the slots that need nobody: the first at
// once, each further one after a head start or when one before it failed.
func (b *Barrier) openByKMS(ctx context.Context, l *ledger.Stored, keys *custody.Keys) (*ledger.Opened, *record.Slot, error) {
	slots := machines(l.Record)
	if len(slots) == 0 {
		return nil, nil, custody.ErrNeedsPeople
	}
	o, i, errs := custody.Race(ctx, len(slots), b.cfg.HeadStart, func(ctx context.Context, i int, _ func()) (*ledger.Opened, error) {
		return b.openByKeys(ctx, l, slots[i], keys)
	}, (*ledger.Opened).Wipe)
	if i < 0 {
		return nil, nil, causes.Join(errs...)
	}
	return o, slots[i], nil
}

// openByKeys opens the record through one slot that needs nobody.
func (b *Barrier) openByKeys(ctx context.Context, l *ledger.Stored, slot *record.Slot, keys *custody.Keys) (*ledger.Opened, error) {
	defer clean()()
	o, err := b.openSlot(ctx, l, slot, keys, nil, b.ledger.Unlock)
	b.drills.attempted(ctx, slot, err)
	return o, wrapError("open", slot.Name, err)
}

// believe decides whether an opened record was made by those who made the
// slot's keys.
func (b *Barrier) believe(o *ledger.Opened, slot *record.Slot, a *custody.Answer) error {
	identity := o.State.Identities[slot.ID]
	if !a.Names(identity) {
		return fmt.Errorf("%w: it opens with slot %q, but does not know what its custodians hold: find out who can write to the store, and restore it", ErrForged, slot.Name)
	}
	fingerprint := record.FingerprintOf(identity)
	pinned := b.isPin(fingerprint[:])
	newest := b.ledger.Newest()
	if newest.Knows(o.State.Store, [12]byte(fingerprint[:12])) {
		return nil // a slot of a record that this process has opened is as good as pinned
	}
	if err := b.checkShape(slot); err != nil {
		return err
	}
	switch {
	case pinned:
		return nil
	case len(b.cfg.Pins) > 0 && !a.People:
		// Also where the KMS authenticates: an old record that a former holder
		// of its root key puts back opens with a key that was never dropped.
		return fmt.Errorf("%w: slot %q is not one of the pinned ones: if it is meant to open the store, pin the fingerprint that Status showed while the store was unsealed, or that shares tell", ErrForged, slot.Name)
	case len(b.cfg.Pins) > 0 && !b.holdsPin(&o.State):
		return fmt.Errorf("%w: its slot %q opens with these shares, and nothing in it is pinned, so whoever can write to the store and has shares of their own could have made it. If the pinned slots were replaced, pin the fingerprint of one that is meant, as Status showed it while the store was unsealed", ErrForged, slot.Name)
	case a.People:
		return nil // a share's own text is a pin that its custodian brings along
	case a.Bound:
		return nil
	case b.cfg.TrustUnpinned:
		b.emit(EventUnpinned, By{}, slot.Name, "the store is believed without a pin, as configured", nil)
		return nil
	}
	return fmt.Errorf("%w: anybody with write access to the store could have made slot %q: set Config.Pins to the fingerprint that Status showed while the store was unsealed, and to none that stands in a record which nothing vouches for; or set Config.TrustUnpinned", ErrUnpinned, slot.Name)
}

// isPin reports whether a fingerprint, of which 12 bytes count, is pinned.
func (b *Barrier) isPin(fingerprint []byte) bool {
	return slices.ContainsFunc(b.cfg.Pins, func(p string) bool {
		pin, _ := parsePin(p)
		return subtle.ConstantTimeCompare(pin, fingerprint[:12]) == 1
	})
}

// holdsPin reports whether the sealed part knows the identity of a pinned slot
// that opens the store: only true records do.
func (b *Barrier) holdsPin(s *record.State) bool {
	return slices.ContainsFunc(s.Slots, func(o record.Slot) bool {
		fingerprint := record.FingerprintOf(s.Identities[o.ID])
		return o.Opens() && b.isPin(fingerprint[:])
	})
}

// checkShape refuses a slot that the configuration does not expect, or expects
// in another shape: who holds one part of a tree could have made a store that
// this part opens alone, under the tree's name. It does not say, as expected does, how
// to have the slot believed: nothing vouches for the record.
func (b *Barrier) checkShape(slot *record.Slot) error {
	if len(b.cfg.Shapes) == 0 {
		return nil
	}
	has := slot.Tree.Spec()
	want, ok := b.cfg.Shapes[slot.Name]
	switch {
	case !ok:
		return fmt.Errorf("%w: Config.Shapes has no slot %q (%v)", ErrForged, slot.Name, specOf(has))
	case !want.record().Equal(has):
		return fmt.Errorf("%w: slot %q is %v, where Config.Shapes has %v", ErrForged, slot.Name, specOf(has), want)
	}
	return nil
}

func parsePin(text string) ([]byte, error) {
	pin, err := hex.DecodeString(text)
	if err != nil || len(pin) != 12 {
		return nil, fmt.Errorf("%w: the pin %.40q is not the 24 hex digits of a slot's fingerprint", ErrConfig, text)
	}
	return pin, nil
}

// fetch returns the record now in the store, opened, for the caller to wipe; the
// Barrier is unsealed. It has the turn while the store is asked, and not while a
// KMS is: where the root key was rotated elsewhere it follows through a slot.
func (b *Barrier) fetch(ctx context.Context) (*ledger.Opened, error) {
	return b.fetchWithin(ctx, 0)
}

// fetchWithin is fetch that waits for a KMS no longer than that; 0: as long as
// ctx.
func (b *Barrier) fetchWithin(ctx context.Context, patience time.Duration) (*ledger.Opened, error) {
	defer clean()()
	before := b.ledger.Newest()
	o, err := b.fetchAny(ctx, patience)
	if err == nil || before.Same(b.ledger.Newest()) { // else another caller was faster, and follows
		b.followed(err)
	}
	return o, err
}

// fetchForPeople is fetch for somebody who waits with a share: where it is known
// that this process cannot follow, its KMS is not asked once more.
func (b *Barrier) fetchForPeople(ctx context.Context) (*ledger.Opened, error) {
	if !b.isBehind() {
		return b.fetchWithin(ctx, b.cfg.HeadStart)
	}
	defer clean()()
	o, _, err := b.fetchByRoot(ctx)
	switch {
	case errors.Is(err, aead.ErrWrongKey):
		return nil, ErrRootMoved
	case err == nil:
		b.followed(nil)
	}
	return o, err
}

func (b *Barrier) fetchAny(ctx context.Context, patience time.Duration) (*ledger.Opened, error) {
	for range conflicts {
		o, l, err := b.fetchByRoot(ctx)
		if errors.Is(err, aead.ErrWrongKey) {
			if o, err = b.follow(ctx, l, patience); err == nil {
				o, err = b.takeIn(ctx, l, o)
			}
		}
		switch {
		case errors.Is(err, ErrConflict):
			continue
		case errors.Is(err, aead.ErrCorrupt):
			return nil, fmt.Errorf("%w: the sealed part: %w", ErrCorrupt, err)
		}
		return o, err
	}
	return nil, fmt.Errorf("%w: gave up after %d attempts: try again", ErrConflict, conflicts)
}

// fetchByRoot opens the record now in the store with a root key that this
// process has, and takes it in. With aead.ErrWrongKey it returns what it loaded.
func (b *Barrier) fetchByRoot(ctx context.Context) (*ledger.Opened, *ledger.Stored, error) {
	t, err := b.take(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer t.end()
	cur, err := b.current()
	if err != nil {
		return nil, nil, err
	}
	l, err := b.ledger.Load(ctx)
	if err != nil {
		cur.Wipe()
		return nil, nil, err
	}
	if l.Digest == cur.Digest {
		cur.Rev = l.Rev
		return cur, l, nil
	}
	o, err := b.ledger.UnlockOwn(l, cur.Root)
	cur.Wipe()
	if errors.Is(err, aead.ErrWrongKey) {
		o, err = b.ledger.Follow(l)
	}
	if err != nil {
		return nil, l, err
	}
	o, err = t.refreshed(o)
	return o, l, err
}

// takeIn takes in a record that was opened without the turn, if it is still the
// one in the store.
func (b *Barrier) takeIn(ctx context.Context, l *ledger.Stored, o *ledger.Opened) (*ledger.Opened, error) {
	t, err := b.takeIfStill(ctx, l)
	if err != nil {
		o.Wipe()
		return nil, err
	}
	defer t.end()
	if err := b.ledger.Descends(o); err != nil {
		o.Wipe()
		return nil, err
	}
	return t.refreshed(o)
}

// refreshed installs a record that another replica stored, and returns it.
func (t *turn) refreshed(o *ledger.Opened) (*ledger.Opened, error) {
	if o.Missed != "" {
		t.tell(By{}, missed(o))
	}
	if err := t.b.install(o, intent{}); err != nil {
		return nil, err
	}
	t.tell(By{}, Event{Kind: EventRefresh})
	return t.b.current()
}

// takeIfStill is take, if the record is still the one in the store; else
// ErrConflict.
func (b *Barrier) takeIfStill(ctx context.Context, l *ledger.Stored) (*turn, error) {
	t, err := b.take(ctx)
	if err != nil {
		return nil, err
	}
	now, err := b.ledger.Load(ctx)
	if err == nil && now.Digest != l.Digest {
		err = ErrConflict
	}
	if err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// load reads the record in its turn.
func (b *Barrier) load(ctx context.Context) (*ledger.Stored, error) {
	t, err := b.take(ctx)
	if err != nil {
		return nil, err
	}
	l, err := b.ledger.Load(ctx)
	t.end()
	if err == nil {
		b.recordIsThere(l.Record)
	}
	return l, err
}

// follow opens, through a KMS slot or by another replica, a record whose root key
// this process does not have; patience is that of fetchWithin.
func (b *Barrier) follow(ctx context.Context, l *ledger.Stored, patience time.Duration) (*ledger.Opened, error) {
	if patience > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	o, _, err := b.openAlone(ctx, l, b.custody)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: give this process the shares of a slot, or mend a KMS", ErrRootMoved, err)
	}
	return o, nil
}

// tryOpen opens the record just loaded through one of its slots, from the seed
// on, and compares the root key found with the one in use.
func (b *Barrier) tryOpen(ctx context.Context, o *ledger.Opened, slot *record.Slot, q *custody.Quorum) (record.FreshProof, error) {
	a, err := b.custodians(ctx, &o.State.Record, slot, b.custody, q)
	if err != nil {
		return record.FreshProof{}, err
	}
	defer a.Wipe()
	if !equalSecret(a.Root, o.Root) {
		return record.FreshProof{}, fmt.Errorf("%w: slot %q holds another root key", ErrCorrupt, slot.Name)
	}
	return proofOf(o, slot, a)
}

// tryKeys asks the KMS keys of a slot that its people have proven to the
// operation in progress: one may have died since.
func (b *Barrier) tryKeys(ctx context.Context, o *ledger.Opened, slot *record.Slot) (record.FreshProof, error) {
	ctx, done := b.until(ctx)
	defer done()
	a, err := b.custody.AskKeys(ctx, o.State.Store, slot)
	if err != nil {
		return record.FreshProof{}, err
	}
	fresh, err := proofOf(o, slot, a)
	fresh.Keys = true
	return fresh, err
}

// proofOf says that the slot opened the record just now.
func proofOf(o *ledger.Opened, slot *record.Slot, a *custody.Answer) (record.FreshProof, error) {
	if !a.Names(o.State.Identities[slot.ID]) {
		return record.FreshProof{}, fmt.Errorf("%w: slot %q does not name its own identity", ErrForged, slot.Name)
	}
	return record.FreshProof{Slot: slot.ID, Root: o.State.Root, Generation: o.State.Generation}, nil
}

// Refresh takes in what other replicas changed. Call it when [keyring.Keyring.Decrypt]
// meets an unknown term; Run does it whenever the store changes.
func (a *Admin) Refresh(ctx context.Context) error {
	o, err := a.b.fetch(ctx)
	if err != nil {
		return wrapError("refresh", "", err)
	}
	o.Wipe()
	a.b.advanceAnchor(ctx)
	return nil
}

// now returns the time for stamps. No rule reads them.
func now() int64 { return time.Now().Unix() }
