package kmstest

import (
	"net"
	"slices"
	"time"

	"github.com/sealwright/sealwright/kms"
)

// A Failure is one way in which a single call to a KMS goes wrong. Several of
// them are no error to whoever calls: those that lie.
type Failure string

// The failures of a [Fault].
const (
	None Failure = "" // the call succeeds

	Hang        Failure = "hang"         // no answer until the context ends
	NoDNS       Failure = "no DNS"       // the name of the KMS does not resolve
	ServerError Failure = "server error" // HTTP 503
	BadCRC      Failure = "bad CRC"      // the answer was damaged on its way, and its checksum shows it
	Throttled   Failure = "throttled"    // HTTP 429, with Fault.RetryAfter

	Denied             Failure = "denied"              // HTTP 403
	Unauthenticated    Failure = "unauthenticated"     // HTTP 401
	ExpiredCredentials Failure = "expired credentials" // they expired in the middle of the call
	ClockSkew          Failure = "clock skew"          // the signature is not valid yet

	Disabled        Failure = "disabled"         // the key is switched off
	PendingDeletion Failure = "pending deletion" // the key waits for its destruction
	Destroyed       Failure = "destroyed"        // the version is no more
	Recreated       Failure = "recreated"        // another key has the name now
	AliasMoved      Failure = "alias moved"      // the configured alias names another key
	WrongKeyID      Failure = "wrong key id"     // the answer names another key than the one asked

	// Truncated and Extended damage the ciphertext on its way. An unwrap sees
	// it; a wrap succeeds, and its blob never opens.
	Truncated Failure = "truncated ciphertext"
	Extended  Failure = "extended ciphertext"

	// WrongPlaintext and OtherPlaintext let the call succeed with a wrong key:
	// with garbage of the right length, or with a key that was wrapped
	// earlier. A wrap takes in what an unwrap would give out.
	WrongPlaintext Failure = "wrong plaintext"
	OtherPlaintext Failure = "other plaintext"
)

// Failures returns every failure but None, in a fixed order.
func Failures() []Failure {
	return []Failure{
		Hang, NoDNS, ServerError, BadCRC, Throttled,
		Denied, Unauthenticated, ExpiredCredentials, ClockSkew,
		Disabled, PendingDeletion, Destroyed, Recreated, AliasMoved, WrongKeyID,
		Truncated, Extended, WrongPlaintext, OtherPlaintext,
	}
}

// Kind returns what an unwrap fails with, a sentinel of package kms, or nil
// where it succeeds.
func (f Failure) Kind() error {
	switch f {
	case Hang, NoDNS, ServerError, BadCRC:
		return kms.ErrUnavailable
	case Throttled:
		return kms.ErrThrottled
	case Denied:
		return kms.ErrDenied
	case Unauthenticated, ExpiredCredentials:
		return kms.ErrUnauthenticated
	case ClockSkew:
		return kms.ErrClockSkew
	case Disabled:
		return kms.ErrKeyDisabled
	case PendingDeletion, Destroyed:
		return kms.ErrKeyGone
	case Recreated, AliasMoved, WrongKeyID:
		return kms.ErrWrongKey
	case Truncated, Extended:
		return kms.ErrCorrupt
	}
	return nil
}

// Lies reports whether a call that suffers f succeeds all the same, with a
// wrong answer, when it has the given Op.
func (f Failure) Lies(op string) bool {
	switch f {
	case WrongPlaintext, OtherPlaintext:
		return op != OpProbe
	case Truncated, Extended:
		return op == OpWrap
	}
	return false
}

// harmless reports whether f has nothing to damage in an op: a probe carries
// no ciphertext and no plaintext, and only a key that is named can be the
// wrong one.
func (f Failure) harmless(op string) bool {
	return op == OpProbe && slices.Contains([]Failure{
		Truncated, Extended, WrongPlaintext, OtherPlaintext, Recreated, AliasMoved,
	}, f) || op == OpWrap && slices.Contains([]Failure{Recreated, AliasMoved}, f)
}

// cause returns the words that come with f, as a KMS would say them.
func (f Failure) cause() error {
	if f == NoDNS {
		return &net.DNSError{Err: "no such host", Name: "kms.invalid", IsNotFound: true}
	}
	return fakeError(f)
}

// fakeError is the cause of an injected error; users see at once that it was.
type fakeError string

func (e fakeError) Error() string { return "fake: " + string(e) }

// A Fault is what happens to one call. The zero Fault is an ordinary success.
type Fault struct {
	Failure Failure

	// After lets the KMS do its work first, so that only the answer is lost.
	// It changes nothing for the failures that alter a ciphertext or a key.
	After bool

	// Delay is how long the call takes. It adds to [Fake.Latency].
	Delay time.Duration

	// RetryAfter is what the KMS says with the failure, if it is Temporary.
	RetryAfter time.Duration
}

// The names of the calls, as in [kms.Error.Op].
const (
	OpWrap   = "wrap"
	OpUnwrap = "unwrap"
	OpProbe  = "probe"
)

// A Call is one request that reached a [Fake].
type Call struct {
	N    int       // 1 for the first call to this Fake, of whatever kind
	Op   string    // OpWrap, OpUnwrap or OpProbe
	Key  string    // the name that the Key was configured with
	At   time.Time // when it arrived
	Done bool      // whether the KMS did its work; not set yet in a script
	Err  error     // how it ended for the caller; not set yet in a script
}

// Nth returns a script for [Fake.Script] that lets only call n suffer f.
func Nth(n int, f Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.N == n {
			return f
		}
		return Fault{}
	}
}

// Always returns a script for [Fake.Script] that lets every call suffer f.
func Always(f Fault) func(Call) Fault {
	return func(Call) Fault { return f }
}
