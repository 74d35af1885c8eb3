package kms

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sealwright/sealwright/internal/foreign"
)

// The kinds of failure: one for each thing that a caller, or the person who
// reads the message, does about it. The list is complete, and every [*Error]
// has exactly one of them.
var (
	// ErrUnavailable means that the KMS did not answer, or answered that it
	// cannot now: no route, no name, a timeout, a 5xx, the end of the context.
	// Nothing is known about the key. Try again.
	ErrUnavailable = errors.New("kms: unavailable: try again later")

	// ErrThrottled means that the KMS refused for its quota. Try again, after
	// [Error.RetryAfter] and with jitter.
	ErrThrottled = errors.New("kms: throttled: try again later, or raise the quota")

	// ErrUnauthenticated means that the KMS does not know who asks: no
	// credentials, expired or revoked ones. Repair them; a provider that reads
	// them anew on every call heals by itself.
	ErrUnauthenticated = errors.New("kms: not authenticated: renew the credentials")

	// ErrClockSkew means that the KMS refused a signature or token because
	// this machine's clock is off; the cause says by how much where the
	// provider can tell. Set the clock.
	ErrClockSkew = errors.New("kms: clock skew: set this machine's clock")

	// ErrDenied means that the KMS knows who asks and refuses: a missing
	// permission, a policy, a firewall. Several clouds say the same of a key
	// that does not exist. Grant the permission.
	ErrDenied = errors.New("kms: permission denied: grant this identity the use of the key")

	// ErrKeyDisabled means that the key or the version is switched off, and
	// could be switched on. Enable it, and do not restart until that is done.
	ErrKeyDisabled = errors.New("kms: key disabled: enable it")

	// ErrKeyGone means that the key or the version is destroyed, waits for its
	// destruction, or never was; of a key in a file, that there is no such file.
	// Cancel the deletion while there is time, put the file back, or open another
	// slot.
	ErrKeyGone = errors.New("kms: key deleted or not found: restore it, or use another slot")

	// ErrWrongKey means that the blob belongs to another key than the
	// configured one, or that another key than the blob's answered. Configure
	// the key that the blob names.
	ErrWrongKey = errors.New("kms: wrong key: configure the key that the blob names")

	// ErrCorrupt means that the KMS, or the provider, refuses the blob itself:
	// altered, cut, or bound to another place. Trying again does not help.
	// Restore the record, or open another slot.
	ErrCorrupt = errors.New("kms: corrupt: the blob was altered, or belongs to another place")

	// ErrMisconfigured means that the call can never work as configured: a
	// key of the wrong kind, a malformed name, a key too long to wrap. Change
	// the configuration.
	ErrMisconfigured = errors.New("kms: misconfigured: change the configuration")
)

// An Error is what a provider returns. Its text never holds a key:
//
//	kms: unwrap azurekeyvault key "prod": key disabled: enable it: Operation unwrapKey is not allowed on a disabled key.
type Error struct {
	Op    string // what failed: "wrap", "unwrap", "probe", "configure", or what else the provider names
	Type  string // the provider, as in [Blob.Type]
	KeyID string // the key it concerns, if it is known
	Kind  error  // one of this package's sentinels

	// RetryAfter is how long the KMS asked to be left alone; zero if it said
	// nothing.
	RetryAfter time.Duration

	// Err is the cause, if there is one: the SDK's error, or the provider's
	// words. Its text must hold no secret.
	Err error
}

// Error returns the whole on one line, prefixed with "kms: ". What a KMS says is
// not to be trusted: what is not printable in it is left out.
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString("kms: " + e.Op)
	if e.Type != "" {
		s.WriteString(" " + e.Type)
	}
	if e.KeyID != "" {
		fmt.Fprintf(&s, " key %q", e.KeyID)
	}
	if e.Kind != nil {
		s.WriteString(": " + strings.TrimPrefix(e.Kind.Error(), "kms: "))
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&s, " (after %v)", e.RetryAfter)
	}
	if e.Err != nil {
		s.WriteString(": " + e.Err.Error())
	}
	return foreign.Clean(s.String())
}

// Rest returns RetryAfter within reason: from nothing to a day.
func (e *Error) Rest() time.Duration { return min(max(0, e.RetryAfter), 24*time.Hour) }

// Unwrap returns the kind and the cause, so that [errors.Is] finds the sentinel
// and [errors.As] the SDK's own error.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Temporary reports whether the same call may succeed later with nobody doing
// anything: it is true for [ErrUnavailable] and [ErrThrottled] alone.
func Temporary(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrThrottled)
}
