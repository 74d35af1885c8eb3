package custody_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
)

// A racer answers after a time, which the end of its context does not cut short:
// a true call may not hear of it.
type racer struct {
	after time.Duration
	err   error
}

// race runs the racers, whose values are their numbers.
func race(ctx context.Context, head time.Duration, racers []racer, begun func(i int), drop func(int)) (int, int, []error) {
	return custody.Race(ctx, len(racers), head, func(_ context.Context, i int, _ func()) (int, error) {
		begun(i)
		time.Sleep(racers[i].after)
		return i, racers[i].err
	}, drop)
}

// TestRace has the clock of every racer: who is asked when, who wins, and what
// becomes of those that come later.
func TestRace(t *testing.T) {
	const head = 2 * time.Second
	down := func(i int) error { return fmt.Errorf("racer %d is down", i) }
	for name, tt := range map[string]struct {
		racers  []racer
		winner  int
		took    time.Duration
		begun   []time.Duration // -1: never
		dropped []int
	}{
		"nobody":                            {winner: -1},
		"one":                               {racers: []racer{{after: time.Hour}}, took: time.Hour, begun: []time.Duration{0}},
		"the first is fast":                 {racers: []racer{{after: time.Second}, {}}, took: time.Second, begun: []time.Duration{0, -1}},
		"the first is slow":                 {racers: []racer{{after: time.Hour}, {after: time.Second}}, winner: 1, took: 3 * time.Second, begun: []time.Duration{0, head}, dropped: []int{0}},
		"the first is a little slow":        {racers: []racer{{after: 3 * time.Second}, {after: time.Hour}}, took: 3 * time.Second, begun: []time.Duration{0, head}, dropped: []int{1}},
		"two are slow":                      {racers: []racer{{after: time.Hour}, {after: time.Hour}, {after: time.Second}}, winner: 2, took: 5 * time.Second, begun: []time.Duration{0, head, 2 * head}, dropped: []int{0, 1}},
		"the first fails":                   {racers: []racer{{after: time.Second, err: down(0)}, {after: time.Second}}, winner: 1, took: 2 * time.Second, begun: []time.Duration{0, time.Second}},
		"all fail, the last one first":      {racers: []racer{{after: time.Hour, err: down(0)}, {after: time.Second, err: down(1)}}, winner: -1, took: time.Hour, begun: []time.Duration{0, head}},
		"a failure leaves the next its own": {racers: []racer{{err: down(0)}, {after: time.Hour}, {}}, winner: 2, took: head, begun: []time.Duration{0, 0, head}, dropped: []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				begun := make([]time.Duration, len(tt.racers))
				for i := range begun {
					begun[i] = -1
				}
				var dropped []int
				value, winner, errs := race(t.Context(), head, tt.racers, func(i int) { begun[i] = time.Since(start) }, func(i int) { dropped = append(dropped, i) })
				synctest.Wait() // with those that have only begun
				if winner != tt.winner || time.Since(start) != tt.took || winner >= 0 && value != winner {
					t.Errorf("racer %d won with %d after %v, want %d after %v", winner, value, time.Since(start), tt.winner, tt.took)
				}
				synctest.Wait() // what racers wrote that are at work still is to be read
				if !slices.Equal(begun, tt.begun) {
					t.Errorf("asked after %v, want %v", begun, tt.begun)
				}
				if len(errs) != 0 && winner >= 0 || winner < 0 && len(errs) != len(tt.racers) {
					t.Errorf("errors %v", errs)
				}
				time.Sleep(2 * time.Hour) // whoever comes late has come
				synctest.Wait()
				slices.Sort(dropped)
				if !slices.Equal(dropped, tt.dropped) {
					t.Errorf("dropped %v, want %v", dropped, tt.dropped)
				}
			})
		})
	}
}

// TestRaceTellsErrorsInTheirOrder: who failed first is named first.
func TestRaceTellsErrorsInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := errors.New("at once"), errors.New("late")
		_, i, errs := race(t.Context(), time.Second, []racer{{after: time.Hour, err: second}, {err: first}}, func(int) {}, func(int) {})
		if i != -1 || !slices.Equal(errs, []error{first, second}) {
			t.Errorf("%d, %v", i, errs)
		}
	})
}

// TestARaceThatIsWonEndsTheOthers: their calls are cancelled.
func TestARaceThatIsWonEndsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended context.Context
		_, i, _ := custody.Race(t.Context(), 2, time.Second, func(ctx context.Context, i int, _ func()) (int, error) {
			if i == 1 {
				return 1, nil
			}
			ended = ctx
			<-ctx.Done()
			return 0, ctx.Err()
		}, func(int) { t.Error("a failure was handed to drop") })
		synctest.Wait()
		if i != 1 || ended.Err() == nil {
			t.Errorf("racer %d won, and the other's context: %v", i, ended.Err())
		}
	})
}

// TestARacerCallsTheNext: it goes on by itself, and the next begins before its time;
// calls beyond the last racer start nobody.
func TestARacerCallsTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var begun []time.Duration
		_, i, errs := custody.Race(t.Context(), 2, time.Hour, func(_ context.Context, i int, next func()) (int, error) {
			begun = append(begun, time.Since(start)) // one after the other
			for range 10 * i {
				next()
			}
			if i == 0 {
				time.Sleep(time.Second)
				next()
				time.Sleep(time.Hour)
			}
			return i, nil
		}, func(int) {})
		if i != 1 || !slices.Equal(begun, []time.Duration{0, time.Second}) {
			t.Errorf("racer %d won, of those that began after %v: %v", i, begun, errs)
		}
		time.Sleep(2 * time.Hour)
	})
}
