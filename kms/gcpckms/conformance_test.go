package gcpckms_test

import (
	"context"
	"testing"
	"time"

	gcp "cloud.google.com/go/kms/apiv1"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
	"github.com/sealwright/sealwright/kms/kmstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

var (
	_ kms.Prober        = (*gcpckms.Wrapper)(nil)
	_ kms.Authenticator = (*gcpckms.Wrapper)(nil)
	_ gcpckms.Client    = (*gcp.KeyManagementClient)(nil)
)

var home = kms.Binding{Store: "0123456789abcdef", Slot: "cloud", Path: "2.1"}

// newServer starts a KMS that ends with t.
func newServer(t testing.TB) *gcpckmstest.Server {
	t.Helper()
	server := gcpckmstest.NewServer()
	t.Cleanup(server.Close)
	return server
}

func newWrapper(t testing.TB, cfg gcpckms.Config) *gcpckms.Wrapper {
	t.Helper()
	w, err := gcpckms.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// bearer is what a request carries, for gRPC.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// native returns Google's own client of the server.
func native(t *testing.T, server *gcpckmstest.Server) *gcp.KeyManagementClient {
	t.Helper()
	conn, err := grpc.NewClient(server.Endpoint(),
		grpc.WithTransportCredentials(credentials.NewTLS(server.TLS())),
		grpc.WithPerRPCCredentials(bearer(server.Token())))
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

// clients are the two ways of a Wrapper to the KMS.
var clients = map[string]func(t *testing.T, server *gcpckmstest.Server, key string) gcpckms.Config{
	"own": func(t *testing.T, server *gcpckmstest.Server, key string) gcpckms.Config {
		return server.Config(key)
	},
	"host's": func(t *testing.T, server *gcpckmstest.Server, key string) gcpckms.Config {
		return gcpckms.Config{KeyID: server.KeyID(key), Client: native(t, server)}
	},
}

func TestConformance(t *testing.T) {
	for name, config := range clients {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			cases := faults(server)
			if name == "host's" && !exhaustive() {
				cases = nil // TestErrors has them
			}
			kmstest.Conformance(t, func(t *testing.T, key string) kms.Wrapper {
				return newWrapper(t, config(t, server, key))
			}, kmstest.Options{
				Rotate: func(t *testing.T, key string) { server.Rotate(key) },
				Stall: func(t *testing.T, arrived func()) {
					server.Script(func(kmstest.Call) kmstest.Fault {
						arrived()
						return kmstest.Fault{Failure: kmstest.Hang}
					})
					t.Cleanup(func() { server.Script(nil) })
				},
				Faults: cases,
			})
		})
	}
}

// faults are those that the fake knows by name, and those that come from the
// state of a key.
func faults(server *gcpckmstest.Server) []kmstest.FaultCase {
	want := map[kmstest.Failure]error{
		// A checksum notices what was damaged on its way.
		kmstest.Truncated: kms.ErrUnavailable,
		kmstest.Extended:  kms.ErrUnavailable,
	}
	var cases []kmstest.FaultCase
	for _, f := range kmstest.Failures() {
		kind := f.Kind()
		if k, ok := want[f]; ok {
			kind = k
		}
		if kind == nil || f == kmstest.Hang || f == kmstest.WrongKeyID {
			continue // no error; or only after ten seconds; or Decrypt names no key
		}
		c := kmstest.FaultCase{Name: string(f), Want: kind}
		if f == kmstest.Throttled || f == kmstest.ServerError {
			c.RetryAfter = 7 * time.Second
		}
		c.Inject = func(t *testing.T) {
			server.Script(kmstest.Always(kmstest.Fault{Failure: f, RetryAfter: c.RetryAfter}))
			t.Cleanup(func() { server.Script(nil) })
		}
		cases = append(cases, c)
	}
	enable := func(t *testing.T) { t.Cleanup(func() { server.Enable("a", "") }) }
	return append(cases,
		kmstest.FaultCase{Name: "key disabled", Want: kms.ErrKeyDisabled, Inject: func(t *testing.T) {
			server.Disable("a", "")
			enable(t)
		}},
		kmstest.FaultCase{Name: "version scheduled for destruction", Want: kms.ErrKeyGone, Inject: func(t *testing.T) {
			server.ScheduleDeletion("a", "", time.Now().Add(24*time.Hour))
			enable(t)
		}},
		kmstest.FaultCase{Name: "version destroyed", Want: kms.ErrKeyGone, Inject: func(t *testing.T) {
			server.Destroy("a", "")
			enable(t)
		}},
		kmstest.FaultCase{Name: "key made anew under its name", Want: kms.ErrWrongKey, Inject: func(t *testing.T) {
			server.Recreate("a")
		}},
		kmstest.FaultCase{Name: "token revoked", Want: kms.ErrUnauthenticated, Inject: func(t *testing.T) {
			server.Revoke()
		}},
	)
}
