package ceremony

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

// The operations that a ceremony puts in the record. Ids tell custodians what a share
// that they give is for.
const (
	askPrefix    = "ceremony-rekey."  // SHARES.THRESHOLD.DIGEST of the names.RANDOM
	verifyPrefix = "ceremony-verify." // RANDOM
)

func actionOf(r *http.Request) Action {
	if strings.HasSuffix(r.URL.Path, "/rekey") {
		return Rekey
	}
	return Init
}

// beginPage is the form to begin with.
func (h *handler) beginPage(r *http.Request) (*page, error) {
	p := h.page(r, "begin")
	p.Action = actionOf(r)
	for _, s := range p.Status.Slots {
		if _, people := s.spec.(seal.Shamir); people && s.State == seal.SlotActive {
			p.Choices = append(p.Choices, s.Name)
		}
	}
	return p, h.canBegin(p)
}

// canBegin says why what a page is to begin cannot be.
func (h *handler) canBegin(p *page) error {
	h.look()
	h.mu.Lock()
	busy := h.busy()
	again := h.initID != ""
	h.mu.Unlock()
	switch s := p.Status; {
	case busy:
		return errBusy
	case p.Action == Rekey && s.Sealed:
		return seal.ErrSealed
	case p.Action == Rekey && len(p.Choices) == 0:
		return errNoPeople
	case p.Action == Rekey && s.Operation != nil && !h.orphaned(s.Operation):
		return seal.ErrInProgress
	case p.Action == Init && s.Proved:
		return seal.ErrInitialized
	case p.Action == Init && s.err == nil && !again:
		return seal.ErrUnproven
	case p.Action == Init && s.err != nil && !errors.Is(s.err, seal.ErrUninitialized):
		return s.err
	}
	return nil
}

// orphaned reports whether an operation is a ceremony's of this replica: while none is in
// progress here, whoever may begin one ends it. Another replica's may be alive.
func (h *handler) orphaned(op *operationView) bool {
	return op.Replica == h.Barrier.Status().Replica && (strings.HasPrefix(string(op.ID), askPrefix) || strings.HasPrefix(string(op.ID), verifyPrefix))
}

// begin begins a ceremony: places can be taken.
func (h *handler) begin(r *http.Request) (*page, error) {
	action := actionOf(r)
	if !h.may(r, action, r.PostFormValue("token")) {
		return nil, errDenied
	}
	form, err := h.beginPage(r)
	if err != nil {
		return nil, err
	}
	in := &rite{action: action, slot: h.People}
	if in.shares, in.threshold, err = shapeOf(r); err != nil {
		return nil, err
	}
	if action == Rekey {
		if in.slot = r.PostFormValue("slot"); in.slot == "" {
			in.slot = form.Choices[0]
		}
		if !slices.Contains(form.Choices, in.slot) {
			return nil, errNoPeople
		}
	}
	if op := form.Status.Operation; op != nil { // a restart, or its time, has ended its ceremony
		ctx, done := steady(r)
		err := h.Barrier.Admin().Cancel(ctx, h.by(r, op.ID))
		done()
		if err != nil && !errors.Is(err, seal.ErrNoOperation) {
			return nil, err
		}
	}
	var leader, invitation string
	leader, in.leader = newCode()
	invitation, in.invitation = newCode()
	if err := h.start(in); err != nil {
		return nil, err
	}
	h.emit(r, fmt.Sprintf("%s of slot %q begun: %d places, %d of them open", action, in.slot, in.shares, in.threshold), "", nil)
	p := h.page(r, "lead")
	p.Code, p.Invitation = leader, invitation
	return p, h.fillLead(p)
}

// shapeOf reads the numbers of a form.
func shapeOf(r *http.Request) (shares, threshold int, err error) {
	shares, err = strconv.Atoi(r.PostFormValue("shares"))
	if err != nil || shares < 1 || shares > 255 {
		return 0, 0, errShape
	}
	threshold, err = strconv.Atoi(r.PostFormValue("threshold"))
	if err != nil || threshold < 1 || threshold > shares || shares > 1 && threshold == 1 {
		return 0, 0, errShape
	}
	return shares, threshold, nil
}

// lead is what who began does: look, have the shares made, end it.
func (h *handler) lead(r *http.Request) (*page, error) {
	code, invitation := r.PostFormValue("code"), r.PostFormValue("invitation")
	code = strings.TrimSpace(code)
	h.mu.Lock()
	rt, err := h.led(code)
	if err == nil && !rt.invitation.is(invitation) {
		invitation = "" // who came back by the code has no link to give on
	}
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var said *message
	switch r.PostFormValue("do") {
	case "make":
		if err = h.make(r, code); err == nil {
			said = &message{Good: true, Key: "made." + string(rt.action)}
		}
	case "cancel":
		key, err := h.cancel(r, code)
		if err != nil {
			return nil, err
		}
		return h.said(r, "home", "", &message{Good: true, Key: key}), nil
	}
	p := h.page(r, "lead")
	p.Code, p.Invitation, p.Answer = code, invitation, said
	if err != nil {
		h.emit(r, "make", "", err)
		p.code, p.Answer = codeOf(err), p.explain(err)
	}
	return p, h.fillLead(p)
}

// fillLead shows who began how far it is.
func (h *handler) fillLead(p *page) error {
	h.look()
	h.mu.Lock()
	defer h.mu.Unlock()
	rt, err := h.led(p.Code)
	if err != nil {
		return err
	}
	p.Rite = rt.view()
	return nil
}

// cancel ends the ceremony, and returns what to say. Shares that were made and count for
// nothing yet go with it; the old ones were valid all the time.
func (h *handler) cancel(r *http.Request, code string) (string, error) {
	sealed := h.Barrier.Sealed()
	h.mu.Lock()
	rt, err := h.led(code)
	switch {
	case err != nil:
	case rt.making:
		err = errMaking
	case sealed != nil && rt.action == Rekey && rt.made:
		err = seal.ErrSealed // what was made could still be verified: it would not be ended
	}
	if err != nil {
		h.mu.Unlock()
		return "", err
	}
	ask, verify := rt.ask, rt.verify
	h.end()
	h.mu.Unlock()
	h.emit(r, "ended by who began it", "", nil)
	ctx, done := steady(r)
	defer done()
	for _, id := range []seal.OperationID{ask, verify} {
		if id == "" || sealed != nil {
			continue
		}
		if err := h.Barrier.Admin().Cancel(ctx, h.by(r, id)); err != nil && !errors.Is(err, seal.ErrNoOperation) {
			return "", err
		}
	}
	return h.undo(ctx, r, rt)
}

// undo drops the new shares of a ceremony that was ended, where they are its own and count
// for nothing, and says what the record has now.
func (h *handler) undo(ctx context.Context, r *http.Request, rt *rite) (string, error) {
	switch {
	case h.counts(rt):
		return "ended.counts", nil
	case rt.action == Init:
		return "ended.init", nil
	case rt.made && rt.in(h.Barrier.Status(), seal.SlotPending):
		_, _, err := h.Barrier.Admin().Drop(ctx, []string{rt.slot}, h.by(r, ""), seal.SlotPending)
		if err != nil && !errors.Is(err, seal.ErrNoSlot) {
			return "", err
		}
		if h.counts(rt) { // somebody was faster, and verified them
			return "ended.counts", nil
		}
	}
	return "ended", nil
}

// make has the shares made, by the word of who began and has seen who took the places:
// of an init at once, of a rekey once the holders of the old ones agree.
func (h *handler) make(r *http.Request, code string) error {
	h.mu.Lock()
	rt, err := h.led(code)
	switch {
	case err != nil:
	case rt.making || rt.made || rt.ask != "":
		err = errMade
	case len(rt.places) < rt.shares:
		err = errPlaces
	}
	if err != nil {
		h.mu.Unlock()
		return err
	}
	rt.making = true // nobody else makes them, ends it or takes a place
	h.mu.Unlock()
	ctx, done := steady(r)
	defer done()
	if rt.action == Rekey {
		return h.askOld(ctx, r, rt)
	}
	return h.init(ctx, r, rt)
}

// init makes the store.
func (h *handler) init(ctx context.Context, r *http.Request, rt *rite) error {
	h.mu.Lock()
	if h.initID == "" {
		h.initID = seal.OperationID("ceremony-init." + rand.Text())
	}
	id := h.initID
	h.mu.Unlock()
	slots := maps.Clone(h.Slots)
	if slots == nil {
		slots = map[string]seal.Spec{}
	}
	slots[rt.slot] = rt.spec()
	d, err := h.Barrier.Init(ctx, slots, h.by(r, id))
	return h.made(ctx, r, rt, d, err)
}

// askOld begins to ask the holders of the old shares for a rekey.
func (h *handler) askOld(ctx context.Context, r *http.Request, rt *rite) error {
	names := sha256.New()
	for _, p := range rt.places {
		io.WriteString(names, p.name+"\n")
	}
	id := seal.OperationID(fmt.Sprintf("%s%d.%d.%s.%s", askPrefix, rt.shares, rt.threshold, hex.EncodeToString(names.Sum(nil)[:4]), rand.Text()[:20]))
	err := h.prepare(ctx, r, rt.slot)
	if err == nil {
		err = h.ask(ctx, r, rt.slot, id)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	rt.making = false
	if err == nil {
		rt.ask = id
	}
	return err
}

// prepare drops new shares of a rekey before that nobody verifies any more: they would
// be asked in place of those that count.
func (h *handler) prepare(ctx context.Context, r *http.Request, slot string) error {
	if err := h.Barrier.Admin().Refresh(ctx); err != nil {
		return err
	}
	if !slices.ContainsFunc(h.Barrier.Status().Slots, func(s seal.SlotStatus) bool { return s.Name == slot && s.State == seal.SlotPending }) {
		return nil
	}
	_, _, err := h.Barrier.Admin().Drop(ctx, []string{slot}, h.by(r, ""), seal.SlotPending)
	if errors.Is(err, seal.ErrNoSlot) {
		return nil
	}
	return err
}

// ask begins a proof of a slot under an id of ours: shares that were given to another
// operation must not serve it.
func (h *handler) ask(ctx context.Context, r *http.Request, slot string, id seal.OperationID) error {
	begun, _, err := h.Barrier.Admin().Prove(ctx, slot, h.by(r, id))
	if err == nil && begun != id {
		err = fmt.Errorf("%w: %s", seal.ErrInProgress, begun)
	}
	return err
}

// agreed makes the new shares of a rekey, after the share that completed the old
// quorum: whoever gave it is told that it was done, by one caller alone.
func (h *handler) agreed(r *http.Request, id seal.OperationID) error {
	h.mu.Lock()
	rt := h.current()
	if rt == nil || rt.ask != id || rt.making || rt.made {
		h.mu.Unlock()
		return errNoRite
	}
	rt.making, rt.ask = true, ""
	h.mu.Unlock()
	ctx, done := steady(r)
	defer done()
	d, err := h.Barrier.Admin().Rekey(ctx, rt.slot, rt.spec(), h.by(r, ""))
	return h.made(ctx, r, rt, d, err)
}

// made has new shares given to the places, and asks for their proof where the store is
// open: sealed, they are asked by unsealing it.
func (h *handler) made(ctx context.Context, r *http.Request, rt *rite, d seal.Delivery, err error) error {
	h.emit(r, "the shares were made", "", err)
	fingerprint := ""
	if err == nil {
		fingerprint = h.fingerprintOf(ctx, d)
	}
	h.mu.Lock()
	rt.making = false
	switch {
	case err != nil:
	case h.rite != rt: // its time came while they were made
		err = errNoRite
	case !rt.deliver(d, fingerprint):
		err = errNotMade
	}
	verify := rt.verify
	h.mu.Unlock()
	if err != nil {
		d.Wipe()
		return err
	}
	if h.Barrier.Sealed() != nil {
		return nil
	}
	if err := h.ask(ctx, r, rt.slot, verify); err != nil {
		h.emit(r, "the new shares cannot be verified yet", verify, err)
	}
	return nil // they are there, and to be shown; who gives one back begins it again
}

// fingerprintOf is the fingerprint of the slot that was made, "" where the store does not
// say: then the number of its set has to do.
func (h *handler) fingerprintOf(ctx context.Context, d seal.Delivery) string {
	s, err := h.Barrier.Admin().Inspect(ctx)
	if err != nil || len(d.Sets) == 0 {
		return ""
	}
	for _, slot := range s.Slots {
		if slot.Name == d.Sets[0].Slot && slices.Contains(slot.Sets, d.Sets[0].Set) {
			return slot.Fingerprint
		}
	}
	return ""
}
