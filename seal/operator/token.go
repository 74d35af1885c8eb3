package operator

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/sealwright/sealwright/seal"
)

// pads keeps the one-time password that hides the token of a generate-root
// ceremony on its way: in the memory of one process, and nothing of it in the
// operation's id, which everybody reads.
type pads struct {
	mu  sync.Mutex
	id  seal.OperationID
	pad []byte
}

func (p *pads) keep(id seal.OperationID, pad []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.pad)
	p.id, p.pad = id, pad
}

// has reports whether the password of that ceremony is here.
func (p *pads) has(id seal.OperationID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id == id && p.pad != nil
}

// take hands the password over, to be cleared by the caller; nil if it is not
// here.
func (p *pads) take(id seal.OperationID) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.id != id {
		return nil
	}
	pad := p.pad
	p.id, p.pad = "", nil
	return pad
}

// tokenSubject is the people slot whose quorum can ask for a token, and the
// ceremony in progress, or nil.
func (h *handler) tokenSubject() (s seal.Status, people *seal.SlotStatus, op *seal.OperationStatus, err error) {
	s = h.Barrier.Status()
	if s.Sealed {
		return s, nil, nil, errSealed
	}
	if h.MintRootToken == nil {
		return s, nil, nil, badRequest("this server's root tokens are not made here")
	}
	v := view{Status: s, initialized: true}
	if people = v.people(h.People); people == nil {
		return s, nil, nil, badRequest("no people hold a slot of this store: nobody's shares can ask for a token")
	}
	if !seal.NeedsPeople(people.Spec) {
		return s, nil, nil, badRequest(fmt.Sprintf("slot %q (%s) is a tree that opens without its people too, so that no quorum can be asked for a token", people.Name, people.Spec))
	}
	if s.Operation != nil && s.Operation.Kind == seal.OperationProve {
		if p, ok := parsePurpose(s.Operation.ID); ok && p.kind == forToken {
			op = s.Operation
		}
	}
	return s, people, op, nil
}

func (h *handler) tokenBody(people *seal.SlotStatus, op *seal.OperationStatus) map[string]any {
	required, _ := quorum(people.Spec)
	out := map[string]any{
		"started": op != nil, "nonce": "", "progress": 0, "required": required, "complete": false,
		"encoded_token": "", "encoded_root_token": "", "pgp_fingerprint": "", "otp": "", "otp_length": h.TokenLength,
	}
	if op != nil {
		out["nonce"], out["progress"] = op.ID, given(op.Progress, op.Slot)
		out["pgp_fingerprint"] = strings.Join(h.fingerprints(op.ID), "")
	}
	return out
}

func (h *handler) tokenStatus(http.ResponseWriter, *http.Request) (any, error) {
	_, people, op, err := h.tokenSubject()
	if err != nil {
		return nil, err
	}
	return h.tokenBody(people, op), nil
}

func (h *handler) beginToken(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		OTP    string `json:"otp"`
		PGPKey string `json:"pgp_key"`
	}
	if err := h.admit(r, &in, GenerateRoot); err != nil {
		return nil, err
	}
	_, people, op, err := h.tokenSubject()
	switch {
	case err != nil:
		return nil, err
	case op != nil:
		return nil, badRequest("root generation already in progress")
	case in.PGPKey != "" && in.OTP != "":
		return nil, badRequest("only one of \"otp\" and \"pgp_key\" must be specified")
	case in.PGPKey != "" && h.ParseRecipient == nil:
		return nil, badRequest("PGP keys are not used here: use a one-time password")
	}
	if err := h.verified(r.Context(), people.Name); err != nil {
		return nil, err
	}
	if in.PGPKey != "" {
		return h.beginTokenTo(r, people, in.PGPKey)
	}
	pad := []byte(in.OTP)
	if in.OTP == "" {
		pad = password(h.TokenLength)
	} else if len(pad) != h.TokenLength {
		return nil, badRequest(fmt.Sprintf("OTP string is wrong length: it has %d bytes, and a token %d", len(pad), h.TokenLength))
	}
	id := purpose{kind: forToken}.newID()
	if err := h.ask(r.Context(), r, people.Name, id); err != nil {
		return nil, err
	}
	shown := string(pad)
	h.pads.keep(id, pad)
	out := h.tokenBody(people, h.Barrier.Status().Operation)
	if in.OTP == "" {
		out["otp"] = shown
	}
	return out, nil
}

// verified refuses a ceremony while new shares of the slot wait to be verified:
// they would be asked in place of those that count.
func (h *handler) verified(ctx context.Context, slot string) error {
	if err := h.Barrier.Admin().Refresh(ctx); err != nil { // another replica may have made some
		return err
	}
	if waiting(h.Barrier.Status(), slot) == nil {
		return nil
	}
	return badRequest(fmt.Sprintf("new shares of slot %q wait to be verified: verify them, or cancel the rekey, and begin again", slot))
}

// beginTokenTo begins the ceremony of a token that is encrypted to a key.
func (h *handler) beginTokenTo(r *http.Request, people *seal.SlotStatus, key string) (any, error) {
	to, err := parser(h.ParseRecipient).custodians(r.Context(), "pgp_key", []string{key}, 1)
	if err != nil {
		return nil, err
	}
	id := purpose{kind: forToken, keys: digestOf(to)}.newID()
	if err := h.ask(r.Context(), r, people.Name, id); err != nil {
		return nil, err
	}
	h.sendTo(id, to)
	return h.tokenBody(people, h.Barrier.Status().Operation), nil
}

// password returns n random letters and digits.
func password(n int) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 0, n)
	var b [1]byte
	for len(out) < n {
		// Six bits make 64 values; those past the alphabet are thrown away.
		if rand.Read(b[:]); int(b[0]&63) < len(alphabet) {
			out = append(out, alphabet[b[0]&63])
		}
	}
	return out
}

func (h *handler) updateToken(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in shareRequest
	if err := h.admit(r, &in, ""); err != nil {
		return nil, err
	}
	_, people, op, err := h.tokenSubject()
	switch {
	case err != nil:
		return nil, err
	case op == nil:
		return nil, badRequest("no root generation in progress")
	}
	to, err := h.addressees(op.ID)
	switch {
	case err != nil:
		return nil, err
	case to == nil && !h.pads.has(op.ID):
		return nil, badRequest("the one-time password of this root generation is with another process, or was lost: cancel it and begin again")
	}
	ctx, finish := h.steady(r, onToken)
	defer finish()
	done, err := h.give(ctx, r, op, &in, "root generation")
	if err != nil {
		return nil, err
	}
	if !done {
		return h.tokenBody(people, h.Barrier.Status().Operation), nil
	}
	if err := h.claim(op.ID); err != nil {
		return nil, err
	}
	hidden, err := h.hiddenToken(ctx, r, op.ID, to)
	if err != nil {
		return nil, fmt.Errorf("operator: the quorum agreed, and no token could be made; begin again: %w", err)
	}
	out := h.tokenBody(people, nil)
	out["started"], out["complete"], out["nonce"], out["progress"] = true, true, in.Nonce, out["required"]
	out["encoded_token"], out["encoded_root_token"] = hidden, hidden
	out["pgp_fingerprint"] = strings.Join(h.fingerprints(op.ID), "")
	return out, nil
}

// hiddenToken makes a token, and returns it encrypted to the addressee, or
// under the one-time password where there is none. It stands in this answer
// alone, so none is made for a client that has left.
func (h *handler) hiddenToken(ctx context.Context, r *http.Request, id seal.OperationID, to []seal.Custodian) (string, error) {
	if err := present(r); err != nil {
		return "", err
	}
	if to != nil {
		return h.rootToken(ctx, to[0].Recipient)
	}
	pad := h.pads.take(id)
	defer clear(pad)
	if pad == nil {
		return "", errors.New("its one-time password is gone")
	}
	token, err := h.MintRootToken(ctx)
	if err != nil {
		return "", err
	}
	if len(token) != len(pad) {
		return "", fmt.Errorf("MintRootToken made a token of %d bytes, and Config.TokenLength is %d", len(token), len(pad))
	}
	return base64.RawStdEncoding.EncodeToString(xor([]byte(token), pad)), nil
}

// xor hides a token under a password of its length, or shows it again.
func xor(token, pad []byte) []byte {
	out := make([]byte, len(token))
	subtle.XORBytes(out, token, pad)
	return out
}

// decodeToken is what generate-root -decode does, as a route.
func (h *handler) decodeToken(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		EncodedToken string `json:"encoded_token"`
		OTP          string `json:"otp"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.EncodedToken == "" || in.OTP == "" {
		return nil, badRequest("missing encoded_token or otp")
	}
	hidden, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(in.EncodedToken, "="))
	if err != nil {
		return nil, badRequest("encoded_token is not base64")
	}
	if len(hidden) != len(in.OTP) {
		return nil, badRequest(fmt.Sprintf("encoded_token has %d bytes, and the otp %d: they do not belong together", len(hidden), len(in.OTP)))
	}
	return map[string]any{"token": string(xor(hidden, []byte(in.OTP)))}, nil
}

func (h *handler) cancelToken(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.admit(r, nil, GenerateRoot); err != nil {
		return nil, err
	}
	_, _, op, err := h.tokenSubject()
	if err != nil || op == nil {
		return nil, err
	}
	h.steps.end(onToken)
	ctx, done := h.steady(r, onToken)
	defer done()
	if err := h.Barrier.Admin().Cancel(ctx, h.by(r, op.ID)); err != nil && !errors.Is(err, seal.ErrNoOperation) {
		return nil, err
	}
	clear(h.pads.take(op.ID))
	return nil, nil
}
