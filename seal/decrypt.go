package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/keyring"
)

// catchUpPause is how long at least passes between two loads for the sake of
// unknown terms. Anybody can write a ciphertext with one.
const catchUpPause = 100 * time.Millisecond

// A catchUp is such a load: when it began, and what came of it.
type catchUp struct {
	began time.Time
	err   error
}

// maxNewer is how many terms the data may be ahead of a record that was rolled
// back: a rotation a day for nearly three years. A term beyond that was never
// made: one flipped bit of a ciphertext is mostly such a one.
const maxNewer = 1 << 10

// Decrypt is [keyring.Keyring.Decrypt] that takes in a rotation by another
// replica: at an unknown term it refreshes once. Data under a term that the
// stored record has not come to yet is newer than the record, which was rolled
// back ([ErrRolledBack]), or it is damaged: where it is far ahead of the record,
// no more than that ([keyring.ErrCorrupt]).
func (b *Barrier) Decrypt(ctx context.Context, dst, ciphertext, aad []byte) ([]byte, error) {
	out, err := b.Keyring().Decrypt(dst, ciphertext, aad)
	if !errors.Is(err, keyring.ErrUnknownTerm) {
		return out, err
	}
	if err := b.catchUp(ctx); err != nil {
		return nil, wrapError("decrypt", "", err)
	}
	out, again := b.Keyring().Decrypt(dst, ciphertext, aad)
	e, ok := errors.AsType[*keyring.Error](again)
	last := b.lastTerm()
	switch {
	case !ok || !errors.Is(e, keyring.ErrUnknownTerm) || e.Term <= last:
		return out, again
	case e.Term-last > maxNewer:
		return nil, &keyring.Error{Op: e.Op, Term: e.Term, Err: fmt.Errorf("%w: it names a term that never was, this store has come to term %d", keyring.ErrCorrupt, last)}
	}
	return nil, fmt.Errorf("%w: the record has come to term %d, and the data is newer: restore a later record; or this item is damaged, if others can be read: %w", ErrRolledBack, last, again)
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
// call or for another one that waited with it.
func (b *Barrier) catchUp(ctx context.Context) error {
	since := time.Now()
	for {
		done, err := b.take(ctx)
		if err != nil {
			return err
		}
		if b.caughtUp.began.After(since) {
			defer done()
			return b.caughtUp.err
		}
		pause := catchUpPause - time.Since(b.caughtUp.began)
		if pause <= 0 {
			return b.catchUpNow(ctx, done)
		}
		done()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUpNow loads the record for everybody who waits for it; the caller has the
// turn, which done gives back. The load goes on where ctx ends: whoever leaves in
// the middle would have the others wait again, or the record be loaded again.
func (b *Barrier) catchUpNow(ctx context.Context, done func()) error {
	result := make(chan error, 1)
	go func() {
		defer done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.StoreTimeout)
		defer cancel()
		began := time.Now()
		o, err := b.fetch(ctx)
		if err == nil {
			o.Wipe()
		}
		b.caughtUp = catchUp{began, err}
		result <- err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
