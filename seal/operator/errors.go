package operator

import (
	"context"
	"errors"
	"net/http"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// A badRequest is what the client can mend.
type badRequest string

func (e badRequest) Error() string { return string(e) }

// A misplaced is a request that Vault answers with 500: it makes no sense with
// the server's configuration.
type misplaced string

func (e misplaced) Error() string { return string(e) }

var errSealed = errors.New("Vault is sealed") // Vault's words, which its tools look for

// refuse answers with an error. What is not about the request itself is told
// in full only to whoever may know it: it can name KMS keys and addresses.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := codeOf(err)
	text := err.Error()
	if code >= 500 && err != errSealed && !isMisplaced(err) && h.Authorize(r, Detail) != nil {
		text = sealhttp.Kind(err)
		if text == "sealed" {
			text = "internal error: the events of the server say more"
		}
	}
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer(w, code, failure{[]string{text}})
}

func isMisplaced(err error) bool {
	var m misplaced
	return errors.As(err, &m)
}

func codeOf(err error) int {
	var bad badRequest
	var large *http.MaxBytesError
	var share *seal.ShareError
	switch {
	case errors.Is(err, errDenied):
		return http.StatusForbidden
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &bad), errors.As(err, &share):
		return http.StatusBadRequest
	}
	for _, is := range []error{
		seal.ErrConfig, seal.ErrUninitialized, seal.ErrInitialized, seal.ErrUnproven, seal.ErrInProgress, seal.ErrNoOperation,
		seal.ErrElsewhere, seal.ErrNoSlot, seal.ErrSlotExists, seal.ErrLastSlot, seal.ErrNoProof,
	} {
		if errors.Is(err, is) {
			return http.StatusBadRequest
		}
	}
	for _, is := range []error{
		errSealed, seal.ErrStoreUnavailable, seal.ErrOutcomeUnknown, seal.ErrClosed, seal.ErrSealed,
		kms.ErrUnavailable, kms.ErrThrottled, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, is) {
			return http.StatusServiceUnavailable
		}
	}
	return http.StatusInternalServerError
}
