package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/prefix"
	"github.com/sealwright/sealwright/keyring"
)

// catchUpPause is how long at least passes between two loads for the sake of
// unknown terms. Anybody can write a ciphertext with one.
const catchUpPause = 100 * time.Millisecond

// A catchUp is such a load, for everybody who waits for it: when it began, and
// what came of it once done is closed.
type catchUp struct {
	number uint64 // of the loads, in the order in which they begin
	began  time.Time
	done   chan struct{}
	err    error
}

// Decrypt is [keyring.Keyring.Decrypt] that takes in a rotation by another
// replica: at an unknown term it refreshes once. Data under a term that the
// stored record has not come to yet is newer than the record, which was rolled
// back ([ErrRolledBack]), or it is damaged: where it is far ahead of the record,
// no more than that ([keyring.ErrCorrupt]).
func (a *Admin) Decrypt(ctx context.Context, dst, ciphertext, aad []byte) ([]byte, error) {
	return caughtUp(ctx, a.b, func() ([]byte, error) { return a.b.Keyring().Decrypt(dst, ciphertext, aad) })
}

// caughtUp decrypts, and where the term is unknown once more, with a record that
// was loaded meanwhile.
func caughtUp[T any](ctx context.Context, b *Barrier, decrypt func() (T, error)) (T, error) {
	var none T
	out, err := decrypt()
	if !errors.Is(err, keyring.ErrUnknownTerm) {
		return out, err
	}
	if err := b.catchUp(ctx); err != nil {
		return none, wrapError("decrypt", "", err)
	}
	out, again := decrypt()
	e, ok := errors.AsType[*keyring.Error](again)
	last := b.lastTerm()
	switch {
	case !ok || !errors.Is(e, keyring.ErrUnknownTerm) || e.Term <= last:
		return out, again
	case e.Term-last > prefix.MaxNewer:
		return none, &keyring.Error{Op: e.Op, Term: e.Term, Err: fmt.Errorf("%w: it names a term that never was, this store has come to term %d", keyring.ErrCorrupt, last)}
	}
	return none, fmt.Errorf("%w: the record has come to term %d, and the data is newer: restore a later record; or this item is damaged, if others can be read: %w", ErrRolledBack, last, again)
}

func (b *Barrier) lastTerm() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		return ^uint32(0)
	}
	return b.open().State.LastTerm
}

// catchUp returns when the record was loaded after the call began, for this
// call or for another one that waited with it. It holds nothing while it waits.
func (b *Barrier) catchUp(ctx context.Context) error {
	seen := b.caughtUpTo()
	for {
		c, pause := b.catching(seen)
		if c == nil {
			select {
			case <-time.After(pause):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if c.number > seen {
			return c.err
		}
	}
}

// caughtUpTo returns the number of the newest load that has begun. What it finds is
// no answer for who asks now: by the clock, two may begin at once.
func (b *Barrier) caughtUpTo() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.caughtUp == nil {
		return 0
	}
	return b.caughtUp.number
}

// catching returns the load in flight, or one that began after those seen, or a new
// one. Where one ended just now it returns how long to wait for the next.
func (b *Barrier) catching(seen uint64) (*catchUp, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if last := b.caughtUp; last != nil {
		inFlight := true
		select {
		case <-last.done:
			inFlight = false
		default:
		}
		if inFlight || last.number > seen {
			return last, 0
		}
		if pause := catchUpPause - time.Since(last.began); pause > 0 {
			return nil, pause
		}
	}
	next := &catchUp{number: 1, began: time.Now(), done: make(chan struct{})}
	if b.caughtUp != nil {
		next.number = b.caughtUp.number + 1
	}
	b.caughtUp = next
	go b.catchUpNow(next)
	return next, 0
}

// catchUpNow loads the record. It goes on where whoever asked has left: the
// others would wait again, or the record be loaded again.
func (b *Barrier) catchUpNow(c *catchUp) {
	defer close(c.done)
	defer clean()()
	ctx, cancel := context.WithTimeout(b.life, b.cfg.StoreTimeout)
	defer cancel()
	o, err := b.fetch(ctx)
	if err == nil {
		o.Wipe()
	}
	c.err = err
}
