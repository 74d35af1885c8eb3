package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/handoff"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
)

// Shares may be given to any replica: a sealed one that asks the others for the
// root key gets, from one that is sealed itself, the shares that people have given
// there. Nobody is chosen to gather them: whoever asks has them all, and the first
// that has a quorum is unsealed. A share keeps its age, and is wiped everywhere
// when it would be where it was given.

// How others are asked while somebody waits who has just given a share: so many, a
// moment apart, and for so long.
const (
	passAsked    = 64
	passHead     = time.Millisecond
	passPatience = 500 * time.Millisecond

	// passPause is for how long nobody is asked again for a share that was given
	// before: who has one would have the whole fleet asked by each repetition.
	passPause = time.Second
)

// passes reports whether this process, sealed, passes shares on and takes them.
func (b *Barrier) passes() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cfg.PassShares && b.open == nil && !b.sealedBy && !b.closed
}

// passed is what a sealed replica answers: the shares given to it, encrypted to
// whoever made the request; nil where there are none to be had.
func (b *Barrier) passed(r *handoff.Request) []byte {
	rec := b.ledger.Parsed()
	if !b.passes() || rec == nil || rec.Store != r.Store || rec.Generation != r.Generation {
		return nil
	}
	b.expireShares()
	b.mu.Lock()
	q, seals := b.gathers[""], b.seals
	within := q != nil && q.Len() > 0 && b.others.mayPass()
	b.mu.Unlock()
	if !within {
		return nil
	}
	shares := sharesOf(rec, q)
	defer wipeShares(shares)
	if len(shares) == 0 {
		return nil
	}
	answer, err := r.AnswerShares(b.cfg.Replica, shares)
	if err != nil {
		return nil
	}
	b.mu.Lock()
	still := b.open == nil && b.seals == seals
	b.mu.Unlock()
	if !still {
		return nil
	}
	if b.others.passed(r.Asker, len(shares)) {
		b.emit(EventHandOff, By{Actor: r.Asker}, "", fmt.Sprintf("%d shares given here were passed to this replica", len(shares)), nil)
	}
	return answer
}

// sharesOf copies the shares of a quorum that fit a record.
func sharesOf(rec *record.Record, q *custody.Quorum) (out []handoff.Share) {
	q.Sift(rec)
	q.Each(func(s custody.Share, at time.Time) {
		if len(out) < handoff.MaxShares {
			out = append(out, handoff.Share{Age: time.Since(at), Fingerprint: s.Fingerprint, Set: s.Set, X: s.X, Y: s.Y.Reveal()})
		}
	})
	return out
}

func wipeShares(shares []handoff.Share) {
	for _, s := range shares {
		clear(s.Y)
	}
}

// takePassed takes in the shares in an answer to a request that was sent at that
// time, each of which is checked as if it were given here. One that is wrong is told
// of, and the others stay.
func (b *Barrier) takePassed(ctx context.Context, l *ledger.Stored, a *handoff.Asking, answer []byte, sent time.Time) error {
	shares, from, err := a.OpenShares(answer)
	if err != nil {
		return err
	}
	defer wipeShares(shares)
	if !b.passes() || from == b.cfg.Replica {
		return nil
	}
	t, err := b.takeIfStill(ctx, l)
	if err != nil {
		return err
	}
	taken, wrong, err := t.keepPassed(l, shares, sent)
	t.end()
	if taken > 0 {
		b.emit(EventHandOff, By{Actor: from}, "", fmt.Sprintf("%d shares given there were passed by this replica", taken), nil)
	}
	if wrong > 0 {
		return fmt.Errorf("%d shares that it passed are not right: %w", wrong, err)
	}
	return nil
}

// keepPassed keeps those that fit the record, and returns how many it did not have,
// how many are wrong, and what is wrong with one.
func (t *turn) keepPassed(l *ledger.Stored, shares []handoff.Share, sent time.Time) (taken, wrong int, err error) {
	q := t.b.gathered("") // before it is asked: a Seal that comes now ends it
	if !t.b.passes() {
		return 0, 0, nil // nothing would wipe them
	}
	q.Sift(l.Record)
	for i := range shares {
		p := &shares[i]
		at := sent.Add(-p.Age) // or later: no copy is kept for longer than what was given
		if ttl := t.b.cfg.ShareTTL; ttl >= 0 && time.Since(at) >= ttl {
			continue
		}
		s := Share{custody.Share{Fingerprint: p.Fingerprint, Set: p.Set, X: p.X, Y: secret.New(slices.Clone(p.Y))}}
		_, failed := checkAgainst(l.Record, s, true)
		if failed == nil {
			_, failed = q.AddAt(l.Record, s.part, at)
		}
		s.Wipe()
		failed = shareError(failed)
		switch e, is := errors.AsType[*ShareError](failed); {
		case failed == nil:
			taken++
		case is && e.Kind != ErrShareDuplicate:
			wrong, err = wrong+1, e
		}
	}
	t.b.setProgress(progressOf(l.Record, q))
	return taken, wrong, err
}

// gatherShares asks the other replicas at once, for somebody who has just given a
// share here and waits for the answer; again says that it had been given before. It
// reports whether anything came of it.
func (b *Barrier) gatherShares(ctx context.Context, l *ledger.Stored, again bool, by By, as intent) bool {
	if b.cfg.Peers == nil || !b.passes() || !b.others.gather(again) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, passPatience)
	defer cancel()
	before := b.gathered("").Len()
	o, err := b.roundOfPeers(ctx, l, passAsked, passHead, func() {
		if b.suffices(l) {
			cancel() // whoever has not answered yet is not needed
		}
	})
	if err == nil { // another one is unsealed
		_ = b.adoptIfStill(context.WithoutCancel(ctx), l, o, nil, byPeople, by, as)
		return true
	}
	return b.gathered("").Len() > before
}

// tryShares has Run try the shares given so far at once, where they suffice since
// others have passed some.
func (b *Barrier) tryShares(l *ledger.Stored) {
	if !b.passes() || !b.suffices(l) {
		return
	}
	select {
	case b.others.came <- struct{}{}:
	default:
	}
}

// suffices reports whether the shares given so far open some slot, its KMS willing.
func (b *Barrier) suffices(l *ledger.Stored) bool {
	q := b.gathered("")
	return slices.ContainsFunc(l.Slots, func(slot record.Slot) bool {
		return (slot.Opens() || asked(l.Record, &slot)) && q.Suffices(&slot.Tree) && q.Consented(&slot.Tree)
	})
}
