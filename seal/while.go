package seal

import (
	"context"
	"fmt"
	"time"
)

// A run is one call of a function by While.
type run struct {
	end      context.CancelCauseFunc
	unsealed <-chan struct{} // closed when the Barrier is sealed
	done     chan struct{}   // closed when the function has returned
}

// While runs f whenever the Barrier is unsealed, in the caller's goroutine: at
// once if it is, and again after each further unseal. It is the place for what a
// server does only with its keys.
//
// f's context ends with ctx, and when the Barrier is sealed, by [context.Cause]
// with [ErrSealed] or [ErrClosed]. Seal and Close wait for f to return before
// they wipe the keys, so that it can end what it has begun: until then Keyring
// and a [Box] work for it, while the Barrier's other methods say that it is
// sealed. They wait no longer than [Config.Grace]; afterwards an f that goes on
// finds the keyring sealed, at worst between two operations, never within one.
// An f that seals or closes the Barrier itself has them wait for all of that:
// it does better to return, and have its caller do so.
//
// An f that returns nil early has done its work until the next unseal. Its error
// ends While, which returns it. What it returns once its context has ended is
// put down to that, and not looked at. A change of the record, by this process or
// another one, does not disturb it. Several Whiles are independent of each other.
//
// While returns ctx.Err(), [ErrClosed], or the error of f.
func (b *Barrier) While(ctx context.Context, f func(context.Context) error) error {
	if f == nil {
		return wrapError("while", "", fmt.Errorf("%w: the function is nil", ErrConfig))
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.Wait(ctx); err != nil {
			return err
		}
		if err := b.whileUnsealed(ctx, f); err != nil {
			return err
		}
	}
}

// whileUnsealed runs f, if the Barrier is unsealed, and returns nil when it is no
// more.
func (b *Barrier) whileUnsealed(ctx context.Context, f func(context.Context) error) error {
	within, r := b.startRun(ctx)
	if r == nil {
		return nil
	}
	err := b.call(within, r, f)
	select {
	case <-r.unsealed:
		return nil
	default:
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	}
	select {
	case <-r.unsealed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startRun notes that a function runs, which a Seal from now on waits for; nil if
// the Barrier is sealed.
func (b *Barrier) startRun(ctx context.Context) (context.Context, *run) {
	ctx, end := context.WithCancelCause(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		end(nil)
		return nil, nil
	}
	r := &run{end: end, unsealed: b.unsealed.Done(), done: make(chan struct{})}
	b.running[r] = struct{}{}
	return ctx, r
}

// call calls f; what f does, also if it panics, no Seal waits for it afterwards.
func (b *Barrier) call(ctx context.Context, r *run, f func(context.Context) error) error {
	defer func() {
		r.end(nil)
		close(r.done)
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.running, r)
	}()
	return f(ctx)
}

// drain ends what While runs, and waits for it.
func (b *Barrier) drain(running map[*run]struct{}, why error, by By) {
	for r := range running {
		r.end(why)
	}
	timer := time.NewTimer(b.cfg.Grace)
	defer timer.Stop()
	over, left := false, 0
	for r := range running {
		if !over {
			select {
			case <-r.done:
				continue
			case <-timer.C:
				over = true
			}
		}
		select {
		case <-r.done:
		default:
			left++
		}
	}
	if left > 0 {
		b.emit(EventOverrun, by, "", "the keys are wiped all the same", waiting(fmt.Sprintf(
			"with %d of the functions that While runs still at work %v after their contexts had ended", left, b.cfg.Grace)))
	}
}

// drained waits for the Seal that is at work, if one is: who asks to unseal
// meanwhile wants it undone, which it can be when it has ended.
func (b *Barrier) drained(ctx context.Context) error {
	for {
		b.mu.Lock()
		draining, changed := b.draining && !b.closed, b.changed
		b.mu.Unlock()
		if !draining {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
