package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// How hard the races try: enough that a store without a lock shows it at
// nearly every run, few enough for a store that waits for a disk.
const (
	racers = 4
	pause  = 200 * time.Microsecond // in which others come between
)

func (c suite) rounds() int {
	if c.short {
		return 3
	}
	return 8
}

func racingCreators(t testing.TB, s seal.Store) {
	var mu sync.Mutex
	winners := map[string]string{} // record to revision
	race(func(racer int) {
		rec := fmt.Sprintf("racer %d", racer)
		rev, err := s.Swap(t.Context(), []byte(rec), "")
		if err != nil {
			return // a conflict, or an outcome that the end will show
		}
		mu.Lock()
		defer mu.Unlock()
		winners[rec] = rev
	})
	rec, rev, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("Load after %d creators: %v", racers, err)
	}
	if len(winners) > 1 {
		t.Fatalf("%d of %d racing creators won, want at most one", len(winners), racers)
	}
	for won, wonRev := range winners {
		if won != string(rec) || wonRev != rev {
			t.Errorf("%q won at revision %q, but the store holds %s at %q", won, wonRev, brief(string(rec)), rev)
		}
	}
}

// racingWriters appends lines to the record, so that the last record tells the
// whole history.
func (c suite) racingWriters(t testing.TB, s seal.Store) {
	rounds := c.rounds()
	mustSwap(t, s, "start\n", "")
	var mu sync.Mutex
	winner := map[string]string{} // replaced revision to line
	race(func(racer int) {
		for round := range rounds {
			line := fmt.Sprintf("%d.%d\n", racer, round)
			old, err := appendLine(t.Context(), s, line)
			mu.Lock()
			if err != nil {
				t.Errorf("writer %d, round %d: %v", racer, round, err)
			} else if other, ok := winner[old]; ok && old != "" {
				t.Errorf("both %q and %q replaced the revision %q", other, line, old)
			}
			winner[old] = line
			mu.Unlock()
		}
	})
	rec, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("Load after the race: %v", err)
	}
	lines := strings.Split(string(rec), "\n")
	if got := len(lines) - 2; got != racers*rounds { // all but the first and what follows the last
		t.Errorf("the record has %d lines, want the %d that were written: an update was lost or doubled", got, racers*rounds)
	}
	for racer := range racers {
		at := -1
		for round := range rounds {
			i := slices.Index(lines, fmt.Sprintf("%d.%d", racer, round))
			if i <= at {
				t.Fatalf("line %d.%d is lost or out of order", racer, round)
			}
			at = i
		}
	}
}

// appendLine adds a line as a careful caller does, and returns the revision
// it replaced, or "" if that can't be told.
func appendLine(ctx context.Context, s seal.Store, line string) (old string, err error) {
	deadline := time.Now().Add(patience)
	for attempt := 1; time.Now().Before(deadline); attempt++ {
		rec, rev, err := s.Load(ctx)
		if err != nil {
			return "", fmt.Errorf("load: %w", err)
		}
		if strings.Contains("\n"+string(rec), "\n"+line) {
			return "", nil // the swap whose outcome was unknown
		}
		time.Sleep(pause) // so that others come between
		_, err = s.Swap(ctx, append(rec, line...), rev)
		if err == nil {
			return rev, nil
		}
		time.Sleep(time.Duration(min(attempt, 20)) * time.Millisecond)
	}
	return "", fmt.Errorf("no swap went through in %v", patience)
}

// freshReads has readers come at once after each Swap, when nobody writes: there
// is one right answer. There are enough of them to meet a store that gives another
// one time in forty, at random.
func (c suite) freshReads(t testing.TB, s seal.Store) {
	rounds := c.rounds()
	rev := ""
	var failed atomic.Bool
	for n := 0; n < 3*rounds && !failed.Load(); n++ {
		rec := fmt.Sprintf("record %d", n)
		next, err := s.Swap(t.Context(), []byte(rec), rev)
		if err != nil {
			t.Fatalf("Swap with no other writer, at the revision of the one before: %v", err)
		}
		rev = next
		race(func(int) {
			for range rounds {
				if got, gotRev, err := s.Load(t.Context()); err != nil {
					failed.Store(true)
					t.Errorf("Load after a Swap: %v", err)
				} else if string(got) != rec || gotRev != rev {
					failed.Store(true)
					t.Errorf("Load after Swap had returned revision %q for %q: %s at %q, which is stale", rev, rec, brief(string(got)), gotRev)
				}
			}
		})
	}
}

// wholeRecords has readers look on while records of very different sizes
// replace each other.
func (c suite) wholeRecords(t testing.TB, s seal.Store) {
	rounds, look := c.rounds(), pause/4
	if c.short {
		look = 2 * pause
	}
	record := func(n int) string {
		line := fmt.Sprintf("%04d\n", n)
		return strings.Repeat(line, 1+n%7*1500)
	}
	rev := mustSwap(t, s, record(0), "")
	done := make(chan struct{})
	race(func(racer int) {
		if racer == 0 {
			defer close(done)
			for n := 1; n <= 3*rounds; n++ {
				next, err := s.Swap(t.Context(), []byte(record(n)), rev)
				if err != nil {
					t.Errorf("Swap with no other writer: %v", err)
					return
				}
				rev = next
				time.Sleep(pause)
			}
			return
		}
		for last := 0; ; {
			rec, _, err := s.Load(t.Context())
			if err != nil {
				t.Errorf("Load beside a writer: %v", err)
				return
			}
			n := -1
			if first, _, ok := bytes.Cut(rec, []byte("\n")); ok {
				fmt.Sscanf(string(first), "%d", &n)
			}
			if n < 0 || string(rec) != record(n) {
				t.Errorf("Load beside a writer returned %s, which nobody wrote", brief(string(rec)))
				return
			}
			if n < last {
				t.Errorf("Load returned record %d after record %d", n, last)
				return
			}
			last = n
			select {
			case <-done:
				return
			case <-time.After(look):
			}
		}
	})
}

func watch(t testing.TB, s seal.Store) {
	w, ok := s.(seal.Watcher)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changed, done := make(chan struct{}, 1), make(chan error, 1)
	go func() { done <- w.Watch(ctx, changed) }()
	told := func(within time.Duration) bool {
		select {
		case <-changed:
			return true
		case err := <-done:
			t.Fatalf("Watch returned %v before its context was done", err)
		case <-time.After(within):
		}
		return false
	}
	// Nobody can tell when the watch has begun: change things until it tells.
	rev := mustSwap(t, s, "begin", "")
	deadline := time.Now().Add(patience)
	for !told(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Watch told of no change")
		}
		rev = mustSwap(t, s, "begin", rev)
	}
	for _, rec := range []string{"one", "two", "three"} {
		rev = mustSwap(t, s, rec, rev)
		for seen := false; !seen; { // it may also tell of an earlier change
			if !told(patience) {
				t.Fatalf("Watch did not tell of the record %q", rec)
			}
			got, _, err := s.Load(t.Context())
			if err != nil {
				t.Fatalf("Load: %v", err)
			}
			seen = string(got) == rec
		}
		for told(0) {
		}
	}
	cancel()
	stopped(t, done)
}

// watchUnattended has nobody receive.
func watchUnattended(t testing.TB, s seal.Store) {
	w, ok := s.(seal.Watcher)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Watch(ctx, make(chan struct{})) }()
	rev := mustSwap(t, s, "one", "")
	rev = mustSwap(t, s, "two", rev)
	expect(t, s, "two", rev)
	time.Sleep(50 * pause) // most likely it watches by now
	cancel()
	stopped(t, done)
}

func stopped(t testing.TB, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v after its context was cancelled, want context.Canceled", err)
		}
	case <-time.After(patience):
		t.Errorf("Watch did not return after its context was cancelled")
	}
}

// race runs f once for each racer, all at once, and waits for them.
func race(f func(racer int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for racer := range racers {
		wg.Go(func() {
			<-start
			f(racer)
		})
	}
	close(start)
	wg.Wait()
}

// brief describes a record in an error, whatever its length.
func brief(rec string) string {
	if len(rec) <= 40 {
		return fmt.Sprintf("%q", rec)
	}
	return fmt.Sprintf("%d bytes beginning %q", len(rec), rec[:40])
}
