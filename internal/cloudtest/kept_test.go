package cloudtest

import (
	"context"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/googleapis/gax-go/v2"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// A kept is a host's own client of Google's KMS: it keeps its connection, where a
// Wrapper without one makes a connection for each request.
type kept struct {
	service kmspb.KeyManagementServiceClient
	token   string
}

var _ gcpckms.Client = kept{}

func newKept(t *testing.T, server *gcpckmstest.Server) kept {
	t.Helper()
	conn, err := grpc.NewClient(server.Endpoint(), grpc.WithTransportCredentials(credentials.NewTLS(server.TLS())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return kept{kmspb.NewKeyManagementServiceClient(conn), server.Token()}
}

func (k kept) authorized(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+k.token)
}

// Its calls have no options: they are about retries, and there are none.

func (k kept) Encrypt(ctx context.Context, q *kmspb.EncryptRequest, _ ...gax.CallOption) (*kmspb.EncryptResponse, error) {
	return k.service.Encrypt(k.authorized(ctx), q)
}

func (k kept) Decrypt(ctx context.Context, q *kmspb.DecryptRequest, _ ...gax.CallOption) (*kmspb.DecryptResponse, error) {
	return k.service.Decrypt(k.authorized(ctx), q)
}

func (k kept) GetCryptoKey(ctx context.Context, q *kmspb.GetCryptoKeyRequest, _ ...gax.CallOption) (*kmspb.CryptoKey, error) {
	return k.service.GetCryptoKey(k.authorized(ctx), q)
}
