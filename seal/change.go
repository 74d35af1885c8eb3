package seal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
)

// conflicts is how often a change is tried again when others change the record
// at the same time.
const conflicts = 16

// A change computes the next record. It may be called again, with the record
// of another writer. Root is the new root key, or nil to keep the present one.
type change func(ctx context.Context, st record.Step, o *opened) (next record.State, root []byte, err error)

// commit loads the record, applies f, and swaps the result in; the caller has
// the turn. On return with nil the change is durable and installed.
func (b *Barrier) commit(ctx context.Context, event EventKind, by By, f change) error {
	for range conflicts {
		err := b.commitOnce(ctx, event, by, f)
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: gave up after %d attempts: try again", ErrConflict, conflicts)
}

func (b *Barrier) commitOnce(ctx context.Context, event EventKind, by By, f change) error {
	o, err := b.fetch(ctx)
	if err != nil {
		return err
	}
	defer o.wipe()
	next, root, err := f(ctx, b.step(o.digest, by), o)
	if err != nil {
		return err
	}
	defer next.Secrets.Wipe()
	if root == nil {
		root = o.root
	}
	defer clear(root)
	if b.hooks.rewrite != nil {
		next = b.hooks.rewrite(event, o.state, next)
	}
	draft, stored, err := draftOf(next, root)
	if err != nil {
		return err
	}
	return b.swap(ctx, stored, o.rev, draft, intent{})
}

func (b *Barrier) step(previous record.Digest, by By) record.Step {
	return record.Step{Previous: previous, At: now(), Actor: by.Actor, Replica: b.cfg.Replica, Operation: string(by.Operation)}
}

// draftOf seals the state under the root key, and opens the result again before
// anybody else has to.
func draftOf(next record.State, root []byte) (*opened, []byte, error) {
	clearPart, err := next.Record.Clear()
	if err != nil {
		return nil, nil, fmt.Errorf("seal: encode the record: %w", err)
	}
	digest := sha256.Sum256(clearPart)
	plain := next.Secrets.Marshal()
	defer clear(plain)
	sealed, err := aead.SealBox(root, sealedInfo, plain, digest[:])
	if err != nil {
		return nil, nil, fmt.Errorf("seal: seal the record: %w", err)
	}
	stored := record.Assemble(clearPart, sealed)
	if len(stored) > MaxRecordSize {
		return nil, nil, fmt.Errorf("%w: the record would have %d bytes, more than %d", ErrConfig, len(stored), MaxRecordSize)
	}
	rec, clearPart, sealed, err := record.Parse(stored)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: the record made does not read back: %w", err)
	}
	check, err := unlockAny(&loaded{Record: rec, clear: clearPart, sealed: sealed, digest: record.DigestOf(stored)}, root)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: the record made does not open: %w", err)
	}
	return check, stored, nil
}

// swap stores the record, finds out what became of it where the store does not
// say, and installs it. It takes the draft over.
func (b *Barrier) swap(ctx context.Context, stored []byte, old string, draft *opened, as intent) error {
	if err := ctx.Err(); err != nil {
		draft.wipe()
		return err
	}
	rev, err := b.swapStored(ctx, stored, old)
	switch {
	case errors.Is(err, ErrConflict):
		draft.wipe()
		return ErrConflict
	case err != nil:
		if rev, err = b.resolve(ctx, old, draft, err); err != nil {
			return err
		}
	}
	draft.rev = rev
	err = b.install(draft, as)
	b.moor(ctx)
	return err
}

// resolve finds out whether a swap that failed took place after all. It goes on
// when the caller's context has ended, for a bounded time: the answer decides
// what this process may hold.
func (b *Barrier) resolve(ctx context.Context, old string, draft *opened, cause error) (rev string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.StoreTimeout)
	defer cancel()
	pause := 10 * time.Millisecond
	for {
		stored, rev, err := b.loadStored(ctx)
		switch {
		case err == nil && record.DigestOf(stored) == draft.digest:
			return rev, nil
		case err == nil && rev == old, errors.Is(err, ErrNotFound) && old == "":
			b.keepDraft(draft) // a slow network may deliver it yet
			return "", fmt.Errorf("%w: the change was not stored: %w", ErrStoreUnavailable, cause)
		case err == nil && supersedes(stored, draft):
			// Stored, and changed again by another replica: take that in next.
			return rev, nil
		case err == nil:
			draft.wipe()
			return "", ErrConflict
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		case <-ctx.Done():
			b.keepDraft(draft)
			b.emit(EventStore, By{}, "", "a change was sent and its outcome is unknown", cause)
			return "", fmt.Errorf("%w: %w", ErrOutcomeUnknown, cause)
		}
	}
}

// maxDrafts is how many changes of unknown outcome are remembered.
const maxDrafts = 4

// keepDraft remembers the root key of a change that may be stored without this
// process knowing, so that it can follow.
func (b *Barrier) keepDraft(draft *opened) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		draft.wipe()
		return
	}
	draft.rest()
	b.drafts = append(b.drafts, func() *opened { return draft })
	if len(b.drafts) > maxDrafts {
		b.drafts[0]().wipe()
		b.drafts = slices.Delete(b.drafts, 0, 1)
	}
}

// supersedes reports whether the stored record is authentic and descends from
// the draft.
func supersedes(stored []byte, draft *opened) bool {
	rec, clearPart, sealed, err := record.Parse(stored)
	if err != nil || rec.Store != draft.state.Store || rec.Generation <= draft.state.Generation {
		return false
	}
	l := &loaded{Record: rec, clear: clearPart, sealed: sealed, digest: record.DigestOf(stored)}
	o, err := unlockAny(l, draft.root)
	if err != nil {
		return false
	}
	defer o.wipe()
	return slices.Contains(o.state.Digests, draft.digest)
}
