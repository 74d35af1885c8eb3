package gcpckms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/provider"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A failure is an error on its way to becoming a [kms.Error].
type failure struct {
	kind   error // of package kms
	after  time.Duration
	text   string // what went wrong and what to do: no secret, no whole URL
	causes []error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.causes }

// verdict is the table of what the KMS may answer. With a code that is not in
// it the KMS is at fault, or something before it.
func verdict(code codes.Code) (todo string, kind error) {
	switch code {
	case codes.ResourceExhausted:
		return "", kms.ErrThrottled
	case codes.Unauthenticated:
		return "renew the credentials of this service account or workload identity", kms.ErrUnauthenticated
	case codes.PermissionDenied:
		return "grant roles/cloudkms.cryptoKeyEncrypterDecrypter on the key (for a probe, cloudkms.cryptoKeys.get); the answer is the same where the key does not exist", kms.ErrDenied
	case codes.NotFound:
		return "check project, location, ring and name of the key", kms.ErrKeyGone
	case codes.Unimplemented:
		return "what answers at this endpoint is not Cloud KMS", kms.ErrMisconfigured
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.AlreadyExists:
		return "check name, purpose and algorithm of the key", kms.ErrMisconfigured
	}
	// Unavailable, DeadlineExceeded, Canceled, Internal, Unknown, Aborted, DataLoss.
	return "", kms.ErrUnavailable
}

// reason is the table of answers that Google's front end gives for any service,
// by google.rpc.ErrorInfo. They say more than the code does; kind is nil where
// the code is enough.
func reason(reason string) (todo string, kind error) {
	switch reason {
	case "SERVICE_DISABLED":
		return "enable cloudkms.googleapis.com in the project", kms.ErrMisconfigured
	case "BILLING_DISABLED":
		return "enable billing for the project", kms.ErrMisconfigured
	case "CONSUMER_INVALID":
		return "the project does not exist, or is closed", kms.ErrMisconfigured
	case "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
		return "give the machine or the token the scope https://www.googleapis.com/auth/cloudkms", kms.ErrDenied
	}
	return "", nil
}

// classify turns what gRPC returned into a failure. The metadata of the answer
// tells the KMS's time.
func classify(err error, answer metadata.MD) *failure {
	s, ok := status.FromError(err)
	if !ok {
		s = status.New(codes.Unknown, err.Error())
	}
	f := &failure{causes: []error{err}}
	var todo string
	todo, f.kind = verdict(s.Code())
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.RetryInfo:
			f.after = min(max(0, d.GetRetryDelay().AsDuration()), 24*time.Hour) // what is longer would overflow where it is added to
		case *errdetails.ErrorInfo:
			if more, kind := reason(d.GetReason()); kind != nil {
				todo, f.kind = more, kind
			}
		case *errdetails.PreconditionFailure:
			if more, kind := precondition(d, s.Message()); kind != nil {
				todo, f.kind = more, kind
			}
		}
	}
	switch s.Code() {
	case codes.InvalidArgument:
		if more, kind := refused(s.Message()); kind != nil {
			todo, f.kind = more, kind
		}
	case codes.Unauthenticated:
		if off, ok := clockOff(first(answer.Get("date"))); ok {
			todo, f.kind = off, kms.ErrClockSkew
		}
	case codes.DeadlineExceeded:
		f.causes = append(f.causes, context.DeadlineExceeded)
	case codes.ResourceExhausted:
		// gRPC gives the code of a used-up quota to an answer it would not read.
		if strings.HasPrefix(s.Message(), "grpc: received message larger than max") {
			f.kind = kms.ErrCorrupt
		}
	}
	f.text = shorten(s.Message())
	if todo != "" {
		f.text += "; " + todo
	}
	return f
}

// stateIs stands before the state of a version, in the message.
const stateIs = "current state is: "

// notEnabled reads a version's state. The violation is KEY_DISABLED for every
// state but ENABLED, so only the message tells which it is.
func notEnabled(message string) (todo string, kind error) {
	_, state, _ := strings.Cut(message, stateIs)
	switch strings.TrimRight(state, ". ") {
	case "DESTROYED":
		return "the version is destroyed: open another slot", kms.ErrKeyGone
	case "DESTROY_SCHEDULED":
		return "restore the version and enable it before it is destroyed (gcloud kms keys versions restore)", kms.ErrKeyGone
	case "PENDING_EXTERNAL_DESTRUCTION", "EXTERNAL_DESTRUCTION_FAILED":
		return "the version is destroyed, and can never be enabled: open another slot", kms.ErrKeyGone
	case "IMPORT_FAILED", "GENERATION_FAILED":
		return "the version was never made, and can never be enabled: import or create another", kms.ErrMisconfigured
	case "PENDING_GENERATION", "PENDING_IMPORT":
		return "the version is not ready yet", kms.ErrUnavailable
	}
	return "enable the version (gcloud kms keys versions enable)", kms.ErrKeyDisabled
}

// refused reads why the KMS refuses a request. Only the words tell a bad blob
// from a bad request, and from one that was damaged on its way; kind is nil for
// a bad request.
func refused(message string) (todo string, kind error) {
	switch {
	case strings.Contains(message, "'name' refers to the correct CryptoKey"):
		return "the ciphertext is another key's, or that of a key that was deleted and made anew", kms.ErrWrongKey
	case strings.HasPrefix(message, "Decryption failed"):
		return "", kms.ErrCorrupt
	case strings.HasPrefix(message, "The checksum in field "):
		return "the request was damaged on its way to the KMS", kms.ErrUnavailable
	}
	return "", nil
}

// maxClockOff is less than what Google forgives: within it, a refusal has
// another cause.
const maxClockOff = 3 * time.Minute

// clockOff reports whether this machine's clock differs from the time of an
// HTTP Date header too much for tokens to be valid, and by how much.
func clockOff(date string) (text string, off bool) {
	t, err := http.ParseTime(date)
	if err != nil {
		return "", false
	}
	d := time.Since(t).Round(time.Second)
	switch {
	case d > maxClockOff:
		return fmt.Sprintf("clock off by %d s (ahead)", int(d.Seconds())), true
	case d < -maxClockOff:
		return fmt.Sprintf("clock off by %d s (behind)", int(-d.Seconds())), true
	}
	return "", false
}

// ungranted turns a failure to get a token into a *failure: x is the last
// answer of whoever issues them, and from is where the credentials lie.
func ungranted(err error, x *exchange, from string) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		f.text = from + ": " + f.text
		return f
	}
	text := err.Error()
	atURL, isURL := errors.AsType[*url.Error](err)
	if isURL {
		text = atURL.Err.Error() // without the URL
	}
	if x.host == "" { // the host's own client asked, if anybody did
		if e, ok := errors.AsType[*auth.Error](err); ok && e.Response != nil {
			x = &exchange{host: "its issuer", status: e.Response.StatusCode, header: e.Response.Header}
		} else if isURL {
			x = &exchange{host: "its issuer"}
		}
	}
	f := &failure{kind: kms.ErrUnauthenticated, text: from + ": no access token", causes: []error{err}}
	switch {
	case x.host != "" && x.status == 0, x.status == http.StatusRequestTimeout, x.status >= 500:
		f.kind = kms.ErrUnavailable
	case x.status == http.StatusTooManyRequests:
		f.kind = kms.ErrThrottled
	case x.status >= 400:
		if off, ok := clockOff(x.header.Get("Date")); ok {
			f.kind = kms.ErrClockSkew
			f.text += ": " + off
		}
	}
	if x.host != "" {
		f.text += " from " + x.host
	}
	if n, err := strconv.Atoi(x.header.Get("Retry-After")); err == nil && kms.Temporary(f.kind) {
		f.after = time.Duration(min(max(0, n), 24*60*60)) * time.Second
	}
	f.text += ": " + shorten(text)
	return f
}

// shorten makes one line of what others wrote. A word as long as a token is
// left out, in case somebody echoed one.
func shorten(s string) string {
	words := strings.Fields(provider.Line(s, len(s)))
	for i, w := range words {
		if len(w) > 100 {
			words[i] = "[…]"
		}
	}
	return provider.Line(strings.Join(words, " "), 500)
}

// quote shows a name that others gave.
func quote(s string) string { return strconv.Quote(cut(s, 200)) }

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}
