package operator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

// A family is one of the families of rekey routes.
type family int

const (
	ofStore          family = iota // "barrier": of what opens the store
	ofRecovery                     // of the people's shares of a store that a KMS opens too
	ofRecoveryAtOnce               // the same, called by tools that print shares which init answers with
)

// A target is what a rekey replaces.
type target int

const (
	peopleShares target = iota // by the word of those who hold them
	kmsSeeds                   // what the KMS slots hold, by the word of the people
	firstShares                // those that nobody holds, or has ever shown, by the host's word
)

// A rekey serves one family of routes.
//
// The operation in the record is a proof of the people slot, whose id says
// what for; see [purpose]. Nothing else is kept, except the PGP keys.
type rekey struct {
	*handler
	family family
}

type rekeyRequest struct {
	SecretShares    int      `json:"secret_shares"`
	SecretThreshold int      `json:"secret_threshold"`
	PGPKeys         []string `json:"pgp_keys"`
	Backup          bool     `json:"backup"`
}

// A subject is what a rekey is about: the slot whose people's shares authorize
// it, and are replaced, unless the target is another.
type subject struct {
	seal.Status
	target target
	slot   string
	spec   seal.Spec // nil where the slot is not there
}

func (s subject) work() work {
	if s.target == kmsSeeds {
		return onSeeds
	}
	return onShares
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
	case k.family != ofStore && !auto:
		return subject{}, badRequest("recovery rekeying not supported: no KMS opens this store")
	case people == nil && k.family == ofRecoveryAtOnce:
		return subject{Status: v.Status, target: firstShares, slot: k.People}, nil
	case people == nil:
		return subject{}, badRequest("no people hold a slot of this store: nobody's shares can authorize a rekey. rotate/recovery/init (rotate-keys -init -target=recovery) makes the first shares, rotate/root replaces the root key")
	case leaves(people.Spec) > 1:
		return subject{}, badRequest(fmt.Sprintf("slot %q (%s) is a tree with several sets of shares, of which no tool can name one: the host rekeys it, with Admin.Rekey and Admin.Prove", people.Name, people.Spec))
	case !seal.NeedsPeople(people.Spec):
		return subject{}, badRequest(fmt.Sprintf("slot %q (%s) is a tree that opens without its people too, so that no quorum can be asked: the host rekeys it, with Admin.Rekey and Admin.Prove", people.Name, people.Spec))
	}
	s := subject{Status: v.Status, slot: people.Name, spec: people.Spec}
	switch {
	case k.family == ofRecoveryAtOnce && people.State == seal.SlotInitial:
		s.target = firstShares // the answer that had them may be lost
	case k.family == ofStore && auto:
		s.target = kmsSeeds
	}
	return s, nil
}

// current returns the operation in progress if it is a rekey, and what for.
func current(s seal.Status) (*seal.OperationStatus, purpose) {
	if s.Operation == nil || s.Operation.Kind != seal.OperationProve {
		return nil, purpose{}
	}
	p, ok := parsePurpose(s.Operation.ID)
	switch {
	case !ok || p.kind == forToken:
		return nil, purpose{}
	case p.kind == forVerify:
		if next := unverified(s, s.Operation.Slot); next != nil {
			p.threshold, p.shares = quorum(next.Spec)
		}
	}
	return s.Operation, p
}

// own is current, if it is about the subject's target and not the other's.
func (s subject) own() (*seal.OperationStatus, purpose) {
	op, p := current(s.Status)
	if op == nil || (s.target == kmsSeeds) != (p.kind == forRekeyKMS) {
		return nil, purpose{}
	}
	return op, p
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
		"pgp_fingerprints": nil, "backup": false, "verification_required": s.target != kmsSeeds, "verification_nonce": "",
		"slot": s.slot, "replica": s.Replica,
	}
	op, p := s.own()
	if op == nil {
		return out
	}
	out["nonce"], out["started"], out["n"], out["t"], out["replica"] = op.ID, true, p.shares, p.threshold, op.Replica
	out["progress"] = given(op.Progress, op.Slot)
	fingerprints := k.fingerprints(op.ID)
	if next := unverified(s.Status, op.Slot); p.kind == forVerify && next != nil {
		fingerprints = next.Custodians
	}
	if fingerprints != nil {
		out["pgp_fingerprints"] = fingerprints
	}
	if p.kind == forVerify {
		out["progress"], out["verification_nonce"] = required, op.ID
	}
	return out
}

func (k rekey) begin(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in rekeyRequest
	if err := k.admit(r, &in, Rekey); err != nil {
		return nil, err
	}
	s, err := k.subject()
	if err != nil {
		return nil, err
	}
	if op, _ := current(s.Status); op != nil {
		return nil, badRequest("rekey already in progress")
	}
	if in.Backup {
		return nil, badRequest("key backup not supported: the store never has shares, encrypted or not. Until the new ones are verified, the old ones open it")
	}
	if s.target == kmsSeeds {
		return k.beginSeeds(r, s, &in)
	}
	if err := checkShape(in.SecretShares, in.SecretThreshold); err != nil {
		return nil, err
	}
	to, err := parser(k.ParseRecipient).custodians(r.Context(), "pgp_keys", in.PGPKeys, in.SecretShares)
	if err != nil {
		return nil, err
	}
	if err := distinct("pgp_keys", to); err != nil {
		return nil, err
	}
	if err := k.giveUp(r.Context(), r, s); err != nil {
		return nil, err
	}
	if s.target == firstShares {
		shares := map[string]any{}
		if err := k.newShares(r, s, seal.Shamir{Shares: in.SecretShares, Threshold: in.SecretThreshold, Custodians: to}, shares); err != nil {
			return nil, err
		}
		out := k.body(k.now(s))
		maps.Copy(out, shares)
		return out, nil
	}
	id := purpose{kind: forRekey, shares: in.SecretShares, threshold: in.SecretThreshold, keys: digestOf(to)}.newID()
	if err := k.ask(r.Context(), r, s.slot, id); err != nil {
		return nil, err
	}
	k.sendTo(id, to)
	return k.body(k.now(s)), nil
}

// beginSeeds asks the people for new seeds of the KMS slots. What they were
// given themselves, and have not verified, stays.
func (k rekey) beginSeeds(r *http.Request, s subject, in *rekeyRequest) (any, error) {
	if len(in.PGPKeys) > 0 {
		return nil, badRequest("PGP key encryption not supported: the rekey of what a KMS opens makes no shares. The people's is that of the recovery keys")
	}
	if err := k.verified(r.Context(), s.slot); err != nil {
		return nil, err
	}
	if err := k.ask(r.Context(), r, s.slot, purpose{kind: forRekeyKMS}.newID()); err != nil {
		return nil, err
	}
	return k.body(k.now(s)), nil
}

// giveUp drops the shares of a rekey that nobody verifies any more.
func (k rekey) giveUp(ctx context.Context, r *http.Request, s subject) error {
	// Another replica may have made some since this one last looked: they would
	// be asked in place of those that count.
	if err := k.Barrier.Admin().Refresh(ctx); err != nil {
		return err
	}
	if waiting(k.Barrier.Status(), s.slot) == nil {
		return nil
	}
	_, _, err := k.Barrier.Admin().Drop(ctx, []string{s.slot}, k.by(r, ""), seal.SlotPending)
	if errors.Is(err, seal.ErrNoSlot) {
		return nil // another replica has verified them, or dropped them
	}
	return err
}

func (k rekey) update(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in shareRequest
	if err := k.admit(r, &in, ""); err != nil {
		return nil, err
	}
	s, err := k.subject()
	if err != nil {
		return nil, err
	}
	op, p := current(s.Status)
	switch {
	case op == nil || p.kind == forVerify:
		return nil, badRequest("no barrier rekey in progress")
	case (s.target == kmsSeeds) != (p.kind == forRekeyKMS):
		return nil, badRequest("the rekey in progress is that of the other target")
	}
	to, err := k.addressees(op.ID)
	if err != nil {
		return nil, err
	}
	ctx, finish := k.steady(r, s.work())
	defer finish()
	done, err := k.give(ctx, r, op, &in, "rekey")
	if err != nil {
		return nil, err
	}
	if !done {
		return k.body(k.now(s)), nil
	}
	if err := k.claim(op.ID); err != nil {
		return nil, err
	}
	out := map[string]any{"nonce": in.Nonce, "pgp_fingerprints": nil, "backup": false, "verification_required": s.target != kmsSeeds}
	if s.target == kmsSeeds {
		out["complete"], out["keys"], out["keys_base64"] = true, []string{}, []string{}
		return out, k.rekeyMachines(ctx, r, k.Barrier.Status())
	}
	if err := k.newShares(r, s, seal.Shamir{Shares: p.shares, Threshold: p.threshold, Custodians: to}, out); err != nil {
		return nil, fmt.Errorf("the quorum agreed, and no new shares could be made; the old ones are valid, begin again: %w", err)
	}
	return out, nil
}

// newShares makes new shares, and asks for their proof. They stand in this
// answer alone, so a client that has left gets none made.
func (k rekey) newShares(r *http.Request, s subject, people seal.Shamir, out map[string]any) error {
	make := k.Barrier.Admin().Rekey
	switch {
	case s.target == firstShares && s.spec == nil:
		make = k.Barrier.Admin().Add
	case s.target == firstShares:
		make = k.Barrier.Admin().Reissue
	}
	if err := present(r); err != nil {
		return err
	}
	d, err := make(r.Context(), s.slot, withPeople(s.spec, people), k.by(r, ""))
	if err != nil {
		return err
	}
	defer d.Wipe()
	shares := show(d)
	out["complete"], out["keys"], out["keys_base64"] = true, shares.keys, shares.base64
	if shares.fingerprints != nil {
		out["pgp_fingerprints"] = shares.fingerprints
	}
	if shares.hints != nil {
		out["share_hints"] = shares.hints
	}
	// The shares must be given out whatever comes of this: DELETE of verify
	// asks for the proof again.
	ctx, done := k.steady(r, s.work())
	defer done()
	id := purpose{kind: forVerify}.newID()
	var notes []string
	if err := k.ask(ctx, r, s.slot, id); err != nil {
		notes = append(notes, "the new shares can't be verified yet: restart the verification")
	}
	for name, pin := range d.Pins {
		notes = append(notes, fmt.Sprintf("slot %s: a process that starts needs %s in Config.Pins: add it and restart before the last of the new shares is given", name, pin))
	}
	if notes != nil {
		out["notes"] = notes
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
		if waiting(s, slot.Name) == nil {
			if _, err := k.Barrier.Admin().Rekey(ctx, slot.Name, slot.Spec, k.by(r, "")); err != nil {
				return err
			}
		}
		if _, _, err := k.Barrier.Admin().Prove(ctx, slot.Name, k.by(r, "")); err != nil {
			return err
		}
	}
	return nil
}

// cancel ends a rekey of this target, and what is at work on it. The old shares
// were valid all the time.
func (k rekey) cancel(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := k.admit(r, nil, Rekey); err != nil {
		return nil, err
	}
	s, err := k.subject()
	if err != nil {
		return nil, err
	}
	op, _ := s.own()
	if other, _ := current(s.Status); other != nil && op == nil {
		return nil, nil // it is the other target's
	}
	k.steps.end(s.work())
	ctx, done := k.steady(r, s.work())
	defer done()
	if op != nil {
		if err := k.Barrier.Admin().Cancel(ctx, k.by(r, op.ID)); err != nil && !errors.Is(err, seal.ErrNoOperation) {
			return nil, err
		}
	}
	if s.target == kmsSeeds {
		return nil, nil // of what the people hold, whatever it waits for, nothing goes
	}
	return nil, k.giveUp(ctx, r, s)
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
