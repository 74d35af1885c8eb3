package custody

import (
	"context"
	"sync"
	"time"
)

// Race starts f(0) at once, and each further one after a head start or when one
// before it failed. The first success wins: its index is returned, and those
// that come later are handed to drop. Where none succeeds, errs has the error
// of each in the order in which they failed, and i is -1.
func Race[T any](ctx context.Context, n int, head time.Duration, f func(context.Context, int) (T, error), drop func(T)) (out T, i int, errs []error) {
	type result struct {
		value T
		i     int
		err   error
	}
	results := make(chan result, n)
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
	started := 0
	start := func() {
		if i := started; i < n {
			started++
			racers.Go(func() {
				value, err := f(ctx, i)
				results <- result{value, i, err}
			})
		}
	}
	start()
	timer := time.NewTimer(head)
	defer timer.Stop()
	for len(errs) < n {
		select {
		case r := <-results:
			if r.err == nil {
				return r.value, r.i, nil
			}
			errs = append(errs, r.err)
		case <-timer.C:
		}
		if started < n {
			start()
			timer.Reset(head)
		}
	}
	return out, -1, errs
}
