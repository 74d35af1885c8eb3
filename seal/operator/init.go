package operator

import (
	"errors"
	"fmt"
	"net/http"

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
	// unsealed with its shares.
	Operation seal.OperationID `json:"operation"`
}

type initBody struct {
	Keys              []string         `json:"keys"`
	KeysBase64        []string         `json:"keys_base64"`
	RecoveryKeys      []string         `json:"recovery_keys,omitempty"`
	RecoveryKeysB64   []string         `json:"recovery_keys_base64,omitempty"`
	RootToken         string           `json:"root_token"`
	Operation         seal.OperationID `json:"operation"`
	Warnings          []string         `json:"warnings,omitempty"`
	RecoveryIsGenuine bool             `json:"recovery_keys_open_the_store,omitempty"`
}

func (h *handler) initialize(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in initRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if len(in.PGPKeys)+len(in.RecoveryPGPKeys) > 0 || in.RootTokenPGPKey != "" {
		return nil, errPGP
	}
	v := h.look(r.Context())
	if v.planErr != nil {
		return nil, v.planErr
	}
	slots, auto, err := h.firstSlots(&in, &v)
	if err != nil {
		return nil, err
	}
	d, err := h.Barrier.Init(r.Context(), slots, h.by(r, in.Operation))
	if err != nil {
		return nil, vaultWords(err)
	}
	defer d.Wipe()
	out := initBody{Keys: []string{}, KeysBase64: []string{}, Operation: d.Operation, RecoveryIsGenuine: auto && len(d.Sets) > 0}
	shares := texts(d)
	if auto {
		out.RecoveryKeys, out.RecoveryKeysB64 = shares, shares
	} else {
		out.Keys, out.KeysBase64 = shares, shares
	}
	if h.MintRootToken != nil {
		// The shares exist and stand in this answer alone: it must be given.
		if out.RootToken, err = h.MintRootToken(r.Context()); err != nil {
			out.Warnings = append(out.Warnings, "no root token could be made: unseal, and use generate-root")
		}
	}
	return out, nil
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

var errPGP = badRequest("PGP keys are not used here: the answer holds the shares in clear, so send the request from where they are handed out")

// texts returns the shares of a delivery as their custodians hold them. The
// tools print these strings as they are.
func texts(d seal.Delivery) []string {
	out := []string{}
	for _, set := range d.Sets {
		for _, s := range set.Shares {
			out = append(out, s.Reveal())
		}
	}
	return out
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
