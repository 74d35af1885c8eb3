package awskms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/provider"
)

// kindOf is the table of KMS's and STS's error codes. It returns nil for one
// that it does not know.
func kindOf(code string) error {
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return kms.ErrThrottled
	}
	switch code {
	case "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException",
		"InternalFailure", "InternalError", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException",
		"RequestTimeout", "RequestTimeoutException", "IDPCommunicationError":
		return kms.ErrUnavailable
	case "UnrecognizedClientException", "InvalidClientTokenId", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"ExpiredToken", "ExpiredTokenException", "InvalidSignatureException", "SignatureDoesNotMatch",
		"IncompleteSignature", "IncompleteSignatureException", "InvalidIdentityToken", "InvalidIdentityTokenException", "AuthFailure":
		return kms.ErrUnauthenticated
	case "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
		return kms.ErrClockSkew
	case "AccessDeniedException", "AccessDenied", "NotAuthorized", "OptInRequired", "SubscriptionRequiredException":
		return kms.ErrDenied
	case "DisabledException", "KMSInvalidStateException":
		return kms.ErrKeyDisabled
	case "NotFoundException":
		return kms.ErrKeyGone
	case "IncorrectKeyException":
		return kms.ErrWrongKey
	case "InvalidCiphertextException":
		return kms.ErrCorrupt
	case "ValidationException", "ValidationError", "InvalidArnException", "InvalidKeyUsageException",
		"UnsupportedOperationException", "UnknownOperationException", "InvalidAction", "SerializationException":
		return kms.ErrMisconfigured
	}
	return nil
}

// kindOfStatus is the table of answers that have no such code: a proxy's, a
// firewall's, or those of something that is no KMS.
func kindOfStatus(status int) error {
	switch {
	case status == http.StatusUnauthorized:
		return kms.ErrUnauthenticated
	case status == http.StatusForbidden:
		return kms.ErrDenied
	case status == http.StatusTooManyRequests:
		return kms.ErrThrottled
	case status == http.StatusRequestTimeout, status < 400, status >= 500:
		return kms.ErrUnavailable
	}
	return kms.ErrMisconfigured
}

// brokenOff reports whether the network ended in the middle of an answer, whatever its
// status was to be.
func brokenOff(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF)
}

// A cause is an error of the SDK with words that are short, and hold neither
// URLs nor the signed request, which some answers repeat with its session token.
type cause struct {
	words string
	err   error
}

func (c *cause) Error() string { return c.words }
func (c *cause) Unwrap() error { return c.err }

// refuse returns an error that the KMS has no part in, or lied about.
func (w *Wrapper) refuse(op, key string, kind, err error) error {
	return &kms.Error{Op: op, Type: Type, KeyID: key, Kind: kind, Err: err}
}

// fail returns the error of a request.
func (w *Wrapper) fail(ctx context.Context, s *session, op, key string, err error) error {
	e := &kms.Error{Op: op, Type: Type, KeyID: key}
	c := &cause{err: err}
	e.Err = c

	var api smithy.APIError
	var ce *credentialsError
	resp := answer(err)
	switch {
	case errors.As(err, &api):
		c.words, e.Kind = classify(api, resp)
	case ctx.Err() != nil:
		c.words, e.Kind = "no answer in time: "+ctx.Err().Error(), kms.ErrUnavailable
	case resp != nil && brokenOff(err):
		c.words, e.Kind = "the answer broke off", kms.ErrUnavailable
	case resp != nil:
		c.words, e.Kind = fmt.Sprintf("HTTP %d, which is no answer of KMS", resp.StatusCode), kindOfStatus(resp.StatusCode)
	case errors.As(err, &ce):
		c.words, e.Kind = explain(ce.err)
	default:
		c.words, e.Kind = explain(err)
	}
	if errors.As(err, &ce) {
		c.words = "credentials: " + c.words
		if !kms.Temporary(e) && e.Kind != kms.ErrClockSkew {
			e.Kind = kms.ErrUnauthenticated
		}
	}
	switch e.Kind {
	case kms.ErrDenied:
		if !strings.Contains(c.words, " (") {
			c.words += " (grant " + permission(op) + ")"
		}
	case kms.ErrUnauthenticated:
		s.credentials.forget()
	case kms.ErrThrottled, kms.ErrUnavailable:
		if resp != nil {
			e.RetryAfter = retryAfter(resp.Header)
		}
	}
	return e
}

// answer returns the HTTP answer that an error came with, or nil. The SDK has an
// empty one where there was none.
func answer(err error) *http.Response {
	e, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || e.Response == nil || e.Response.Response == nil || e.Response.StatusCode == 0 {
		return nil
	}
	return e.Response.Response
}

// classify returns kind and words of an error code. resp may be nil.
func classify(api smithy.APIError, resp *http.Response) (words string, kind error) {
	code, text := api.ErrorCode(), api.ErrorMessage()
	kind = kindOf(code)
	if kind == nil {
		switch {
		case resp != nil:
			kind = kindOfStatus(resp.StatusCode)
		case api.ErrorFault() == smithy.FaultServer:
			kind = kms.ErrUnavailable
		default:
			kind = kms.ErrMisconfigured
		}
	}
	words = strings.Trim(shorten(code)+": "+shorten(text), ": ")
	advise := func(advice string) {
		if advice != "" {
			words += " (" + advice + ")"
		}
	}
	switch code {
	case "DisabledException", "KMSInvalidStateException":
		// Both codes stand for several states, and only the text tells them apart.
		var advice string
		advice, kind = ofState(text)
		advise(advice)
	case "KMSInternalException":
		// Some answers of external key stores come with this code too.
		if advice, k := ofExternal(text); k != nil {
			kind = k
			advise(advice)
		}
	case "InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
		// The text may repeat the request, so it is left out.
		words = code + ": check the secret access key"
		if off, known := skew(resp); known && off.Abs() > maxSkew || kind == kms.ErrClockSkew ||
			!known && (strings.HasPrefix(text, "Signature expired") || strings.HasPrefix(text, "Signature not yet current")) {
			kind, words = kms.ErrClockSkew, code
			if known {
				words = fmt.Sprintf("%s: clock off by %.0f s: it is %s", code, off.Abs().Seconds(), direction(off))
			}
		}
	}
	return words, kind
}

// maxSkew is where a refused signature is blamed on the clock. AWS refuses from
// five minutes on, and the Date of an answer is as old as the answer.
const maxSkew = 4 * time.Minute

// skew returns how far this machine's clock is ahead of the server's.
func skew(resp *http.Response) (time.Duration, bool) {
	if resp == nil {
		return 0, false
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	return time.Since(date).Round(time.Second), err == nil
}

func direction(off time.Duration) string {
	if off > 0 {
		return "fast"
	}
	return "slow"
}

// explain judges what never became an answer.
func explain(err error) (words string, kind error) {
	var sent *smithyhttp.RequestSendError
	var decoded *smithy.DeserializationError
	var ended *smithy.CanceledError
	switch {
	case errors.As(err, &sent):
		text := sent.Err
		if u, ok := errors.AsType[*url.Error](text); ok {
			text = u.Err
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](text); ok {
			return shorten(text.Error()) + " (check Endpoint, or set an HTTPClient that trusts its CA)", kms.ErrUnavailable
		}
		if dns, ok := errors.AsType[*net.DNSError](text); ok && dns.IsNotFound {
			return shorten(text.Error()) + " (check Region and Endpoint, and DNS)", kms.ErrUnavailable
		}
		return shorten(text.Error()), kms.ErrUnavailable
	case errors.As(err, &decoded):
		return "the answer makes no sense", kms.ErrUnavailable
	case errors.As(err, &ended), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "no answer in time", kms.ErrUnavailable
	}
	return shorten(err.Error()), kms.ErrMisconfigured
}

// retryAfter returns what an answer asks for, or 0.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseUint(h.Get("X-Amz-Retry-After"), 10, 31); err == nil {
		return time.Duration(ms) * time.Millisecond
	}
	s, _ := strconv.ParseUint(h.Get("Retry-After"), 10, 31)
	return time.Duration(s) * time.Second
}

// shorten returns the first line of text, and at most 400 bytes.
func shorten(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return provider.Line(text, 400)
}

func permission(op string) string {
	switch op {
	case "wrap":
		return "kms:Encrypt"
	case "unwrap":
		return "kms:Decrypt"
	}
	return "kms:DescribeKey"
}
