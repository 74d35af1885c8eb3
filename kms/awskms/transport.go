package awskms

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
)

// harden makes a call one honest request.
func harden(o *awskms.Options) {
	o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0
	o.DisableClockSkewCorrection = true
	o.ClientLogMode = 0 // the SDK logs whole bodies, and those of Encrypt and Decrypt hold keys
	o.HTTPClient = bounded{client: pinging(o.HTTPClient)}
}

// pinging makes a client of the SDK's find out within 15 seconds that nobody is
// at the other end of an HTTP/2 connection any more. A firewall drops it without
// a word, and it would swallow every call.
func pinging(c aws.HTTPClient) aws.HTTPClient {
	b, ok := c.(*awshttp.BuildableClient)
	if !ok {
		return c // the host's own
	}
	return b.WithTransportOptions(func(t *http.Transport) {
		if t.HTTP2 == nil {
			t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
		}
	})
}

// maxAnswer is more than any answer to a request of this package has: a
// ciphertext of 6144 bytes, or a session token.
const maxAnswer = 1 << 20

// bounded is a client whose answers end: after maxAnswer bytes and, where it
// has one, after its timeout.
type bounded struct {
	client  aws.HTTPClient
	timeout time.Duration
}

// Do implements [aws.HTTPClient].
func (b bounded) Do(req *http.Request) (*http.Response, error) {
	cancel := context.CancelFunc(func() {})
	if b.timeout > 0 {
		var ctx context.Context
		ctx, cancel = context.WithTimeout(req.Context(), b.timeout)
		req = req.WithContext(ctx)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		cancel()
		return resp, err
	}
	resp.Body = &boundedBody{io.LimitReader(resp.Body, maxAnswer), resp.Body, cancel}
	return resp, nil
}

type boundedBody struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

func (b *boundedBody) Close() error {
	b.cancel()
	return b.body.Close()
}
