package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

type unsealRequest struct {
	Key     string `json:"key"`
	Reset   bool   `json:"reset"`
	Migrate bool   `json:"migrate"`

	// Nonce, with migrate, is the id of the migration that the share is meant
	// for, which seal-status shows: a share for another plan is refused.
	Nonce string `json:"nonce"`
}

func (h *handler) unseal(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in unsealRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.Reset {
		return h.sealStatusOf(r, h.look(r.Context()), "nothing was reset: a wrong share never counts here, so the ones given are right"), nil
	}
	share, err := parseShare(in.Key)
	if err != nil {
		return nil, err
	}
	defer share.Wipe()
	if in.Migrate {
		return h.unsealMigrating(r, share, in.Nonce)
	}
	warnings, err := h.submit(r, share)
	if err != nil {
		return nil, err
	}
	v := h.look(r.Context())
	if !v.Sealed {
		h.forget()
	}
	if !v.Sealed && v.pending {
		warnings = append(warnings, "a seal migration is configured, and was not begun: give the shares with -migrate")
	}
	return h.sealStatusOf(r, v, warnings...), nil
}

// parseShare reads a share in any form: its text, hexadecimal or base64.
func parseShare(text string) (seal.Share, error) {
	if text == "" {
		return seal.Share{}, badRequest("'key' must be specified in request body as JSON, or 'reset' set to true")
	}
	return seal.ParseShare(text)
}

// submit gives a share for unsealing. One that was given before is no error in
// Vault's API.
func (h *handler) submit(r *http.Request, s seal.Share) (warnings []string, err error) {
	_, err = h.Barrier.Submit(r.Context(), s, h.by(r, ""))
	if errors.Is(err, seal.ErrShareDuplicate) {
		return []string{fmt.Sprintf("this share was given before: %v", s)}, nil
	}
	return nil, vaultWords(err)
}

// A consent is the shares given with -migrate to a sealed server: they unseal
// it, and once it is open they are given again, to the migration, which the
// barrier then knows to be wanted by a quorum. Shares that were given without
// -migrate are not among them.
type consent struct {
	id     seal.OperationID // of the plan that the first share was given for
	shares []seal.Share
}

func (c *consent) wipe() {
	for _, s := range c.shares {
		s.Wipe()
	}
	*c = consent{}
}

// forget wipes shares that were given with -migrate before others opened the
// server without, unless somebody is at work with them.
func (h *handler) forget() {
	select {
	case h.turn <- struct{}{}:
		h.consent.wipe()
		<-h.turn
	default:
	}
}

// add keeps a copy of a share that the barrier took.
func (c *consent) add(s seal.Share) error {
	for _, have := range c.shares {
		if have.Set() == s.Set() && have.X() == s.X() {
			return nil
		}
	}
	kept, err := seal.ParseShare(s.Reveal())
	c.shares = append(c.shares, kept)
	return err
}

// suffices reports whether the shares are a quorum of a slot that opens the
// store.
func (c *consent) suffices(status seal.Status) bool {
	for _, slot := range status.Slots {
		t, _ := quorum(slot.Spec)
		if slot.State == seal.SlotPending || t == 0 {
			continue
		}
		n := 0
		for _, s := range c.shares {
			for _, set := range slot.Sets {
				if s.Set() == set || s.Raw() {
					n++
					break
				}
			}
		}
		if n >= t {
			return true
		}
	}
	return false
}

// unsealMigrating takes a share that is meant to unseal and to move the store
// to the configured plan.
func (h *handler) unsealMigrating(r *http.Request, s seal.Share, nonce string) (any, error) {
	ctx := r.Context()
	release, err := h.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if !h.Barrier.Status().Sealed {
		// What another replica ended is nothing that was agreed to here.
		if err := h.Barrier.Refresh(ctx); err != nil {
			return nil, err
		}
	}
	v := h.look(ctx)
	switch {
	case v.planErr != nil:
		return nil, v.planErr
	case !v.initialized:
		return nil, vaultWords(seal.ErrUninitialized)
	case v.err != nil:
		return nil, v.err
	case len(v.plan.Slots) == 0:
		return nil, misplaced("can't perform a seal migration, no migration seal found")
	}
	id, err := h.bind(r, &v, seal.OperationID(nonce), s)
	if err != nil {
		return nil, err
	}
	if !v.Sealed {
		h.consent.wipe()
		return h.shareForMigration(r, &v, id, s)
	}
	warnings, err := h.submit(r, s)
	if err != nil {
		return nil, err
	}
	h.consent.id = id
	if err := h.consent.add(s); err != nil {
		return nil, err
	}
	status := h.Barrier.Status()
	if status.Sealed {
		return h.sealStatusOf(r, h.look(ctx), warnings...), nil
	}
	defer h.consent.wipe()
	if !h.consent.suffices(status) {
		return h.sealStatusOf(r, h.look(ctx), "the server is unsealed, and was not migrated: some shares came without -migrate. Give them again with -migrate"), nil
	}
	// Others may have unsealed it in the meantime, and then nobody has looked at
	// this share.
	if _, err := h.Barrier.Check(ctx, s, h.by(r, id)); err != nil {
		return nil, err
	}
	return h.migrate(r, h.look(ctx), id, h.consent.shares)
}

// bind makes sure that a share serves the plan it was given for. The plan may
// have been configured anew since the first share, and then nothing that was
// given for the other one counts. Only who has a share learns of that: a
// stranger must not be the one who was told.
func (h *handler) bind(r *http.Request, v *view, nonce seal.OperationID, s seal.Share) (seal.OperationID, error) {
	id := planID(v.plan)
	if first := h.consent.id; first != "" && first != id {
		if _, err := h.Barrier.Check(r.Context(), s, h.by(r, id)); err != nil {
			return "", err
		}
		h.consent.wipe()
		return "", badRequest(fmt.Sprintf("the configured migration is now %s, and shares were given for %s: nothing was moved. Look at it, and give all shares again", id, first))
	}
	if nonce != "" && nonce != id {
		return "", badRequest(fmt.Sprintf("incorrect nonce supplied; nonce for this migration is %q", id))
	}
	return id, nil
}

// shareForMigration takes a share with -migrate for a server that is unsealed:
// it begins the migration that is configured, or joins it. The share is looked
// at before anything is recorded, so that nobody without one begins it.
func (h *handler) shareForMigration(r *http.Request, v *view, id seal.OperationID, s seal.Share) (any, error) {
	running := v.Operation != nil && v.Operation.Kind == seal.OperationMigrate
	switch {
	case !v.pending && !running:
		return h.sealStatusOf(r, *v, "the migration is done"), nil
	case !running:
		if _, err := h.Barrier.Check(r.Context(), s, h.by(r, id)); err != nil {
			return nil, err
		}
	}
	return h.migrate(r, *v, id, []seal.Share{s})
}

// abortMigration ends the migration in progress: to begin another, or none.
// What it added and did not prove goes; what it proved stays.
func (h *handler) abortMigration(_ http.ResponseWriter, r *http.Request) (any, error) {
	return h.inTurn(r, nil, Migrate, func(ctx context.Context) (any, error) {
		h.consent.wipe()
		h.agreed = ""
		stay, err := migrate.Abort(ctx, h.Barrier, h.by(r, ""))
		switch {
		case errors.Is(err, seal.ErrNoOperation):
			return nil, nil // as where there is no rekey to cancel
		case err != nil:
			return nil, err
		case len(stay) > 0:
			return h.sealStatusOf(r, h.look(ctx), fmt.Sprintf("these slots were proven already and open the store: %s. The host drops them", strings.Join(stay, ", "))), nil
		}
		return nil, nil
	})
}
