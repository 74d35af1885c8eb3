package operator

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/seal"
)

func (h *handler) initialized(_ http.ResponseWriter, r *http.Request) (any, error) {
	v := h.look(r.Context())
	if v.err != nil && v.initialized {
		return nil, v.err
	}
	return map[string]bool{"initialized": v.initialized}, nil
}

type initRequest struct {
	SecretShares      int      `json:"secret_shares"`
	SecretThreshold   int      `json:"secret_threshold"`
	PGPKeys           []string `json:"pgp_keys"`
	RecoveryShares    int      `json:"recovery_shares"`
	RecoveryThreshold int      `json:"recovery_threshold"`
	RecoveryPGPKeys   []string `json:"recovery_pgp_keys"`
	RootTokenPGPKey   string   `json:"root_token_pgp_key"`

	// Operation repeats an init whose answer was lost, as long as nobody has
	// shown its shares. Who asks may choose it; an answer names it.
	Operation seal.OperationID `json:"operation"`
}

type initBody struct {
	Keys              []string         `json:"keys"`
	KeysBase64        []string         `json:"keys_base64"`
	RecoveryKeys      []string         `json:"recovery_keys,omitempty"`
	RecoveryKeysB64   []string         `json:"recovery_keys_base64,omitempty"`
	RootToken         string           `json:"root_token"`
	Operation         seal.OperationID `json:"operation"`
	Notes             []string         `json:"notes,omitempty"`
	Fingerprints      []string         `json:"pgp_fingerprints,omitempty"`
	Hints             []string         `json:"share_hints,omitempty"`
	RecoveryIsGenuine bool             `json:"recovery_keys_open_the_store,omitempty"`
}

func (h *handler) initialize(_ http.ResponseWriter, r *http.Request) (any, error) {
	switch {
	case h.AuthorizeInit:
		if err := h.authorize(r, Init); err != nil {
			return nil, err
		}
	case r.TLS == nil && (r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""):
		return nil, errBrowser // a stranger's, whose name leads here, is of one origin with this
	}
	var in initRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if !isID(string(in.Operation)) {
		return nil, badRequest("operation is an id of at most 64 printable characters without spaces")
	}
	v := h.look(r.Context())
	switch {
	case v.planErr != nil:
		return nil, v.planErr
	case v.err != nil && v.initialized:
		return nil, v.err // and nobody's keys are read in vain
	}
	slots, auto, err := h.firstSlots(&in, &v)
	if err != nil {
		return nil, err
	}
	lost, err := h.lost(&in, &v, slots)
	if err != nil {
		return nil, err
	}
	token, err := h.addressInit(r.Context(), &in, &v, slots, auto, lost != nil)
	if err != nil {
		return nil, err
	}
	var d seal.Delivery
	if lost != nil {
		d, err = h.reissue(r, &in, lost, slots)
	} else {
		d, err = h.Barrier.Init(r.Context(), slots, h.by(r, in.Operation))
	}
	if err != nil {
		return nil, vaultWords(err)
	}
	defer d.Wipe()
	shares := show(d)
	out := initBody{
		Keys: []string{}, KeysBase64: []string{}, Operation: d.Operation,
		Fingerprints: shares.fingerprints, Hints: shares.hints, RecoveryIsGenuine: auto && len(d.Sets) > 0,
	}
	if auto {
		out.RecoveryKeys, out.RecoveryKeysB64 = shares.keys, shares.base64
	} else {
		out.Keys, out.KeysBase64 = shares.keys, shares.base64
	}
	if h.MintRootToken != nil {
		// The shares exist and stand in this answer alone: it must be given.
		if out.RootToken, err = h.rootToken(context.WithoutCancel(r.Context()), token); err != nil {
			out.Notes = append(out.Notes, "no root token could be made: unseal, and use generate-root")
		}
	}
	return out, nil
}

// lost names the slots whose shares a repeated init makes anew: its answer was
// lost, a KMS slot has proven itself since, and of the people nobody. Whoever
// knows the init's id is the one who asked for it.
func (h *handler) lost(in *initRequest, v *view, slots map[string]seal.Spec) ([]string, error) {
	if in.Operation == "" || !v.proved() {
		return nil, nil
	}
	mine, err := h.Barrier.Admin().InitializedBy(in.Operation)
	if err != nil || !mine {
		return nil, err
	}
	var out []string
	for _, s := range v.Slots {
		if spec, wanted := slots[s.Name]; wanted && s.State == seal.SlotInitial && seal.HasPeople(spec) {
			out = append(out, s.Name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// reissue makes the shares of these slots anew.
func (h *handler) reissue(r *http.Request, in *initRequest, names []string, slots map[string]seal.Spec) (seal.Delivery, error) {
	all := seal.Delivery{Operation: in.Operation}
	for _, name := range names {
		d, err := h.Barrier.Admin().Reissue(r.Context(), name, slots[name], h.by(r, ""))
		if err != nil {
			all.Wipe()
			return all, err
		}
		all.Sets = append(all.Sets, d.Sets...)
	}
	return all, nil
}

// isID reports whether a text can be the id of an operation.
func isID(s string) bool {
	return len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// addressInit reads the keys of an init: those of the shares become the
// custodians of the slots, and that of the root token is returned, nil if
// there is none.
func (h *handler) addressInit(ctx context.Context, in *initRequest, v *view, slots map[string]seal.Spec, auto, again bool) (seal.Recipient, error) {
	parse := parser(h.ParseRecipient)
	if parse == nil && len(in.PGPKeys)+len(in.RecoveryPGPKeys) > 0 {
		return nil, errPGP
	}
	field, keys, others := "pgp_keys", in.PGPKeys, in.RecoveryPGPKeys
	if auto {
		field, keys, others = "recovery_pgp_keys", in.RecoveryPGPKeys, in.PGPKeys
	}
	switch {
	case len(others) > 0:
		return nil, badRequest("the keys of the other kind of shares are not applicable here: use " + field)
	case len(keys) == 0 && in.RootTokenPGPKey == "":
		return nil, nil
	case parse != nil && v.proved() && !again:
		parse = unread
	default: // those of strangers can be slow to read: one request at a time, and not for long
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, keysBound)
		defer cancel()
		select {
		case h.reading <- struct{}{}:
			defer func() { <-h.reading }()
		case <-ctx.Done():
			return nil, errReading
		}
	}
	if err := parse.address(ctx, field, keys, slots); err != nil {
		return nil, err
	}
	if in.RootTokenPGPKey == "" {
		return nil, nil
	}
	to, err := parse.custodians(ctx, "root_token_pgp_key", []string{in.RootTokenPGPKey}, 1)
	if err != nil {
		return nil, err
	}
	return to[0].Recipient, nil
}

// rootToken makes a token, encrypted if there is a recipient.
func (h *handler) rootToken(ctx context.Context, to seal.Recipient) (string, error) {
	token, err := h.MintRootToken(ctx)
	if err != nil || to == nil {
		return token, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // a recipient may need a process, or a person
	defer cancel()
	sealed, err := bounded.Call(ctx, func(ctx context.Context) ([]byte, error) { return to.Encrypt(ctx, token) }, nil)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// firstSlots returns the slots of a new store, and whether one of them opens
// it without people.
func (h *handler) firstSlots(in *initRequest, v *view) (slots map[string]seal.Spec, auto bool, err error) {
	slots = map[string]seal.Spec{}
	for name, spec := range v.plan.Slots {
		slots[name] = spec
	}
	kind, auto := machine(slots)
	n, t := in.SecretShares, in.SecretThreshold
	switch {
	case auto && (n != 0 || t != 0):
		return nil, auto, badRequest("parameters secret_shares,secret_threshold not applicable to seal type " + kind + ": use recovery_shares and recovery_threshold")
	case auto:
		n, t = in.RecoveryShares, in.RecoveryThreshold
	case in.RecoveryShares != 0 || in.RecoveryThreshold != 0:
		return nil, auto, badRequest("parameters recovery_shares,recovery_threshold not applicable to seal type shamir")
	}
	if n == 0 && t == 0 && len(slots) > 0 {
		return slots, auto, nil
	}
	if err := checkShape(n, t); err != nil {
		return nil, auto, err
	}
	slots[h.People] = seal.Shamir{Shares: n, Threshold: t}
	return slots, auto, nil
}

// checkShape says in Vault's words what is wrong with n and t.
func checkShape(n, t int) error {
	why := ""
	switch {
	case n < 1:
		why = "shares must be at least one"
	case t < 1:
		why = "threshold must be at least one"
	case n > 1 && t == 1:
		why = "threshold must be greater than one for multiple shares"
	case n > 255:
		why = "shares must be less than 256"
	case t > n:
		why = "threshold cannot be larger than shares"
	default:
		return nil
	}
	return badRequest("invalid seal configuration: " + why)
}

// vaultWords puts the words that Vault's tools and scripts look for before an
// error.
func vaultWords(err error) error {
	for _, w := range []struct {
		is   error
		text string
	}{
		{seal.ErrInitialized, "Vault is already initialized"},
		{seal.ErrUnproven, "Vault is already initialized"},
		{seal.ErrUninitialized, "Vault is not initialized"},
	} {
		if errors.Is(err, w.is) {
			return fmt.Errorf("%s: %w", w.text, err)
		}
	}
	return err
}
