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
	s := newSchedule(time.Now(), &b.cfg, rand.N[time.Duration])
	type end struct {
		job job
		err error
	}
	ended := make(chan end, len(timed)) // none goes on twice, so none waits to say so
	var unsealing *unsealer
	for {
		f, closed, changed := b.facts()
		if closed {
			return ErrClosed
		}
		begin, again := s.next(time.Now(), f)
		for _, j := range begin {
			switch j {
			case jobUnseal:
				unsealing = b.startUnsealer(ctx)
			case jobStop:
				unsealing.stop()
				unsealing = nil
			case jobTidy, jobActivate:
				ended <- end{j, b.do(ctx, j)}
			default:
				go func() { ended <- end{j, b.do(ctx, j)} }() // a KMS or a store may take its time, and the rest is not to wait for it
			}
		}
		var wake <-chan time.Time
		if !again.IsZero() {
			wake = time.After(time.Until(again))
		}
		select {
		case <-caller.Done():
			return caller.Err()
		case <-changed: // unsealed, sealed, or another record
		case <-wake:
		case <-watched:
			s.want(jobRefresh, time.Now())
			if unsealing != nil {
				unsealing.look()
			}
		case e := <-ended:
			s.ended(time.Now(), e.job, e.err)
		}
	}
}

// facts returns how the Barrier is, whether it is closed, and what tells when that
// has changed.
func (b *Barrier) facts() (f facts, closed bool, changed <-chan struct{}) {
	b.mu.Lock()
	f.sealed, f.byOperator, closed, changed = b.open == nil, b.sealedBy, b.closed, b.changed
	b.mu.Unlock()
	f.behind, f.doubts, f.activation = b.isBehind(), b.doubts(), b.nextActivation()
	return f, closed, changed
}

// do does a job that ends by itself.
func (b *Barrier) do(ctx context.Context, j job) (err error) {
	switch j {
	case jobRefresh:
		if err = b.Admin().Refresh(ctx); err != nil && ctx.Err() == nil {
			b.emit(EventStore, By{}, "", "refresh", err)
		}
	case jobRoster:
		if b.rosterWanted() {
			b.report(ctx)
		}
	case jobDrill:
		_ = b.Admin().Drill(ctx) // each outcome is an event, and stands in Status
		b.followVersions(ctx)
	case jobTidy:
		b.expireShares()
		b.rotateInTime(ctx)
	case jobActivate:
		b.activateDue(ctx)
	}
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
// enough that no replica is known to lack; zero for none.
func (b *Barrier) nextActivation() (at time.Time) {
	waived := b.rosterWaives()
	b.mu.Lock()
	defer b.mu.Unlock()
	for number, o := range b.observed {
		if !waived && len(b.roster.view.Lacking(number)) > 0 {
			continue // until the roster says otherwise, which the loop then looks at
		}
		if t := o.since.Add(b.cfg.Propagation); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
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
