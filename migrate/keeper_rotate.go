package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// keeperTerms are the terms of a record, as a Keeper looks at them.
type keeperTerms struct {
	active  seal.TermStatus
	passive bool // one is not active yet
	old     []replacedTerm
	newest  uint32
}

// A replacedTerm is an old term, and when the one after it was made.
type replacedTerm struct {
	number   uint32
	replaced time.Time
}

func termsOf(s seal.Status) (out keeperTerms) {
	for i, t := range s.Terms {
		switch t.State {
		case seal.TermActive:
			out.active = t
		case seal.TermPassive:
			out.passive = true
		default:
			out.old = append(out.old, replacedTerm{t.Number, s.Terms[i+1].Created}) // an active one comes after it
		}
		out.newest = t.Number
	}
	return out
}

// see notes since when the active term is known here. Another one is a reason to
// begin anew.
func (k *Keeper) see(t keeperTerms, l *seal.LeaseStatus) {
	if k.term != t.active.Number {
		k.term, k.termSeen = t.active.Number, time.Now()
		k.rounds, k.stuck, k.before = pause{}, false, ""
		if l != nil {
			k.before = l.ID
		}
	}
	if l != nil && l.ID != k.before {
		k.begun = t.active.Number // a lease is taken for a round under the active term
	}
}

// age is how old the active term is. A stamp of the future is of a clock that was
// wrong, and tells nothing: what counts is since when the term is known here.
func (k *Keeper) age(t keeperTerms) time.Duration {
	return max(time.Since(k.termSeen), wallSince(t.active.Created))
}

// wallSince is by the clock on the wall, as stamps are.
func wallSince(t time.Time) time.Duration { return time.Now().Round(0).Sub(t) }

// rotateDue adds a term if the active one is old or used up, and none is on its
// way. It reports whether it did. One that is old waits for a round under it to
// begin: where terms age faster than they settle, there would never be any.
func (k *Keeper) rotateDue(ctx context.Context, t keeperTerms) bool {
	usage, err := k.b.Admin().Usage()
	if err != nil || t.passive || k.rotation.left() > 0 {
		return false
	}
	used := usage.Term == t.active.Number && float64(usage.Epochs) >= k.cfg.RotateAtUse*float64(usage.MaxEpochs)
	old := k.cfg.RotateAfter > 0 && k.age(t) >= k.cfg.RotateAfter && (len(t.old) == 0 || k.begun == t.active.Number)
	if !used && !old {
		return false
	}
	rotated, err := k.b.Admin().RotateFrom(ctx, t.newest, k.by)
	if err != nil {
		k.stuck = true
		k.rotation.longer(keeperLook, time.Hour)
		k.fail(k.Status().Phase, fmt.Errorf("migrate: keeper: rotate: %w", err))
		return false
	}
	// Whatever the clocks say, no replica rotates over and over.
	k.rotation = pause{until: time.Now().Add(max(keeperLook, min(k.cfg.RotateAfter, time.Hour)))}
	return rotated
}

// A pause is for how long something is not tried again, by a clock that nobody
// sets.
type pause struct {
	until time.Time
	last  time.Duration
}

func (p *pause) left() time.Duration { return time.Until(p.until) }

// again begins a pause, as long as the one before.
func (p *pause) again(least time.Duration) { p.until = time.Now().Add(max(least, p.last)) }

// longer begins a pause, which is twice the one before.
func (p *pause) longer(first, most time.Duration) {
	p.last = min(most, max(first, 2*p.last))
	p.until = time.Now().Add(p.last)
}
