package seal

import (
	"context"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/roster"
)

// What follows from the roster. Each rule is added to the one that holds without
// it: a term is activated, and one is retired, when it is long enough known here,
// and when every replica that was heard of has it; a root key is replaced when a
// slot or the hand-off lets others follow, and when each says that it can.

// seenByAll returns ErrPropagating where another replica may not have a passive
// term yet.
func (b *Barrier) seenByAll(term uint32) error {
	if err := b.seenInTime(term); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if lacking := b.roster.view.Lacking(term); len(lacking) > 0 {
		return fmt.Errorf("%w: term %d is not taken in yet by %s: mend or end it, or call ActivateUnseen", ErrPropagating, term, named(lacking))
	}
	return nil
}

// seenInTime is seenByAll by time alone.
func (b *Barrier) seenInTime(term uint32) error {
	b.mu.Lock()
	seen, passive := b.observed[term]
	b.mu.Unlock()
	if !passive {
		return nil
	}
	return b.propagating(fmt.Sprintf("another replica may not have term %d yet", term), seen.since)
}

// ActivateUnseen is [Admin.Activate] also where another replica may not have the
// term yet, or is known not to: what is written under the term that one cannot read
// until it has taken the record in. Nothing is lost by it.
func (a *Admin) ActivateUnseen(ctx context.Context, term uint32, by By) error {
	return a.b.activate(ctx, term, by, false, func() error { return nil })
}

// rosterWaives reports whether Run activates terms by time alone: where the active
// one is three quarters used up, a replica that cannot follow must not end the
// encryption of all.
func (b *Barrier) rosterWaives() bool {
	usage, err := b.keys.Usage()
	return err == nil && usage.Epochs >= usage.MaxEpochs/4*3
}

// dueTerms returns the passive terms that Run may activate now; b.mu is held.
func (b *Barrier) dueTerms(waived bool) (due []uint32) {
	for number, o := range b.observed {
		if time.Since(o.since) >= b.cfg.Propagation && (waived || len(b.roster.view.Lacking(number)) == 0) {
			due = append(due, number)
		}
	}
	return due
}

// underTerm returns ErrPropagating where another replica may encrypt under a term
// yet, or did until just now, so that what it wrote may be on its way; b.mu is held.
func (b *Barrier) underTerm(term uint32) error {
	members, last := b.roster.view.Under(term)
	if len(members) > 0 {
		return fmt.Errorf("%w: term %d, or an older one, is what encrypts at %s: mend or end it, or, where it certainly does not run, call RetireUnseen", ErrPropagating, term, named(members))
	}
	return b.propagating(fmt.Sprintf("another replica may still write under term %d", term), later(last, b.activeSince))
}

// since refuses a term that another replica was heard to encrypt under after a
// time: what was counted then is not all.
func (b *Barrier) since(term uint32, counted time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, last := b.roster.view.Under(term); last.After(counted) {
		return fmt.Errorf("%w: another replica encrypted under term %d after the count had begun: count again", ErrPropagating, term)
	}
	return nil
}

func later(x, y time.Time) time.Time {
	if x.After(y) {
		return x
	}
	return y
}

// settled is since when no other replica is known to encrypt under a term before
// the active one; b.mu is held.
func (b *Barrier) settled() time.Time {
	members, last := b.roster.view.Under(b.activeTerm - 1)
	if len(members) > 0 {
		return time.Now()
	}
	return later(last, b.activeSince)
}

// strandsOthers returns ErrStrands where a replica that was heard of could not
// follow a new root key by itself, or cannot follow the one there is; b.mu is held.
// What one says that has not taken in the newest term is worth no more than the key
// of an older one: it is waited for.
func (b *Barrier) strandsOthers(s *record.State) error {
	if stranded := b.roster.view.Stranded(); len(stranded) > 0 {
		return fmt.Errorf("%w: nothing lets %s follow: mend or end it, or give it its shares afterwards, and call RotateRootStranding", ErrStrands, named(stranded))
	}
	newest := s.Terms[len(s.Terms)-1].Number
	if lacking := b.roster.view.Lacking(newest); len(lacking) > 0 {
		return fmt.Errorf("%w: term %d is not taken in yet by %s, which is to follow a new root key: mend or end it, or call RotateRootStranding", ErrPropagating, newest, named(lacking))
	}
	return nil
}

// leaves says which other replicas a new root key leaves behind, for the event of a
// change that is made all the same: it locks somebody out.
func (b *Barrier) leaves(err error) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if stranded := b.roster.view.Stranded(); err == nil && len(stranded) > 0 {
		return "what comes after is not readable, until it is given shares, at " + named(stranded)
	}
	return ""
}

// followsAlone returns why this process could not follow a new root key with nobody
// present, or ""; b.mu is held.
func (b *Barrier) followsAlone(s *record.Record) string {
	if b.cfg.Peers != nil {
		return ""
	}
	why := "no slot opens the store without people"
	for _, slot := range machines(s) {
		if err := b.drills.ofDrill(slot.ID).err; err != nil && !atStart(err) {
			why = fmt.Sprintf("slot %q did not open the store when it was drilled last: %v", slot.Name, err)
			continue
		}
		return ""
	}
	return why
}

// waitedFor says which other replicas cannot follow, and which one is waited for
// after the time that every one should need; b.mu is held.
func (b *Barrier) waitedFor(s *record.State) (out []string) {
	for _, m := range b.roster.view.Live(func(m *roster.Member) bool { return m.Behind != 0 }) {
		out = append(out, fmt.Sprintf("replica %q cannot take in the stored record, by what it says, since %s: it does not read what others write", m.Replica, stamp(m.Behind)))
	}
	for i := range s.Terms {
		t := &s.Terms[i]
		lacking := b.roster.view.Lacking(t.Number)
		if o, passive := b.observed[t.Number]; passive && len(lacking) > 0 && time.Since(o.since) > b.cfg.Propagation {
			out = append(out, fmt.Sprintf("term %d is not activated: it is not taken in yet by %s", t.Number, named(lacking)))
		}
	}
	if under, _ := b.roster.view.Under(b.activeTerm - 1); len(under) > 0 && time.Since(b.activeSince) > b.cfg.Propagation {
		out = append(out, fmt.Sprintf("no term before %d is retired: it is not what encrypts at %s", b.activeTerm, named(under)))
	}
	return out
}
