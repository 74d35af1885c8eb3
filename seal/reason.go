package seal

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
)

// Why a Barrier is sealed, for people who wonder: it is the last thing that is
// true, and not the last attempt that failed.

// A waiting is the ErrSealed of a Barrier that nothing is wrong with: it says
// what it waits for.
type waiting string

func (w waiting) Error() string { return "seal: sealed, " + string(w) }

func (w waiting) Is(target error) bool { return target == ErrSealed }

// A starting is the ErrStarting of a Barrier of which nothing is known yet: it says
// what is being done.
type starting string

func (s starting) Error() string { return "seal: sealed, starting: " + string(s) }

func (s starting) Is(target error) bool { return target == ErrSealed || target == ErrStarting }

// A byOperator is the ErrSealedByOperator of a Barrier of which there is more to
// say: shares were given, or an attempt failed.
type byOperator struct{ why error }

func (e *byOperator) Error() string {
	why := strings.TrimPrefix(strings.TrimPrefix(e.why.Error(), "seal: "), "sealed, ")
	return "seal: sealed, by an operator: shares given here open it, or Unseal, and by itself it asks no other replica; " + why
}

func (e *byOperator) Unwrap() []error { return []error{ErrSealedByOperator, e.why} }

// setWhy remembers why the Barrier is sealed, nil when it is not; b.mu is held.
func (b *Barrier) setWhy(err error) {
	b.why = err
	if err == nil {
		b.reason.Store(nil)
		return
	}
	b.reason.Store(&err)
}

// setReason remembers why the Barrier is sealed. After a Seal that is why, and not
// what came of an attempt that began before; and what comes of one that begins
// later is told beside it.
func (b *Barrier) setReason(as intent, err error) {
	b.replaceReason(as, err, func(error) bool { return true })
}

// replaceReason is setReason, where what is said so far is no more than that.
func (b *Barrier) replaceReason(as intent, err error, instead func(said error) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil || b.closed || as.seals != b.seals || !instead(b.why) {
		return
	}
	b.setWhy(b.besides(err))
}

// besides adds to a reason that an operator sealed, where one did; b.mu is held.
func (b *Barrier) besides(err error) error {
	if !b.sealedBy || errors.Is(err, ErrSealedByOperator) {
		return err
	}
	return &byOperator{err}
}

// isStarting reports whether a reason is that nothing is known yet.
func isStarting(said error) bool { return errors.Is(said, ErrStarting) }

// saysNoRecord reports whether a reason is that there is no record.
func saysNoRecord(said error) bool {
	return errors.Is(said, ErrUninitialized) || errors.Is(said, ErrMissing)
}

// isOfStore reports whether a reason is about what the store said, or did not: it
// has said something else by the time that its record is tried.
func isOfStore(said error) bool {
	return isStarting(said) || saysNoRecord(said) || errors.Is(said, ErrStoreUnavailable)
}

// recordIsThere takes back that there is none: another replica, or this one, has
// made it since, or it was restored, and whoever looks at it next may do so much
// later.
func (b *Barrier) recordIsThere(rec *record.Record) {
	b.mu.Lock()
	wrong, as := b.open == nil && saysNoRecord(b.why), intent{seals: b.seals}
	b.mu.Unlock()
	if !wrong {
		return
	}
	var why error = starting("the record is there, and was not tried yet: Run does, or Unseal")
	if len(machines(rec)) == 0 {
		why = missing(rec, b.gathered(""))
	}
	b.replaceReason(as, why, saysNoRecord)
}

// beingAsked says which slots are, until they have said something.
func beingAsked(slots []*record.Slot) starting {
	var names []string
	for _, slot := range slots {
		names = append(names, strconv.Quote(slot.Name))
	}
	return starting("the KMS of slot " + strings.Join(names, ", ") + " is being asked")
}

// missing says what the people slots still need. The set is named: while new shares
// are proven, people hold two.
func missing(rec *record.Record, g *custody.Quorum) waiting {
	var parts []string
	custody.EachSet(rec, func(slot *record.Slot, leaf *record.Shares, path string) {
		if slot.Opens() || asked(rec, slot) && g.Count(leaf.Set) > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d shares given for slot %q (%s)", g.Count(leaf.Set), leaf.Threshold, slot.Name, setName(rec, slot, leaf.Set)))
		}
	})
	if len(parts) == 0 {
		return "and no slot is held by people"
	}
	slices.Sort(parts)
	return waiting("waiting for people: " + strings.Join(parts, ", "))
}

// setName names a set of shares, and, where one is about to replace another, which
// of the two it is.
func setName(rec *record.Record, slot *record.Slot, set uint32) string {
	twins := slices.ContainsFunc(rec.Slots, func(o record.Slot) bool { return o.Name == slot.Name && o.ID != slot.ID })
	switch {
	case slot.State == record.Pending:
		return fmt.Sprintf("the new set %d", set)
	case twins:
		return fmt.Sprintf("the old set %d", set)
	}
	return fmt.Sprintf("set %d", set)
}
