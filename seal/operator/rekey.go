package operator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
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
	atOnce   bool // the tools that call it print shares that init answers with
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

// A subject is what a rekey is about: the slot whose people's shares authorize
// it, and are replaced, unless it is that of the KMS slots.
type subject struct {
	seal.Status
	slot     string
	spec     seal.Spec // nil with first
	machines bool
	first    bool // nobody holds shares yet: the host's word makes the first ones
}

// subject finds it on an unsealed store.
func (k rekey) subject() (subject, error) {
	v := view{Status: k.Barrier.Status(), initialized: true}
	if v.Sealed {
		return subject{}, errSealed
	}
	_, auto := v.sealType()
	people := v.people(k.People)
	switch {
	case k.recovery && !auto:
		return subject{}, badRequest("recovery rekeying not supported: no KMS opens this store")
	case people == nil && k.atOnce:
		return subject{Status: v.Status, slot: k.People, first: true}, nil
	case people == nil:
		return subject{}, badRequest("no people hold a slot of this store: nobody's shares can authorize a rekey. rotate/recovery/init (rotate-keys -init -target=recovery) makes the first shares, rotate/root replaces the root key")
	case leaves(people.Spec) > 1:
		return subject{}, badRequest(fmt.Sprintf("slot %q (%s) is a tree with several sets of shares, of which no tool can name one: the host rekeys it, with Barrier.Rekey and Barrier.Prove", people.Name, people.Spec))
	case !seal.NeedsPeople(people.Spec):
		return subject{}, badRequest(fmt.Sprintf("slot %q (%s) is a tree that opens without its people too, so that no quorum can be asked: the host rekeys it, with Barrier.Rekey and Barrier.Prove", people.Name, people.Spec))
	}
	return subject{Status: v.Status, slot: people.Name, spec: people.Spec, machines: auto && !k.recovery}, nil
}

// leaves returns how many sets of shares a shape has.
func leaves(spec seal.Spec) (n int) {
	switch spec := spec.(type) {
	case seal.Shamir:
		return 1
	case seal.Threshold:
		for _, child := range spec.Of {
			n += leaves(child)
		}
	}
	return n
}

// withPeople returns a shape with other people in place of those it has, and
// the rest of the tree as it is.
func withPeople(spec seal.Spec, people seal.Shamir) seal.Spec {
	tree, ok := spec.(seal.Threshold)
	if !ok {
		return people
	}
	of := slices.Clone(tree.Of)
	for i, child := range of {
		if seal.HasPeople(child) {
			of[i] = withPeople(child, people)
		}
	}
	return seal.Threshold{K: tree.K, Of: of}
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
	s, err := k.subject()
	if err != nil {
		return nil, err
	}
	return k.body(s), nil
}

// now is the subject with the status of now.
func (k rekey) now(s subject) subject {
	s.Status = k.Barrier.Status()
	return s
}

func (k rekey) body(s subject) map[string]any {
	required, _ := quorum(s.spec)
	out := map[string]any{
		"nonce": "", "started": false, "t": 0, "n": 0, "progress": 0, "required": required,
		"pgp_fingerprints": nil, "backup": false, "verification_required": !s.machines, "verification_nonce": "",
		"slot": s.slot, "replica": s.Replica,
	}
	op, kind, n, t := current(s.Status)
	if op == nil {
		return out
	}
	out["nonce"], out["started"], out["n"], out["t"], out["replica"] = op.ID, true, n, t, op.Replica
	out["progress"] = given(op.Progress, op.Slot)
	fingerprints := k.fingerprints(op.ID)
	if next := successor(s.Status, op.Slot); kind == verifyPrefix && next != nil {
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
	return k.inTurn(r, &in, Rekey, func(ctx context.Context) (any, error) {
		s, err := k.subject()
		if err != nil {
			return nil, err
		}
		if op, _, _, _ := current(s.Status); op != nil {
			return nil, badRequest("rekey already in progress")
		}
		if in.Backup {
			return nil, badRequest("key backup not supported: the store never has shares, encrypted or not. Until the new ones are verified, the old ones open it")
		}
		if s.machines && len(in.PGPKeys) > 0 {
			return nil, badRequest("PGP key encryption not supported: the rekey of what a KMS opens makes no shares. The people's is that of the recovery keys")
		}
		id := newID(rekeyKMSPrefix)
		var to []seal.Custodian
		if !s.machines {
			if err := checkShape(in.SecretShares, in.SecretThreshold); err != nil {
				return nil, err
			}
			if to, err = parser(k.ParseRecipient).custodians(r.Context(), "pgp_keys", in.PGPKeys, in.SecretShares); err != nil {
				return nil, err
			}
			id = keyedID(fmt.Sprintf("%s%d.%d.", rekeyPrefix, in.SecretShares, in.SecretThreshold), to)
		}
		if err := k.giveUp(ctx, r, s); err != nil {
			return nil, err
		}
		if s.first {
			shares := map[string]any{}
			if err := k.newShares(ctx, r, s, seal.Shamir{Shares: in.SecretShares, Threshold: in.SecretThreshold, Custodians: to}, shares); err != nil {
				return nil, err
			}
			out := k.body(k.now(s))
			maps.Copy(out, shares)
			return out, nil
		}
		if err := k.ask(ctx, r, s.slot, id); err != nil {
			return nil, err
		}
		k.sendTo(id, to)
		return k.body(k.now(s)), nil
	})
}

// giveUp drops the shares of a rekey that nobody verifies any more.
func (k rekey) giveUp(ctx context.Context, r *http.Request, s subject) error {
	// Another replica may have made some since this one last looked: they would
	// be asked in place of those that count.
	if err := k.Barrier.Refresh(ctx); err != nil {
		return err
	}
	if successor(k.Barrier.Status(), s.slot) == nil {
		return nil
	}
	err := k.Barrier.Discard(ctx, s.slot, k.by(r, ""))
	if errors.Is(err, seal.ErrNoSlot) {
		return nil // another replica has verified them, or dropped them
	}
	return err
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
	if status.Sealed {
		return false, errSealed // it knows of no operation any more, which is no quorum
	}
	return status.Operation == nil || status.Operation.ID != op.ID, nil
}

func (k rekey) update(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in shareRequest
	return k.inTurn(r, &in, "", func(ctx context.Context) (any, error) {
		s, err := k.subject()
		if err != nil {
			return nil, err
		}
		op, kind, n, t := current(s.Status)
		if op == nil || kind == verifyPrefix {
			return nil, badRequest("no barrier rekey in progress")
		}
		if s.machines != (kind == rekeyKMSPrefix) {
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
			return k.body(k.now(s)), nil
		}
		out := map[string]any{"nonce": in.Nonce, "pgp_fingerprints": nil, "backup": false, "verification_required": !s.machines}
		if s.machines {
			out["complete"], out["keys"], out["keys_base64"] = true, []string{}, []string{}
			return out, k.rekeyMachines(ctx, r, s.Status)
		}
		if err := k.newShares(ctx, r, s, seal.Shamir{Shares: n, Threshold: t, Custodians: to}, out); err != nil {
			return nil, fmt.Errorf("the quorum agreed, and no new shares could be made; the old ones are valid, begin again: %w", err)
		}
		return out, nil
	})
}

// newShares makes new shares, and asks for their proof.
func (k rekey) newShares(ctx context.Context, r *http.Request, s subject, people seal.Shamir, out map[string]any) error {
	add := k.Barrier.Rekey
	if s.first {
		add = k.Barrier.Add
	}
	d, err := add(ctx, s.slot, withPeople(s.spec, people), k.by(r, ""))
	if err != nil {
		return err
	}
	defer d.Wipe()
	shares := show(d)
	out["complete"], out["keys"], out["keys_base64"] = true, shares.keys, shares.base64
	if shares.fingerprints != nil {
		out["pgp_fingerprints"] = shares.fingerprints
	}
	// The shares must be given out whatever comes of this: DELETE of verify
	// asks for the proof again.
	id := newID(verifyPrefix)
	if err := k.ask(ctx, r, s.slot, id); err != nil {
		out["warnings"] = []string{"the new shares can't be verified yet: restart the verification"}
	}
	out["verification_nonce"] = id
	return nil
}

// rekeyMachines gives each KMS slot a new seed, which at once replaces the root
// key and the data key.
func (k rekey) rekeyMachines(ctx context.Context, r *http.Request, s seal.Status) error {
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
	return k.inTurn(r, nil, Rekey, func(ctx context.Context) (any, error) {
		s, err := k.subject()
		if err != nil {
			return nil, err
		}
		if op, _, _, _ := current(s.Status); op != nil {
			if err := k.Barrier.Cancel(ctx, k.by(r, op.ID)); err != nil {
				return nil, err
			}
		}
		return nil, k.giveUp(ctx, r, s)
	})
}
