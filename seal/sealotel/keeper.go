package sealotel

import (
	"maps"
	"time"

	"github.com/sealwright/sealwright/seal/journal"
)

// keeper is what a keeper told last.
type keeper struct {
	phase          string
	rotated, round time.Time
	failed         bool
}

// Keeper takes what a Keeper of package migrate is at, which calls it.
func (t *Telemetry) Keeper(phase string, rotated, round time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keeper = &keeper{phase, rotated, round, err != nil}
}

// Journal shows how a journal is, which is asked at each collection, and waits for
// nothing: it is for the Status of a Journal.
func (t *Telemetry) Journal(status func() journal.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.journal = status
}

// Items takes a census of a source, its items by term, in place of the one before.
func (t *Telemetry) Items(source string, counts map[string]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.items[source] = maps.Clone(counts)
}

// Rewrap begins to count a run of migrate.Rewrap over a source. The function that
// it returns is called with the outcomes of each progress, which are those of the
// run so far.
func (t *Telemetry) Rewrap(source string) func(outcomes map[string]int64) {
	last := map[string]int64{}
	return func(outcomes map[string]int64) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for outcome, items := range outcomes {
			t.rewraps[[2]string{source, outcome}] += max(0, items-last[outcome])
			last[outcome] = items
		}
	}
}
