package azurekeyvault

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// maxAnswer is the most that is read of an answer, in bytes. Those of a vault
// and of Entra ID stay far below.
const maxAnswer = 1 << 20

// A stage is whom a request goes to.
type stage int

const (
	stageVault stage = iota
	stageEntra
	stageMachine // a managed identity's endpoint, or the default chain
)

// clientOptions returns the host's options, so changed that a call is one
// request, that its answer is bounded, and that what it met is noted.
func (c Config) clientOptions(where cloud.Configuration, s stage) azcore.ClientOptions {
	o := c.ClientOptions
	o.Cloud = where
	o.Retry = policy.RetryOptions{MaxRetries: -1}
	o.Logging.IncludeBody = false
	o.PerRetryPolicies = append(slices.Clone(o.PerRetryPolicies), recorder{s})
	if s != stageVault {
		o.APIVersion = "" // it is the vault's, and those who issue tokens would refuse it
	}
	if o.Transport == nil {
		o.Transport = c.transport()
	}
	if s != stageMachine { // on Service Fabric it must be an *http.Client
		o.Transport = bounded{o.Transport}
	}
	return o
}

// transport returns a client that follows no redirect: a request holds a key.
func (c Config) transport() *http.Client {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		// Without a ping a connection that a firewall dropped swallows calls.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
	}
	if c.AllowEnvironment {
		t.Proxy = http.ProxyFromEnvironment
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded is a transport whose answers end with an error after maxAnswer.
type bounded struct{ next policy.Transporter }

func (b bounded) Do(req *http.Request) (*http.Response, error) {
	resp, err := b.next.Do(req)
	if resp != nil && resp.Body != nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// An exchange is what a call met on the wire. The SDK's errors do not tell it:
// those of a credential keep no cause, and those of a challenge have no type.
type exchange struct {
	mu        sync.Mutex
	host      string        // of the last request
	err       error         // why the last request has no answer
	vault     int           // the status of the vault's last answer
	challenge string        // what the vault's last refusal asked for
	refused   bool          // the vault refused a token
	issued    bool          // a request for a token was answered with success
	skew      time.Duration // how far the last answer's clock is ahead of this machine's
}

type exchangeKey struct{}

// met returns the exchange of a call, or an empty one.
func met(ctx context.Context) *exchange {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return e
	}
	return new(exchange)
}

// look returns a copy that does not change any more.
func (e *exchange) look() *exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &exchange{host: e.host, err: e.err, vault: e.vault, challenge: e.challenge, refused: e.refused, issued: e.issued, skew: e.skew}
}

func (e *exchange) note(s stage, req *http.Request, resp *http.Response, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.host, e.err = req.URL.Host, err
	if resp == nil || err != nil {
		return
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		e.skew = time.Until(date)
	}
	switch {
	case s == stageVault:
		e.vault, e.challenge = resp.StatusCode, resp.Header.Get("WWW-Authenticate")
		e.refused = resp.StatusCode == http.StatusUnauthorized && req.Header.Get("Authorization") != ""
	case resp.StatusCode == http.StatusOK && strings.HasSuffix(strings.TrimSuffix(req.URL.Path, "/"), "token"):
		e.issued = true
	}
}

// recorder is the policy closest to the wire. It notes what a call meets.
type recorder struct{ stage stage }

func (r recorder) Do(req *policy.Request) (*http.Response, error) {
	resp, err := req.Next()
	met(req.Raw().Context()).note(r.stage, req.Raw(), resp, err)
	return resp, err
}

// call makes one call with a deadline. It returns when ctx ends: the SDK does
// not while it waits for a token that another call is asking for. It turns a
// panic of the SDK into an error: a challenge without a tenant causes one. The
// version is only for the error; "" is the newest.
func call[T any](ctx context.Context, w *Wrapper, op, version string, do func(context.Context) (T, error)) (T, error) {
	var none T
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	if ctx.Err() != nil {
		return none, w.fail(op, version, ended(ctx.Err()))
	}
	type result struct {
		out T
		err error
	}
	met := new(exchange)
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = &panicked{p}
			}
			done <- r
		}()
		r.out, r.err = do(context.WithValue(ctx, exchangeKey{}, met))
	}()
	select {
	case <-ctx.Done():
		return none, w.fail(op, version, ended(ctx.Err()))
	case r := <-done:
		if r.err != nil {
			return none, w.fail(op, version, w.explain(ctx, op, met.look(), r.err))
		}
		return r.out, nil
	}
}
