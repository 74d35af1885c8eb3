// Package storetest proves stores: [Run] is the conformance suite that every
// [seal.Store] passes, [RunUnreachable] its counterpart for a store whose
// backend can't be reached, [RunLostAnswers] for one whose answers get lost, and
// [Faulty] a store that fails where it is told to, for the tests of whatever uses a
// store.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) seal.Store {
//			return newStore(t) // with an empty backend of its own
//		})
//	}
//
// A store that several processes share is best tested as several handles to
// one backend that take turns: [Turns]. One whose backend takes less than
// [seal.MaxRecordSize] says how much: [Config].
package storetest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

// MinRecordSize is the size in bytes of the largest record of a store that keeps
// the least. A record of three slots has about 12 KiB; it grows with terms and
// slots.
const MinRecordSize = 64 << 10

// Config says in what a store is less than others. Zero is in nothing.
type Config struct {
	// MaxRecordSize is the size in bytes of the largest record that the store
	// keeps: it refuses a longer one with [seal.ErrTooLarge] before it sends
	// anything. It is [MinRecordSize] at least. Zero is [seal.MaxRecordSize].
	MaxRecordSize int
}

// Run runs the conformance suite: whether the store does all that
// [seal.Store] says, and [seal.Watcher] if it is one. Each check calls open for
// a store of its own that holds no record; open registers with t.Cleanup what
// must be closed. A store that polls for changes should do so quickly here.
// With -short the races are shorter, and records of 256 KiB are the largest that it
// stores.
func Run(t *testing.T, open func(t *testing.T) seal.Store) { Config{}.Run(t, open) }

// Run is the function [Run] for such a store.
func (c Config) Run(t *testing.T, open func(t *testing.T) seal.Store) {
	if c.MaxRecordSize == 0 {
		c.MaxRecordSize = seal.MaxRecordSize
	}
	if c.MaxRecordSize < MinRecordSize || c.MaxRecordSize > seal.MaxRecordSize {
		t.Fatalf("storetest: MaxRecordSize is %d, want %d to %d", c.MaxRecordSize, MinRecordSize, seal.MaxRecordSize)
	}
	for _, check := range (suite{c, testing.Short()}).checks() {
		t.Run(check.name, func(t *testing.T) { check.run(t, open(t)) })
	}
}

// RunUnreachable checks that a store whose backend can't be reached says so:
// neither [seal.ErrNotFound], from which a caller would conclude that it may
// make a new record, nor [seal.ErrConflict], from which it would conclude that
// nothing was changed. Open returns such a store: its file's directory is
// missing, its server is down, its table was never made.
func RunUnreachable(t *testing.T, open func(t *testing.T) seal.Store) {
	unreachable(t, open(t))
}

// Turns returns a store whose calls go to each of the given ones in turn, as
// if from several processes. They share one backend; there is at least one of
// them. It watches through the first, and is a [seal.Watcher] if that is one.
func Turns(first seal.Store, others ...seal.Store) seal.Store {
	t := &turns{stores: append([]seal.Store{first}, others...)}
	if w, ok := first.(seal.Watcher); ok {
		return watchedTurns{t, w}
	}
	return t
}

type turns struct {
	stores []seal.Store
	calls  atomic.Uint32
}

type watchedTurns struct {
	*turns
	seal.Watcher
}

func (t *turns) next() seal.Store {
	return t.stores[int(t.calls.Add(1))%len(t.stores)]
}

func (t *turns) Load(ctx context.Context) (rec []byte, rev string, err error) {
	return t.next().Load(ctx)
}

func (t *turns) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	return t.next().Swap(ctx, rec, old)
}
