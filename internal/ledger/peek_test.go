package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/ledger"
)

// TestStrangersShareOneLoad: while a store hung, each request for the seal's
// status left a goroutine behind, and over a file a thread.
func TestStrangersShareOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &store{onLoad: func() error { <-release; return nil }}
		l := ledger.New(ledger.Config{Store: s, Timeout: 15 * time.Second})
		const strangers = 100
		var mu sync.Mutex
		answers := map[string]int{}
		var group sync.WaitGroup
		for i := range strangers {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%2*60)*time.Second)
				defer cancel()
				_, err := l.Peek(ctx)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, ledger.ErrUnavailable) && errors.Is(err, context.DeadlineExceeded):
					answers["away"]++
				default:
					t.Errorf("%v", err)
				}
			})
		}
		group.Wait()
		synctest.Wait() // with the load that hangs
		if answers["away"] != strangers || s.loads != 1 {
			t.Errorf("%d strangers, %v, %d loads", strangers, answers, s.loads)
		}
		// The one that hangs is waited for by whoever comes later, and by no more
		// calls.
		if _, err := l.Peek(t.Context()); !errors.Is(err, ledger.ErrUnavailable) || s.loads != 1 {
			t.Errorf("%v, %d loads", err, s.loads)
		}
		close(release)
		synctest.Wait()
		if _, err := l.Peek(t.Context()); !errors.Is(err, ledger.ErrUninitialized) || s.loads != 2 {
			t.Errorf("%v, %d loads", err, s.loads)
		}
	})
}

// TestACrowdThatLooks costs one load, each of whom waits no longer than they like; and
// whoever asked first may leave before the others.
func TestACrowdThatLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBranch(t, storeID)
		s := &store{onLoad: func() error { time.Sleep(10 * time.Second); return nil }}
		s.put(b.rec)
		l := newLedger(ledger.Config{Store: s})
		start := time.Now()
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+59*min(i, 1))*time.Second)
				defer cancel()
				_, err := l.Peek(ctx)
				took := time.Since(start)
				if leaves := i == 0; leaves && (!errors.Is(err, ledger.ErrUnavailable) || took != time.Second) || !leaves && (err != nil || took != 10*time.Second) {
					t.Errorf("%d: %v, after %v", i, err, took)
				}
			})
			synctest.Wait()
		}
		group.Wait()
		if s.loads != 1 {
			t.Errorf("%d loads", s.loads)
		}
	})
}
