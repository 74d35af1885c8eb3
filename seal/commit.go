package seal

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// conflicts is how often a change is tried again when others change the record
// at the same time.
const conflicts = ledger.Attempts

// A change computes the next record. It may be called again, with the record
// of another writer. Root is the new root key, or nil to keep the present one.
type change func(ctx context.Context, st record.Step, o *ledger.Opened) (next record.State, root []byte, err error)

// commit loads the record, applies f, and swaps the result in. While f asks a KMS
// nobody waits: nothing is held, and the store's compare-and-swap finds out
// whether the record is still the one that f saw. On return with nil the change
// is durable and installed.
func (b *Barrier) commit(ctx context.Context, event EventKind, by By, f change) error {
	defer clean()()
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
	defer o.Wipe()
	next, root, err := f(ctx, b.step(o.Digest, by), o)
	defer next.Secrets.Wipe()
	defer clear(root) // also of a change that was refused
	if err != nil {
		return err
	}
	if root == nil {
		root = o.Root
	}
	if b.hooks.rewrite != nil {
		next = b.hooks.rewrite(event, o.State, next)
	}
	draft, stored, err := ledger.Draft(next, root)
	if err != nil {
		return err
	}
	return b.store(ctx, stored, o.Rev, draft)
}

// store is swap by a caller without the turn, for a Barrier that is unsealed.
func (b *Barrier) store(ctx context.Context, stored []byte, old string, draft *ledger.Opened) error {
	t, err := b.take(ctx)
	if err != nil {
		draft.Wipe()
		return err
	}
	err = t.swap(ctx, stored, old, draft, intent{})
	t.end()
	if err == nil {
		b.followed(nil)
	}
	b.advanceAnchor(ctx)
	return err
}

func (b *Barrier) step(previous record.Digest, by By) record.Step {
	return record.Step{Previous: previous, At: now(), Actor: record.Person(by.Actor), Replica: b.cfg.Replica, Operation: string(by.Operation), Limit: b.limit}
}

// swap stores the record, and installs it; the caller moves the anchor on when the
// turn has ended. Swap takes the draft over.
func (t *turn) swap(ctx context.Context, stored []byte, old string, draft *ledger.Opened, as intent) error {
	if err := t.b.ledger.Swap(ctx, stored, old, draft); err != nil {
		if errors.Is(err, ErrOutcomeUnknown) {
			t.tell(By{}, Event{Kind: EventStore, Detail: "a change was sent and its outcome is unknown", Err: err})
		}
		return err
	}
	return t.b.install(draft, as)
}

// advanceAnchor moves the anchor on to the newest record seen. An anchor that
// fails stops nothing, and one that hangs is waited for by nobody else.
func (b *Barrier) advanceAnchor(ctx context.Context) {
	if generation, tell, err := b.ledger.AdvanceAnchor(ctx); tell {
		b.emit(EventAnchor, By{}, "", fmt.Sprintf("generation %d", generation), err)
	}
}
