package ceremony

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// migrationPage shows where the configuration wants the store to be.
func (h *handler) migrationPage(r *http.Request) (*page, error) {
	p := h.page(r, "migration")
	p.Gone = len(p.Moves) == 0 && !p.migrating()
	return p, nil
}

// migrating reports whether a migration is in progress.
func (p *page) migrating() bool {
	return p.Status.Operation != nil && p.Status.Operation.Purpose == "migrate"
}

// planID is the id of the migration to a plan: a digest, so that a share that is given
// to one serves no other.
func planID(p migrate.Plan) string {
	digest := sha256.New()
	for _, g := range p.Goals() {
		fmt.Fprintf(digest, "%q %v %v\n", g.Name, g.Spec, g.Drop)
	}
	return "migrate." + hex.EncodeToString(digest.Sum(nil)[:16])
}

// agree takes a share for the migration, which it begins or joins, and makes the moves
// once enough people agreed.
func (h *handler) agree(r *http.Request) (*page, error) {
	s, err := parseShare(r.PostFormValue("share"))
	if err != nil {
		return h.refused(r, "migration", "", err)
	}
	defer s.Wipe()
	key, err := h.migrate(r, s)
	if err != nil {
		return h.failed(r, "migration", "", err)
	}
	return h.said(r, "migration", "", &message{Good: true, Key: key}), nil
}

// migrate returns what to say of a share for the migration.
func (h *handler) migrate(r *http.Request, s seal.Share) (string, error) {
	ctx, cancel := steady(r)
	defer cancel()
	if err := h.Barrier.Sealed(); err != nil {
		return "", err
	}
	if err := h.Barrier.Admin().Refresh(ctx); err != nil {
		return "", err
	}
	status := h.Barrier.Status()
	plan, moves, err := h.plan(ctx, status)
	running := status.Operation != nil && status.Operation.Kind == seal.OperationMigrate
	switch {
	case err != nil:
		return "", err
	case len(moves) == 0 && !running:
		return "", seal.ErrNoOperation
	case r.PostFormValue("plan") != planID(plan):
		return "", errOtherPlan // configured anew since the page was shown
	case slices.ContainsFunc(moves, func(m migrate.Move) bool { return m.Kind == migrate.MoveAdd && seal.HasPeople(m.Spec) }):
		return "", errUndeliverable
	}
	by := h.by(r, seal.OperationID(planID(plan)))
	// Looked at before anything is recorded: nobody without a share begins it.
	if _, err := h.Barrier.Admin().CheckShare(ctx, s, by); err != nil {
		return "", err
	}
	if by.Operation, err = h.Barrier.Admin().BeginMigration(ctx, plan.Goals(), by); err != nil {
		return "", err
	}
	if _, err := h.Barrier.Submit(ctx, s, by); err != nil && !errors.Is(err, seal.ErrShareDuplicate) {
		return "", err
	}
	if !h.consented(by.Operation) {
		return "taken", nil
	}
	return h.move(ctx, plan, by)
}

// consented reports whether people proved a slot to that operation.
func (h *handler) consented(op seal.OperationID) bool {
	s := h.Barrier.Status()
	return s.Operation != nil && s.Operation.ID == op && slices.ContainsFunc(s.Slots, func(o seal.SlotStatus) bool {
		return o.State == seal.SlotActive && o.ProvenTo == op && seal.HasPeople(o.Spec)
	})
}

// move makes the moves.
func (h *handler) move(ctx context.Context, plan migrate.Plan, by seal.By) (string, error) {
	if !h.moving.TryLock() {
		return "moving", nil
	}
	defer h.moving.Unlock()
	result, err := migrate.Reconcile(ctx, h.Barrier, plan, migrate.Options{By: by})
	switch {
	case err != nil:
		return "", errors.Join(errStands, err)
	case result.Waiting != nil:
		return "waits", nil
	case len(result.Pins) > 0:
		return "pins", nil
	}
	return "migrated", nil
}
