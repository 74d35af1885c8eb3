package azurekeyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/provider"
)

// answers are what the answers of Key Vault mean, by status and code; the first
// that fits decides. The code is the innermost of the error, or the outer one;
// "" stands for all others.
var answers = []struct {
	status int
	code   string
	kind   error
	advice string
}{
	{401, "", kms.ErrUnauthenticated, "is the identity still there, and the vault in its tenant?"},
	{403, "KeyDisabled", kms.ErrKeyDisabled, "enable this version of the key"},
	{403, "KeyExpired", kms.ErrKeyDisabled, "set a later expiry, or rotate the key"},
	{403, "KeyNotYetValid", kms.ErrKeyDisabled, "set an earlier activation date, or wait for it"},
	{403, "KeyOperationForbidden", kms.ErrDenied, "add it to the key's key_ops"},
	{403, "ForbiddenByFirewall", kms.ErrDenied, "let this network through the vault's firewall"},
	{403, "ForbiddenByConnection", kms.ErrDenied, "use the vault's private endpoint"},
	{403, "", kms.ErrDenied, ""}, // the permission
	{404, "", kms.ErrKeyGone, "see az keyvault key show-deleted"},
	{408, "", kms.ErrUnavailable, ""},
	{409, "ObjectIsDeletedButRecoverable", kms.ErrKeyGone, "recover it (az keyvault key recover)"},
	{409, "ObjectIsBeingDeleted", kms.ErrKeyGone, "recover it (az keyvault key recover)"},
	{409, "", kms.ErrUnavailable, ""},
	{429, "", kms.ErrThrottled, ""},
}

// A fault is why a call failed: the cause in a [*kms.Error].
type fault struct {
	kind  error
	after time.Duration
	text  string
	err   error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.err }

// panicked is the error of a panic.
type panicked struct{ value any }

func (p *panicked) Error() string {
	if err, ok := p.value.(error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a %T", p.value)
}

func (w *Wrapper) fail(op, version string, f *fault) error {
	if version != "" && (f.kind == kms.ErrKeyDisabled || f.kind == kms.ErrKeyGone) {
		f.text = "version " + version + ": " + f.text
	}
	return &kms.Error{Op: op, Type: Type, KeyID: w.keyID, Kind: f.kind, RetryAfter: f.after, Err: f}
}

func (w *Wrapper) refuse(op string, kind error, format string, args ...any) error {
	return &kms.Error{Op: op, Type: Type, KeyID: w.keyID, Kind: kind, Err: fmt.Errorf(format, args...)}
}

func ended(err error) *fault {
	return &fault{kind: kms.ErrUnavailable, text: "no answer yet: " + err.Error(), err: err}
}

// explain returns what an error of the SDK means.
func (w *Wrapper) explain(ctx context.Context, op string, met *exchange, err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok { // of the credential
		_ = w.renew() // the options are those of New
		return f
	}
	if r, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return w.answered(op, met, r)
	}
	bug, panicked := errors.AsType[*panicked](err)
	switch {
	case ctx.Err() != nil:
		return ended(ctx.Err())
	case met.err != nil:
		return unreachable(met)
	case met.vault == http.StatusUnauthorized:
		return &fault{kind: kms.ErrMisconfigured, err: err,
			text: fmt.Sprintf("%s asks for authentication in a way that is not its own: %s: check VaultURL, Environment, and proxies on the way", met.host, quote(met.challenge))}
	case panicked:
		return &fault{kind: kms.ErrUnavailable, text: "the SDK panicked on the vault's answer: " + line(bug.Error()), err: err}
	}
	return &fault{kind: kms.ErrUnavailable, err: err,
		text: fmt.Sprintf("the answer of %s is not Key Vault's: is there a proxy on the way?", met.host)}
}

// unreachable is the fault of a request without an answer.
func unreachable(met *exchange) *fault {
	err := met.err
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL
	}
	text := line(err.Error())
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		text = fmt.Sprintf("the answer is longer than %d bytes", maxAnswer)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		text += ": is that name right, and does this machine have DNS?" // there is no vault of a wrong name
	}
	return &fault{kind: kms.ErrUnavailable, text: met.host + ": " + text, err: err}
}

// answered is the fault of an answer that is an error.
func (w *Wrapper) answered(op string, met *exchange, r *azcore.ResponseError) *fault {
	f := &fault{after: retryAfter(r.RawResponse), err: r}
	code, message := parseError(r.RawResponse)
	if code == "" {
		code = r.ErrorCode
	}
	advice := ""
	for _, a := range answers {
		if a.status == r.StatusCode && (a.code == "" || a.code == code) {
			f.kind, advice = a.kind, a.advice
			break
		}
	}
	switch {
	case f.kind == kms.ErrUnauthenticated && skewed(met.skew):
		f.kind, advice = kms.ErrClockSkew, clock(met.skew)
	case f.kind == kms.ErrDenied && advice == "":
		advice = "allow this identity " + w.permission(op)
	case f.kind != nil:
	case r.StatusCode == http.StatusBadRequest && op == "unwrap":
		f.kind, advice = kms.ErrCorrupt, "" // everything else in the request was right when the blob was made
	case r.StatusCode < 400, r.StatusCode >= 500:
		f.kind = kms.ErrUnavailable
	default:
		f.kind, advice = kms.ErrMisconfigured, "are Algorithm and the kind of the key right, and VaultURL?"
	}
	f.text = fmt.Sprintf("%d %s", r.StatusCode, line(code))
	for _, more := range []string{message, advice} {
		if more != "" {
			f.text = strings.TrimRight(f.text, ". ") + ": " + more
		}
	}
	scrub(r.RawResponse)
	return f
}

// permission names what an identity needs for op.
func (w *Wrapper) permission(op string) string {
	action, policy := op, op+"Key"
	switch {
	case op == "probe":
		action, policy = "read", "get"
	case w.algorithm == A256GCM:
		action = map[string]string{"wrap": "encrypt", "unwrap": "decrypt"}[op]
	}
	switch {
	case w.hsm:
		return "Microsoft.KeyVault/managedHsm/keys/" + action + "/action: local role Managed HSM Crypto User"
	case op == "probe":
		return "Microsoft.KeyVault/vaults/keys/read: role Key Vault Crypto Service Encryption User, or key permission get"
	}
	return "Microsoft.KeyVault/vaults/keys/" + action + "/action: role Key Vault Crypto Service Encryption User, or key permission " + policy
}

// parseError returns the innermost code, and the message, of Key Vault's error.
func parseError(resp *http.Response) (code, message string) {
	type inner struct {
		Code  string `json:"code"`
		Inner *inner `json:"innererror"`
	}
	var body struct {
		Error struct {
			inner
			Message string `json:"message"`
		} `json:"error"`
	}
	if resp == nil {
		return "", ""
	}
	text, err := runtime.Payload(resp) // read before, and bounded there
	if err != nil || json.Unmarshal(text, &body) != nil {
		return "", ""
	}
	for e := &body.Error.inner; e != nil; e = e.Inner {
		if e.Code != "" {
			code = e.Code
		}
	}
	return code, line(body.Error.Message)
}

// scrub takes from an answer the request that it keeps, with its token and key.
func scrub(resp *http.Response) {
	if resp != nil && resp.Request != nil {
		resp.Request = &http.Request{Method: resp.Request.Method, URL: resp.Request.URL, Header: http.Header{}}
	}
}

// maxRetryAfter bounds what an answer may ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter returns how long the answer asks to be left alone.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	for _, h := range []struct {
		name string
		unit time.Duration
	}{{"Retry-After-Ms", time.Millisecond}, {"X-Ms-Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}} {
		v := resp.Header.Get(h.name)
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > 0 {
			return time.Duration(min(n, int64(maxRetryAfter/h.unit))) * h.unit
		}
		// A date counts from the server's clock: this machine's may be off.
		date, err := http.ParseTime(v)
		now, err2 := http.ParseTime(resp.Header.Get("Date"))
		if err == nil && err2 == nil && date.After(now) {
			return min(date.Sub(now), maxRetryAfter)
		}
	}
	return 0
}

// maxSkew is the difference of clocks that Entra ID and Key Vault tolerate.
const maxSkew = 5 * time.Minute

func skewed(d time.Duration) bool { return d.Abs() > maxSkew }

func clock(d time.Duration) string {
	way := "behind"
	if d < 0 {
		way = "ahead"
	}
	return fmt.Sprintf("clock off by %.0f s: this machine's is %s", d.Abs().Seconds(), way)
}

// line returns foreign text on one line, without anything that moves a cursor,
// and not too long.
func line(s string) string {
	return provider.Line(s, 300)
}

func quote(s string) string { return fmt.Sprintf("%q", line(s)) }
