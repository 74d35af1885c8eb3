package migrate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/migrate"
)

var everyTwoHours = migrate.KeeperConfig{RotateAfter: 2 * time.Hour, KeepOld: migrate.AtOnce, Beat: 10 * time.Minute, Retry: 10 * time.Minute}

// Three replicas rotate, rewrap and retire, and one of them at a time does it, with
// as few records as there can be.
func TestKeeper(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t, 3, everyTwoHours)
		defer f.close()
		f.set(func() { f.seen.acts, f.seen.swaps, f.seen.trace = 0, 0, nil })
		time.Sleep(2*time.Hour - time.Second)
		if s := f.look(); s.swaps != 0 {
			t.Errorf("%d changes of the record while nothing was due:\n%s", s.swaps, strings.Join(s.trace, "\n"))
		}
		time.Sleep(time.Hour)
		f.check(1)
		if s := f.look(); s.swaps != 5 {
			t.Errorf("%d records for a rotation, want 5, rotate, activate, lease, retire and its end:\n%s", s.swaps, strings.Join(s.trace, "\n"))
		}
		if testing.Short() {
			return
		}
		time.Sleep(4 * time.Hour)
		f.check(3) // each is due two hours after the one before was made
	})
}

// Killed at any act, before or after it took place, a replica is replaced by
// another one, and what it was at is brought to its end.
func TestKeeperKilled(t *testing.T) {
	points, takeovers, lost, astray := 0, 0, 0, 0
	step := 1
	if !testlevel.Whole() {
		step = 4
	}
	if testing.Short() {
		step = 16
	}
	for killAt := 1; ; killAt += step {
		done := false
		for _, late := range []bool{false, true} {
			virtual(t, func(t *testing.T) {
				f := newFleetDue(t)
				defer f.close()
				f.set(func() { f.seen.acts, f.killAt, f.late, f.seen.trace = 0, killAt, late, nil })
				f.settle(1)
				lost += f.check(1)
				s := f.look()
				astray += len(s.astray)
				points += len(s.killed)
				done = len(s.killed) == 0
				if t.Failed() {
					t.Fatalf("killed at act %d, late %v:\n%s", killAt, late, strings.Join(s.trace, "\n"))
				}
				for _, a := range s.trace {
					if len(s.killed) == 1 && strings.Contains(a, "replace") && !strings.Contains(a, s.killed[0]) {
						takeovers++
						break
					}
				}
			})
		}
		if done || t.Failed() {
			break
		}
	}
	if points < 30/step || takeovers < 10/step {
		t.Errorf("only %d points, %d takeovers", points, takeovers)
	}
	if !testlevel.Whole() || testing.Short() {
		return
	}
	t.Logf("GUARANTEE 1 keeper: interruptions=%d takeovers=%d lost=%d two-at-once=%d", points, takeovers, lost, astray)
}
