package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/internal/handoff"
	"github.com/sealwright/sealwright/internal/record"
)

// The asked side of a hand-off; peers.go has the asking one.

// Limits of a hand-off.
const (
	// MaxHandOffRequest is the length in bytes of the longest request of a hand-off.
	MaxHandOffRequest = handoff.MaxRequest
	// MaxHandOffAnswer is that of the longest answer.
	MaxHandOffAnswer = handoff.MaxAnswer
)

// handOffs is how many requests a second a replica answers, and handOffBurst how
// many at once after a pause: an answer costs the processor a fifth of a
// millisecond.
const (
	handOffs     = 50
	handOffBurst = 200
)

// A bucket bounds a rate; the zero value is full.
type bucket struct {
	used float64
	at   time.Time
}

// take reports whether one more is within the rate.
func (b *bucket) take(now time.Time, rate, burst float64) bool {
	b.used = max(0, b.used-now.Sub(b.at).Seconds()*rate)
	b.at = now
	if b.used+1 > burst {
		return false
	}
	b.used++
	return true
}

// HandOff answers the request of another replica that has no root key, or an old
// one: with that of this process, encrypted to the key in the request, for the
// record that the asker has loaded if it is the one that this process has.
// Package handoff, below this one, serves it over HTTP.
//
// Replica is who asks, as an authenticated channel proved it, and refused why it
// may not; both are the host's to say, and nothing in the request or in the store
// decides it. Whoever may ask gets the root key, and with it everything. The
// request must name the same replica, and this process must be unsealed.
//
// The answer is to be sent also where there is an error: it tells the asker what
// to do, and with [Config.PassShares] has the shares that were given to this process
// while it is sealed. The error is [ErrHandOff] for what somebody should look into,
// which is an [EventHandOff] like each root key that was handed over, though one that
// repeats itself is told once in ten minutes; and otherwise,
// with no event, [ErrSealed], [ErrRolledBack] (the asker's record is older),
// [ErrPropagating] (it is newer), or [ErrClosed].
func (a *Admin) HandOff(ctx context.Context, request []byte, replica string, refused error) (answer []byte, err error) {
	defer clean()()
	b := a.b
	by := By{Actor: replica}
	answer, why, err := b.handOff(ctx, request, replica, refused)
	if answer == nil {
		answer = why.Bytes(b.cfg.Replica)
	}
	switch {
	case err == nil:
		b.emit(EventHandOff, by, "", "the root key was handed over to this replica", nil)
	case errors.Is(err, ErrHandOff) && b.others.refused(record.Person(replica), err):
		b.emit(EventHandOff, by, "", "a request for the root key was refused", err)
	}
	return answer, wrapError("hand off", "", err)
}

// handOff returns the answer, or the refusal that stands for it.
func (b *Barrier) handOff(ctx context.Context, request []byte, replica string, refused error) ([]byte, handoff.Refusal, error) {
	if refused != nil {
		return nil, handoff.Denied, fmt.Errorf("%w: the host does not let it ask: %s", ErrHandOff, foreign.Line(refused.Error(), 200))
	}
	if replica == "" || record.CheckIdentity(replica) != nil {
		return nil, handoff.Denied, fmt.Errorf("%w: the host has not said which replica asks, in at most %d printable ASCII characters", ErrHandOff, record.MaxIdentity)
	}
	r, err := handoff.ParseRequest(request)
	switch {
	case err != nil:
		return nil, handoff.Unknown, fmt.Errorf("%w: %w", ErrHandOff, err)
	case r.Asker != replica:
		return nil, handoff.Denied, fmt.Errorf("%w: the request is of replica %q, and replica %q sent it: a replica's Config.Replica is the name that its channel proves", ErrHandOff, r.Asker, replica)
	case b.others.isOwn(r.ID):
		return nil, handoff.Itself, ErrSealed
	case r.Asker == b.cfg.Replica:
		return nil, handoff.Denied, fmt.Errorf("%w: replica %q asks, which is the name of this one: each has its own Config.Replica", ErrHandOff, r.Asker)
	case ctx.Err() != nil:
		return nil, handoff.Busy, ctx.Err()
	}
	answer, why, err := b.answer(r)
	if why == handoff.Sealed {
		answer = b.passed(r)
	}
	return answer, why, err
}

// answer encrypts the root key that this process has to whoever made the request.
func (b *Barrier) answer(r *handoff.Request) ([]byte, handoff.Refusal, error) {
	b.mu.Lock()
	seals, open, closed := b.seals, b.open != nil, b.closed
	within := !open || b.others.mayHand()
	var generation uint64
	var digest record.Digest
	var store string
	var root []byte // and none of the data keys, which nobody needs here
	if open && within {
		o := b.open()
		store, generation, digest, root = o.State.Store, o.State.Generation, o.Digest, bytes.Clone(o.Root)
	}
	b.mu.Unlock()
	defer clear(root)
	switch {
	case closed:
		return nil, handoff.Sealed, ErrClosed
	case !open:
		return nil, handoff.Sealed, ErrSealed
	case !within:
		return nil, handoff.Busy, fmt.Errorf("%w: more than %d replicas a second ask", ErrPropagating, handOffs)
	case r.Store != store:
		return nil, handoff.Other, fmt.Errorf("%w: %w: the request is about store %s, and this is %s", ErrHandOff, ErrOtherStore, r.Store, store)
	case r.Generation < generation:
		return nil, handoff.Older, fmt.Errorf("%w: the request is about generation %d, and this process has %d", ErrRolledBack, r.Generation, generation)
	case r.Generation > generation:
		return nil, handoff.Newer, fmt.Errorf("%w: the request is about generation %d, and this process has %d", ErrPropagating, r.Generation, generation)
	case r.Digest != digest:
		return nil, handoff.Forked, fmt.Errorf("%w: %w: the request is about another record of generation %d than this process has", ErrHandOff, ErrForked, r.Generation)
	}
	answer, err := r.Answer(b.cfg.Replica, root)
	if err != nil {
		return nil, handoff.Unknown, fmt.Errorf("%w: %w", ErrHandOff, err)
	}
	if b.hooks.answered != nil {
		b.hooks.answered()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil || b.seals != seals { // sealed meanwhile: nothing leaves any more
		return nil, handoff.Sealed, ErrSealed
	}
	return answer, 0, nil
}
