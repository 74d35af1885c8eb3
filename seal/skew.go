package seal

import (
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/record"
)

// skewTolerance is how far the clocks of replicas may be apart, in seconds,
// before Status says so. No rule reads stamps, but people do, and clouds refuse
// calls that are signed at the wrong time.
const skewTolerance = 120

// skew says which replica's clock is ahead of this one's, by its last stamp in
// the journal: of two clocks that differ, the one behind is told. It returns ""
// where none is.
func skew(journal []record.Entry, now int64, replica string) string {
	last := map[string]int64{} // by replica
	for _, e := range journal {
		last[e.Replica] = e.At
	}
	delete(last, replica)
	ahead, most := "", now+skewTolerance
	for other, at := range last {
		if at > most || at == most && ahead != "" && other < ahead {
			ahead, most = other, at
		}
	}
	if ahead == "" {
		return ""
	}
	return fmt.Sprintf("the clock of replica %q was at %s with its last change, where this one is at %s: set the clocks (no rule reads them)",
		ahead, stamp(most), stamp(now))
}

func stamp(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
