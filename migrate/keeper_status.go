package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// KeeperPhase says what a [Keeper] is at.
type KeeperPhase string

const (
	KeeperStopped    KeeperPhase = "stopped"    // Run does not run
	KeeperSealed     KeeperPhase = "sealed"     // it waits for an unseal
	KeeperBehind     KeeperPhase = "behind"     // this process cannot take in the stored record
	KeeperIdle       KeeperPhase = "idle"       // nothing is due
	KeeperElsewhere  KeeperPhase = "elsewhere"  // another replica works
	KeeperSettling   KeeperPhase = "settling"   // until every replica has seen the active term
	KeeperCounting   KeeperPhase = "counting"   // a census of a source
	KeeperRewrapping KeeperPhase = "rewrapping" // a source is brought under the active term
	KeeperRetiring   KeeperPhase = "retiring"   // terms go that nothing is under
)

// KeeperStatus is how a [Keeper] is.
type KeeperStatus struct {
	Phase   KeeperPhase
	Replica string    // the one that works, or did last as far as is known here
	Source  string    // that it is at
	Term    uint32    // the active one
	Rotated time.Time // when that was made
	Due     time.Time // when it is to be replaced by age; zero: never

	Sources []KeeperSourceStatus // of the last round here, in the order of the configuration
	Round   time.Time            // when that ended; zero: none did
	Next    time.Time            // when the next round may begin, of what is left; zero: nothing is
	Err     error                // what went wrong last, a [KeeperError] for a source; nil: nothing
}

// KeeperSourceStatus is how one source is.
type KeeperSourceStatus struct {
	Name     string
	Items    map[string]int64 // by term, as [Census.Counts]; nil: not counted yet, or it failed
	Progress Progress         // of the rewrap
}

// A KeeperError says what a round could not do in a source.
type KeeperError struct {
	Source string
	Failed int64        // items left as they are
	Items  []*ItemError // the first of them
	Err    error        // what ended the walk through the source, or its count; nil: nothing
}

// Error returns the whole on one line, prefixed with "migrate: ".
func (e *KeeperError) Error() string {
	switch {
	case e.Failed == 0:
		return fmt.Sprintf("migrate: keeper: source %q: %v", e.Source, e.Err)
	case e.Err == nil:
		return fmt.Sprintf("migrate: keeper: source %q: %d items are left as they are, and keep their terms; the first: %v", e.Source, e.Failed, e.Items[0])
	}
	return fmt.Sprintf("migrate: keeper: source %q: %d items are left as they are, the first: %v; and then: %v", e.Source, e.Failed, e.Items[0], e.Err)
}

// Unwrap returns Err and Items.
func (e *KeeperError) Unwrap() []error {
	var errs []error
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	for _, i := range e.Items {
		errs = append(errs, i)
	}
	return errs
}

// Status returns how the Keeper is. It comes from memory.
func (k *Keeper) Status() KeeperStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status.clone()
}

func (s KeeperStatus) clone() KeeperStatus {
	s.Sources = slices.Clone(s.Sources)
	for i := range s.Sources {
		s.Sources[i].Items = maps.Clone(s.Sources[i].Items)
	}
	return s
}

// tell changes the status, and tells the host if that is news.
func (k *Keeper) tell(change func(*KeeperStatus)) {
	k.mu.Lock()
	change(&k.status)
	s := k.status.clone()
	k.mu.Unlock()
	if k.cfg.OnStatus != nil {
		k.cfg.OnStatus(s)
	}
	if m := k.cfg.Metrics; m != nil {
		m.Keeper(string(s.Phase), s.Rotated, s.Round, s.Err)
	}
}

// phase is tell of that alone, where it is another.
func (k *Keeper) phase(p KeeperPhase) {
	if k.Status().Phase != p {
		k.tell(func(s *KeeperStatus) { s.Phase, s.Source = p, "" })
	}
}

// know notes what there is to know of the terms, and of when more is to be done.
func (k *Keeper) know(t keeperTerms, next time.Time) {
	var due time.Time
	if k.cfg.RotateAfter > 0 {
		due = t.active.Created.Add(k.cfg.RotateAfter)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.status
	s.Term, s.Rotated, s.Due, s.Next = t.active.Number, t.active.Created, due, next
}

func termName(term uint32) string { return strconv.FormatUint(uint64(term), 10) }
