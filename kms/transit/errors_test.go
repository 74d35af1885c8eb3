package transit_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
)

// answer is what a server says.
func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(body)),
	}
}

// answering returns a Wrapper whose server gives one answer to everything.
func answering(t *testing.T, f roundTrip) *transit.Wrapper {
	t.Helper()
	var vault transittest.Server
	cfg := vault.Config("prod")
	cfg.HTTPClient = client(f)
	return open(t, cfg)
}

func TestStatuses(t *testing.T) {
	says := func(words ...string) string { return fmt.Sprintf(`{"errors":["%s"]}`, strings.Join(words, `","`)) }
	for name, test := range map[string]struct {
		status int
		body   string
		kind   error
		words  string
	}{
		"denied":              {403, says(`1 error occurred:\n\t* permission denied\n\n`), kms.ErrDenied, "HTTP 403 Forbidden: 1 error occurred: * permission denied"},
		"invalid token":       {403, says(`2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n`), kms.ErrUnauthenticated, "invalid token"},
		"bad token":           {403, says(`bad token`), kms.ErrUnauthenticated, "bad token"},
		"no token":            {400, says(`missing client token`), kms.ErrUnauthenticated, "missing client token"},
		"a proxy":             {401, "<html>", kms.ErrUnauthenticated, "HTTP 401 Unauthorized"},
		"no key":              {400, says(`encryption key not found`), kms.ErrKeyGone, "encryption key not found"},
		"no mount":            {404, says(`no handler for route "transit/decrypt/prod". route entry not found.`[:20]), kms.ErrKeyGone, "HTTP 404 Not Found: no handler"},
		"no key to describe":  {404, says(), kms.ErrKeyGone, "HTTP 404 Not Found"},
		"too new":             {400, says(`invalid ciphertext: version is too new`), kms.ErrKeyGone, "too new"},
		"too old":             {400, says(`ciphertext or signature version is disallowed by policy (too old)`), kms.ErrKeyDisabled, "too old"},
		"soft deleted":        {400, says(`refusing to use soft-deleted key`), kms.ErrKeyGone, "soft-deleted"},
		"soft deleted, 500":   {500, says(`refusing to use soft-deleted key`), kms.ErrKeyGone, "soft-deleted"},
		"altered":             {400, says(`cipher: message authentication failed`), kms.ErrCorrupt, "message authentication failed"},
		"altered, chacha":     {400, says(`chacha20poly1305: message authentication failed`), kms.ErrCorrupt, "message authentication failed"},
		"malformed":           {400, says(`invalid ciphertext: could not decode base64`), kms.ErrCorrupt, "could not decode"},
		"derived":             {400, says(`missing 'context' for key derivation; the key was created using a derived key`), kms.ErrMisconfigured, "missing 'context'"},
		"RSA":                 {400, says(`'[0].associated_data' provided for non-AEAD cipher suite rsa-2048`), kms.ErrMisconfigured, "non-AEAD"},
		"no JSON":             {400, "Client sent an HTTP request to an HTTPS server.", kms.ErrMisconfigured, "HTTP 400 Bad Request"},
		"wrong method":        {405, says(`unsupported operation`), kms.ErrMisconfigured, "HTTP 405"},
		"a replica behind":    {412, says(`required index state not present`), kms.ErrUnavailable, "HTTP 412"},
		"slow":                {408, "", kms.ErrUnavailable, "HTTP 408"},
		"throttled":           {429, says(`request path "x": rate limit quota exceeded`[:13]), kms.ErrThrottled, "HTTP 429"},
		"a recovery replica":  {472, "", kms.ErrUnavailable, "HTTP 472"},
		"a standby":           {473, "", kms.ErrUnavailable, "HTTP 473"},
		"internal":            {500, says(`internal error`), kms.ErrUnavailable, "internal error"},
		"not initialised":     {501, says(`Vault is not initialized`), kms.ErrUnavailable, "not initialized"},
		"a gateway":           {502, "<html>", kms.ErrUnavailable, "HTTP 502 Bad Gateway"},
		"sealed":              {503, says(`Vault is sealed`), kms.ErrUnavailable, "try again later: HTTP 503 Service Unavailable: Vault is sealed"},
		"nothing":             {204, "", kms.ErrUnavailable, "HTTP 204"},
		"words elsewhere":     {502, says(`encryption key not found`), kms.ErrUnavailable, ""},
		"several, on a line":  {403, says("a", "b"), kms.ErrDenied, "a; b"},
		"a page of words":     {403, says(strings.Repeat("x", 5000)), kms.ErrDenied, "xxx…"},
		"success, no JSON":    {200, "<html>", kms.ErrUnavailable, "the answer is not the JSON expected: is Address that of a Vault?"},
		"success, nothing":    {200, "{}", kms.ErrCorrupt, "the answer has 0 bytes, which no key has"},
		"success, a long key": {200, `{"data":{"plaintext":"` + base64.StdEncoding.EncodeToString(make([]byte, 33)) + `"}}`, kms.ErrCorrupt, "33 bytes, which no key has"},
		"success, too long":   {200, strings.Repeat(" ", 2<<20), kms.ErrUnavailable, "longer than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := answering(t, func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/lookup-self") {
					return answer(200, "{}"), nil
				}
				return answer(test.status, test.body), nil
			})
			blob := &kms.Blob{Type: "transit", KeyID: "transit/prod", Version: "1", Ciphertext: []byte("vault:v1:AAAA")}
			key, err := w.Unwrap(t.Context(), blob, place)
			if key != nil {
				t.Error("a key came with the error")
			}
			fails(t, err, test.kind, test.words)
			if s, ok := errors.AsType[*transit.StatusError](err); test.status != 200 && (!ok || s.Status != test.status) {
				t.Errorf("the status is not found in %v", err)
			}
			if len(err.Error()) > 600 || strings.Contains(err.Error(), "\n") {
				t.Errorf("the text is too long: %v", err)
			}
		})
	}
}

// A server ends its answer, with nothing in it, when it sees that the client goes: the
// client may read that end still, and took it for what another server says.
func TestAnEmptyAnswerAtTheEnd(t *testing.T) {
	w := answering(t, func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return answer(200, ""), nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	blob := &kms.Blob{Type: "transit", KeyID: "transit/prod", Version: "1", Ciphertext: []byte("vault:v1:AAAA")}
	if _, err := w.Unwrap(ctx, blob, place); !errors.Is(err, kms.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "JSON") {
		t.Error(err)
	}
}

// OpenBao says "permission denied" to a token that is expired or revoked, and to
// one that may not use the key: operators were sent to grant what was granted.
func TestRevokedTokenIsNotADenial(t *testing.T) {
	for _, bao := range []bool{false, true} {
		t.Run(fmt.Sprintf("OpenBao=%v", bao), func(t *testing.T) {
			vault := transittest.Server{OpenBao: bao}
			cfg := vault.Config("prod")
			requests := 0
			cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
				requests++
				return vault.RoundTrip(r)
			})
			cfg.Token = vault.IssueToken(time.Hour, time.Hour, false)
			w := open(t, cfg)
			blob := wrap(t, w)
			if requests != 1 {
				t.Errorf("%d requests for a wrap", requests)
			}
			other := cfg
			other.KeyName = "none" // which the token may not make
			_, err := open(t, other).Wrap(t.Context(), secret, place)
			fails(t, err, kms.ErrDenied, "permission denied")
			requests = 0
			vault.Revoke(cfg.Token)
			_, err = w.Unwrap(t.Context(), blob, place)
			fails(t, err, kms.ErrUnauthenticated, "permission denied")
			if want := map[bool]int{false: 1, true: 2}[bao]; requests != want {
				t.Errorf("%d requests to find out, not %d", requests, want)
			}
			if bao {
				fails(t, err, kms.ErrUnauthenticated, "expired, revoked, or without the policy default")
			}
			_, err = w.Probe(t.Context())
			fails(t, err, kms.ErrUnauthenticated, "permission denied")
		})
	}
	// What the question itself fails with changes nothing.
	w := answering(t, func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/lookup-self") {
			return nil, io.ErrUnexpectedEOF
		}
		return answer(403, `{"errors":["permission denied"]}`), nil
	})
	_, err := w.Probe(t.Context())
	fails(t, err, kms.ErrDenied, "permission denied")
}

func TestWrapAnswers(t *testing.T) {
	sealed := func(n int) string { return "vault:v1:" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, test := range map[string]struct {
		body  string
		kind  error // nil for success
		words string
	}{
		"AES-GCM":           {`{"data":{"ciphertext":"` + sealed(60) + `","key_version":1}}`, nil, ""},
		"XChaCha20":         {`{"data":{"ciphertext":"` + sealed(72) + `","key_version":1}}`, nil, ""},
		"an older engine":   {`{"data":{"ciphertext":"` + sealed(60) + `"}}`, nil, ""},
		"RSA":               {`{"data":{"ciphertext":"` + sealed(64) + `"}}`, kms.ErrMisconfigured, "is the key's type aes256-gcm96?"},
		"nothing":           {`{}`, kms.ErrUnavailable, "no ciphertext of transit"},
		"another prefix":    {`{"data":{"ciphertext":"x` + sealed(60) + `"}}`, kms.ErrUnavailable, "no ciphertext of transit"},
		"another version":   {`{"data":{"ciphertext":"` + sealed(60) + `","key_version":7}}`, kms.ErrWrongKey, "the answer is of version 7, its ciphertext of version 1"},
		"a fractional one":  {`{"data":{"ciphertext":"` + sealed(60) + `","key_version":1.5}}`, kms.ErrUnavailable, "not the JSON expected"},
		"a list, not a map": {`[]`, kms.ErrUnavailable, "not the JSON expected"},
	} {
		t.Run(name, func(t *testing.T) {
			w := answering(t, func(*http.Request) (*http.Response, error) { return answer(200, test.body), nil })
			blob, err := w.Wrap(t.Context(), secret, place)
			if test.kind == nil {
				if err != nil || blob.Version != "1" {
					t.Errorf("Wrap: %+v, %v", blob, err)
				}
				return
			}
			fails(t, err, test.kind, test.words)
		})
	}
}

func TestProbeAnswers(t *testing.T) {
	const aes = `"type":"aes256-gcm96","latest_version":3,"supports_encryption":true,"supports_decryption":true`
	for name, test := range map[string]struct {
		data    string
		kind    error
		words   string
		enabled bool
	}{
		"well":         {aes, nil, "", true},
		"XChaCha20":    {strings.Replace(aes, "aes256-gcm96", "xchacha20-poly1305", 1), nil, "", true},
		"soft deleted": {aes + `,"soft_deleted":true`, nil, "", false},
		"RSA":          {strings.Replace(aes, "aes256-gcm96", "rsa-2048", 1), kms.ErrMisconfigured, `the key's type "rsa-2048" takes no associated data: use aes256-gcm96`, false},
		"derived":      {aes + `,"derived":true`, kms.ErrMisconfigured, "the key is derived: use one that is not", false},
		"no version":   {strings.Replace(aes, "3", "0", 1), kms.ErrUnavailable, "the answer describes no key", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := answering(t, func(*http.Request) (*http.Response, error) { return answer(200, `{"data":{`+test.data+`}}`), nil })
			h, err := w.Probe(t.Context())
			if test.kind != nil {
				fails(t, err, test.kind, test.words)
			} else if want := (kms.Health{KeyID: "transit/prod", Version: "3", Enabled: test.enabled}); err != nil || h != want {
				t.Errorf("Probe: %+v, %v, want %+v", h, err, want)
			}
		})
	}
}

// TestRetryAfterOfAnswers is told when to come back, and only where that helps.
func TestRetryAfterOfAnswers(t *testing.T) {
	for status, want := range map[int]time.Duration{429: 7 * time.Second, 503: 7 * time.Second, 403: 0} {
		w := answering(t, func(*http.Request) (*http.Response, error) {
			a := answer(status, "")
			a.Header.Set("Retry-After", "7")
			return a, nil
		})
		_, err := w.Probe(t.Context())
		if e, ok := errors.AsType[*kms.Error](err); !ok || e.RetryAfter != want {
			t.Errorf("status %d: %v, want to wait %v", status, err, want)
		}
	}
}

// TestNoRedirect lets the server send the request on: the token must not go
// along.
func TestNoRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		requests := 0
		w := answering(t, func(r *http.Request) (*http.Response, error) {
			requests++
			a := answer(status, "")
			a.Header.Set("Location", "https://other.example/v1/"+r.URL.Path)
			a.Request = r
			return a, nil
		})
		_, err := w.Wrap(t.Context(), secret, place)
		fails(t, err, kms.ErrUnavailable, `sent on to "other.example", where the token does not go: set Address to the active server`)
		if requests != 1 {
			t.Errorf("status %d: %d requests", status, requests)
		}
	}
	w := answering(t, func(r *http.Request) (*http.Response, error) { return answer(307, ""), nil })
	_, err := w.Probe(t.Context())
	fails(t, err, kms.ErrUnavailable, `sent on to "nowhere"`)
}

// TestEchoIsWithheld lets a server repeat secrets in its errors.
func TestEchoIsWithheld(t *testing.T) {
	for name, echo := range map[string]string{
		"token":     transittest.RootToken,
		"plaintext": base64.StdEncoding.EncodeToString(secret),
	} {
		w := answering(t, func(*http.Request) (*http.Response, error) {
			return answer(400, fmt.Sprintf(`{"errors":["cannot use %s here"]}`, echo)), nil
		})
		_, err := w.Wrap(t.Context(), secret, place)
		fails(t, err, kms.ErrMisconfigured, "words that repeat a secret are withheld")
		if strings.Contains(err.Error(), echo) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBrokenAnswer ends in the middle.
func TestBrokenAnswer(t *testing.T) {
	w := answering(t, func(*http.Request) (*http.Response, error) {
		a := answer(200, "")
		a.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"data":`), failing{}))
		return a, nil
	})
	_, err := w.Probe(t.Context())
	fails(t, err, kms.ErrUnavailable, io.ErrUnexpectedEOF.Error())
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestTransportText keeps a client's error to one short line, without the URL.
func TestTransportText(t *testing.T) {
	cause := errors.New("first\nsecond " + strings.Repeat("x", 5000))
	w := answering(t, func(*http.Request) (*http.Response, error) { return nil, cause })
	_, err := w.Probe(t.Context())
	fails(t, err, kms.ErrUnavailable, "try again later: first second xxx")
	if len(err.Error()) > 700 || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "https://") || !errors.Is(err, cause) {
		t.Errorf("the error %q", err)
	}
}

// endless is an answer without an end, which counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read += len(p)
	return len(p), nil
}

func TestAnswersAreBounded(t *testing.T) {
	most := 0
	for _, status := range []int{200, 400, 503} {
		body := new(endless)
		w := answering(t, func(*http.Request) (*http.Response, error) {
			a := answer(status, "")
			a.Body = io.NopCloser(body)
			return a, nil
		})
		_, err := w.Probe(t.Context())
		fails(t, err, kms.ErrUnavailable, "longer than 1048576 bytes")
		most = max(most, body.read)
	}
	if most > 2<<20 {
		t.Errorf("%d bytes were read", most)
	}
	t.Logf("GUARANTEE 27 transit-answers: bytes_read_of_endless=%d", most)
}
