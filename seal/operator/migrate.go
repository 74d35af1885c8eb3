package operator

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// planID is the id of the migration to a plan: a digest of it, so that a share
// given to the operation can serve no other plan.
func planID(p migrate.Plan) seal.OperationID {
	digest := sha256.New()
	for _, g := range goals(p) {
		fmt.Fprintf(digest, "%q %v %v\n", g.Name, g.Spec, g.Drop)
	}
	return seal.OperationID("migrate." + hex.EncodeToString(digest.Sum(nil)[:16]))
}

// goals is a plan as the record keeps it, in package migrate's order.
func goals(p migrate.Plan) []seal.Goal {
	var out []seal.Goal
	for _, name := range slices.Sorted(maps.Keys(p.Slots)) {
		out = append(out, seal.Goal{Name: name, Spec: p.Slots[name]})
	}
	for _, name := range slices.Sorted(slices.Values(p.Drop)) {
		out = append(out, seal.Goal{Name: name, Drop: true})
	}
	return out
}

// migrate gives shares to the migration, which it begins or joins, and makes
// the moves once they are a quorum. The caller has the turn.
func (h *handler) migrate(r *http.Request, v view, id seal.OperationID, shares []seal.Share) (any, error) {
	if !v.pending && v.Operation == nil {
		return h.sealStatusOf(r, v), nil // it was done already
	}
	if name := h.undeliverable(&v); name != "" {
		return nil, badRequest(fmt.Sprintf("the plan makes new shares for slot %q, and this server has no way to deliver them: make them with rekey", name))
	}
	ctx := background(r)
	by := h.by(r, id)
	begun, err := h.Barrier.BeginMigration(ctx, goals(v.plan), by)
	if err != nil {
		return nil, err
	}
	by.Operation = begun
	if v.Operation == nil || v.Operation.ID != begun {
		h.agreed = "" // to one that ended
	}
	var warnings []string
	for _, s := range shares {
		status, err := h.Barrier.Submit(ctx, s, by)
		switch {
		case errors.Is(err, seal.ErrShareDuplicate):
			warnings = append(warnings, fmt.Sprintf("this share was given before: %v", s))
		case errors.Is(err, seal.ErrElsewhere):
			return nil, fmt.Errorf("%w. If that replica is gone for good, end the migration with a token (DELETE of sys/unseal) and give all shares again", err)
		case err != nil:
			return nil, err
		case complete(status, begun):
			h.agreed = begun
		}
	}
	if h.agreed != begun {
		return h.sealStatusOf(r, h.lookMigrating(r), warnings...), nil
	}
	result, err := migrate.Reconcile(ctx, h.Barrier, v.plan, migrate.Options{By: by, Deliver: h.Deliver})
	if err != nil {
		return nil, fmt.Errorf("the server is unsealed, and the migration stands still: give one of the shares again with -migrate when this is mended: %w", err)
	}
	if result.Done {
		h.agreed = ""
	}
	if result.Waiting != nil {
		warnings = append(warnings, fmt.Sprintf("the migration waits for people: %v", result.Waiting))
	}
	return h.sealStatusOf(r, h.look(ctx), warnings...), nil
}

// lookMigrating is look that shows the progress of the migration as that of an
// unseal: the tools print it.
func (h *handler) lookMigrating(r *http.Request) view {
	v := h.look(r.Context())
	if v.Operation != nil {
		v.Progress = v.Operation.Progress
	}
	return v
}

// complete reports whether the share just taken completed a quorum, whose proof
// the record has now: the barrier keeps the shares of an incomplete one only.
func complete(s seal.Status, id seal.OperationID) bool {
	return s.Operation != nil && s.Operation.ID == id && !slices.ContainsFunc(s.Operation.Progress, func(p seal.SetProgress) bool {
		return p.Given < p.Threshold
	})
}

// undeliverable returns the first slot for which the plan makes shares that
// nobody could be given; empty if there is none.
func (h *handler) undeliverable(v *view) string {
	if h.Deliver != nil {
		return ""
	}
	for _, g := range goals(v.plan) {
		there := slices.ContainsFunc(v.Slots, func(o seal.SlotStatus) bool {
			return o.Name == g.Name && g.Spec != nil && o.Spec.String() == g.Spec.String()
		})
		if !g.Drop && !there && seal.HasPeople(g.Spec) {
			return g.Name
		}
	}
	return ""
}
