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

var (
	errSealed    = errors.New("Vault is sealed") // Vault's words, which its tools look for
	errDenied    = errors.New("permission denied")
	errOrigin    = errors.New("permission denied: a browser sent this from another site")
	errBrowser   = errors.New("permission denied: without TLS a page in a browser makes no store, unless the host says whose may (AuthorizeInit): use bao or vault operator init")
	errNamespace = badRequest("namespaces are not supported here: leave out -namespace (X-Vault-Namespace)")
)

// refuse answers with an error.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := codeOf(err)
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer(w, code, failure{[]string{h.words(r, err)}})
}

// words is an error as this sender may know it: what is about the request, or
// about what people do together, is told to everybody. Anything else can name
// KMS keys, files and addresses, whatever the answer's code, and of that only
// its kind is.
func (h *handler) words(r *http.Request, err error) string {
	if forAll(err) || h.Authorize(r, Detail) == nil {
		return err.Error()
	}
	switch kind := sealhttp.Kind(err); {
	case kind != "sealed":
		return kind
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time: ask how the server is, and try again; its events say more"
	case errors.Is(err, seal.ErrConfig):
		return "the server's configuration does not let it: its events say more"
	case errors.Is(err, seal.ErrNoProof):
		return "no slot that stays opens the store now: the events of the server say more"
	}
	return "internal error: the events of the server say more"
}

// forAll reports whether an error may be shown to everybody.
func forAll(err error) bool {
	var bad badRequest
	var wrong misplaced
	var large *http.MaxBytesError
	var share *seal.ShareError
	var asked *kms.Error
	switch {
	case err == errSealed, err == errDenied, err == errOrigin, err == errBrowser, errors.As(err, &large):
		return true
	case errors.As(err, &asked), hides(err):
		return false
	case errors.As(err, &bad), errors.As(err, &wrong), errors.As(err, &share):
		return true
	}
	return isAny(err,
		seal.ErrUninitialized, seal.ErrInitialized, seal.ErrUnproven, seal.ErrInProgress, seal.ErrNoOperation,
		seal.ErrElsewhere, seal.ErrNoSlot, seal.ErrSlotExists, seal.ErrLastSlot,
	)
}

// hides reports whether an error, beside what it says of the request, tells of
// the host's own.
func hides(err error) bool {
	return isAny(err,
		seal.ErrConfig, seal.ErrNoProof, seal.ErrStoreUnavailable, seal.ErrCorrupt,
		kms.ErrUnavailable, kms.ErrThrottled, kms.ErrDenied, kms.ErrUnauthenticated, kms.ErrClockSkew,
		kms.ErrKeyDisabled, kms.ErrKeyGone, kms.ErrWrongKey, kms.ErrCorrupt, kms.ErrMisconfigured,
	)
}

func isAny(err error, kinds ...error) bool {
	for _, is := range kinds {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

func codeOf(err error) int {
	var bad badRequest
	var large *http.MaxBytesError
	var share *seal.ShareError
	switch {
	case errors.Is(err, errDenied), errors.Is(err, errOrigin), errors.Is(err, errBrowser):
		return http.StatusForbidden
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &bad), errors.As(err, &share):
		return http.StatusBadRequest
	case isAny(err,
		seal.ErrConfig, seal.ErrUninitialized, seal.ErrInitialized, seal.ErrUnproven, seal.ErrInProgress, seal.ErrNoOperation,
		seal.ErrElsewhere, seal.ErrNoSlot, seal.ErrSlotExists, seal.ErrLastSlot, seal.ErrNoProof,
		seal.ErrFull, seal.ErrExhausted):
		return http.StatusBadRequest
	case isAny(err,
		errSealed, seal.ErrStoreUnavailable, seal.ErrOutcomeUnknown, seal.ErrClosed, seal.ErrSealed,
		kms.ErrUnavailable, kms.ErrThrottled, context.Canceled, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
