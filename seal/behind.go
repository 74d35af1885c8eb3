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
	ErrRootMoved, ErrForked, ErrRolledBack, ErrOtherStore, ErrForged, ErrUnpinned, ErrMissing, ErrUninitialized, ErrCorrupt, ErrNewerFormat, ErrWrongSeed,
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
// active one, that the active one is known here for longer than
// [Config.Propagation], and that no replica of the [Config.Roster] encrypts under
// the term, or has until just now, so that nobody writes under it any more. Ask
// before the data is counted: what is written until then is not in a count that
// began earlier. It returns [ErrPropagating], whose text names who is waited for,
// [ErrTermInUse], or [ErrSealed].
func (a *Admin) CheckRetire(ctx context.Context, term uint32) error {
	a.b.lookAtRoster(ctx)
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	switch {
	case a.b.closed:
		return ErrClosed
	case a.b.open == nil:
		return ErrSealed
	}
	if err := a.b.retirable(&a.b.open().State, term); err != nil {
		return err
	}
	return a.b.underTerm(term)
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
// it to each other they follow by that. Of a replica in the roster that is asked
// which it says of itself.
func (b *Barrier) strands(s *record.State) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if why := b.followsAlone(&s.Record); why != "" && b.cfg.Propagation > 0 {
		return fmt.Errorf("%w: %s: give each of them its shares afterwards, and call RotateRootStranding; or add a KMS slot first", ErrStrands, why)
	}
	return b.strandsOthers(s)
}

// RotateRootStranding is [Admin.RotateRoot] also where other replicas cannot
// follow by themselves. They go on under the keys they have, say so in Status and
// readiness, and cannot read what is written under later terms until they are
// given shares, which open the new record without a Seal.
func (a *Admin) RotateRootStranding(ctx context.Context, by By) error {
	return a.b.rotateRoot(ctx, by, true)
}
