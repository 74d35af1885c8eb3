package operator

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

var errNoVerify = badRequest("no rekey verification in progress")

func (k rekey) verifyStatus(http.ResponseWriter, *http.Request) (any, error) {
	s, err := k.subject()
	if err != nil {
		return nil, err
	}
	if s.target == kmsSeeds {
		return nil, errNoVerify
	}
	return verifyBody(s.Status)
}

func verifyBody(s seal.Status) (any, error) {
	op, p := current(s)
	if p.kind != forVerify {
		return nil, errNoVerify
	}
	return map[string]any{
		"nonce": op.ID, "started": true, "t": p.threshold, "n": p.shares, "progress": given(op.Progress, op.Slot),
		"slot": op.Slot, "replica": op.Replica,
	}, nil
}

// verify takes the new shares. The last one makes them the ones that count: the
// old set is gone with the same change of the record.
func (k rekey) verify(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in shareRequest
	if err := k.admit(r, &in, ""); err != nil {
		return nil, err
	}
	s, err := k.subject()
	if err != nil {
		return nil, err
	}
	op, p := s.own()
	if p.kind != forVerify {
		return nil, errNoVerify
	}
	if err := isNew(s.Status, op.Slot, in.Key); err != nil {
		return nil, err
	}
	ctx, finish := k.steady(r, onShares)
	defer finish()
	done, err := k.give(ctx, r, op, &in, "rekey")
	switch {
	case err != nil:
		return nil, err
	case !done:
		return verifyBody(k.Barrier.Status())
	}
	return map[string]any{"nonce": in.Nonce, "complete": true}, nil
}

// isNew refuses a share of the old set: both are valid until the new one is
// verified, and an old quorum verifies nothing.
func isNew(s seal.Status, slot, key string) error {
	share, err := parseShare(key)
	if err != nil {
		return err
	}
	defer share.Wipe()
	next := unverified(s, slot)
	if next != nil && !slices.Contains(next.Sets, share.Set()) {
		return badRequest(fmt.Sprintf("%v is not of the new set: the verification takes the new shares", share))
	}
	return nil
}

// restartVerify begins the verification anew. The new shares stay as they are.
func (k rekey) restartVerify(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := k.admit(r, nil, Rekey); err != nil {
		return nil, err
	}
	s, err := k.subject()
	switch {
	case err != nil:
		return nil, err
	case s.target == kmsSeeds || unverified(s.Status, s.slot) == nil:
		return nil, errNoVerify
	}
	k.steps.end(onShares)
	ctx, done := k.steady(r, onShares)
	defer done()
	if op, p := current(s.Status); p.kind == forVerify {
		if err := k.Barrier.Admin().Cancel(ctx, k.by(r, op.ID)); err != nil && !errors.Is(err, seal.ErrNoOperation) {
			return nil, err
		}
	}
	if err := k.ask(ctx, r, s.slot, purpose{kind: forVerify}.newID()); err != nil {
		return nil, err
	}
	return verifyBody(k.Barrier.Status())
}
