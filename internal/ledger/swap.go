package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/internal/record"
)

// Swap stores the record that Draft made, and finds out what became of it where
// the store does not say. With nil it is durable, and the draft, which stays the
// caller's, has its revision. On an error Swap has taken the draft over.
func (l *Ledger) Swap(ctx context.Context, stored []byte, old string, draft *Opened) error {
	if err := ctx.Err(); err != nil {
		draft.Wipe()
		return err
	}
	rev, err := l.swapIn(ctx, l.cfg.Store, l.swaps, stored, old)
	switch {
	case errors.Is(err, ErrConflict):
		draft.Wipe()
		return ErrConflict
	case errors.Is(err, bounded.ErrBusy):
		draft.Wipe()
		return fmt.Errorf("%w: the change was not sent: %w", ErrUnavailable, err)
	case refused(err):
		draft.Wipe()
		return fmt.Errorf("the store refused the change: %w", err)
	case err != nil:
		if rev, err = l.resolve(ctx, old, draft, err); err != nil {
			return err
		}
	}
	draft.Rev = rev
	return nil
}

// refused reports whether a store said of a change that it does not take it.
func refused(err error) bool {
	return errors.Is(err, ErrTooLarge) || errors.Is(err, ErrExposed) || errors.Is(err, ErrNewerFormat)
}

// resolve finds out whether a swap that failed took place after all. It goes on
// when the caller's context has ended, for a bounded time: the answer decides
// what this process may hold.
func (l *Ledger) resolve(ctx context.Context, old string, draft *Opened, cause error) (rev string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Timeout)
	defer cancel()
	pause := 10 * time.Millisecond
	for {
		stored, rev, err := l.loadFrom(ctx, l.cfg.Store, l.loads)
		switch {
		case err == nil && record.DigestOf(stored) == draft.Digest:
			return rev, nil
		case err == nil && rev == old, errors.Is(err, ErrNotFound) && old == "":
			l.keep(draft) // a slow network may deliver it yet
			return "", fmt.Errorf("%w: it is not in the store now, and may arrive yet: %w", ErrUnknown, cause)
		case err == nil && supersedes(stored, draft):
			// Stored, and changed again by another replica: take that in next.
			return rev, nil
		case err == nil:
			draft.Wipe()
			return "", ErrConflict
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		case <-ctx.Done():
			l.keep(draft)
			return "", fmt.Errorf("%w: %w", ErrUnknown, cause)
		}
	}
}

// maxUnresolved is how many swaps of unknown outcome are remembered.
const maxUnresolved = 4

// keep remembers the root key of a change that may be stored without this
// process knowing, so that it can follow.
func (l *Ledger) keep(draft *Opened) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.keeping {
		draft.Wipe()
		return
	}
	draft.LockRoot()
	l.unresolved = append(l.unresolved, func() *Opened { return draft })
	if len(l.unresolved) > maxUnresolved {
		l.unresolved[0]().Wipe()
		l.unresolved = slices.Delete(l.unresolved, 0, 1)
	}
}

// unresolvedRoots returns copies of the root keys of the changes whose outcome
// is not known, and whether the record of that digest is one of them.
func (l *Ledger) unresolvedRoots(digest record.Digest) (roots [][]byte, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.unresolved {
		roots = append(roots, bytes.Clone(o().Root))
		mine = mine || o().Digest == digest
	}
	return roots, mine
}

// Sent reports whether the record of that digest is a change that this process
// sent, and never learnt the outcome of.
func (l *Ledger) Sent(digest record.Digest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.unresolved, func(o func() *Opened) bool { return o().Digest == digest })
}

// supersedes reports whether the stored record is authentic and descends from
// the draft.
func supersedes(stored []byte, draft *Opened) bool {
	s, err := Parse(stored)
	if err != nil || s.Store != draft.State.Store || s.Generation <= draft.State.Generation {
		return false
	}
	o, err := s.Open(draft.Root)
	if err != nil {
		return false
	}
	defer o.Wipe()
	return slices.Contains(o.State.Digests, draft.Digest)
}
