package ceremony

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// unseal takes a share for unsealing.
func (h *handler) unseal(r *http.Request) (*page, error) {
	s, err := parseShare(r.PostFormValue("share"))
	if err != nil {
		return h.refused(r, "home", "", err)
	}
	defer s.Wipe()
	done, err := h.Barrier.Submit(r.Context(), s, h.by(r, ""))
	switch {
	case err != nil:
		return h.failed(r, "home", "", unverified(err))
	case done:
		return h.said(r, "home", "", &message{Good: true, Key: "unsealed"}), nil
	case h.Barrier.Sealed() == nil && !errors.Is(h.Barrier.Status().Behind, seal.ErrRootMoved):
		return h.said(r, "home", "", &message{Good: true, Key: "in.vain"}), nil
	}
	return h.said(r, "home", "", &message{Good: true, Key: "taken"}), nil
}

// checkPage asks for a share to look at.
func (h *handler) checkPage(r *http.Request) (*page, error) { return h.page(r, "check"), nil }

// check says whether a share is still right, and takes it not.
func (h *handler) check(r *http.Request) (*page, error) {
	s, err := parseShare(r.PostFormValue("share"))
	if err != nil {
		return h.refused(r, "check", "", err)
	}
	defer s.Wipe()
	checked, err := h.Barrier.Admin().CheckShare(r.Context(), s, h.by(r, ""))
	if err != nil {
		return h.failed(r, "check", "", unverified(err))
	}
	if s.Raw() {
		return h.said(r, "check", "", &message{Good: true, Key: "right.raw", Args: []any{checked.Number, checked.Slot}}), nil
	}
	return h.said(r, "check", "", &message{Good: true, Key: "right", Args: []any{checked.Number, checked.Set, checked.Slot}}), nil
}

// operationPage shows what is in progress, to whom its link was sent.
func (h *handler) operationPage(r *http.Request) (*page, error) {
	p := h.page(r, "operation")
	p.ID = r.PathValue("id")
	if op := p.Status.Operation; op == nil || string(op.ID) != p.ID {
		p.Gone, p.Status.Operation = true, nil
	}
	return p, nil
}

// giveTo takes a share for the operation in progress.
func (h *handler) giveTo(r *http.Request) (*page, error) {
	id := seal.OperationID(r.PathValue("id"))
	s, err := parseShare(r.PostFormValue("share"))
	if err != nil {
		return h.refused(r, "operation", id, err)
	}
	defer s.Wipe()
	op := h.Barrier.Status().Operation
	switch {
	case h.Barrier.Sealed() != nil:
		return h.failed(r, "operation", id, seal.ErrSealed)
	case op == nil || op.ID != id:
		return h.failed(r, "operation", id, seal.ErrNoOperation)
	case op.Kind == seal.OperationMigrate:
		return h.failed(r, "operation", id, errByPlan)
	case purposeOf(op) == "tool":
		return h.failed(r, "operation", id, errByTool)
	case strings.HasPrefix(string(id), askPrefix) && !h.asks(id):
		return h.failed(r, "operation", id, errNoRite) // its places are gone: nobody could be given anything
	}
	ctx, cancel := steady(r)
	defer cancel()
	done, err := h.Barrier.Submit(ctx, s, h.by(r, id))
	if err == nil && done && strings.HasPrefix(string(id), askPrefix) {
		if err = h.agreed(r, id); err == nil {
			return h.said(r, "operation", id, &message{Good: true, Key: "agreed"}), nil
		}
		return h.failed(r, "operation", id, errors.Join(errNotMade, err))
	}
	switch {
	case err != nil:
		return h.failed(r, "operation", id, err)
	case done:
		return h.said(r, "operation", id, &message{Good: true, Key: "done"}), nil
	}
	return h.said(r, "operation", id, &message{Good: true, Key: "taken"}), nil
}

// asks reports whether the ceremony here asks the holders of old shares by that id.
func (h *handler) asks(id seal.OperationID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.current()
	return r != nil && r.ask == id
}

// purposeOf says what an operation is for, as far as its id tells: "tool" for what
// package operator answers with something secret to whoever gives the last share.
func purposeOf(op *seal.OperationStatus) string {
	id := string(op.ID)
	switch {
	case op.Kind == seal.OperationMigrate:
		return "migrate"
	case op.Kind == seal.OperationDrop:
		return "drop"
	case strings.HasPrefix(id, askPrefix):
		return "rekey"
	case strings.HasPrefix(id, verifyPrefix), strings.HasPrefix(id, "verify."):
		return "verify"
	case slices.ContainsFunc([]string{"rekey.", "rekey-kms.", "generate-root."}, func(p string) bool { return strings.HasPrefix(id, p) }):
		return "tool"
	}
	return "prove"
}

// parseShare reads the text of a share, as [seal.ParseShare] does. Where it refuses,
// the fault is named in terms that both languages have words for.
func parseShare(text string) (seal.Share, error) {
	s, err := seal.ParseShare(text)
	if err != nil {
		f := faultOf(text)
		if f.Key == "fault.checksum" && !errors.Is(err, seal.ErrShareChecksum) {
			f = fault{Key: "share.malformed"} // of a newer format
		}
		return s, &faultError{f, err}
	}
	return s, nil
}

// refused answers for a text that is no share.
func (h *handler) refused(r *http.Request, view string, op seal.OperationID, err error) (*page, error) {
	h.emit(r, "a share was typed", op, err)
	return h.failed(r, view, op, err)
}

// failed answers with an error, on the page where it was met.
func (h *handler) failed(r *http.Request, view string, op seal.OperationID, err error) (*page, error) {
	return h.said(r, view, op, h.page(r, "").explain(err)), nil
}

// unverified is the error of a share that was given to no operation, or only checked:
// without one, that nothing asks for it says that it is right, and its slot opens nothing
// yet.
func unverified(err error) error {
	if errors.Is(err, seal.ErrNoOperation) {
		return errors.Join(errUnverified, err)
	}
	return err
}

// armored is what is encrypted as its holder's tool reads it: as it is where it is
// text, as age's armor, else in base64.
func armored(b []byte) string {
	if strings.HasPrefix(string(b), "-----BEGIN ") {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// groups cuts a share into what can be read aloud.
func groups(text string) (out []string) {
	const size = 5
	for ; len(text) > size; text = text[size:] {
		out = append(out, text[:size])
	}
	return append(out, text)
}

// plan is where the configuration wants the store to be, and whether it is not there.
func (h *handler) plan(ctx context.Context, s seal.Status) (plan migrate.Plan, moves []migrate.Move, err error) {
	if h.Plan == nil || s.Sealed {
		return migrate.Plan{}, nil, nil
	}
	if plan, err = h.Plan(ctx); err != nil || len(plan.Slots) == 0 && len(plan.Drop) == 0 {
		return plan, nil, err
	}
	if len(plan.Slots) == 0 { // what people hold stays as it is
		plan.Slots = map[string]seal.Spec{}
		for _, slot := range s.Slots {
			if slot.State != seal.SlotPending && seal.HasPeople(slot.Spec) && !slices.Contains(plan.Drop, slot.Name) {
				plan.Slots[slot.Name] = slot.Spec
			}
		}
	}
	for _, m := range plan.Moves(s) {
		// What init made is what the plan wants, also before people have shown it.
		initial := slices.ContainsFunc(s.Slots, func(o seal.SlotStatus) bool { return o.Name == m.Slots[0] && o.State != seal.SlotPending })
		if m.Kind != migrate.MoveProve || !initial {
			moves = append(moves, m)
		}
	}
	return plan, moves, nil
}
