package seal

import (
	"bytes"
	"context"
	"errors"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
)

// Checked says which share one is that was checked.
type Checked struct {
	Slot      string
	Set       uint32
	Number    int    // in its set, from 1
	Custodian string // who holds it, as the record has it; "" where nobody was named
}

// CheckShare says what is wrong with a share, as [Barrier.Submit] would, and does not
// take it: it counts for nothing afterwards. Nil means that it is a share of a
// slot that opens the store, and which; with [ErrNoOperation] it is a right one of
// a slot that opens nothing yet. With any other error nothing is returned of whose
// it says it is: who holds no right share learns no name. Like a share that is
// given, one that is checked is an event, which has the custodian's name.
//
// While sealed, the record that the share is compared with is the stored one,
// which nobody has vouched for yet.
func (a *Admin) CheckShare(ctx context.Context, s Share, by By) (Checked, error) {
	if err := by.check(); err != nil {
		return Checked{}, err
	}
	n, err := a.b.checkShare(ctx, s)
	a.b.emitShare(by, n, "", s.String()+", only checked", err)
	return n.right(), wrapError("check", n.right().Slot, err)
}

func (b *Barrier) checkShare(ctx context.Context, s Share) (noted, error) {
	var rec *record.Record
	sealed := b.isSealed()
	if sealed {
		l, err := b.load(ctx)
		if err != nil {
			return noted{}, err
		}
		rec = l.Record
	} else {
		o, err := b.fetchForPeople(ctx)
		if err != nil {
			return noted{}, err
		}
		defer o.Wipe()
		rec = &o.State.Record
	}
	return checkAgainst(rec, s, sealed)
}

// checkShareHere compares a share with the record that this process holds, where
// the store is away.
func (b *Barrier) checkShareHere(s Share) (noted, error) {
	o, err := b.current()
	if err != nil {
		return noted{}, err
	}
	defer o.Wipe()
	return checkAgainst(&o.State.Record, s, false)
}

// checkAgainst says what is wrong with a share for unsealing, by the record.
func checkAgainst(rec *record.Record, s Share, sealed bool) (noted, error) {
	n, slot, err := note(rec, s)
	if err == nil && !slot.Opens() && !(sealed && asked(rec, slot)) {
		err = opensNothing(slot)
	}
	return n, err
}

// noted is what the record tells of a share. The zero value: nobody could look.
type noted struct {
	Checked
	verdict Verdict
}

// right is what whoever brought the share may hear: nothing unless it is right.
func (n noted) right() Checked {
	if n.verdict != ShareRight {
		return Checked{}
	}
	return n.Checked
}

// note says which share one is, or calls itself, and what is wrong with it.
func note(rec *record.Record, s Share) (n noted, slot *record.Slot, err error) {
	slot, set, err := custody.Match(rec, s.part)
	n.Set, n.Number = s.Set(), int(s.X())
	if err == nil {
		n.verdict, n.Set = ShareRight, set // which a raw share does not say
	} else if e, ok := errors.AsType[*custody.ShareError](err); ok {
		n.verdict = verdicts(e.Kind)
	}
	err = shareError(err)
	named := n.verdict == ShareRight || n.verdict == ShareAltered
	custody.EachSet(rec, func(of *record.Slot, leaf *record.Shares, _ string) {
		fingerprint := s.Fingerprint()
		if !named || leaf.Set != n.Set || n.verdict == ShareAltered && !bytes.Equal(of.Fingerprint, fingerprint[:]) {
			return
		}
		n.Slot = of.Name
		if n.Number <= len(leaf.Custodians) {
			n.Custodian = leaf.Custodians[n.Number-1]
		}
	})
	return n, slot, err
}

func verdicts(kind error) Verdict {
	switch kind {
	case ErrShareStale:
		return ShareStale
	case ErrShareAltered:
		return ShareAltered
	case ErrShareOtherStore:
		return ShareForeign
	}
	return ShareMalformed
}

// emitShare tells the host of a share; slot is said where n says none.
func (b *Barrier) emitShare(by By, n noted, slot, detail string, err error) {
	if n.Slot != "" {
		slot = n.Slot
	}
	b.emitEvent(by, Event{Kind: EventShare, Slot: slot, Set: n.Set, Number: n.Number, Custodian: n.Custodian, Verdict: n.verdict, Detail: detail, Err: err})
}
