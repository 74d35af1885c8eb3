package cloudtest

import (
	"context"
	"testing"

	gcp "cloud.google.com/go/kms/apiv1"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// newKept returns a host's own client of Google's KMS: it keeps its connection, where a
// Wrapper without one makes a connection for each request.
func newKept(t *testing.T, server *gcpckmstest.Server) *gcp.KeyManagementClient {
	t.Helper()
	conn, err := grpc.NewClient(server.Endpoint(),
		grpc.WithTransportCredentials(credentials.NewTLS(server.TLS())), grpc.WithPerRPCCredentials(bearer(server.Token())))
	if err != nil {
		t.Fatal(err)
	}
	client, err := gcp.NewKeyManagementClient(t.Context(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// bearer is the token of every call.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }
