package operator

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

var errNoVerify = badRequest("no rekey verification in progress")

func (k rekey) verifyStatus(http.ResponseWriter, *http.Request) (any, error) {
	v, _, _, err := k.subject()
	if err != nil {
		return nil, err
	}
	return verifyBody(v.Status)
}

func verifyBody(s seal.Status) (any, error) {
	op, kind, n, t := current(s)
	if kind != verifyPrefix {
		return nil, errNoVerify
	}
	return map[string]any{
		"nonce": op.ID, "started": true, "t": t, "n": n, "progress": given(op.Progress, op.Slot),
		"slot": op.Slot, "replica": op.Replica,
	}, nil
}

// verify takes the new shares. The last one makes them the ones that count: the
// old set is gone with the same change of the record.
func (k rekey) verify(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in shareRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	release, err := k.take(r.Context())
	if err != nil {
		return nil, err
	}
	defer release()
	v, _, _, err := k.subject()
	if err != nil {
		return nil, err
	}
	op, kind, _, _ := current(v.Status)
	if kind != verifyPrefix {
		return nil, errNoVerify
	}
	if err := isNew(v.Status, op.Slot, in.Key); err != nil {
		return nil, err
	}
	done, err := k.give(r, op, &in, "rekey")
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
	next := successor(s, slot)
	if next != nil && !slices.Contains(next.Sets, share.Set()) {
		return badRequest(fmt.Sprintf("%v is not of the new set: the verification takes the new shares", share))
	}
	return nil
}

// restartVerify begins the verification anew. The new shares stay as they are.
func (k rekey) restartVerify(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := k.unsealed(r, Rekey); err != nil {
		return nil, err
	}
	release, err := k.take(r.Context())
	if err != nil {
		return nil, err
	}
	defer release()
	v, people, _, err := k.subject()
	if err != nil {
		return nil, err
	}
	if successor(v.Status, people.Name) == nil {
		return nil, errNoVerify
	}
	ctx := background(r)
	if op, kind, _, _ := current(v.Status); kind == verifyPrefix {
		if err := k.Barrier.Cancel(ctx, k.by(r, op.ID)); err != nil {
			return nil, err
		}
	}
	if err := k.ask(ctx, r, people.Name, newID(verifyPrefix)); err != nil {
		return nil, err
	}
	return verifyBody(k.Barrier.Status())
}
