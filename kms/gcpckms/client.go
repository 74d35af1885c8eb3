package gcpckms

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const defaultEndpoint = "cloudkms.googleapis.com:443"

// maxAnswer is the size in bytes of the largest message read.
const maxAnswer = 1 << 20

// A remote is the Client of a Wrapper whose host has none: the service's own
// stubs, over a connection for each request. A kept connection would save a
// handshake in hours, and cost a Close, background goroutines, and gRPC's
// back-off after an outage, up to two minutes in which nobody asks the KMS.
type remote struct {
	target string
	dial   []grpc.DialOption
	source *source
}

func newRemote(cfg Config) *remote {
	r := &remote{
		target: "dns:///" + address(cfg.Endpoint),
		source: newSource(cfg),
		dial: []grpc.DialOption{
			grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig(cfg.TLS))),
			grpc.WithUserAgent("sealwright"),
			grpc.WithDisableRetry(),
			grpc.WithDisableServiceConfig(),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		},
	}
	if !cfg.AllowEnvironment {
		r.dial = append(r.dial, grpc.WithNoProxy())
	}
	return r
}

// address adds the port to a host.
func address(endpoint string) string {
	if endpoint == "" {
		return defaultEndpoint
	}
	if _, _, err := net.SplitHostPort(endpoint); err == nil {
		return endpoint
	}
	return net.JoinHostPort(endpoint, "443")
}

func tlsConfig(c *tls.Config) *tls.Config {
	if c == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return c.Clone()
}

func (r *remote) Encrypt(ctx context.Context, q *kmspb.EncryptRequest, opts ...gax.CallOption) (*kmspb.EncryptResponse, error) {
	return invoke(ctx, r, kmspb.KeyManagementServiceClient.Encrypt, q, opts)
}

func (r *remote) Decrypt(ctx context.Context, q *kmspb.DecryptRequest, opts ...gax.CallOption) (*kmspb.DecryptResponse, error) {
	return invoke(ctx, r, kmspb.KeyManagementServiceClient.Decrypt, q, opts)
}

func (r *remote) GetCryptoKey(ctx context.Context, q *kmspb.GetCryptoKeyRequest, opts ...gax.CallOption) (*kmspb.CryptoKey, error) {
	return invoke(ctx, r, kmspb.KeyManagementServiceClient.GetCryptoKey, q, opts)
}

// invoke makes one request. The token goes into the metadata and not into
// gRPC's per-call credentials, which would turn its errors into text. Nothing
// here sends it without TLS.
func invoke[Q interface{ GetName() string }, A any](ctx context.Context, r *remote, method func(kmspb.KeyManagementServiceClient, context.Context, Q, ...grpc.CallOption) (A, error), q Q, opts []gax.CallOption) (answer A, err error) {
	token, quotaProject, err := r.source.grant(ctx)
	if err != nil {
		return answer, err
	}
	// The name is in a header too, by which Google routes the request.
	pairs := []string{"authorization", "Bearer " + token, "x-goog-request-params", "name=" + url.QueryEscape(q.GetName())}
	if quotaProject != "" {
		pairs = append(pairs, "x-goog-user-project", quotaProject)
	}
	conn, err := grpc.NewClient(r.target, r.dial...)
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	var settings gax.CallSettings
	for _, o := range opts {
		o.Resolve(&settings)
	}
	answer, err = method(kmspb.NewKeyManagementServiceClient(conn), metadata.AppendToOutgoingContext(ctx, pairs...), q, settings.GRPC...)
	if status.Code(err) == codes.Unauthenticated {
		r.source.forget(ctx, token)
	}
	return answer, err
}
