package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/record"
)

// An unsealed process that cannot take in the stored record is behind: it goes
// on with what it has, and cannot read what others write under newer keys. It
// says so from the first moment on, until it follows again or is sealed.

// behind is what keeps a process from following, and since when; the zero value
// is one that follows.
type behind struct {
	why   error
	since time.Time
}

// cannotFollow is what a fetch fails with where the store was read, and holds
// what this process cannot take in.
var cannotFollow = []error{
	ErrRootMoved, ErrForked, ErrRolledBack, ErrOtherStore, ErrForged, ErrUnpinned, ErrMissing, ErrUninitialized, ErrCorrupt, ErrNewerFormat, ErrWrongCustodian,
}

// followed notes whether a fetch could take in what the store holds. One that
// could not reach the store says nothing.
func (b *Barrier) followed(err error) {
	kind := kindOfBehind(err)
	b.mu.Lock()
	was := b.behind.why
	if err != nil && kind == nil || b.open == nil || err == nil && was == nil {
		b.mu.Unlock()
		return
	}
	if was != nil && kind == kindOfBehind(was) {
		b.behind.why = err // in other words, as those of a KMS, which is no news
		b.mu.Unlock()
		return
	}
	switch {
	case err == nil:
		b.behind = behind{}
	case was == nil:
		b.behind = behind{err, time.Now()}
	default:
		b.behind.why = err
	}
	b.notify()
	b.mu.Unlock()
	detail := "the stored record cannot be taken in: what others write is not readable here"
	if err == nil {
		detail = "the stored record is taken in again"
	}
	b.emit(EventBehind, By{}, "", detail, err)
}

// kindOfBehind returns which of cannotFollow an error is; nil for none.
func kindOfBehind(err error) error {
	for _, known := range cannotFollow {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// isBehind reports whether the process is unsealed and cannot follow.
func (b *Barrier) isBehind() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open != nil && b.behind.why != nil
}

// wantsRecord reports whether an opened record is of use: the Barrier is sealed,
// or behind.
func (b *Barrier) wantsRecord() bool { return b.isSealed() || b.isBehind() }

// propagating returns ErrPropagating where other replicas may not have seen yet
// what this process has known since then.
func (b *Barrier) propagating(what string, since time.Time) error {
	if left := b.cfg.Propagation - time.Since(since); left > 0 {
		return fmt.Errorf("%w: %s: wait %v", ErrPropagating, what, left.Round(time.Second))
	}
	return nil
}

// CheckRetire reports whether a term may be retired by now: that it is not the
// active one, and that the active one is known here for longer than
// [Config.Propagation], so that no replica writes under an older one any more.
// Ask before the data is counted: what is written until then is not in a count
// that began earlier. It returns [ErrPropagating], [ErrTermInUse], or
// [ErrSealed].
func (a *Admin) CheckRetire(term uint32) error {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	switch {
	case a.b.open == nil:
		return ErrSealed
	case term == a.b.activeTerm:
		return fmt.Errorf("%w: it is the active one: rotate first", ErrTermInUse)
	}
	return a.b.propagating(fmt.Sprintf("another replica may still write under term %d", term), a.b.activeSince)
}

// seeActive notes since when this process knows the active term; b.mu is held.
func (b *Barrier) seeActive(s *record.State) {
	if t := s.ActiveTerm(); t.Number != b.activeTerm {
		b.activeTerm, b.activeSince = t.Number, time.Now()
	}
}

// strands returns ErrStrands where other replicas share the store, as
// Config.Propagation says, and no slot lets them follow a new root key: none
// opens without people, or none did when it was drilled last. Where replicas hand
// it to each other they follow by that.
func (b *Barrier) strands(s *record.State) error {
	if b.cfg.Propagation == 0 || b.cfg.Peers != nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	why := "no slot opens the store without people"
	for _, slot := range machines(&s.Record) {
		if err := b.health[slot.ID].err; err != nil && !errors.Is(err, ErrUnpinned) {
			why = fmt.Sprintf("slot %q did not open the store when it was drilled last: %v", slot.Name, err)
			continue
		}
		return nil
	}
	return fmt.Errorf("%w: %s: give each of them its shares afterwards, and call RotateRootStranding; or add a KMS slot first", ErrStrands, why)
}

// RotateRootStranding is [Admin.RotateRoot] also where other replicas cannot
// follow by themselves. They go on under the keys they have, say so in Status and
// readiness, and cannot read what is written under later terms until they are
// given shares, which open the new record without a Seal.
func (a *Admin) RotateRootStranding(ctx context.Context, by By) error {
	return a.b.rotateRoot(ctx, by, true)
}
