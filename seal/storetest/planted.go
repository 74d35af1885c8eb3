package storetest

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/sealwright/sealwright/seal"
)

// Lagging returns a store over inner that answers each so-many-th Load with the
// record before the present one, as a replica does that has not caught up. It is
// a planted fault: the suite finds it at each run, up to one load in 700.
func Lagging(inner seal.Store, every int) seal.Store {
	return &lagging{Store: inner, every: every}
}

type lagging struct {
	seal.Store
	every int

	mu     sync.Mutex
	loads  int
	before kept // than the last Swap through this store
}

type kept struct {
	rec []byte
	rev string
}

func (l *lagging) Load(ctx context.Context) ([]byte, string, error) {
	rec, rev, err := l.Store.Load(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loads++; err == nil && l.loads%l.every == 0 && l.before.rev != "" {
		return bytes.Clone(l.before.rec), l.before.rev, nil
	}
	return rec, rev, err
}

func (l *lagging) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	before, beforeRev, loadErr := l.Store.Load(ctx)
	rev, err := l.Store.Swap(ctx, rec, old)
	if err == nil && loadErr == nil && beforeRev == old {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.before = kept{before, beforeRev}
	}
	return rev, err
}

// Retrying returns a store over inner that tries a Swap again by itself when it
// fails, as many clients do. Where the first one took place and only its answer
// was lost, the second one meets it, and is a conflict with itself. It is a planted
// fault: [RunLostAnswers] finds it at each run.
func Retrying(inner seal.Store) seal.Store { return retrying{inner} }

type retrying struct{ seal.Store }

func (r retrying) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	for range 3 {
		rev, err = r.Store.Swap(ctx, rec, old)
		if err == nil || errors.Is(err, seal.ErrConflict) || ctx.Err() != nil {
			break
		}
	}
	return rev, err
}
