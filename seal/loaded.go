package seal

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// A Loaded is a value that a server has in memory for as long as it is unsealed,
// such as a file of secrets, decrypted, or the key of a certificate:
//
//	secrets := seal.NewLoaded(b, func(ctx context.Context) (*secrets, error) { return open(ctx, file, box) })
//	go secrets.Run(ctx) // beside b.Run(ctx)
//	…
//	s, err := secrets.Value() // for each request
//
// Package sealhttp's Error answers a request that finds none, and with Ready as its
// Routes.Hold readiness waits for it.
type Loaded[T any] struct {
	b     *Barrier
	load  func(context.Context) (T, error)
	value atomic.Pointer[T]
}

// NewLoaded returns a Loaded of what load returns. Nothing is loaded before Run.
func NewLoaded[T any](b *Barrier, load func(context.Context) (T, error)) *Loaded[T] {
	return &Loaded[T]{b: b, load: load}
}

// Run has the value loaded after each unseal, and lets it go when the Barrier is
// sealed, before the keys are wiped, until ctx ends: it is a [Barrier.While]. An
// error of load ends it; load itself tries again what may be better later.
//
// It returns ctx.Err(), [ErrClosed], or the error of load.
func (l *Loaded[T]) Run(ctx context.Context) error {
	if l.load == nil {
		return wrapError("load", "", fmt.Errorf("%w: the function is nil", ErrConfig))
	}
	return l.b.While(ctx, func(ctx context.Context) error {
		v, err := l.load(ctx)
		if err != nil {
			return err
		}
		l.value.Store(&v)
		defer l.value.Store(nil)
		<-ctx.Done()
		return nil
	})
}

// Value returns the value, and [ErrSealed] or [ErrClosed] while there is none: the
// Barrier is sealed, or the value is not loaded yet. It takes no lock. Who has the
// value when the Barrier is sealed keeps it: let go of it with the request.
func (l *Loaded[T]) Value() (T, error) {
	if v := l.value.Load(); v != nil {
		return *v, nil
	}
	var none T
	if errors.Is(l.b.Sealed(), ErrClosed) {
		return none, ErrClosed
	}
	return none, ErrSealed
}

// Ready returns nil while there is a value, and otherwise the error of Value.
func (l *Loaded[T]) Ready() error {
	_, err := l.Value()
	return err
}
