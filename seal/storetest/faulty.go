package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/wait"
	"github.com/sealwright/sealwright/seal"
)

var (
	// ErrCrashed is returned by a [Faulty] from the call at which the process
	// died, and by every call after it until [Faulty.Reboot].
	ErrCrashed = errors.New("storetest: the process crashed here")

	// ErrInjected is returned by a [Faulty] from a call that was made to fail
	// without a crash.
	ErrInjected = errors.New("storetest: injected failure")
)

// Effect is what goes wrong in a call of a [Faulty].
type Effect int

// The effects. A call without one goes through.
const (
	// CrashBefore kills the process before the call has any effect.
	CrashBefore Effect = iota + 1
	// CrashAfter kills it after the effect: the record is stored, and the
	// caller never learns it.
	CrashAfter
	// CrashTorn stores the first [Fault.Bytes] bytes of the record, as no real
	// store may do, and kills the process.
	CrashTorn
	// FailBefore fails the call without an effect. The process lives on and
	// has to find out what happened.
	FailBefore
	// FailAfter fails it after the effect, as a connection does that is lost
	// before the answer.
	FailAfter
	// Conflict answers [seal.ErrConflict] and stores nothing, as if another
	// writer had come first.
	Conflict
)

// A Fault is one thing that goes wrong.
type Fault struct {
	Effect Effect
	Bytes  int // of CrashTorn: how much of the record is stored; at most all of it
}

// Faulty is a [seal.Store] over another one that fails at the calls it is told
// to, the same way each time. Calls are counted from 1, those of Swap and Load
// apart; a call made while the process is dead does not count. It is safe for
// concurrent use; its fields are set before.
type Faulty struct {
	// Inner keeps the records. It is required.
	Inner seal.Store

	// OnSwap and OnLoad tell what goes wrong at which call. For Load only
	// CrashBefore, CrashAfter, FailBefore and FailAfter have a meaning, and
	// any other effect is an error of its own.
	OnSwap, OnLoad map[int]Fault

	// Latency passes before each call reaches Inner. Zero is none.
	Latency time.Duration

	mu           sync.Mutex
	loads, swaps int
	dead         chan struct{} // closed by a crash; nil before the first use
	outage       error
}

// Calls returns how many calls of Load and Swap there were.
func (f *Faulty) Calls() (loads, swaps int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loads, f.swaps
}

// Crashed reports whether the process is dead.
func (f *Faulty) Crashed() bool {
	select {
	case <-f.death():
		return true
	default:
		return false
	}
}

// Crash kills the process now, between two calls.
func (f *Faulty) Crash() {
	dead := f.death()
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-dead:
	default:
		close(dead)
	}
}

// Reboot lets calls through again after a crash. What is stored stays, and the
// counts go on.
func (f *Faulty) Reboot() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = make(chan struct{})
}

// Outage makes every call fail with err, which it wraps, without an effect,
// until Outage(nil).
func (f *Faulty) Outage(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outage = err
}

// Load loads from Inner, unless it is made to fail.
func (f *Faulty) Load(ctx context.Context) (rec []byte, rev string, err error) {
	fault, err := f.begin(ctx, &f.loads, f.OnLoad)
	if err != nil {
		return nil, "", err
	}
	switch fault.Effect {
	case 0:
		return f.Inner.Load(ctx)
	case CrashBefore, CrashAfter:
		f.Crash()
		return nil, "", ErrCrashed
	case FailBefore, FailAfter:
		return nil, "", ErrInjected
	}
	return nil, "", fmt.Errorf("storetest: effect %d has no meaning for Load", fault.Effect)
}

// Swap swaps in Inner, unless it is made to fail. A failure of Inner itself is
// returned as it is, beside [ErrCrashed] or [ErrInjected] if there is one too.
func (f *Faulty) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	fault, err := f.begin(ctx, &f.swaps, f.OnSwap)
	if err != nil {
		return "", err
	}
	switch fault.Effect {
	case 0:
		return f.Inner.Swap(ctx, rec, old)
	case CrashBefore:
		f.Crash()
		return "", ErrCrashed
	case CrashAfter:
		_, err := f.Inner.Swap(ctx, rec, old)
		f.Crash()
		return "", errors.Join(ErrCrashed, err)
	case CrashTorn:
		_, err := f.Inner.Swap(ctx, rec[:max(0, min(fault.Bytes, len(rec)))], old)
		f.Crash()
		return "", errors.Join(ErrCrashed, err)
	case FailBefore:
		return "", ErrInjected
	case FailAfter:
		_, err := f.Inner.Swap(ctx, rec, old)
		return "", errors.Join(ErrInjected, err)
	case Conflict:
		return "", seal.ErrConflict
	}
	return "", fmt.Errorf("storetest: effect %d has no meaning for Swap", fault.Effect)
}

// Watch watches Inner until a crash, which ends it with [ErrCrashed]. It
// returns [errors.ErrUnsupported] at once if Inner is no [seal.Watcher].
func (f *Faulty) Watch(ctx context.Context, changed chan<- struct{}) error {
	inner, ok := f.Inner.(seal.Watcher)
	if !ok {
		return fmt.Errorf("storetest: watch %T: %w", f.Inner, errors.ErrUnsupported)
	}
	dead := f.death()
	if f.Crashed() {
		return ErrCrashed
	}
	alive, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-dead:
			cancel(ErrCrashed)
		case <-alive.Done():
		}
	}()
	err := inner.Watch(alive, changed)
	if ctx.Err() == nil && context.Cause(alive) == ErrCrashed {
		return ErrCrashed
	}
	return err
}

// begin counts a call and returns what goes wrong in it, or the error that
// keeps it from reaching Inner.
func (f *Faulty) begin(ctx context.Context, calls *int, faults map[int]Fault) (Fault, error) {
	if f.Latency > 0 {
		if err := wait.For(ctx, f.Latency); err != nil {
			return Fault{}, err
		}
	}
	if f.Crashed() {
		return Fault{}, ErrCrashed
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	*calls++
	if f.outage != nil {
		return Fault{}, fmt.Errorf("storetest: outage: %w", f.outage)
	}
	return faults[*calls], nil
}

// death returns the channel that a crash closes.
func (f *Faulty) death() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead == nil {
		f.dead = make(chan struct{})
	}
	return f.dead
}
