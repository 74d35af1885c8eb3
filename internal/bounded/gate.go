package bounded

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrBusy: nothing was called, since a call before has not come back.
var ErrBusy = errors.New("it has not answered the call before")

// A Gate lets through one call at a time, so that one that never comes back costs
// one goroutine, and not one for each look.
type Gate struct{ inside chan struct{} }

// NewGate returns an open one.
func NewGate() Gate { return Gate{make(chan struct{}, 1)} }

// Through is [Call] when the call before has come back, within the time of ctx in
// all.
func Through[T any](ctx context.Context, g Gate, f func(context.Context) (T, error)) (T, error) {
	select {
	case g.inside <- struct{}{}:
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
	return Call(ctx, func(ctx context.Context) (T, error) {
		defer func() { <-g.inside }()
		return f(ctx)
	}, nil)
}

// Hung counts, by whom was called, the calls that were given up on and have not
// come back: each keeps a goroutine. Calls at the same time are none of its
// business. The zero value has none.
type Hung struct {
	mu    sync.Mutex
	calls map[string]int
	sum   int
}

// Full is ErrBusy where a call would be one too many, for those who have work to do
// before it.
func (h *Hung) Full(name string, each, all int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.calls[name] >= each:
		return fmt.Errorf("%w (%d hang)", ErrBusy, h.calls[name])
	case h.sum >= all:
		return fmt.Errorf("%w: of all, %d hang", ErrBusy, h.sum)
	}
	return nil
}

// Unless is [Call] where fewer calls than each hang of those to that name, and fewer
// than all in all.
func Unless[T any](ctx context.Context, h *Hung, name string, each, all int, f func(context.Context) (T, error), late func(T)) (T, error) {
	if err := h.Full(name, each, all); err != nil {
		var none T
		return none, err
	}
	back, gaveUp := false, false // guarded by h.mu
	v, err := Call(ctx, func(ctx context.Context) (T, error) {
		defer h.change(name, func() (by int) {
			if back = true; gaveUp {
				by = -1
			}
			return by
		})
		return f(ctx)
	}, late)
	h.change(name, func() (by int) {
		if gaveUp = !back; gaveUp {
			by = 1
		}
		return by
	})
	return v, err
}

// change adds to the calls of a name that hang what by says.
func (h *Hung) change(name string, by func() int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := by()
	if h.calls == nil {
		h.calls = map[string]int{}
	}
	h.sum += n
	if h.calls[name] += n; h.calls[name] == 0 {
		delete(h.calls, name)
	}
}
