package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sealwright/sealwright/seal"
)

type shareRequest struct {
	Key   string `json:"key"`
	Nonce string `json:"nonce"`
}

// ask begins a proof of a slot under an id of ours. Where another operation
// asks for the same shares, theirs must not serve ours.
func (h *handler) ask(ctx context.Context, r *http.Request, slot string, id seal.OperationID) error {
	begun, _, err := h.Barrier.Admin().Prove(ctx, slot, h.by(r, id))
	if err == nil && begun != id {
		err = fmt.Errorf("%w: %s: finish or cancel it", seal.ErrInProgress, begun)
	}
	return err
}

// give takes a share for the operation of that nonce, and reports whether its
// people have proven the slot to it now.
func (h *handler) give(ctx context.Context, r *http.Request, op *seal.OperationStatus, in *shareRequest, what string) (done bool, err error) {
	if in.Nonce != string(op.ID) {
		return false, badRequest(fmt.Sprintf("incorrect nonce supplied; nonce for this %s operation is %q", what, op.ID))
	}
	s, err := parseShare(in.Key)
	if err != nil {
		return false, err
	}
	defer s.Wipe()
	done, err = h.Barrier.Submit(ctx, s, h.by(r, op.ID))
	status := h.Barrier.Status()
	switch {
	case errors.Is(err, seal.ErrShareDuplicate):
		return false, fmt.Errorf("given key has already been provided during this generation operation: %w", err)
	case err != nil:
		return false, h.ended(err, op.ID, what)
	case status.Sealed:
		return false, errSealed // it knows of no operation any more, which is no quorum
	case done, agreed(status, op.ID, op.Slot): // by this share, or, as the record says, by another request's since
		return true, nil
	case status.Operation == nil || status.Operation.ID != op.ID:
		return false, cancelled(op.ID, what)
	}
	return false, nil
}

// ended is an error of a step of an operation, or, where that has ended since,
// what there is to say of it: the step's own error asks for more shares, or
// for a KMS, in vain.
func (h *handler) ended(err error, id seal.OperationID, what string) error {
	var share *seal.ShareError
	if errors.As(err, &share) || errors.Is(err, seal.ErrElsewhere) || isAny(err, context.DeadlineExceeded, seal.ErrStoreUnavailable) {
		return err
	}
	if s := h.Barrier.Status(); !s.Sealed && (s.Operation == nil || s.Operation.ID != id) {
		return cancelled(id, what)
	}
	return err
}

func cancelled(id seal.OperationID, what string) error {
	return fmt.Errorf("%w: the %s %s was cancelled, or completed by others, in the meantime: this share counts for nothing", seal.ErrNoOperation, what, id)
}

// claim refuses a second answer to one quorum: shares that come together can
// both be told that it is complete.
func (h *handler) claim(id seal.OperationID) error {
	if h.answers.first(id) {
		return nil
	}
	return badRequest("the quorum was complete already: what was made is in the answer to the share before this one")
}

// present refuses to make what exists in one answer alone for a client that has
// left: the shares or the token would be lost.
func present(r *http.Request) error {
	if errors.Is(r.Context().Err(), context.Canceled) {
		return fmt.Errorf("the client has left, so nothing was made; begin again: %w", context.Canceled)
	}
	return nil
}
