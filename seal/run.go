package seal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
)

// Run does, until ctx ends, what a server wants done by itself: it unseals
// through the KMS slots, each tried again by a clock of its own; takes in what
// other replicas change; activates new terms, and adds one before the active one
// is used up; and drills the KMS slots, which it renews when their keys have
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
	drilled, refreshed := make(chan struct{}, 1), make(chan error, 1)
	roster := b.newRosterClock()
	defer roster.Stop()
	refreshing, again := false, false // a refresh goes on; the store changed since
	var unsealing *unsealer           // while sealed, and not by an operator
	wasSealed := true
	var follow clock // of a process that could not take in the record
	var retry <-chan time.Time
	for {
		b.mu.Lock()
		sealed, byOperator, closed, changed := b.open == nil, b.sealedBy, b.closed, b.changed
		b.mu.Unlock()
		if closed {
			return ErrClosed
		}
		switch wanted := sealed && !byOperator; {
		case wanted && unsealing == nil:
			unsealing = b.startUnsealer(ctx)
		case !wanted && unsealing != nil:
			unsealing.stop()
			unsealing = nil
		}
		if wasSealed && !sealed {
			roster.soon(b)
		}
		if wasSealed && !sealed && b.doubts() {
			drill.Reset(rand.N(maxPause))
		}
		wasSealed = sealed
		if again && !refreshing && !sealed {
			refreshing, again = true, false
			go func() { // it may ask a KMS, and the rest is not to wait for that
				err := b.Admin().Refresh(ctx)
				if err != nil && ctx.Err() == nil {
					b.emit(EventStore, By{}, "", "refresh", err)
				}
				refreshed <- err
			}()
		}
		var activate <-chan time.Time
		if at, ok := b.nextActivation(); ok && !sealed && !b.isBehind() {
			activate = time.After(max(0, time.Until(at)))
		}
		select {
		case <-caller.Done():
			return caller.Err()
		case <-changed:
			// Unsealed, sealed, or changed: look again.
		case <-watched:
			again = true // kept while sealed: the change may come just after the unseal
			if unsealing != nil {
				unsealing.look()
			}
		case err := <-refreshed:
			refreshing, retry = false, nil
			if err != nil { // store or KMS may come back, and the store tell of nothing
				retry = time.After(follow.pause())
			} else {
				follow = clock{}
			}
		case <-retry:
			again = true
		case <-usage.C:
			b.expireShares()
			b.rotateInTime(ctx)
		case <-activate:
			b.activateDue(ctx)
		case <-drill.C:
			if sealed {
				drill.Reset(b.nextDrill())
				continue
			}
			go func() { // a KMS may take its time, and the rest is not to wait for it
				_ = b.Admin().Drill(ctx) // each outcome is an event, and stands in Status
				b.followVersions(ctx)
				drilled <- struct{}{}
			}()
		case <-roster.C:
			roster.look(ctx, b)
		case <-roster.looked:
			roster.ended(b)
		case <-drilled:
			drill.Reset(b.nextDrill())
		}
	}
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
	if rotated, err := b.Admin().RotateFrom(ctx, usage.Term, By{Actor: "sealwright"}); rotated || err != nil {
		b.emit(EventBudget, By{}, "", fmt.Sprintf("term %d is half used up", usage.Term), err)
	}
}

// watch returns a channel that tells of changes of the store.
func (b *Barrier) watch(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		if w, ok := b.cfg.Store.(Watcher); ok {
			err := bounded.Guard(func() error { return w.Watch(ctx, out) })
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
// enough that no replica is known to lack.
func (b *Barrier) nextActivation() (time.Time, bool) {
	waived := b.rosterWaives()
	b.mu.Lock()
	defer b.mu.Unlock()
	var at time.Time
	for number, o := range b.observed {
		if !waived && len(b.roster.view.Lacking(number)) > 0 {
			continue // until the roster says otherwise, which the loop then looks at
		}
		if t := o.since.Add(b.cfg.Propagation); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at, !at.IsZero()
}

// activateDue activates the passive terms that every replica has had the time
// to see.
func (b *Barrier) activateDue(ctx context.Context) {
	b.lookAtRoster(ctx)
	waived := b.rosterWaives()
	b.mu.Lock()
	due := b.dueTerms(waived)
	b.mu.Unlock()
	for _, number := range due {
		err := b.activate(ctx, number, By{Actor: "sealwright"}, true, func() error {
			if waived {
				return b.seenInTime(number)
			}
			return b.seenByAll(number)
		})
		if err != nil {
			// The store is away, or another replica was first, which is known here
			// by now: look again.
			b.mu.Lock()
			if _, ok := b.observed[number]; ok {
				b.observed[number] = observation{time.Now()}
			}
			b.mu.Unlock()
		}
		if err != nil && !errors.Is(err, errMade) {
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
