package seal

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// Unseal opens the keyring through the KMS slots, together with the shares
// given so far where a slot needs both, or by another replica ([Config.Peers]). It
// makes one round: Run repeats it. Where only people can open the store the error
// says how many shares are missing. On an unsealed Barrier it does nothing.
func (b *Barrier) Unseal(ctx context.Context) error {
	defer clean()()
	if err := b.drained(ctx); err != nil {
		return wrapError("unseal", "", err)
	}
	as := b.toUnseal()
	var err error
	for range conflicts {
		if err = b.unsealOnce(ctx, as); !errors.Is(err, ErrConflict) {
			break
		}
	}
	if err != nil {
		b.setReason(as, err)
	}
	return wrapError("unseal", "", err)
}

// unsealOnce opens the record now stored.
func (b *Barrier) unsealOnce(ctx context.Context, as intent) error {
	if !b.isSealed() {
		return nil
	}
	l, err := b.load(ctx)
	if err != nil {
		b.emit(EventUnseal, By{}, "", "", err)
		return err
	}
	o, slot, err := b.openAlone(ctx, l, b.custody)
	nobodyAsked := errors.Is(err, custody.ErrNeedsPeople) // no KMS slot is there
	name, how := "", b.askedOf(l.Record)
	switch {
	case !b.isSealed(): // people were faster
		if o != nil {
			o.Wipe()
		}
		return nil
	case err == nil:
		name, how = openedBy(o, slot)
		err = b.adoptIfStill(ctx, l, o, slot, byKMS, By{}, as)
	default:
		err = b.openWithShares(ctx, err, as)
	}
	if err == nil || errors.Is(err, errFaster) {
		return nil
	}
	if _, waits := errors.AsType[waiting](err); !errors.Is(err, ErrConflict) && !(nobodyAsked && waits) {
		b.emit(EventUnseal, By{}, name, how, err)
	}
	return err
}

// askedOf says who was asked to open a record, for an attempt that failed.
func (b *Barrier) askedOf(rec *record.Record) string {
	switch {
	case len(machines(rec)) > 0:
		return byKMS
	case b.cfg.Peers != nil:
		return byPeers
	}
	return byPeople
}

// openedBy says what has opened a record with nobody present: a slot, by its name,
// or another replica.
func openedBy(o *ledger.Opened, slot *record.Slot) (name, how string) {
	if slot == nil {
		return "", byPeer + strconv.Quote(o.Peer)
	}
	return slot.Name, byKMS
}

// errFaster: somebody else has unsealed. It is no news, and no caller's error.
var errFaster = errors.New("seal: unsealed by another caller")

// adoptIfStill makes an opened record the Barrier's own, and tells of it, if it is
// still the one in the store, else ErrConflict; where somebody was faster it does
// nothing, and returns errFaster. Slot is nil where another replica's root key
// opened it, which proves no slot.
func (b *Barrier) adoptIfStill(ctx context.Context, l *ledger.Stored, o *ledger.Opened, slot *record.Slot, how string, by By, as intent) error {
	opened := o.By
	name, alone := openedBy(o, slot)
	if slot == nil {
		how = alone
	}
	t, err := b.takeIfStill(ctx, l)
	if err != nil {
		o.Wipe()
		return err
	}
	if !b.wantsRecord() {
		t.end()
		o.Wipe()
		return errFaster
	}
	if err = b.ledger.Descends(o); err != nil {
		o.Wipe()
	} else {
		err = t.adopt(ctx, o, slot, by, as)
	}
	t.end()
	if err == nil {
		b.followed(nil)
		b.emitEvent(by, Event{Kind: EventUnseal, Slot: name, KMS: strings.Join(opened, ","), Detail: how})
	}
	b.advanceAnchor(ctx)
	return err
}

// openWithShares opens the record with the shares given so far, where the KMS
// slots alone could not. It loads the record anew: while the KMS was asked, a
// slot may have been dropped.
func (b *Barrier) openWithShares(ctx context.Context, why error, as intent) error {
	l, err := b.load(ctx)
	switch {
	case err != nil && ctx.Err() != nil && !errors.Is(why, custody.ErrNeedsPeople):
		return why // it took the whole time
	case err != nil:
		return err
	}
	q := b.gathered("")
	q.Sift(l.Record)
	err = b.openByQuorum(ctx, l, "", By{}, why, as)
	if errors.Is(err, custody.ErrNeedsPeople) {
		return causes.Join(missing(l.Record, q), onlyHandOff(why))
	}
	return err
}

// Submit takes one share. With no operation in by, the share is for unsealing
// this process; with one, for that operation. A share that is not right is
// named by its error, a [*ShareError], before anything is combined, and the
// progress made so far, which [Barrier.Status] shows, stays. The share that
// completes a quorum does what the quorum was asked for, and done says that this
// was done: the Barrier is unsealed, the slot proven, the slots dropped; of a
// migration, the slot that waited for the share is proven. The caller may wipe s
// afterwards.
//
// A share for unsealing an unsealed Barrier changes nothing, and what is wrong
// with it is told all the same. One that cannot follow a new root key
// ([ErrRootMoved]) takes shares, and opens the new record with them.
//
// A share of a slot that waits to be proven is refused ([ErrNoOperation]), unless
// the operation in progress asks for that proof: then a quorum of such shares,
// given to a sealed Barrier, unseals it and is the proof.
func (b *Barrier) Submit(ctx context.Context, s Share, by By) (done bool, err error) {
	defer clean()()
	if err := by.check(); err != nil {
		return false, err
	}
	if err := b.drained(ctx); err != nil {
		return false, wrapError("submit", "", err)
	}
	as := b.toUnseal()
	if by.Operation != "" {
		n, slot, done, err := b.submitTo(ctx, s, by)
		b.emitShare(by, n, slot, s.String(), err)
		return done, wrapError("submit", slot, err)
	}
	if !b.isSealed() {
		n, err := b.checkShare(ctx, s)
		if errors.Is(err, ErrStoreUnavailable) {
			n, err = b.checkShareHere(s)
		}
		if !errors.Is(err, ErrRootMoved) {
			b.emitShare(by, n, "", s.String()+", while unsealed", err)
			return false, wrapError("submit", n.right().Slot, err)
		}
		// It cannot follow the record that is stored now: the shares open that.
	}
	slot, done, err := b.submitToUnseal(ctx, s, by, as)
	// What is wrong with somebody's share is told to them, and is not why the
	// server is sealed: a stranger must not have the last word on that.
	if _, theirs := errors.AsType[*ShareError](err); err != nil && !theirs && !errors.Is(err, ErrNoOperation) {
		b.setReason(as, err)
	}
	return done, wrapError("unseal", slot, err)
}

// submitToUnseal keeps a share, and opens the record where it completes a quorum:
// done says that it did. It returns the slot's name, where it is known.
func (b *Barrier) submitToUnseal(ctx context.Context, s Share, by By, as intent) (_ string, done bool, err error) {
	l, n, shareErr := b.keepShare(ctx, s)
	slot := n.right().Slot
	b.emitShare(by, n, slot, s.String(), shareErr)
	if shareErr != nil && !errors.Is(shareErr, ErrShareDuplicate) {
		return slot, false, shareErr
	}
	// A share given twice may find a quorum that waited for its KMS. Other slots
	// are not tried: what their KMS says is no news for this share's holder.
	looked := false // whether others were given shares
	for range conflicts {
		q := b.gathered("")
		b.setProgress(progressOf(l.Record, q))
		err := b.openByQuorum(ctx, l, slot, by, custody.ErrNeedsPeople, as)
		switch {
		case errors.Is(err, custody.ErrNeedsPeople) && !looked && b.gatherShares(ctx, l, shareErr != nil, by, as):
			if looked = true; !b.wantsRecord() {
				return slot, false, shareErr // another one was unsealed already
			}
			continue
		case errors.Is(err, custody.ErrNeedsPeople):
			b.setReason(as, missing(l.Record, q))
			return slot, false, shareErr
		case errors.Is(err, errFaster):
			return slot, false, shareErr
		case err == nil:
			return slot, true, nil
		case !errors.Is(err, ErrConflict):
			b.emit(EventUnseal, by, slot, byPeople, err)
			return slot, false, err
		}
		if l, err = b.load(ctx); err != nil {
			return slot, false, err
		}
		q.Sift(l.Record)
	}
	return slot, false, ErrConflict
}

// keepShare keeps a share that fits the record now stored, and returns the
// record, and what it tells of the share. Where a KMS was faster the share is only
// checked: nothing would wipe it.
func (b *Barrier) keepShare(ctx context.Context, s Share) (*ledger.Stored, noted, error) {
	t, err := b.take(ctx)
	if err != nil {
		return nil, noted{}, err
	}
	defer t.end()
	l, err := b.ledger.Load(ctx)
	if err != nil {
		return nil, noted{}, err
	}
	wanted := b.wantsRecord()
	q := b.gathered("")
	q.Sift(l.Record)
	n, err := checkAgainst(l.Record, s, wanted)
	if err == nil && wanted {
		_, err = q.Add(l.Record, s.part)
	}
	return l, n, shareError(err)
}

// openByQuorum opens the record with the shares given for unsealing, if they
// suffice for the slot of that name, or with "" for any. Otherwise it returns
// why not, joined to why where that says more than that people are needed. A
// quorum is tried by one caller at a time; the others' shares count, and are not
// waited for.
func (b *Barrier) openByQuorum(ctx context.Context, l *ledger.Stored, name string, by By, why error, as intent) error {
	q := b.gathered("")
	for i := range l.Slots {
		slot := &l.Slots[i]
		if name != "" && slot.Name != name || !slot.Opens() && !asked(l.Record, slot) || !q.Suffices(&slot.Tree) || !q.Consented(&slot.Tree) {
			continue
		}
		release, ok := q.Claim(slot)
		if !ok {
			continue
		}
		o, err := b.openSlot(ctx, l, slot, b.custody, q, b.ledger.Unlock)
		if err == nil {
			err = b.adoptIfStill(ctx, l, o, slot, byPeople, by, as)
		}
		release()
		if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, errFaster) {
			return err
		}
		why = causes.Join(dropNeed(why), wrapError("open", slot.Name, err))
	}
	return why
}

func dropNeed(err error) error {
	if err == custody.ErrNeedsPeople {
		return nil
	}
	return err
}

// adopt makes an opened record the Barrier's own. A slot that was never proven has
// just proved itself, and before any was, no keyring is given out until that is
// stored. Slot is nil where another replica's root key opened the record.
func (t *turn) adopt(ctx context.Context, o *ledger.Opened, slot *record.Slot, by By, as intent) error {
	if slot != nil && o.State.Slot(slot.ID).State != record.Active {
		slot = o.State.Slot(slot.ID)
		switch err := t.proveOpened(ctx, o, slot, by, as); {
		case err == nil:
			o.Wipe()
			t.b.endGather("")
			return nil
		case errors.Is(err, ErrSealed), errors.Is(err, ErrClosed), // in the meantime: the proof may be stored, and seen
			slot.State == record.Pending, // it opens the store together with its proof, or not at all
			!o.State.Proved():
			o.Wipe()
			return err
		}
		// The proof can wait, the server should not.
	}
	if err := t.b.install(o, as); err != nil {
		return err
	}
	t.b.endGather("")
	return nil
}

func (b *Barrier) isSealed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open == nil
}

// setProgress shows the shares given so far in Status.
func (b *Barrier) setProgress(p []SetProgress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil || b.behind.why != nil {
		b.progress = p
	}
}

// gathered returns the shares given for an operation. Where a Seal or Close came
// meanwhile it takes none.
func (b *Barrier) gathered(op OperationID) *custody.Quorum {
	b.expireShares()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return custody.Ended(ErrClosed)
	case op != "" && b.open == nil:
		return custody.Ended(ErrSealed)
	}
	g := b.gathers[op]
	if g == nil {
		g = &custody.Quorum{}
		b.gathers[op] = g
	}
	return g
}

func (b *Barrier) endGather(op OperationID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.gathers[op]; g != nil {
		g.Wipe(ErrNoOperation)
		delete(b.gathers, op)
	}
}
