package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

// A rekey serves one family of rekey routes: of the people's slot, or on a
// store that a KMS opens too, of the KMS slots ("barrier") or of the people's
// ("recovery").
//
// The operation in the record is a proof of the people's slot, whose id says
// what for: "rekey.N.T." and "rekey-kms." are the authorization by the old
// shares, "verify." the proof of the new ones. Nothing else is kept, except the
// PGP keys of "rekey.N.T.pgp-DIGEST.".
type rekey struct {
	*handler
	recovery bool
}

// The prefixes of operation ids.
const (
	rekeyPrefix    = "rekey."
	rekeyKMSPrefix = "rekey-kms."
	verifyPrefix   = "verify."
)

type rekeyRequest struct {
	SecretShares    int      `json:"secret_shares"`
	SecretThreshold int      `json:"secret_threshold"`
	PGPKeys         []string `json:"pgp_keys"`
	Backup          bool     `json:"backup"`
}

type shareRequest struct {
	Key   string `json:"key"`
	Nonce string `json:"nonce"`
}

// subject is the people's slot of an unsealed store, and whether a rekey is
// that of the KMS slots beside it.
func (k rekey) subject() (v view, people *seal.SlotStatus, machines bool, err error) {
	v.Status = k.Barrier.Status()
	if v.Sealed {
		return v, nil, false, errSealed
	}
	v.initialized = true
	_, auto := v.sealType()
	people = v.people(k.People)
	switch {
	case k.recovery && !auto:
		return v, nil, false, badRequest("recovery rekeying not supported: no KMS opens this store")
	case people == nil:
		return v, nil, false, badRequest("no people hold a slot of this store: nobody's shares can authorize a rekey. rotate/root replaces the root key")
	}
	if _, lone := people.Spec.(seal.Shamir); !lone {
		return v, nil, false, badRequest(fmt.Sprintf("slot %q is a tree of several custodians: it is rekeyed by the host", people.Name))
	}
	return v, people, auto && !k.recovery, nil
}

// current returns the operation in progress if it is one of these, and what its
// id says.
func current(s seal.Status) (op *seal.OperationStatus, kind string, n, t int) {
	if s.Operation == nil || s.Operation.Kind != seal.OperationProve {
		return nil, "", 0, 0
	}
	id := string(s.Operation.ID)
	switch {
	case strings.HasPrefix(id, verifyPrefix):
		if next := successor(s, s.Operation.Slot); next != nil {
			t, n = quorum(next.Spec)
		}
		return s.Operation, verifyPrefix, n, t
	case strings.HasPrefix(id, rekeyKMSPrefix):
		return s.Operation, rekeyKMSPrefix, 0, 0
	case strings.HasPrefix(id, rekeyPrefix):
		parts := strings.Split(id, ".")
		if len(parts) == 4 || len(parts) == 5 {
			n, _ = strconv.Atoi(parts[1])
			t, _ = strconv.Atoi(parts[2])
			return s.Operation, rekeyPrefix, n, t
		}
	}
	return nil, "", 0, 0
}

func (k rekey) status(http.ResponseWriter, *http.Request) (any, error) {
	v, people, machines, err := k.subject()
	if err != nil {
		return nil, err
	}
	return k.statusBody(v.Status, people, machines), nil
}

func (k rekey) statusBody(s seal.Status, people *seal.SlotStatus, machines bool) map[string]any {
	required, _ := quorum(people.Spec)
	out := map[string]any{
		"nonce": "", "started": false, "t": 0, "n": 0, "progress": 0, "required": required,
		"pgp_fingerprints": nil, "backup": false, "verification_required": !machines, "verification_nonce": "",
		"slot": people.Name, "replica": s.Replica,
	}
	op, kind, n, t := current(s)
	if op == nil {
		return out
	}
	out["nonce"], out["started"], out["n"], out["t"], out["replica"] = op.ID, true, n, t, op.Replica
	out["progress"] = given(op.Progress, op.Slot)
	fingerprints := k.fingerprints(op.ID)
	if next := successor(s, op.Slot); kind == verifyPrefix && next != nil {
		fingerprints = next.Custodians
	}
	if fingerprints != nil {
		out["pgp_fingerprints"] = fingerprints
	}
	if kind == verifyPrefix {
		out["progress"], out["verification_nonce"] = required, op.ID
	}
	return out
}

func (k rekey) begin(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in rekeyRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := k.unsealed(r, Rekey); err != nil {
		return nil, err
	}
	release, err := k.take(r.Context())
	if err != nil {
		return nil, err
	}
	defer release()
	v, people, machines, err := k.subject()
	if err != nil {
		return nil, err
	}
	if op, _, _, _ := current(v.Status); op != nil {
		return nil, badRequest("rekey already in progress")
	}
	if in.Backup {
		return nil, badRequest("key backup not supported: the store never has shares, encrypted or not. Until the new ones are verified, the old ones open it")
	}
	if machines && len(in.PGPKeys) > 0 {
		return nil, badRequest("PGP key encryption not supported: the rekey of what a KMS opens makes no shares. The people's is that of the recovery keys")
	}
	id := newID(rekeyKMSPrefix)
	var to []seal.Custodian
	if !machines {
		if err := checkShape(in.SecretShares, in.SecretThreshold); err != nil {
			return nil, err
		}
		if to, err = parser(k.ParseRecipient).custodians(r.Context(), "pgp_keys", in.PGPKeys, in.SecretShares); err != nil {
			return nil, err
		}
		id = keyedID(fmt.Sprintf("%s%d.%d.", rekeyPrefix, in.SecretShares, in.SecretThreshold), to)
	}
	ctx := background(r)
	if successor(v.Status, people.Name) != nil {
		// Of a rekey that was given up: nobody verifies it any more.
		if _, _, err := k.Barrier.Drop(ctx, []string{people.Name}, k.by(r, "")); err != nil {
			return nil, err
		}
	}
	if err := k.ask(ctx, r, people.Name, id); err != nil {
		return nil, err
	}
	k.sendTo(id, to)
	return k.statusBody(k.Barrier.Status(), people, machines), nil
}

// ask begins a proof of a slot under an id of ours. Where another operation
// asks for the same shares, theirs must not serve ours.
func (h *handler) ask(ctx context.Context, r *http.Request, slot, id string) error {
	begun, _, err := h.Barrier.Prove(ctx, slot, h.by(r, seal.OperationID(id)))
	if err == nil && string(begun) != id {
		err = fmt.Errorf("%w: %s: finish or cancel it", seal.ErrInProgress, begun)
	}
	return err
}

// give takes a share for the operation of that nonce, and reports whether it
// completed the quorum. The caller has the turn.
func (h *handler) give(r *http.Request, op *seal.OperationStatus, in *shareRequest, what string) (done bool, err error) {
	if in.Nonce != string(op.ID) {
		return false, badRequest(fmt.Sprintf("incorrect nonce supplied; nonce for this %s operation is %q", what, op.ID))
	}
	s, err := parseShare(in.Key)
	if err != nil {
		return false, err
	}
	defer s.Wipe()
	status, err := h.Barrier.Submit(background(r), s, h.by(r, op.ID))
	if errors.Is(err, seal.ErrShareDuplicate) {
		return false, fmt.Errorf("given key has already been provided during this generation operation: %w", err)
	}
	if err != nil {
		return false, err
	}
	return status.Operation == nil || status.Operation.ID != op.ID, nil
}

func (k rekey) update(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in shareRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	release, err := k.take(r.Context())
	if err != nil {
		return nil, err
	}
	defer release()
	v, people, machines, err := k.subject()
	if err != nil {
		return nil, err
	}
	op, kind, n, t := current(v.Status)
	if op == nil || kind == verifyPrefix {
		return nil, badRequest("no barrier rekey in progress")
	}
	if machines != (kind == rekeyKMSPrefix) {
		return nil, badRequest("the rekey in progress is that of the other target")
	}
	to, err := k.addressees(op.ID)
	if err != nil {
		return nil, err
	}
	done, err := k.give(r, op, &in, "rekey")
	if err != nil {
		return nil, err
	}
	if !done {
		return k.statusBody(k.Barrier.Status(), people, machines), nil
	}
	out := map[string]any{
		"nonce": in.Nonce, "complete": true, "keys": []string{}, "keys_base64": []string{},
		"pgp_fingerprints": nil, "backup": false, "verification_required": !machines,
	}
	if machines {
		return out, k.rekeyMachines(r, v.Status)
	}
	return out, k.newShares(r, people.Name, seal.Shamir{Shares: n, Threshold: t, Custodians: to}, out)
}

// newShares makes the shares that an old quorum has just agreed to, and asks
// for their proof.
func (k rekey) newShares(r *http.Request, slot string, spec seal.Shamir, out map[string]any) error {
	ctx := background(r)
	d, err := k.Barrier.Rekey(ctx, slot, spec, k.by(r, ""))
	if err != nil {
		return fmt.Errorf("the quorum agreed, and no new shares could be made; the old ones are valid, begin again: %w", err)
	}
	defer d.Wipe()
	shares := show(d)
	out["keys"], out["keys_base64"] = shares.keys, shares.base64
	if shares.fingerprints != nil {
		out["pgp_fingerprints"] = shares.fingerprints
	}
	// The shares must be given out whatever comes of this: DELETE of verify
	// asks for the proof again.
	id := newID(verifyPrefix)
	if err := k.ask(ctx, r, slot, id); err != nil {
		out["warnings"] = []string{"the new shares can't be verified yet: restart the verification"}
	}
	out["verification_nonce"] = id
	return nil
}

// rekeyMachines gives each KMS slot a new seed, which at once replaces the root
// key and the data key.
func (k rekey) rekeyMachines(r *http.Request, s seal.Status) error {
	ctx := background(r)
	for _, slot := range s.Slots {
		if slot.State == seal.SlotPending || seal.HasPeople(slot.Spec) {
			continue
		}
		if successor(s, slot.Name) == nil {
			if _, err := k.Barrier.Rekey(ctx, slot.Name, slot.Spec, k.by(r, "")); err != nil {
				return err
			}
		}
		if _, _, err := k.Barrier.Prove(ctx, slot.Name, k.by(r, "")); err != nil {
			return err
		}
	}
	return nil
}

// cancel ends a rekey. The old shares were valid all the time.
func (k rekey) cancel(_ http.ResponseWriter, r *http.Request) (any, error) {
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
	ctx := background(r)
	if op, _, _, _ := current(v.Status); op != nil {
		if err := k.Barrier.Cancel(ctx, k.by(r, op.ID)); err != nil {
			return nil, err
		}
	}
	if successor(v.Status, people.Name) != nil {
		if _, _, err := k.Barrier.Drop(ctx, []string{people.Name}, k.by(r, "")); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
