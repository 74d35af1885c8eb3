package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

// wanted reports whether there is something to do under the terms that there are,
// and how long to wait before.
func (k *Keeper) wanted(t keeperTerms) (wait time.Duration, ok bool) {
	switch {
	case len(t.old) == 0 && (!k.adopts() || k.clean == t.active.Number):
		return 0, false
	case k.clean != t.active.Number:
		return k.rounds.left(), true
	case k.cfg.KeepOld < 0:
		return 0, false
	}
	wait = k.due(t.old[0])
	for _, o := range t.old[1:] {
		wait = min(wait, k.due(o))
	}
	return max(wait, k.rounds.left()), true
}

// adopts reports whether rounds are for legacy values too.
func (k *Keeper) adopts() bool {
	return slices.ContainsFunc(k.cfg.Sources, func(s KeeperSource) bool { return s.Rewrap.Legacy != nil })
}

// due is in how long a term may be retired, if nothing is under it.
func (k *Keeper) due(t replacedTerm) time.Duration { return k.cfg.KeepOld - wallSince(t.replaced) }

// round counts, rewraps what is under older terms, counts again, and retires what
// nothing is under. It says what it did, and what is left.
func (k *Keeper) round(ctx context.Context, l *seal.Lease) (did string, err error) {
	active, err := k.b.Keyring().Active()
	if err != nil {
		return "", err
	}
	k.begun = active.Number
	replica := k.b.Status().Replica // which may ask the host
	k.tell(func(s *KeeperStatus) {
		s.Phase, s.Source = KeeperCounting, "" // idle is told when it is done
		s.Replica, s.Sources = replica, make([]KeeperSourceStatus, len(k.cfg.Sources))
	})
	stale, errs := k.census(ctx, active)
	var rewrapped int64
	for i, n := range stale {
		if n == 0 || fatal(ctx, errs) {
			continue
		}
		p, err := k.rewrap(ctx, i)
		rewrapped += p.Rewrapped
		errs = append(errs, err)
	}
	if rewrapped > 0 && !fatal(ctx, errs) {
		var again []error
		stale, again = k.census(ctx, active)
		errs = append(errs, again...)
	}
	var retired []uint32
	if !fatal(ctx, errs) {
		retired, err = k.retire(ctx, l, active)
		errs = append(errs, err)
	}
	did = fmt.Sprintf("%d items rewrapped, %d terms retired", rewrapped, len(retired))
	return did, k.settle(ctx, active, stale, errs)
}

// settle is the end of a round: what is left is done in another one.
func (k *Keeper) settle(ctx context.Context, active keyring.Info, stale []int64, errs []error) error {
	err := errors.Join(errs...)
	switch now, _ := k.b.Keyring().Active(); {
	case fatal(ctx, errs):
		return err // the next one begins when it can
	case err == nil && now.Number != active.Number:
		return nil // at once: another term is the active one
	case err == nil && slices.Max(stale) <= 0:
		k.clean, k.rounds = active.Number, pause{}
	default:
		k.rounds.longer(k.cfg.Retry, keeperRest)
	}
	k.tell(func(s *KeeperStatus) { s.Round, s.Err = time.Now(), err })
	return err
}

// fatal reports whether a round cannot go on with anything.
func fatal(ctx context.Context, errs []error) bool {
	return ctx.Err() != nil || slices.ContainsFunc(errs, func(err error) bool {
		return errors.Is(err, keyring.ErrSealed) || errors.Is(err, seal.ErrClosed) || errors.Is(err, seal.ErrLeased)
	})
}

// census counts all sources, and returns of each how many items a rewrap is for;
// -1 where it could not be counted.
func (k *Keeper) census(ctx context.Context, active keyring.Info) (stale []int64, errs []error) {
	for i, s := range k.cfg.Sources {
		k.tell(func(st *KeeperStatus) { st.Phase, st.Source = KeeperCounting, s.Name })
		c, err := Count(ctx, k.b.Keyring(), s.Source)
		if err != nil {
			stale, errs = append(stale, -1), append(errs, &KeeperError{Source: s.Name, Err: err})
			continue
		}
		var n int64
		for term, t := range c.Terms {
			if term < active.Number {
				n += t.Items
			}
		}
		if s.Rewrap.Legacy != nil {
			n += c.Other.Items
		}
		stale = append(stale, n)
		k.tell(func(st *KeeperStatus) { st.Sources[i].Name, st.Sources[i].Items = s.Name, c.Counts() })
		if m := k.cfg.Metrics; m != nil {
			m.Items(s.Name, c.Counts()) // a map of its own: retire goes by the other
		}
	}
	return stale, errs
}

// itemsTold is how many items an error names.
const itemsTold = 10

// rewrap goes through one source. Items that cannot be rewrapped are told of, and
// end nothing.
func (k *Keeper) rewrap(ctx context.Context, i int) (p Progress, err error) {
	s := k.cfg.Sources[i]
	bad := &KeeperError{Source: s.Name}
	outcomes := func(map[string]int64) {}
	if m := k.cfg.Metrics; m != nil {
		outcomes = m.Rewrap(s.Name)
	}
	k.tell(func(st *KeeperStatus) { st.Phase, st.Source = KeeperRewrapping, s.Name })
	looked := time.Now()
	for p, err = range Rewrap(ctx, k.b.Keyring(), s.Source, s.Rewrap) {
		if item, ok := errors.AsType[*ItemError](err); ok {
			if bad.Failed++; len(bad.Items) < itemsTold {
				bad.Items = append(bad.Items, item)
			}
			continue
		}
		if err != nil {
			bad.Err = err
			break
		}
		outcomes(p.Outcomes())
		k.tell(func(st *KeeperStatus) { st.Sources[i].Progress = p })
		if time.Since(looked) >= keeperLook { // this may take days
			looked = time.Now()
			k.rotateDue(ctx, termsOf(k.b.Status()))
		}
	}
	if bad.Err == nil && bad.Failed == 0 {
		return p, nil
	}
	return p, bad
}

// retire removes the terms that nothing is under, and that are kept no longer. It
// relies on the census just taken, and on nothing if a source could not be
// counted. A term that was the active one when the round began, or is younger, is
// none of them: what was written under it since stands in no census.
func (k *Keeper) retire(ctx context.Context, l *seal.Lease, active keyring.Info) (retired []uint32, err error) {
	if k.cfg.KeepOld < 0 {
		return nil, nil
	}
	sources := k.Status().Sources
	if slices.ContainsFunc(sources, func(s KeeperSourceStatus) bool { return s.Items == nil }) {
		return nil, nil
	}
	k.phase(KeeperRetiring)
	var errs []error
	for _, t := range termsOf(k.b.Status()).old {
		left := slices.ContainsFunc(sources, func(s KeeperSourceStatus) bool { return s.Items[termName(t.number)] > 0 })
		if left || t.number >= active.Number || k.due(t) > 0 {
			continue
		}
		if err := l.Retire(ctx, t.number); err != nil {
			errs = append(errs, err)
			continue
		}
		retired = append(retired, t.number)
	}
	return retired, errors.Join(errs...)
}
