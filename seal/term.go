package seal

import (
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/record"
)

// What is said of a term that cannot be retired, or not be activated: which of
// several things it is, and what to do.

// checkRetirable returns ErrTermInUse for a term that cannot go.
func (b *Barrier) checkRetirable(s *record.State, term uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.retirable(s, term)
}

// retirable is checkRetirable; b.mu is held.
func (b *Barrier) retirable(s *record.State, term uint32) error {
	state, why := stateOf(s, term)
	switch {
	case why != "":
		return fmt.Errorf("%w: %s", ErrTermInUse, why)
	case state != record.TermActive:
		return nil
	}
	for i := range s.Terms { // a copy of the key would stay on the stack
		if t := &s.Terms[i]; t.State == record.TermPassive {
			return fmt.Errorf("%w: term %d is active until term %d is, which is passive: %s", ErrTermInUse, term, t.Number, b.awaited(t.Number))
		}
	}
	return fmt.Errorf("%w: term %d is active: rotate, and rewrap, first", ErrTermInUse, term)
}

// awaited says what a passive term waits for, until when, and what to do; b.mu is
// held.
func (b *Barrier) awaited(term uint32) string {
	at := time.Now()
	if o, ok := b.observed[term]; ok {
		at = o.since
	}
	at = at.Add(b.cfg.Propagation)
	lacking := b.roster.view.Lacking(term)
	if !time.Now().Before(at) && len(lacking) == 0 {
		return "it may be activated now, which Run does on any replica, or Activate"
	}
	text := ""
	if time.Now().Before(at) {
		text = fmt.Sprintf("it is activated at %s at the earliest, when each replica should have it", stamp(at.Unix()))
	}
	if len(lacking) > 0 {
		if text != "" {
			text += ", and "
		}
		left := time.Duration(0) // until the last of them is taken not to run
		for _, m := range lacking {
			left = max(left, b.cfg.MemberTTL-m.Silent)
		}
		text += fmt.Sprintf("it is not taken in yet by %s: mend or end it; who stays silent is waited for until %s", named(lacking), stamp(time.Now().Add(left).Unix()))
	}
	return text + ": wait, or call ActivateUnseen"
}

// activatable returns ErrConfig for a term that does not wait to be activated.
func activatable(s *record.State, term uint32) error {
	state, why := stateOf(s, term)
	switch {
	case why != "":
	case state == record.TermActive:
		why = fmt.Sprintf("term %d is active already", term)
	case state == record.TermOld:
		why = fmt.Sprintf("term %d was active before term %d, and does not encrypt again: rotate", term, s.ActiveTerm().Number)
	default:
		return nil
	}
	return fmt.Errorf("%w: activate: %s", ErrConfig, why)
}

// stateOf returns the state of a term, or why there is none.
func stateOf(s *record.State, term uint32) (state record.TermState, why string) {
	for i := range s.Terms {
		if s.Terms[i].Number == term {
			return s.Terms[i].State, ""
		}
	}
	if term == 0 || term > s.LastTerm {
		return 0, fmt.Sprintf("there is no term %d yet, the newest is %d", term, s.LastTerm)
	}
	return 0, fmt.Sprintf("term %d is gone: it was retired already", term)
}
