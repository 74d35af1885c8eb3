package poll_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/poll"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var state, broken, asked atomic.Int64
		changed := make(chan struct{}, 1)
		done := make(chan error)
		go func() {
			done <- poll.Watch(ctx, time.Second, func(context.Context) (string, error) {
				asked.Add(1)
				if broken.Load() != 0 {
					return "", errors.New("out of reach")
				}
				return string(rune('a' + state.Load())), nil
			}, changed)
		}()
		told := func() bool {
			time.Sleep(time.Second)
			synctest.Wait()
			select {
			case <-changed:
				return true
			default:
				return false
			}
		}
		steps := []struct {
			name string
			do   func()
			want bool
		}{
			{"at the start", func() {}, true},
			{"unchanged", func() {}, false},
			{"changed", func() { state.Store(1) }, true},
			{"told once", func() {}, false},
			{"changed back", func() { state.Store(0) }, true},
			{"out of reach", func() { broken.Store(1) }, false},
			{"in reach again, unchanged", func() { broken.Store(0) }, false},
			{"changed out of reach", func() { broken.Store(1); state.Store(2) }, false},
			{"in reach again, changed", func() { broken.Store(0) }, true},
		}
		for _, step := range steps {
			step.do()
			if got := told(); got != step.want {
				t.Errorf("%s: told = %v, want %v", step.name, got, step.want)
			}
		}
		before := asked.Load()
		for i := range 10 { // nobody receives: the questions go on
			state.Store(int64(3 + i))
			time.Sleep(time.Second)
		}
		if got := asked.Load() - before; got < 9 {
			t.Errorf("asked %d times in 10 s while nobody received, want one a second", got)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v, want context.Canceled", err)
		}
	})
}

// A watch that begins while the state is out of reach tells once it is not.
func TestWatchFromOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var reach atomic.Bool
		changed, done := make(chan struct{}), make(chan error)
		go func() {
			done <- poll.Watch(ctx, time.Second, func(context.Context) (string, error) {
				if !reach.Load() {
					return "", errors.New("out of reach")
				}
				return "a", nil
			}, changed)
		}()
		<-changed
		reach.Store(true)
		<-changed
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v, want context.Canceled", err)
		}
	})
}
