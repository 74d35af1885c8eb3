package custody

import (
	"context"
	"sync"
	"time"
)

// Race starts f(0) at once, and each further one after a head start, when one
// before it failed, or when a racer calls next. The first success wins: its
// index is returned, and those that come later are handed to drop. Where none
// succeeds, i is -1 and errs has the error of each, in the order in which they
// failed.
func Race[T any](ctx context.Context, n int, head time.Duration, f func(ctx context.Context, i int, next func()) (T, error), drop func(T)) (out T, i int, errs []error) {
	won, errs := first(ctx, n, 1, head, f, drop)
	if len(won) == 0 {
		return out, -1, errs
	}
	return won[0].value, won[0].i, nil
}

// A finish is the success of one racer.
type finish[T any] struct {
	value T
	i     int
}

// first is Race that waits for need successes, of which it starts as many at
// once. It returns fewer, and the errors, as soon as so many cannot come any
// more.
func first[T any](ctx context.Context, n, need int, head time.Duration, f func(ctx context.Context, i int, next func()) (T, error), drop func(T)) (won []finish[T], errs []error) {
	type result struct {
		finish[T]
		err error
	}
	results, nexts := make(chan result, n), make(chan struct{}, n)
	ctx, cancel := context.WithCancel(ctx)
	var racers sync.WaitGroup
	defer func() {
		cancel()
		go func() { // a slower racer may have succeeded as well
			racers.Wait()
			close(results)
			for late := range results {
				if late.err == nil {
					drop(late.value)
				}
			}
		}()
	}()
	next := func() {
		select {
		case nexts <- struct{}{}:
		default: // there are no more racers than there is room for
		}
	}
	started := 0
	timer := time.NewTimer(head)
	defer timer.Stop()
	start := func() {
		if i := started; i < n {
			started++
			racers.Go(func() {
				value, err := f(ctx, i, next)
				results <- result{finish[T]{value, i}, err}
			})
			timer.Reset(head)
		}
	}
	for range need {
		start()
	}
	for len(won) < need && len(errs) <= n-need {
		select {
		case r := <-results:
			if r.err == nil {
				won = append(won, r.finish)
				continue
			}
			errs = append(errs, r.err)
			start()
		case <-nexts:
			start()
		case <-timer.C:
			start()
		}
	}
	return won, errs
}

// all runs f for 0 to n-1 side by side, and returns their errors.
func all(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { errs[i] = f(i) })
	}
	group.Wait()
	return errs
}
