package transit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright/kms"
)

// A StatusError is an answer of the server that is no success. It is found in
// an error with [errors.As].
type StatusError struct {
	Status int    // the HTTP status
	Words  string // what the server says, on one line; "" if it says nothing
}

// Error returns the status and the words.
func (e *StatusError) Error() string {
	text := "HTTP " + strconv.Itoa(e.Status)
	if s := http.StatusText(e.Status); s != "" {
		text += " " + s
	}
	if e.Words != "" {
		text += ": " + e.Words
	}
	return text
}

func (w *Wrapper) failure(op string, kind, cause error) *kms.Error {
	return &kms.Error{Op: op, Type: Type, KeyID: w.keyID, Kind: kind, Err: cause}
}

// refusal maps an answer that is no success.
func (w *Wrapper) refusal(op string, resp *http.Response, words string) *kms.Error {
	kind := kindOf(resp.StatusCode, words)
	cause := error(&StatusError{resp.StatusCode, words})
	if resp.StatusCode/100 == 3 {
		host := "nowhere"
		if u, err := resp.Location(); err == nil {
			host = u.Host
		}
		cause = fmt.Errorf("%w: sent on to %.100q, where the token does not go: set Address to the active server", cause, host)
	}
	err := w.failure(op, kind, cause)
	if kms.Temporary(err) {
		err.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return err
}

// wordKinds are the answers that have the same status and mean different
// things. The words are those of Vault 1.21 and OpenBao 2.6; the first that fits
// counts.
var wordKinds = []struct {
	status int
	words  string
	kind   error
}{
	{400, "encryption key not found", kms.ErrKeyGone},
	{400, "version is too new", kms.ErrKeyGone},
	{400, "soft-deleted key", kms.ErrKeyGone},
	{500, "soft-deleted key", kms.ErrKeyGone},
	{400, "disallowed by policy (too old)", kms.ErrKeyDisabled},
	{400, "message authentication failed", kms.ErrCorrupt},
	{400, "invalid ciphertext", kms.ErrCorrupt},
	{400, "missing client token", kms.ErrUnauthenticated},
	{403, "missing client token", kms.ErrUnauthenticated},
	{403, "invalid token", kms.ErrUnauthenticated},
	{403, "bad token", kms.ErrUnauthenticated},
}

// kindOf returns the kind of an answer that is no success.
func kindOf(status int, words string) error {
	for _, k := range wordKinds {
		if k.status == status && strings.Contains(words, k.words) {
			return k.kind
		}
	}
	switch status {
	case http.StatusUnauthorized:
		return kms.ErrUnauthenticated
	case http.StatusForbidden:
		return kms.ErrDenied
	case http.StatusNotFound:
		return kms.ErrKeyGone
	case http.StatusTooManyRequests:
		return kms.ErrThrottled
	case http.StatusRequestTimeout, http.StatusPreconditionFailed, 472, 473:
		// 412 is a replica that has not caught up, 472 and 473 a standby.
		return kms.ErrUnavailable
	}
	if status/100 == 4 {
		return kms.ErrMisconfigured
	}
	return kms.ErrUnavailable
}

// transportFailure maps an error of the HTTP client: no answer came.
func (w *Wrapper) transportFailure(ctx context.Context, op string, err error) *kms.Error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL
	}
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		err = fmt.Errorf("%w: %w", end, err)
	}
	kind := kms.ErrUnavailable
	var (
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
	)
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &invalid):
		now := time.Now()
		if invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore) {
			kind = kms.ErrClockSkew
			err = fmt.Errorf("clock off by %d s or more: %w", int(invalid.Cert.NotBefore.Sub(now).Seconds()), err)
		} else if invalid.Reason != x509.Expired {
			kind = kms.ErrMisconfigured
		}
	case errors.As(err, &authority), errors.As(err, &hostname), errors.Is(err, http.ErrSchemeMismatch):
		kind = kms.ErrMisconfigured
	default:
		if _, ok := errors.AsType[*clientCertError](err); ok || refusedByTLS(err) {
			kind = kms.ErrUnauthenticated
		} else if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
			kind = kms.ErrMisconfigured
		}
	}
	return w.failure(op, kind, oneLine(err))
}

// refusedByTLS reports whether the server ended the handshake over the client's
// certificate. TLS says so in an alert, whose number the package keeps to itself.
func refusedByTLS(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error" && strings.Contains(e.Err.Error(), "certificate")
}

// oneLine returns err with a text of one short line.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	if text == err.Error() {
		return err
	}
	return &shortened{text, err}
}

type shortened struct {
	text string
	err  error
}

func (e *shortened) Error() string { return e.text }
func (e *shortened) Unwrap() error { return e.err }

// retryAfter reads a header of RFC 9110, section 10.2.3: seconds or a date. What
// makes no sense is no wish.
func retryAfter(value string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), int(most/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}
