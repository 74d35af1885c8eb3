package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/keyring"
)

// A Lease is the right of this process to be the only one that works on the
// data: it rewraps it, and retires what nothing is under any more. It stands in
// the record, beside the operation in progress, and hinders no change; what is
// done by its methods is refused with [ErrLeased] once another replica has taken
// it over. Package migrate's Keeper takes one.
type Lease struct {
	b     *Barrier
	id    string
	by    By
	taken time.Time // before what is done under it began
}

// LeaseStatus is who has the lease.
type LeaseStatus struct {
	ID      string
	Replica string
	Taken   time.Time     // by its own clock, for people to look at
	Beat    uint64        // generation of the record with its last sign of life
	Every   time.Duration // between two signs of life

	// Ours says that it is this process's, or of one before it in its place: it is
	// of this replica's name, or [Config.Propagation] says that there is no other.
	Ours bool
}

// TakeLease takes the lease, with a sign of life every so often, to be given by
// [Lease.Keep]: 1 second to 24 hours. One that another replica has is [ErrLeased],
// unless over is it, as Status showed it, and the stored record still has it so:
// ask for that only after several times its Every without a new Beat, by a clock
// of your own. It is ErrLeased, too, if the record has changed since Status showed
// it: what the lease is for may be done.
func (a *Admin) TakeLease(ctx context.Context, every time.Duration, over *LeaseStatus, by By) (*Lease, error) {
	if every < time.Second || every > record.MaxEvery*time.Second {
		return nil, wrapError("take the lease", "", fmt.Errorf("%w: a sign of life is every 1 second to 24 hours, not %v", ErrConfig, every))
	}
	if err := by.check(); err != nil {
		return nil, err
	}
	l := &Lease{a.b, rand.Text(), by, time.Now()}
	detail := "taken"
	var seen *record.Lease
	if over != nil {
		seen = &record.Lease{ID: over.ID, Beat: over.Beat}
		detail = fmt.Sprintf("taken over from replica %q, which gave no sign of life", over.Replica)
	}
	known := a.b.ledger.Newest().Generation
	return l, l.change(ctx, "take the lease", detail, func(st record.Step, s record.State) (record.State, error) {
		next, err := s.TakeLease(st, int64(every/time.Second), seen)
		if err == nil && s.Generation != known {
			next.Secrets.Wipe()
			return record.State{}, fmt.Errorf("%w, or was: the record has changed, look again", ErrLeased)
		}
		return next, err
	})
}

// Keep gives a sign of life. After [ErrLeased] another replica has the lease:
// stop.
func (l *Lease) Keep(ctx context.Context) error {
	return l.change(ctx, "keep the lease", "", func(st record.Step, s record.State) (record.State, error) {
		return s.KeepLease(st)
	})
}

// Retire is [Admin.RetireUncounted] under the lease, and waits for longer: it refuses
// with [ErrPropagating] as long as [Admin.Settling] says, and where another replica
// was heard to encrypt under the term since the lease was taken: what was counted
// under it is not all.
func (l *Lease) Retire(ctx context.Context, term uint32) error {
	err := l.b.Admin().CheckRetire(ctx, term)
	if err == nil {
		err = l.b.since(term, l.taken)
	}
	if errors.Is(err, ErrPropagating) || errors.Is(err, ErrTermInUse) {
		return wrapError("retire", "", err)
	}
	if left, err := l.b.Admin().Settling(); err == nil && left > 0 {
		return wrapError("retire", "", fmt.Errorf("%w: term %d: wait %v", ErrPropagating, term, left.Round(time.Second)))
	}
	return l.b.changeTerm(ctx, EventRetire, "retire", l.by, term, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		st.Lease = l.id
		if err := l.b.checkRetirable(&o.State, term); err != nil {
			return record.State{}, nil, err
		}
		next, err := o.State.Retire(st, term)
		return next, nil, err
	})
}

// End gives the lease back. Detail and outcome, which may be nil, are for the
// event: what came of the work.
func (l *Lease) End(ctx context.Context, detail string, outcome error) error {
	err := l.commit(ctx, func(st record.Step, s record.State) (record.State, error) { return s.EndLease(st) })
	l.b.emit(EventLease, l.by, "", "ended: "+detail, errors.Join(outcome, err))
	return wrapError("end the lease", "", err)
}

// ID is what [LeaseStatus] shows of it.
func (l *Lease) ID() string { return l.id }

// change is commit, its event and its error. A sign of life that was given is no
// news.
func (l *Lease) change(ctx context.Context, op, detail string, f func(record.Step, record.State) (record.State, error)) error {
	err := l.commit(ctx, f)
	if err != nil || detail != "" {
		l.b.emit(EventLease, l.by, "", detail, err)
	}
	return wrapError(op, "", err)
}

func (l *Lease) commit(ctx context.Context, f func(record.Step, record.State) (record.State, error)) error {
	return l.b.commit(ctx, EventLease, l.by, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		st.Lease = l.id
		next, err := f(st, o.State)
		if holder := o.State.Lease; holder != nil && holder.ID != l.id && errors.Is(err, ErrLeased) {
			err = fmt.Errorf("%w: replica %q has it", err, holder.Replica)
		}
		return next, nil, err
	})
}

// leaseStatus is what Status shows of a lease; nil for none.
func (b *Barrier) leaseStatus(l *record.Lease) *LeaseStatus {
	if l == nil {
		return nil
	}
	return &LeaseStatus{
		ID: l.ID, Replica: l.Replica, Taken: time.Unix(l.At, 0).UTC(), Beat: l.Beat, Every: time.Duration(l.Every) * time.Second,
		Ours: l.Replica == b.cfg.Replica || b.cfg.Propagation == 0,
	}
}

// Settling is how long it takes yet until every replica has had twice the time
// that it needs to see the active term, which is 2×([Config.Propagation] +
// [Config.Poll]), after the last time that one of the [Config.Roster] encrypted under
// an older one: what is counted then under older ones, nobody adds to. The error is
// [ErrSealed].
func (a *Admin) Settling() (time.Duration, error) {
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		return 0, ErrSealed
	}
	return max(0, 2*(b.cfg.Propagation+b.cfg.Poll)-time.Since(b.settled())), nil
}

// Changed returns a channel that is closed at the next change: of the record that
// the Barrier holds, or of whether it is sealed, or behind.
func (a *Admin) Changed() <-chan struct{} {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	return a.b.changed
}

// Usage is how much this process has encrypted under the active term. The error
// is [ErrSealed].
func (a *Admin) Usage() (keyring.Usage, error) { return a.b.keys.Usage() }

// RotateFrom is [Barrier.Rotate] unless there is a younger term than the given one
// already, passive or active: of several replicas that find it due, one rotates.
func (a *Admin) RotateFrom(ctx context.Context, term uint32, by By) (rotated bool, err error) {
	return a.b.rotateFrom(ctx, term, by)
}

func (b *Barrier) rotateFrom(ctx context.Context, term uint32, by By) (rotated bool, err error) {
	if err := by.check(); err != nil {
		return false, err
	}
	detail := ""
	err = b.commit(ctx, EventRotate, by, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		if o.State.Terms[len(o.State.Terms)-1].Number > term {
			return record.State{}, nil, errMade
		}
		detail = termDetail(o.State.LastTerm + 1)
		return b.rotated(st, o)
	})
	if errors.Is(err, errMade) {
		return false, nil
	}
	b.emit(EventRotate, by, "", detail, err)
	return err == nil, wrapError("rotate", "", err)
}
