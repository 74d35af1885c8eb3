package seal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sealwright/sealwright/kms"
)

// maxPause is where the pauses between the rounds of an auto-unseal stop
// growing. They are drawn from zero to a bound that doubles from Config.Spread
// on, also before the first round: pods that restart together must not call
// together.
const maxPause = time.Minute

// Run does, until ctx ends, what a server wants done by itself: it unseals
// through the KMS slots, retrying while they cannot be reached; takes in what
// other replicas change; activates new terms, and adds one before the active one
// is used up; and drills the KMS slots, which it rewraps when their keys have
// newer versions. An outage of a KMS or of the store never seals and is never
// fatal; Status says why the Barrier is sealed. Run does not undo
// [Barrier.Seal].
//
// It returns ctx.Err(), or [ErrClosed].
func (b *Barrier) Run(ctx context.Context) error {
	caller := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what Run started ends with it
	watched := b.watch(ctx)
	usage := time.NewTicker(b.cfg.Poll)
	defer usage.Stop()
	drill := time.NewTimer(b.nextDrill())
	defer drill.Stop()
	drilled := make(chan struct{}, 1)
	bound := b.cfg.Spread
	next := time.Now().Add(rand.N(bound)) // when to try to unseal
	for {
		b.mu.Lock()
		sealed, byOperator, closed, changed := b.open == nil, b.sealedBy, b.closed, b.changed
		b.mu.Unlock()
		if closed {
			return ErrClosed
		}
		var unseal, activate <-chan time.Time
		if !sealed {
			bound = b.cfg.Spread
		}
		if sealed && !byOperator {
			unseal = time.After(time.Until(next))
		}
		if at, ok := b.nextActivation(); ok && !sealed {
			activate = time.After(max(0, time.Until(at)))
		}
		select {
		case <-caller.Done():
			return caller.Err()
		case <-changed:
			// Unsealed, sealed, or changed: look again.
		case <-unseal:
			err := b.unsealUntil(ctx, changed)
			bound = max(b.cfg.Spread, min(2*bound, maxPause))
			next = time.Now().Add(retryAfter(err) + rand.N(bound))
		case <-watched:
			if !sealed {
				if err := b.Refresh(ctx); err != nil && ctx.Err() == nil {
					b.emit(EventStore, By{}, "", "refresh", err)
				}
			}
		case <-usage.C:
			b.rotateInTime(ctx)
		case <-activate:
			b.activateDue(ctx)
		case <-drill.C:
			if sealed {
				drill.Reset(b.nextDrill())
				continue
			}
			go func() { // a KMS may take its time, and the rest is not to wait for it
				_ = b.Drill(ctx) // each outcome is an event, and stands in Status
				b.followVersions(ctx)
				drilled <- struct{}{}
			}()
		case <-drilled:
			drill.Reset(b.nextDrill())
		}
	}
}

// unsealUntil is Unseal that is given up when the state changes: people were
// faster, or an operator sealed.
func (b *Barrier) unsealUntil(ctx context.Context, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err := b.Unseal(ctx)
	return err
}

// rotateInTime adds a term when this process has used up half of what is safe
// under the active one.
func (b *Barrier) rotateInTime(ctx context.Context) {
	usage, err := b.keys.Usage()
	if err != nil || usage.Epochs < usage.MaxEpochs/2 {
		return
	}
	for _, t := range b.Status().Terms {
		if t.Number > usage.Term {
			return // one is on its way
		}
	}
	err = b.Rotate(ctx, By{Actor: "sealwright"})
	b.emit(EventBudget, By{}, "", fmt.Sprintf("term %d is half used up", usage.Term), err)
}

// retryAfter returns how long the KMS asked to be left alone.
func retryAfter(err error) time.Duration {
	if k, ok := errors.AsType[*kms.Error](err); ok {
		return k.Rest()
	}
	return 0
}

// watch returns a channel that tells of changes of the store.
func (b *Barrier) watch(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		if w, ok := b.cfg.Store.(Watcher); ok {
			err := w.Watch(ctx, out)
			if ctx.Err() != nil {
				return
			}
			b.emit(EventStore, By{}, "", "the watch ended, polling instead", err)
		}
		tick := time.NewTicker(b.cfg.Poll)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				select {
				case out <- struct{}{}:
				default:
				}
			}
		}
	}()
	return out
}

// nextActivation returns when the first passive term has been seen for long
// enough.
func (b *Barrier) nextActivation() (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var at time.Time
	for _, o := range b.observed {
		if t := o.since.Add(b.cfg.Propagation); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at, !at.IsZero()
}

// activateDue activates the passive terms that every replica has had the time
// to see.
func (b *Barrier) activateDue(ctx context.Context) {
	b.mu.Lock()
	var due []uint32
	for number, o := range b.observed {
		if time.Since(o.since) >= b.cfg.Propagation {
			due = append(due, number)
		}
	}
	b.mu.Unlock()
	for _, number := range due {
		if err := b.Activate(ctx, number, By{Actor: "sealwright"}); err != nil {
			// Another replica was first, or the store is away: look again.
			b.mu.Lock()
			if _, ok := b.observed[number]; ok {
				b.observed[number] = observation{time.Now()}
			}
			b.mu.Unlock()
			return
		}
	}
}

func (b *Barrier) nextDrill() time.Duration {
	if b.cfg.Drill < 0 {
		return 1<<63 - 1
	}
	return b.cfg.Drill/2 + rand.N(b.cfg.Drill)
}
