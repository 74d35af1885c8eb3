//go:build unix

package sqltest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

// disturbing is how many calls of the stores there are from one end of all their
// connections to the next. They are counted, not timed: on a busy machine the
// clock ended connections faster than they were made, and nothing else went on. A
// history has about fifty calls: twice in each all connections end. More often, and
// nearly half the swaps are unknown and say little, while a new process of PostgreSQL
// for each connection is most of what the test costs.
const disturbing = 24

// disturbed makes stores whose connections end() ends again and again, while
// calls are under way in them.
func disturbed(t testing.TB, fresh func() []seal.Store, end func(context.Context)) func() []seal.Store {
	ctx, cancel := context.WithCancel(t.Context())
	due, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-due:
				end(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	var calls atomic.Int64
	count := func() {
		if calls.Add(1)%disturbing == 0 {
			select {
			case due <- struct{}{}:
			default: // it is at it
			}
		}
	}
	return func() (stores []seal.Store) {
		for _, s := range fresh() {
			stores = append(stores, counted{s, count})
		}
		return stores
	}
}

// counted is a store that says when it is called.
type counted struct {
	seal.Store
	called func()
}

func (c counted) Load(ctx context.Context) ([]byte, string, error) {
	c.called()
	return c.Store.Load(ctx)
}

func (c counted) Swap(ctx context.Context, record []byte, rev string) (string, error) {
	c.called()
	return c.Store.Swap(ctx, record, rev)
}
