// Package bounded calls what may never come back: a KMS, a store, a file system
// that hangs. It owns the one goroutine of such a call, and turns a panic in it
// into an error, since a provider's fault must not end the server. What an error
// says is one printable line. It must not know what is called, nor what its
// answers mean.
package bounded

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/internal/secret"
)

var (
	// ErrNoAnswer: the call did not come back soon after the end of its context.
	ErrNoAnswer = errors.New("no answer in time")
	// ErrPanic: the call panicked. The value is not told: it may hold anything.
	ErrPanic = errors.New("it panicked")
)

// grace is how long a call whose context has ended may still take to say why.
const grace = time.Second

// Guard calls f in its caller's goroutine, and returns what it says, on one
// printable line, or that it panicked. It is for what takes its own time, as a
// watch does, or takes none.
func Guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: a %T", ErrPanic, v)
		}
	}()
	return foreign.Error(f())
}

// Call calls f, and comes back soon after the end of ctx also where f does not.
// An f that is given up on goes on in its goroutine: what it returns then, which
// may be a key, goes to late, if there is one.
func Call[T any](ctx context.Context, f func(context.Context) (T, error), late func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	var answered atomic.Bool // by f, or by whoever gave it up
	go func() {
		r := result{err: ErrNoAnswer} // of an f that ends its goroutine
		defer func() {
			if answered.CompareAndSwap(false, true) {
				results <- r
			} else if late != nil {
				late(r.value)
			}
		}()
		var value T
		err := Guard(func() (err error) {
			secret.Do(func() { value, err = f(ctx) })
			return err
		})
		if r.err = err; !errors.Is(err, ErrPanic) {
			r.value = value
		}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case r := <-results: // with the last words of whoever was asked
		return r.value, r.err
	case <-timer.C:
		if !answered.CompareAndSwap(false, true) { // just now
			r := <-results
			return r.value, r.err
		}
		var none T
		return none, fmt.Errorf("%w: %w", ErrNoAnswer, ctx.Err())
	}
}
