package operator

import (
	"net/http"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// unsealed reports why a request cannot be served: Vault says that it is sealed
// before it looks at the token.
func (h *handler) unsealed(r *http.Request, a Action) error {
	if h.Barrier.Sealed() != nil {
		return errSealed
	}
	return h.authorize(r, a)
}

// seal seals. A server that is sealed forgets the shares given so far, for who
// may seal it; to others it says, as Vault does, that it is sealed.
func (h *handler) seal(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.authorize(r, Seal); err != nil {
		if h.Barrier.Sealed() != nil {
			return nil, nil
		}
		return nil, err
	}
	h.consent.forget()
	return nil, h.Barrier.Seal(h.by(r, ""))
}

func (h *handler) rotate(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.unsealed(r, Rotate); err != nil {
		return nil, err
	}
	return nil, h.Barrier.Rotate(r.Context(), h.by(r, ""))
}

func (h *handler) rotateRoot(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.unsealed(r, RotateRoot); err != nil {
		return nil, err
	}
	return nil, h.Barrier.Admin().RotateRoot(r.Context(), h.by(r, ""))
}

// keyStatus tells of the active term. How often it encrypted is not shown:
// each replica counts for itself, in blocks and not in calls.
func (h *handler) keyStatus(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.unsealed(r, KeyStatus); err != nil {
		return nil, err
	}
	out := map[string]any{}
	var terms []map[string]any
	for _, t := range h.Barrier.Status().Terms {
		created := t.Created.Format(time.RFC3339Nano)
		if t.State == seal.TermActive {
			out["term"], out["install_time"] = t.Number, created
		}
		terms = append(terms, map[string]any{"term": t.Number, "state": t.State, "install_time": created})
	}
	out["terms"] = terms
	return out, nil
}

// maxOperations is what one process encrypts under one term before Run adds
// the next; see package keyring.
const maxOperations = 1 << 40

func (h *handler) rotateConfig(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.unsealed(r, KeyStatus); err != nil {
		return nil, err
	}
	return map[string]any{"enabled": true, "interval": 0, "max_operations": maxOperations}, nil
}

func (h *handler) setRotateConfig(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.unsealed(r, Rotate); err != nil {
		return nil, err
	}
	return nil, badRequest("rotation is not configured here: the server adds a data key before one is used up; for more, call sys/rotate by a timer")
}
