package operator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

// An otp is the one-time password that hides the token of a generate-root
// ceremony on its way. It stays in the memory of one process; the operation's
// id has its digest.
type otp struct {
	id  seal.OperationID
	pad []byte
}

const tokenPrefix = "generate-root."

func tokenID(pad []byte) string {
	digest := sha256.Sum256(pad)
	return newID(tokenPrefix + hex.EncodeToString(digest[:4]) + ".")
}

// tokenSubject is the people's slot whose quorum can ask for a token, and the
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
	if s.Operation != nil && s.Operation.Kind == seal.OperationProve && strings.HasPrefix(string(s.Operation.ID), tokenPrefix) {
		op = s.Operation
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
	return h.inTurn(r, &in, GenerateRoot, func(ctx context.Context) (any, error) {
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
		if err := h.verified(ctx, people.Name); err != nil {
			return nil, err
		}
		switch {
		case in.PGPKey != "":
			return h.beginTokenTo(ctx, r, in.PGPKey)
		}
		pad := []byte(in.OTP)
		if in.OTP == "" {
			pad = password(h.TokenLength)
		} else if len(pad) != h.TokenLength {
			return nil, badRequest(fmt.Sprintf("OTP string is wrong length: it has %d bytes, and a token %d", len(pad), h.TokenLength))
		}
		id := tokenID(pad)
		if err := h.ask(ctx, r, people.Name, id); err != nil {
			return nil, err
		}
		h.otp = otp{seal.OperationID(id), pad}
		out := h.tokenBody(people, h.Barrier.Status().Operation)
		if in.OTP == "" {
			out["otp"] = string(pad)
		}
		return out, nil
	})
}

// verified refuses a ceremony while new shares of the slot wait to be verified:
// they would be asked in place of those that count.
func (h *handler) verified(ctx context.Context, slot string) error {
	if err := h.Barrier.Refresh(ctx); err != nil { // another replica may have made some
		return err
	}
	if successor(h.Barrier.Status(), slot) == nil {
		return nil
	}
	return badRequest(fmt.Sprintf("new shares of slot %q wait to be verified: verify them, or cancel the rekey, and begin again", slot))
}

// beginTokenTo begins the ceremony of a token that is encrypted to a key. The
// caller has the turn.
func (h *handler) beginTokenTo(ctx context.Context, r *http.Request, key string) (any, error) {
	_, people, _, err := h.tokenSubject()
	if err != nil {
		return nil, err
	}
	to, err := parser(h.ParseRecipient).custodians(r.Context(), "pgp_key", []string{key}, 1)
	if err != nil {
		return nil, err
	}
	id := keyedID(tokenPrefix, to)
	if err := h.ask(ctx, r, people.Name, id); err != nil {
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
	return h.inTurn(r, &in, "", func(ctx context.Context) (any, error) {
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
		case to == nil && h.otp.id != op.ID:
			return nil, badRequest("the one-time password of this root generation is with another process, or was lost: cancel it and begin again")
		}
		done, err := h.give(r, op, &in, "root generation")
		if err != nil {
			return nil, err
		}
		if !done {
			return h.tokenBody(people, h.Barrier.Status().Operation), nil
		}
		defer func() { clear(h.otp.pad); h.otp = otp{} }()
		hidden, err := h.hiddenToken(ctx, to)
		if err != nil {
			return nil, fmt.Errorf("operator: the quorum agreed, and no token could be made; begin again: %w", err)
		}
		out := h.tokenBody(people, nil)
		out["started"], out["complete"], out["nonce"], out["progress"] = true, true, in.Nonce, out["required"]
		out["encoded_token"], out["encoded_root_token"] = hidden, hidden
		out["pgp_fingerprint"] = strings.Join(h.fingerprints(op.ID), "")
		return out, nil
	})
}

// hiddenToken makes a token, and returns it encrypted to the addressee, or
// under the one-time password where there is none.
func (h *handler) hiddenToken(ctx context.Context, to []seal.Custodian) (string, error) {
	if to != nil {
		return h.rootToken(ctx, to[0].Recipient)
	}
	token, err := h.MintRootToken(ctx)
	if err != nil {
		return "", err
	}
	if len(token) != len(h.otp.pad) {
		return "", fmt.Errorf("MintRootToken made a token of %d bytes, and Config.TokenLength is %d", len(token), len(h.otp.pad))
	}
	hidden := make([]byte, len(token))
	for i := range hidden {
		hidden[i] = token[i] ^ h.otp.pad[i]
	}
	return base64.RawStdEncoding.EncodeToString(hidden), nil
}

func (h *handler) cancelToken(_ http.ResponseWriter, r *http.Request) (any, error) {
	return h.inTurn(r, nil, GenerateRoot, func(ctx context.Context) (any, error) {
		_, _, op, err := h.tokenSubject()
		if err != nil || op == nil {
			return nil, err
		}
		clear(h.otp.pad)
		h.otp = otp{}
		return nil, h.Barrier.Cancel(ctx, h.by(r, op.ID))
	})
}
