package gcpckmstest_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
	"github.com/sealwright/sealwright/kms/kmstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// dial returns the plainest client there is, which checks nothing.
func dial(t *testing.T, server *gcpckmstest.Server, token string) (context.Context, kmspb.KeyManagementServiceClient) {
	t.Helper()
	conn, err := grpc.NewClient(server.Endpoint(), grpc.WithTransportCredentials(credentials.NewTLS(server.TLS())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", token), kmspb.NewKeyManagementServiceClient(conn)
}

func newServer(t *testing.T) *gcpckmstest.Server {
	t.Helper()
	server := gcpckmstest.NewServer()
	t.Cleanup(server.Close)
	return server
}

// The Server refuses what the service refuses, so that a client that forgets
// something is found out.
func TestRefusals(t *testing.T) {
	server := newServer(t)
	name := server.KeyID("a")
	ctx, client := dial(t, server, "Bearer "+server.Token())
	good, err := client.Encrypt(ctx, &kmspb.EncryptRequest{Name: name, Plaintext: []byte("x"), AdditionalAuthenticatedData: []byte("y")})
	if err != nil {
		t.Fatal(err)
	}
	if good.VerifiedPlaintextCrc32C || good.VerifiedAdditionalAuthenticatedDataCrc32C {
		t.Error("checksums that were not sent are verified")
	}
	wrong := wrapperspb.Int64(1)
	for what, c := range map[string]struct {
		do   func() error
		want codes.Code
		text string
	}{
		"no such key": {func() error {
			_, err := client.Encrypt(ctx, &kmspb.EncryptRequest{Name: name + "2", Plaintext: []byte("x")})
			return err
		}, codes.NotFound, "not found"},
		"plaintext checksum": {func() error {
			_, err := client.Encrypt(ctx, &kmspb.EncryptRequest{Name: name, Plaintext: []byte("x"), PlaintextCrc32C: wrong})
			return err
		}, codes.InvalidArgument, "field plaintext_crc32c"},
		"associated data checksum": {func() error {
			_, err := client.Encrypt(ctx, &kmspb.EncryptRequest{Name: name, Plaintext: []byte("x"), AdditionalAuthenticatedDataCrc32C: wrong})
			return err
		}, codes.InvalidArgument, "field additional_authenticated_data_crc32c"},
		"ciphertext checksum": {func() error {
			_, err := client.Decrypt(ctx, &kmspb.DecryptRequest{Name: name, Ciphertext: good.Ciphertext, CiphertextCrc32C: wrong})
			return err
		}, codes.InvalidArgument, "field ciphertext_crc32c"},
		"associated data": {func() error {
			_, err := client.Decrypt(ctx, &kmspb.DecryptRequest{Name: name, Ciphertext: good.Ciphertext})
			return err
		}, codes.InvalidArgument, "'additional_authenticated_data'"},
		"another key": {func() error {
			_, err := client.Decrypt(ctx, &kmspb.DecryptRequest{Name: server.KeyID("b"), Ciphertext: good.Ciphertext, AdditionalAuthenticatedData: []byte("y")})
			return err
		}, codes.InvalidArgument, "'name'"},
		"another RPC": {func() error {
			_, err := client.ListKeyRings(ctx, &kmspb.ListKeyRingsRequest{})
			return err
		}, codes.Unimplemented, "ListKeyRings"},
		"no token": {func() error {
			_, client := dial(t, server, "")
			_, err := client.GetCryptoKey(t.Context(), &kmspb.GetCryptoKeyRequest{Name: name})
			return err
		}, codes.Unauthenticated, "invalid authentication"},
		"a forged JWT": {func() error {
			ctx, client := dial(t, server, "Bearer eyJhbGciOiJub25lIn0.e30.")
			_, err := client.GetCryptoKey(ctx, &kmspb.GetCryptoKeyRequest{Name: name})
			return err
		}, codes.Unauthenticated, "invalid authentication"},
	} {
		err := c.do()
		if status.Code(err) != c.want || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: %v, want %v with %q", what, err, c.want, c.text)
		}
	}
	if n := len(server.Requests()); n != 10 {
		t.Errorf("%d requests, want 10", n)
	}
}

// Every failure shows where the package comment says it does, before or after
// the work.
func TestFaults(t *testing.T) {
	for _, f := range kmstest.Failures() {
		for _, after := range []bool{false, true} {
			server := newServer(t)
			cfg := server.Config("a")
			w, err := gcpckms.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, place := context.Background(), kms.Binding{Store: "s"}
			blob, err := w.Wrap(ctx, make([]byte, 32), place)
			if err != nil {
				t.Fatal(err)
			}
			if f == kmstest.Hang {
				cfg.Timeout = 100 * time.Millisecond
				if w, err = gcpckms.New(cfg); err != nil {
					t.Fatal(err)
				}
			}
			calls := make(chan kmstest.Call, 3)
			server.Script(func(c kmstest.Call) kmstest.Fault {
				calls <- c
				return kmstest.Fault{Failure: f, After: after, Delay: time.Millisecond}
			})
			_, wrap := w.Wrap(ctx, make([]byte, 32), place)
			_, unwrap := w.Unwrap(ctx, blob, place)
			_, probe := w.Probe(ctx)
			silent := map[kmstest.Failure][3]bool{ // wrap, unwrap, probe succeed
				kmstest.BadCRC:         {false, false, true},
				kmstest.Truncated:      {false, false, true},
				kmstest.Extended:       {false, false, true},
				kmstest.Recreated:      {true, false, true},
				kmstest.AliasMoved:     {true, false, true},
				kmstest.WrongKeyID:     {false, true, false},
				kmstest.WrongPlaintext: {true, true, true},
				kmstest.OtherPlaintext: {true, true, true},
			}[f]
			if got := [3]bool{wrap == nil, unwrap == nil, probe == nil}; got != silent {
				t.Errorf("%s, after %v: %v succeed, want %v: %v, %v, %v", f, after, got, silent, wrap, unwrap, probe)
			}
			if f == kmstest.Hang {
				continue // a call may have ended before it arrived
			}
			for i, op := range []string{kmstest.OpWrap, kmstest.OpUnwrap, kmstest.OpProbe} {
				if c := <-calls; c.Op != op || c.Key != "a" || c.N != i+2 {
					t.Errorf("%s: the script saw %+v, want %s as %d", f, c, op, i+2)
				}
			}
		}
	}
}

func Example() {
	server := gcpckmstest.NewServer()
	defer server.Close()
	w, err := gcpckms.New(server.Config("unseal"))
	if err != nil {
		log.Fatal(err)
	}
	server.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: 30 * time.Second}))
	_, err = w.Probe(context.Background())
	fmt.Println(kms.Temporary(err), len(server.Requests()))
	// Output: true 1
}
