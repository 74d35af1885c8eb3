package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// migrate gives shares to the migration, which it begins or joins, and makes
// the moves once the record says that people agreed to it.
func (h *handler) migrate(r *http.Request, v view, id seal.OperationID, shares []seal.Share) (any, error) {
	if !v.pending && v.Operation == nil {
		known := h.askKeys(r.Context())
		if v = h.look(r.Context()); !v.pending && v.Operation == nil {
			return h.sealStatusOf(r, v, known), nil
		}
	}
	if name := h.undeliverable(&v); name != "" {
		return nil, badRequest(fmt.Sprintf("the plan makes new shares for slot %q, and this server has no way to deliver them: make them with rekey", name))
	}
	ctx, done := h.steady(r, onMigration)
	defer done()
	by := h.by(r, id)
	begun, err := h.Barrier.Admin().BeginMigration(ctx, v.plan.Goals(), by)
	if err != nil {
		return nil, err
	}
	by.Operation = begun
	var notes []string
	for _, s := range shares {
		_, err := h.Barrier.Submit(ctx, s, by)
		switch {
		case errors.Is(err, seal.ErrShareDuplicate):
			notes = append(notes, fmt.Sprintf("this share was given before: %v", s))
		case errors.Is(err, seal.ErrElsewhere):
			return nil, fmt.Errorf("%w. If that replica is gone for good, end the migration with a token (DELETE of sys/unseal) and give all shares again", err)
		case err != nil:
			return nil, h.ended(err, begun, "migration")
		}
	}
	// Submit tells of these shares alone. The record tells also of people who agreed
	// before, here or at another replica, to a migration that then stood still.
	if s := h.Barrier.Status(); s.Operation == nil || s.Operation.ID != begun || !agreed(s, begun, "") {
		return h.migrationStatus(r, begun, notes...), nil
	}
	if !h.moving.TryLock() {
		return h.sealStatusOf(r, h.look(ctx), append(notes, "another request makes the moves of this migration now: ask for the status")...), nil
	}
	defer h.moving.Unlock()
	options := migrate.Options{By: by}
	if h.Deliver != nil {
		lost := h.undelivered.Load()
		options.Reissue = lost != nil && *lost == begun
		options.Deliver = func(d seal.Delivery) error {
			err := h.Deliver(d)
			h.undelivered.Store(nil)
			if err != nil {
				h.undelivered.Store(&begun)
			}
			return err
		}
	}
	result, err := migrate.Reconcile(ctx, h.Barrier, v.plan, options)
	if err != nil {
		if now := h.ended(err, begun, "migration"); now != err {
			return nil, now
		}
		return nil, fmt.Errorf("the server is unsealed, and the migration stands still: give one of the shares again with -migrate when this is mended: %w", err)
	}
	if result.Waiting != nil {
		notes = append(notes, fmt.Sprintf("the migration waits for people: %v", result.Waiting))
	}
	return h.sealStatusOf(r, h.look(ctx), notes...), nil
}

// askKeys looks whether a KMS has come to another key under its name, which the
// plan does not show and Run asks for once a day: a static seal that was rotated,
// an alias that was moved. It returns what to say where that is not so.
func (h *handler) askKeys(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := h.Barrier.Admin().Drill(ctx); err != nil {
		return "the migration is done, as far as can be said while a KMS does not answer: see the events of the server"
	}
	return "the migration is done"
}

// migrationStatus is the answer to a share that was not the last one: the
// progress of the migration, as that of an unseal. The tools show that of a
// sealed server alone, so the storage's type, which they always show, has it too.
func (h *handler) migrationStatus(r *http.Request, id seal.OperationID, notes ...string) any {
	v := h.look(r.Context())
	if v.Operation == nil || v.Operation.ID != id {
		return h.sealStatusOf(r, v, append(notes, "the migration has ended in the meantime: the share counts for nothing")...)
	}
	v.Progress = v.Operation.Progress
	out := h.sealStatusOf(r, v, append(notes, "the migration waits for more shares, given with -migrate")...)
	if s := v.people(h.People); s != nil {
		if out.StorageType != "" {
			out.StorageType += "; "
		}
		out.StorageType += fmt.Sprintf("migration: %d of %d shares given", out.Progress, out.T)
	}
	return out
}

// undeliverable returns the first slot for which the plan makes shares that
// nobody could be given; empty if there is none.
func (h *handler) undeliverable(v *view) string {
	moves := v.plan.Moves(v.Status)
	i := slices.IndexFunc(moves, func(m migrate.Move) bool { return m.Kind == migrate.MoveAdd && seal.HasPeople(m.Spec) })
	if h.Deliver != nil || i < 0 {
		return ""
	}
	return moves[i].Slots[0]
}
