package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

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
	var notes []string
	if h.Barrier.Sealed() == nil {
		notes, err = h.inVain(r, share)
	} else {
		notes, err = h.submit(r, share)
	}
	if err != nil {
		return nil, err
	}
	v := h.look(r.Context())
	if !v.Sealed {
		h.consent.forget()
	}
	if !v.Sealed && v.pending {
		notes = append(notes, "a seal migration is configured, and was not begun: give the shares with -migrate")
	}
	return h.sealStatusOf(r, v, notes...), nil
}

// parseShare reads a share in any form: its text, hexadecimal or base64.
func parseShare(text string) (seal.Share, error) {
	if text == "" {
		return seal.Share{}, badRequest("'key' must be specified in request body as JSON, or 'reset' set to true")
	}
	return seal.ParseShare(text)
}

// submit gives a share for unsealing; one that is taken is right, also where others
// have unsealed meanwhile. Who did is not asked: the answer is the status, whoever it
// was. One that was given before is no error in Vault's API.
func (h *handler) submit(r *http.Request, s seal.Share) (notes []string, err error) {
	_, err = h.Barrier.Submit(r.Context(), s, h.by(r, ""))
	if errors.Is(err, seal.ErrShareDuplicate) {
		return []string{fmt.Sprintf("this share was given before: %v", s)}, nil
	}
	return nil, vaultWords(verifyFirst(err))
}

// check is the barrier's.
func (h *handler) check(ctx context.Context, r *http.Request, s seal.Share) (seal.Checked, error) {
	checked, err := h.Barrier.Admin().CheckShare(ctx, s, h.by(r, ""))
	return checked, verifyFirst(err)
}

// verifyFirst says where a share is asked for that opens nothing yet. Whoever
// gave it must not throw it, or an older one, away for a good one.
func verifyFirst(err error) error {
	if errors.Is(err, seal.ErrNoOperation) {
		err = fmt.Errorf("%w. Unsealed, give it to the verification (operator rekey -verify), and keep the older shares until that is complete", err)
	}
	return err
}

// inVain looks at a share that is given to an unsealed server: nothing comes of
// it, and who gave a wrong one, or one that opens nothing yet, has to know.
func (h *handler) inVain(r *http.Request, s seal.Share) (notes []string, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), lookTimeout)
	defer cancel()
	switch _, err := h.check(ctx, r, s); {
	case errors.Is(err, seal.ErrStoreUnavailable), errors.Is(err, context.DeadlineExceeded):
		return []string{"the server is unsealed, and nobody has looked at this share: the store cannot be reached"}, nil
	case err != nil:
		return nil, err
	}
	return []string{"the server was unsealed already: nothing came of this share, which is right"}, nil
}

// checkShare says what a share is good for, and does not take it.
func (h *handler) checkShare(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		Key string `json:"key"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.Key == "" {
		return nil, badRequest("'key' must be specified in request body as JSON")
	}
	s, err := seal.ParseShare(in.Key)
	if err != nil {
		return nil, err
	}
	defer s.Wipe()
	found, err := h.check(r.Context(), r, s)
	if err != nil {
		return nil, vaultWords(err)
	}
	out := map[string]any{"opens": true, "slot": found.Slot, "share": s.String(), "set": found.Set, "number": found.Number, "sealed": h.Barrier.Sealed() != nil}
	if found.Custodian != "" {
		out["custodian"] = found.Custodian
	}
	return out, nil
}

// A consent is the shares given with -migrate to a sealed server: they unseal
// it, and once it is open they are given again, to the migration. Shares that
// were given without -migrate are not among them.
type consent struct {
	mu     sync.Mutex
	id     seal.OperationID // of the plan that the first share was given for
	shares []seal.Share
}

// forget wipes the shares.
func (c *consent) forget() { wipe(c.take()) }

// take hands the shares over, to be wiped by the caller.
func (c *consent) take() []seal.Share {
	c.mu.Lock()
	defer c.mu.Unlock()
	shares := c.shares
	c.id, c.shares = "", nil
	return shares
}

func wipe(shares []seal.Share) {
	for _, s := range shares {
		s.Wipe()
	}
}

// plan returns what the shares were given for; "" if there are none.
func (c *consent) plan() seal.OperationID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// add keeps a copy of a share that the barrier took for a plan.
func (c *consent) add(id seal.OperationID, s seal.Share) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id != "" && c.id != id {
		return otherPlan(id, c.id)
	}
	for _, have := range c.shares {
		if have.Set() == s.Set() && have.X() == s.X() {
			return nil
		}
	}
	kept, err := seal.ParseShare(s.Reveal())
	if err != nil {
		return err
	}
	c.id, c.shares = id, append(c.shares, kept)
	return nil
}

func otherPlan(now, first seal.OperationID) error {
	return badRequest(fmt.Sprintf("the configured migration is now %s, and shares were given for %s: nothing was moved. Look at it, and give all shares again", now, first))
}

// unsealMigrating takes a share that is meant to unseal and to move the store
// to the configured plan.
func (h *handler) unsealMigrating(r *http.Request, s seal.Share, nonce string) (any, error) {
	ctx := r.Context()
	if h.Barrier.Sealed() == nil {
		// What another replica ended is nothing that was agreed to here.
		if err := h.Barrier.Admin().Refresh(ctx); err != nil {
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
	id := planID(v.plan)
	if err := h.bind(r, id, seal.OperationID(nonce), s); err != nil {
		return nil, err
	}
	if !v.Sealed {
		h.consent.forget()
		return h.shareForMigration(r, &v, id, s)
	}
	notes, err := h.submit(r, s)
	if err != nil {
		return nil, err
	}
	if err := h.consent.add(id, s); err != nil {
		return nil, err
	}
	if h.Barrier.Sealed() != nil {
		return h.sealStatusOf(r, h.look(ctx), notes...), nil
	}
	shares := h.consent.take()
	defer wipe(shares)
	return h.migrate(r, h.look(ctx), id, shares)
}

// bind makes sure that a share serves the plan it was given for. The plan may
// have been configured anew since the first share, and then nothing that was
// given for the other one counts. Only who has a share learns of that: a
// stranger must not be the one who was told.
func (h *handler) bind(r *http.Request, id, nonce seal.OperationID, s seal.Share) error {
	if first := h.consent.plan(); first != "" && first != id {
		if _, err := h.Barrier.Admin().CheckShare(r.Context(), s, h.by(r, id)); err != nil {
			return err
		}
		h.consent.forget()
		return otherPlan(id, first)
	}
	if nonce != "" && nonce != id {
		return badRequest(fmt.Sprintf("incorrect nonce supplied; nonce for this migration is %q", id))
	}
	return nil
}

// shareForMigration takes a share with -migrate for a server that is unsealed:
// it begins the migration that is configured, or joins it. The share is looked
// at before anything is recorded, so that nobody without one begins it.
func (h *handler) shareForMigration(r *http.Request, v *view, id seal.OperationID, s seal.Share) (any, error) {
	running := v.Operation != nil && v.Operation.Kind == seal.OperationMigrate
	switch {
	case !v.pending && !running:
		// Custodians alone have the keys asked about.
		if _, err := h.Barrier.Admin().CheckShare(r.Context(), s, h.by(r, id)); err != nil || v.Operation != nil {
			return h.sealStatusOf(r, *v, "the migration is done"), nil
		}
	case !running:
		if _, err := h.Barrier.Admin().CheckShare(r.Context(), s, h.by(r, id)); err != nil {
			return nil, err
		}
	}
	return h.migrate(r, *v, id, []seal.Share{s})
}

// cancelMigration ends the migration in progress: to begin another, or none.
// What it added and did not prove goes; what it proved stays. What is at work
// on it, and may wait for a KMS, ends at once.
func (h *handler) cancelMigration(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.admit(r, nil, Migrate); err != nil {
		return nil, err
	}
	h.consent.forget()
	h.steps.end(onMigration)
	ctx, done := h.steady(r, onMigration)
	defer done()
	stay, err := migrate.Cancel(ctx, h.Barrier, h.by(r, ""))
	switch {
	case errors.Is(err, seal.ErrNoOperation):
		return nil, nil // as where there is no rekey to cancel
	case err != nil:
		return nil, err
	case len(stay) > 0:
		return h.sealStatusOf(r, h.look(ctx), fmt.Sprintf("these slots were proven already and open the store: %s. The host drops them", strings.Join(stay, ", "))), nil
	}
	return nil, nil
}
