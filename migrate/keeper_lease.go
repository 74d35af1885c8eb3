package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/wait"
	"github.com/sealwright/sealwright/seal"
)

// A watch is what was seen of another replica's lease, by clocks of this process
// alone.
type watch struct {
	id    string
	beat  uint64
	since time.Time // when its last sign of life was first seen
	next  time.Time // when to look again
	seen  int       // how often it was looked for in the store, and there was no other
}

// silence is after how many looks, as far apart as signs of life are said to be,
// a replica is taken for dead; who has the lease stops by itself at silentFor.
const (
	silence   = 3
	silentFor = 2
)

// free reports whether this replica may take the lease, over that of one that is
// dead; or how long to wait.
func (k *Keeper) free(ctx context.Context, l *seal.LeaseStatus) (over *seal.LeaseStatus, wait time.Duration) {
	if k.first && l != nil && l.Ours {
		k.tried = l.ID // left behind by the process in whose place this one is
	}
	k.first = false
	switch {
	case l == nil:
		k.ended()
		return nil, 0
	case l.ID == k.tried:
		return l, 0
	}
	k.tell(func(s *KeeperStatus) { s.Phase, s.Source, s.Replica = KeeperElsewhere, "", l.Replica })
	if k.watch.id != l.ID || k.watch.beat != l.Beat {
		now := time.Now()
		k.watch = watch{id: l.ID, beat: l.Beat, since: now, next: now.Add(l.Every)}
	}
	if k.watch.dead(l.Every) {
		return l, 0
	}
	if left := time.Until(k.watch.next); left > 0 {
		return nil, min(keeperLook, left)
	}
	if err := k.b.Admin().Refresh(ctx); err != nil {
		return nil, keeperLook // it says nothing of the other
	}
	if l = k.b.Status().Lease; l != nil && l.ID == k.watch.id && l.Beat == k.watch.beat {
		k.watch.seen++
		k.watch.next = time.Now().Add(l.Every)
	}
	return nil, time.Millisecond // look again, at what there is now
}

// dead reports whether there was no sign of life for long enough.
func (w *watch) dead(every time.Duration) bool {
	return w.seen >= silence && time.Since(w.since) >= silence*every
}

// ended notes that the lease of another one has come to its end: what it left
// undone is not tried again at once, nor sooner than what this one left.
func (k *Keeper) ended() {
	if k.watch.id != "" {
		k.watch = watch{}
		k.rounds.again(keeperLook)
	}
}

// A job is what is done under the lease. It says what it did.
type job func(context.Context, *seal.Lease) (did string, err error)

// clearing is the job of whoever finds the lease of one that is dead, and nothing
// else to do.
func clearing(context.Context, *seal.Lease) (string, error) {
	return "nothing is due, and the replica that had it is gone", nil
}

// work takes the lease, does the job, and gives the lease back. It returns when to
// look again.
func (k *Keeper) work(ctx context.Context, over *seal.LeaseStatus, do job) time.Duration {
	seen := k.b.Status().Generation
	if err := k.b.Admin().Refresh(ctx); err != nil {
		return k.failed(err)
	}
	if k.b.Status().Generation != seen {
		return 0 // another was faster, perhaps
	}
	began := time.Now()
	l, err := k.b.Admin().TakeLease(ctx, k.cfg.Beat, over, k.by)
	if l != nil {
		k.tried = l.ID()
	}
	switch {
	case errors.Is(err, seal.ErrLeased):
		return 0 // it was, and is seen after the next Refresh
	case err != nil:
		return k.failed(err)
	}
	k.tried, k.watch = "", watch{}
	did, err := k.hold(ctx, l, began, do)
	k.give(ctx, l, did, err)
	return 0
}

// failed notes that the store did not let it work.
func (k *Keeper) failed(err error) time.Duration {
	k.fail(KeeperIdle, fmt.Errorf("migrate: keeper: %w", err))
	return keeperLook
}

// hold does a job, and gives signs of life meanwhile. The job ends when none could
// be given for so long that others may soon take this replica for dead.
func (k *Keeper) hold(ctx context.Context, l *seal.Lease, began time.Time, do job) (did string, err error) {
	work, cancel := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		cancel(k.beat(work, l, began))
	}()
	did, err = do(work, l)
	cancel(nil)
	<-stopped
	if cause := context.Cause(work); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return did, err
}

// beat gives a sign of life every so often. It returns why the work has to end.
func (k *Keeper) beat(ctx context.Context, l *seal.Lease, last time.Time) error {
	for due := last.Add(k.cfg.Beat); ; {
		if err := wait.For(ctx, min(keeperLook, time.Until(due))); err != nil {
			return err
		}
		if err := k.lost(l, last); err != nil {
			return err
		}
		now := time.Now()
		if now.Before(due) {
			continue
		}
		attempt, cancel := context.WithDeadline(ctx, last.Add(silentFor*k.cfg.Beat))
		err := l.Keep(attempt)
		cancel()
		switch {
		case err == nil:
			last, due = now, now.Add(k.cfg.Beat)
		case ctx.Err() != nil, errors.Is(err, seal.ErrLeased), errors.Is(err, seal.ErrSealed), errors.Is(err, seal.ErrClosed):
			return err
		default:
			due = time.Now().Add(max(time.Second, k.cfg.Beat/20))
		}
	}
}

// lost reports why this replica does not have the lease any more, as far as it
// knows, or may soon not have it.
func (k *Keeper) lost(l *seal.Lease, last time.Time) error {
	// A computer that slept knows it by the clock on the wall alone.
	silent := max(time.Since(last), wallSince(last.Round(0)))
	switch s := k.b.Status(); {
	case s.Sealed:
		return seal.ErrSealed
	case s.Behind != nil:
		return fmt.Errorf("%w, for all that this one can know: it cannot take in the stored record: %w", seal.ErrLeased, s.Behind)
	case s.Lease == nil || s.Lease.ID != l.ID():
		return fmt.Errorf("%w: it is not this one's any more", seal.ErrLeased)
	case silent >= silentFor*k.cfg.Beat:
		return fmt.Errorf("%w, perhaps: this one could give no sign of life for %v", seal.ErrLeased, silent.Round(time.Second))
	}
	return nil
}

// give gives the lease back, also at the end of ctx, but then not for long.
func (k *Keeper) give(ctx context.Context, l *seal.Lease, detail string, outcome error) {
	if errors.Is(outcome, seal.ErrLeased) || errors.Is(outcome, seal.ErrSealed) || errors.Is(context.Cause(ctx), seal.ErrSealed) {
		k.tried = l.ID() // nobody else took it, perhaps: then it is gone on with
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := l.End(ctx, detail, outcome); err != nil {
		k.tried = l.ID()
	}
}
