package awskms_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

const denial = "User: arn:aws:sts::111122223333:assumed-role/app/pod is not authorized to perform: kms:Decrypt"

// faults is what can go wrong on the wire, and what must come of it in Wrap,
// Unwrap and Probe alike.
var faults = map[string]struct {
	awskmstest.Fault
	kind  error
	words string
}{
	"throttled":               {awskmstest.Fault{Code: "ThrottlingException", Message: "Rate exceeded", RetryAfter: 9 * time.Second}, kms.ErrThrottled, "(after 9s): ThrottlingException: Rate exceeded"},
	"limit":                   {awskmstest.Fault{Code: "LimitExceededException"}, kms.ErrThrottled, "LimitExceededException"},
	"429":                     {awskmstest.Fault{Status: 429, Body: "slow down"}, kms.ErrThrottled, "429"},
	"internal":                {awskmstest.Fault{Code: "KMSInternalException", Status: 500}, kms.ErrUnavailable, "KMSInternalException"},
	"dependency timeout":      {awskmstest.Fault{Code: "DependencyTimeoutException", Status: 500}, kms.ErrUnavailable, "DependencyTimeoutException"},
	"key unavailable":         {awskmstest.Fault{Code: "KeyUnavailableException", Status: 500}, kms.ErrUnavailable, "KeyUnavailableException"},
	"service unavailable":     {awskmstest.Fault{Code: "ServiceUnavailable", Status: 503, RetryAfter: 2 * time.Second}, kms.ErrUnavailable, "(after 2s)"},
	"unknown 5xx":             {awskmstest.Fault{Code: "SomethingNewException", Status: 500}, kms.ErrUnavailable, "SomethingNewException"},
	"502 of a proxy":          {awskmstest.Fault{Status: 502, Body: "<html>bad gateway</html>"}, kms.ErrUnavailable, "502"},
	"408 of a proxy":          {awskmstest.Fault{Status: 408, Body: "late"}, kms.ErrUnavailable, "408"},
	"a captive portal":        {awskmstest.Fault{Status: 200, Body: "<html>please log in</html>"}, kms.ErrUnavailable, "200"},
	"a redirect":              {awskmstest.Fault{Status: 302, Body: "<html>moved</html>"}, kms.ErrUnavailable, "302"},
	"an endless answer":       {awskmstest.Fault{Lie: func(_ string, a map[string]any) { a["Padding"] = strings.Repeat("a", 2<<20) }}, kms.ErrUnavailable, "200"},
	"a broken connection":     {awskmstest.Fault{Drop: true}, kms.ErrUnavailable, "EOF"},
	"denied":                  {awskmstest.Fault{Code: "AccessDeniedException", Message: denial}, kms.ErrDenied, denial},
	"403 of a firewall":       {awskmstest.Fault{Status: 403, Body: "<html>blocked</html>"}, kms.ErrDenied, "403"},
	"no subscription":         {awskmstest.Fault{Code: "SubscriptionRequiredException"}, kms.ErrDenied, "SubscriptionRequiredException"},
	"401 of a proxy":          {awskmstest.Fault{Status: 401, Body: "who?"}, kms.ErrUnauthenticated, "401"},
	"unknown access key":      {awskmstest.Fault{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}, kms.ErrUnauthenticated, "security token"},
	"expired token":           {awskmstest.Fault{Code: "ExpiredTokenException"}, kms.ErrUnauthenticated, "ExpiredTokenException"},
	"wrong signature":         {awskmstest.Fault{Code: "InvalidSignatureException", Message: "x-amz-security-token:canary"}, kms.ErrUnauthenticated, "check the secret access key"},
	"SignatureDoesNotMatch":   {awskmstest.Fault{Code: "SignatureDoesNotMatch"}, kms.ErrUnauthenticated, "check the secret access key"},
	"clock slow":              {awskmstest.Fault{Skew: 20 * time.Minute}, kms.ErrClockSkew, " s: it is slow"},
	"clock fast":              {awskmstest.Fault{Skew: -20 * time.Minute}, kms.ErrClockSkew, " s: it is fast"},
	"RequestTimeTooSkewed":    {awskmstest.Fault{Code: "RequestTimeTooSkewed", Status: 403}, kms.ErrClockSkew, "clock off by "},
	"disabled":                {awskmstest.Fault{Code: "DisabledException", Message: "arn is disabled."}, kms.ErrKeyDisabled, "is disabled"},
	"disconnected store":      {awskmstest.Fault{Code: "KMSInvalidStateException", Message: "arn is unavailable."}, kms.ErrKeyDisabled, "unavailable"},
	"pending deletion":        {awskmstest.Fault{Code: "KMSInvalidStateException", Message: "arn is pending deletion."}, kms.ErrKeyGone, "pending deletion"},
	"replica deletion":        {awskmstest.Fault{Code: "KMSInvalidStateException", Message: "arn is pending replica deletion."}, kms.ErrKeyGone, "pending replica"},
	"disabled, to be deleted": {awskmstest.Fault{Code: "DisabledException", Message: "arn is pending deletion."}, kms.ErrKeyGone, "pending deletion"},
	"no such key":             {awskmstest.Fault{Code: "NotFoundException", Message: "Key 'arn' does not exist"}, kms.ErrKeyGone, "does not exist"},
	"incorrect key":           {awskmstest.Fault{Code: "IncorrectKeyException"}, kms.ErrWrongKey, "IncorrectKeyException"},
	"another key":             {awskmstest.Fault{Lie: anotherKey}, kms.ErrWrongKey, "ffffffff"},
	"no key":                  {awskmstest.Fault{Lie: func(_ string, a map[string]any) { clear(a) }}, kms.ErrWrongKey, `the key "" answered`},
	"invalid ciphertext":      {awskmstest.Fault{Code: "InvalidCiphertextException"}, kms.ErrCorrupt, "InvalidCiphertextException"},
	"wrong usage":             {awskmstest.Fault{Code: "InvalidKeyUsageException", Message: "SIGN_VERIFY"}, kms.ErrMisconfigured, "SIGN_VERIFY"},
	"validation":              {awskmstest.Fault{Code: "ValidationException", Message: "1 validation error"}, kms.ErrMisconfigured, "1 validation error"},
	"no KMS":                  {awskmstest.Fault{Status: 404, Body: "nothing here"}, kms.ErrMisconfigured, "404"},
	"unknown 4xx":             {awskmstest.Fault{Code: "SomethingNewException"}, kms.ErrMisconfigured, "SomethingNewException"},
	"a long message":          {awskmstest.Fault{Code: "ValidationException", Message: strings.Repeat("ä", 1500) + "canary"}, kms.ErrMisconfigured, "…"},
	"pending import":          {awskmstest.Fault{Code: "KMSInvalidStateException", Message: "arn is pending import."}, kms.ErrKeyDisabled, "import its key material again"},
	"key store away":          {awskmstest.Fault{Code: "KMSInvalidStateException", Message: "arn is unavailable."}, kms.ErrKeyDisabled, "connect its custom key store again"},
	"being made":              {awskmstest.Fault{Code: "KMSInvalidStateException", Message: "arn is creating."}, kms.ErrUnavailable, "is creating"},
	"a message that moves":    {awskmstest.Fault{Code: "ValidationException", Message: "a\x1b[2Jb\u202ec\u009bd"}, kms.ErrMisconfigured, "ValidationException: a [2Jb c d"},
	"a code that moves":       {awskmstest.Fault{Code: "Some\x1b[2JException" + strings.Repeat("x", 4000)}, kms.ErrMisconfigured, "Some [2JException"},
	"a message of lines":      {awskmstest.Fault{Code: "ValidationException", Message: "first\r\ncanary\n"}, kms.ErrMisconfigured, "ValidationException: first"},
}

func anotherKey(op string, answer map[string]any) {
	awskmstest.WrongKeyID(op, answer)
	if m, ok := answer["KeyMetadata"].(map[string]any); ok {
		m["Arn"] = "arn:aws:kms:eu-west-1:111122223333:key/ffffffff"
	}
}

func TestErrors(t *testing.T) {
	s := start(t)
	key := s.CreateKey()
	w := open(t, with(s, key))
	blob := wrap(t, w)
	checked, wrong := 0, 0
	for name, c := range faults {
		for op, call := range map[string]func(context.Context) error{
			"wrap":   func(ctx context.Context) error { _, err := w.Wrap(ctx, secretKey, home); return err },
			"unwrap": func(ctx context.Context) error { _, err := w.Unwrap(ctx, blob, home); return err },
			"probe":  func(ctx context.Context) error { _, err := w.Probe(ctx); return err },
		} {
			s.Inject(c.Fault)
			err := call(t.Context())
			checked++
			e, ok := errors.AsType[*kms.Error](err)
			switch {
			case !ok, e.Kind != c.kind, e.Op != op, e.Type != "awskms", e.KeyID != key, e.RetryAfter != c.RetryAfter:
				t.Errorf("%s: %s: %#v (%v), want %v", name, op, err, err, c.kind)
				wrong++
			case !strings.Contains(err.Error(), c.words), len(err.Error()) > 1000, strings.ContainsAny(err.Error(), "\r\n"),
				strings.Contains(err.Error(), "canary"), strings.Contains(err.Error(), "http://"):
				t.Errorf("%s: %s: the text is %q, want %q", name, op, err, c.words)
				wrong++
			}
		}
	}
	t.Logf("GUARANTEE 24 awskms-errors: faults=%d calls=%d wrong=%d", len(faults), checked, wrong)
}

// An answer that breaks off is the network's matter, whatever its status was to be: it
// was told as a wrong configuration.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "8000")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type": "ValidationException"`)
	}))
	defer s.Close()
	cfg := awskms.Config{
		KeyID: "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000001", Endpoint: s.URL,
		AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: awskmstest.SecretAccessKey, Timeout: time.Minute,
	}
	if _, err := open(t, cfg).Wrap(t.Context(), secretKey, home); !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), "broke off") {
		t.Error(err)
	}
}

// The SDK's own errors stay within reach.
func TestCause(t *testing.T) {
	s := start(t)
	w := open(t, with(s, s.CreateKey()))
	s.Inject(awskmstest.Fault{Code: "DisabledException", Message: "is disabled."})
	_, err := w.Wrap(t.Context(), secretKey, home)
	if _, ok := errors.AsType[*types.DisabledException](err); !ok {
		t.Errorf("no *types.DisabledException in %v", err)
	}
	s.Inject(awskmstest.Fault{Code: "AccessDeniedException", Message: denial})
	_, err = w.Wrap(t.Context(), secretKey, home)
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" {
		t.Errorf("no smithy.APIError in %v", err)
	}
	refused(t, err, kms.ErrDenied, "grant kms:Encrypt")
}

// What KMS gives out must be a key.
func TestLyingAnswers(t *testing.T) {
	s := start(t)
	w := open(t, with(s, s.CreateKey()))
	blob := wrap(t, w)
	for name, c := range map[string]struct {
		plaintext any
		words     string
	}{
		"nothing":   {nil, "0 bytes"},
		"empty":     {[]byte{}, "0 bytes"},
		"oversized": {make([]byte, kms.MaxKeySize+1), "129 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s.Inject(awskmstest.Fault{Lie: func(_ string, a map[string]any) { a["Plaintext"] = c.plaintext }})
			got, err := w.Unwrap(t.Context(), blob, home)
			refused(t, err, kms.ErrCorrupt, c.words)
			if got != nil {
				t.Error("a key came with the error")
			}
		})
	}
	for name, ciphertext := range map[string]any{"nothing": nil, "oversized": make([]byte, 6145)} {
		t.Run("wrap "+name, func(t *testing.T) {
			s.Inject(awskmstest.Fault{Lie: func(_ string, a map[string]any) { a["CiphertextBlob"] = ciphertext }})
			_, err := w.Wrap(t.Context(), secretKey, home)
			refused(t, err, kms.ErrCorrupt, "a ciphertext of")
		})
	}
	for field, value := range map[string]string{"KeyUsage": "SIGN_VERIFY", "KeySpec": "RSA_2048"} {
		t.Run("probe "+field, func(t *testing.T) {
			s.Inject(awskmstest.Fault{Lie: func(_ string, a map[string]any) { a["KeyMetadata"].(map[string]any)[field] = value }})
			_, err := w.Probe(t.Context())
			refused(t, err, kms.ErrMisconfigured, value, "SYMMETRIC_DEFAULT")
		})
	}

	// A wrong key of the right length is beyond us: the caller's binding finds it.
	s.Inject(awskmstest.Fault{Lie: awskmstest.WrongPlaintext})
	if got, err := w.Unwrap(t.Context(), blob, home); err != nil || string(got) == string(secretKey) {
		t.Errorf("a planted lie was not told: %v", err)
	}
}

// What is wrong between here and KMS is an outage, and named.
func TestNetwork(t *testing.T) {
	s := start(t)
	cfg := with(s, s.CreateKey())
	blob := wrap(t, open(t, cfg))

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	lookup := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "kms.eu-west-1.amazonaws.com", IsNotFound: true}
	}}}
	for name, c := range map[string]struct {
		endpoint string
		client   *http.Client
		words    string
	}{
		"refused":   {"http://" + closed.Addr().String(), nil, "connect"},
		"untrusted": {untrusted.URL, nil, "check Endpoint, or set an HTTPClient"},
		"no name":   {"", lookup, "no such host (check Region and Endpoint, and DNS)"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.Endpoint = c.endpoint
			if c.client != nil {
				cfg.HTTPClient = c.client
			}
			_, err := open(t, cfg).Unwrap(t.Context(), blob, home)
			refused(t, err, kms.ErrUnavailable, c.words)
			if strings.Contains(err.Error(), "://") {
				t.Errorf("the error shows a URL: %v", err)
			}
		})
	}
}

// Without a Date the text is all there is to tell a wrong clock by.
func TestSkewWithoutDate(t *testing.T) {
	s := start(t)
	cfg := with(s, s.CreateKey())
	cfg.HTTPClient = undated{s.Client()}
	w := open(t, cfg)
	for skew, kind := range map[time.Duration]error{time.Hour: kms.ErrClockSkew, -time.Hour: kms.ErrClockSkew, 0: kms.ErrUnauthenticated} {
		f := awskmstest.Fault{Skew: skew}
		if skew == 0 {
			f.Code, f.Message = "InvalidSignatureException", "The request signature we calculated does not match"
		}
		s.Inject(f)
		_, err := w.Wrap(t.Context(), secretKey, home)
		refused(t, err, kind, "InvalidSignatureException")
	}
}

// AWS's own header says milliseconds.
func TestRetryAfterMilliseconds(t *testing.T) {
	s := start(t)
	cfg := with(s, s.CreateKey())
	cfg.HTTPClient = patient{s.Client()}
	s.Inject(awskmstest.Fault{Code: "ThrottlingException"})
	_, err := open(t, cfg).Wrap(t.Context(), secretKey, home)
	refused(t, err, kms.ErrThrottled)
	if e, _ := errors.AsType[*kms.Error](err); e.RetryAfter != 1500*time.Millisecond {
		t.Errorf("RetryAfter is %v", e.RetryAfter)
	}
}

type patient struct{ client *http.Client }

func (p patient) Do(req *http.Request) (*http.Response, error) {
	resp, err := p.client.Do(req)
	if err == nil {
		resp.Header.Set("X-Amz-Retry-After", "1500")
	}
	return resp, err
}

// A client that hides the end of the context does not hide it from the caller.
func TestOpaqueClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := open(t, awskms.Config{KeyID: arn, AccessKeyID: "AKIA", SecretAccessKey: awskmstest.SecretAccessKey, HTTPClient: opaque(cancel)})
	_, err := w.Wrap(ctx, secretKey, home)
	refused(t, err, kms.ErrUnavailable, "no answer in time")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

type opaque func()

func (o opaque) Do(*http.Request) (*http.Response, error) {
	o()
	return nil, errors.New("something went wrong")
}

type undated struct{ client *http.Client }

func (u undated) Do(req *http.Request) (*http.Response, error) {
	resp, err := u.client.Do(req)
	if err == nil {
		resp.Header.Del("Date")
	}
	return resp, err
}

var (
	_ kms.Prober = (*awskms.Wrapper)(nil)
	_ kms.Namer  = (*awskms.Wrapper)(nil)
)
var _ kms.Authenticator = (*awskms.Wrapper)(nil)
