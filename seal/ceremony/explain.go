package ceremony

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// A refusal is what a request or a step met here; its text is for events, and the
// words of its key for people.
type refusal struct{ key, text string }

func (e *refusal) Error() string { return e.text }

var (
	errNotFound      = &refusal{"err.notfound", "ceremony: no such page"}
	errOrigin        = &refusal{"err.origin", "ceremony: a browser sent this from another site"}
	errHost          = &refusal{"err.host", "ceremony: without TLS, from this machine, and for a name that is not its own: Config.Secure says which requests a proxy sends"}
	errInsecure      = &refusal{"err.insecure", "ceremony: not over TLS, nor from this machine"}
	errForm          = &refusal{"err.form", "ceremony: not the form of a page of this server"}
	errDenied        = &refusal{"err.denied", "ceremony: permission denied"}
	errBusy          = &refusal{"err.busy", "ceremony: another ceremony is in progress"}
	errNoRite        = &refusal{"err.norite", "ceremony: no such ceremony is in progress here"}
	errShape         = &refusal{"err.shape", "ceremony: these numbers of shares are not possible"}
	errNoPeople      = &refusal{"err.nopeople", "ceremony: no slot is held by people alone"}
	errMaking        = &refusal{"err.making", "ceremony: the shares are being made just now"}
	errMade          = &refusal{"err.made", "ceremony: that was done already"}
	errPlaces        = &refusal{"err.places", "ceremony: places are still free"}
	errTaken         = &refusal{"err.taken", "ceremony: all places are taken"}
	errName          = &refusal{"err.name", "ceremony: somebody of that name has a place"}
	errNameForm      = &refusal{"err.nameform", "ceremony: not a name of 1 to 40 printable characters"}
	errNotYours      = &refusal{"err.notyours", "ceremony: this is not the share of the place"}
	errByPlan        = &refusal{"err.byplan", "ceremony: a migration is agreed to on its own page"}
	errByTool        = &refusal{"err.bytool", "ceremony: what was begun by the operator API is joined by it"}
	errOtherPlan     = &refusal{"err.otherplan", "ceremony: the configured plan is another one now"}
	errUndeliverable = &refusal{"err.undeliverable", "ceremony: the plan makes shares, which is not done here"}
	errNotMade       = &refusal{"err.notmade", "ceremony: the quorum agreed, and no new shares could be made; the old ones are valid"}
	errUnverified    = &refusal{"err.unverified", "ceremony: a share of a set that waits for its verification"}
	errStands        = &refusal{"err.stands", "ceremony: the migration stands still"}
)

// A keyError says that a public key cannot be used, in the words of whoever read it.
type keyError struct{ err error }

func (e *keyError) Error() string { return "ceremony: the public key was refused" }

// An otherSet says that a share is of another set than those of the places.
type otherSet struct {
	given  seal.Share // its name alone is used: the key may be wiped
	number int
	set    uint32
}

func (e *otherSet) Error() string {
	return fmt.Sprintf("ceremony: share %d of set %d, for place %d of set %d", e.given.X(), e.given.Set(), e.number, e.set)
}

// causes are the words for errors of the library: why a server is sealed, and what
// came of a request. The first that fits.
var causes = []struct {
	err error
	key string
}{
	{seal.ErrClosed, "why.closed"},
	{seal.ErrSealedByOperator, "why.operator"},
	{seal.ErrAnchor, "why.anchor"},
	{seal.ErrUninitialized, "why.uninitialized"},
	{seal.ErrInitialized, "why.initialized"},
	{seal.ErrUnproven, "why.unproven"},
	{seal.ErrStoreUnavailable, "why.store"},
	{seal.ErrOutcomeUnknown, "why.outcome"},
	{seal.ErrMissing, "why.missing"},
	{seal.ErrCorrupt, "why.corrupt"},
	{seal.ErrNewerFormat, "why.newer"},
	{seal.ErrRolledBack, "why.rolledback"},
	{seal.ErrForked, "why.forked"},
	{seal.ErrForged, "why.forged"},
	{seal.ErrOtherStore, "why.otherstore"},
	{seal.ErrUnpinned, "why.unpinned"},
	{seal.ErrRootMoved, "why.rootmoved"},
	{seal.ErrElsewhere, "why.elsewhere"},
	{seal.ErrInProgress, "why.inprogress"},
	{seal.ErrRecipient, "why.recipient"},
	{seal.ErrFull, "why.full"},
	{kms.ErrThrottled, "why.throttled"},
	{kms.ErrUnavailable, "why.unavailable"},
	{kms.ErrUnauthenticated, "why.unauthenticated"},
	{kms.ErrClockSkew, "why.clock"},
	{kms.ErrDenied, "why.denied"},
	{kms.ErrKeyDisabled, "why.disabled"},
	{kms.ErrKeyGone, "why.gone"},
	{kms.ErrWrongKey, "why.wrongkey"},
	{kms.ErrCorrupt, "why.kmscorrupt"},
	{kms.ErrMisconfigured, "why.misconfigured"},
	{seal.ErrNoOperation, "why.nooperation"},
	{seal.ErrNoProof, "why.noproof"},
	{context.DeadlineExceeded, "why.deadline"},
	{context.Canceled, "why.deadline"},
	{seal.ErrConfig, "why.config"},
}

// why is the key of the words for why a server is sealed.
func why(reason error) string {
	for _, c := range causes {
		if errors.Is(reason, c.err) {
			return c.key
		}
	}
	if reason == seal.ErrSealed || errors.Is(reason, seal.ErrStarting) || !errors.Is(reason, seal.ErrSealed) {
		return "why.sealed"
	}
	return "why.shares"
}

// explain is what to say of an error. What it tells of the host's own is left to who
// may see details.
func (p *page) explain(err error) *message {
	m := &message{Key: "why.internal"}
	var share *seal.ShareError
	var typed *faultError
	var said *refusal
	var key *keyError
	var other *otherSet
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &typed):
		m.Key, m.Args = typed.fault.Key, typed.fault.Args
		return m
	case errors.As(err, &share):
		m.Key, m.Args = ofShare(share)
		return m
	case errors.As(err, &other):
		m.Key, m.Args = "err.otherset", []any{int(other.given.X()), other.given.Set(), other.number, other.set}
		return m
	case errors.As(err, &key):
		m.Key = "err.key"
		if key.err != nil {
			m.Detail = key.err.Error()
		}
		return m
	case errors.As(err, &large):
		m.Key = "err.large"
		return m
	case errors.As(err, &said):
		m.Key = said.key
		if error(said) == err {
			return m
		}
	default:
		if errors.Is(err, seal.ErrSealed) {
			m.Key = "err.sealed"
		}
		for _, c := range causes {
			if errors.Is(err, c.err) {
				m.Key = c.key
				break
			}
		}
	}
	if p.detail {
		m.Detail = err.Error()
	}
	return m
}

// ofShare is what to say of a share that is not right.
func ofShare(e *seal.ShareError) (key string, args []any) {
	switch e.Kind {
	case seal.ErrShareOtherStore:
		if e.Want != 0 {
			return "share.later", []any{e.Set, e.Want}
		}
		return "share.otherstore", nil
	case seal.ErrShareStale:
		switch {
		case e.Want == 0:
			return "share.dropped", []any{e.Set}
		case e.Set > e.Want:
			return "share.ahead", []any{e.Set, e.Want}
		}
		return "share.stale", []any{e.Set, e.Want}
	case seal.ErrShareAltered:
		return "share.altered", nil
	case seal.ErrShareDuplicate:
		return "share.duplicate", []any{int(e.X)}
	case seal.ErrShareChecksum:
		return "fault.checksum", nil
	}
	return "share.malformed", nil
}

func codeOf(err error) int {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errNotFound), errors.Is(err, errNoRite):
		return http.StatusNotFound
	case errors.Is(err, errDenied), errors.Is(err, errOrigin), errors.Is(err, errInsecure):
		return http.StatusForbidden
	case errors.Is(err, errHost):
		return http.StatusMisdirectedRequest
	case errors.Is(err, seal.ErrStoreUnavailable), errors.Is(err, seal.ErrSealed), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, kms.ErrUnavailable), errors.Is(err, kms.ErrThrottled), errors.Is(err, seal.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}
