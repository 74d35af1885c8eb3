package gcpckms_test

import (
	"bufio"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// exhaustive reports whether all trials are to be made, as internal/testlevel has it
// for modules that are not released apart.
func exhaustive() bool { return os.Getenv("SEALWRIGHT_TESTS") == "whole" }

// step is 1 where all is tried, and some otherwise.
func step(some int) int {
	if !exhaustive() {
		return some
	}
	return 1
}

// proved logs a figure for docs/GUARANTEES.md, which has none where a part of the
// trials is made.
func proved(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	if !exhaustive() {
		line = "of a part: " + strings.TrimPrefix(line, "GUARANTEE ")
	}
	t.Log(line)
}

func token(value string) func(context.Context) (*auth.Token, error) {
	return func(context.Context) (*auth.Token, error) { return &auth.Token{Value: value}, nil }
}

func crc(b []byte) int64 {
	return int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// listen accepts connections until t ends, hands the first line of each to
// lines, and closes it.
func listen(t *testing.T, lines chan<- string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(conn).ReadString('\n')
			lines <- strings.TrimSpace(line)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// A gate passes connections on to an address, or closes them at once.
type gate struct {
	address string
	open    atomic.Bool
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	g := &gate{address: l.Addr().String()}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			if !g.open.Load() {
				in.Close()
				continue
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			for _, c := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					defer c[0].Close()
					io.Copy(c[0], c[1])
				}()
			}
		}
	}()
	return g
}

// A stub is a host's client that fails every call, with a trailer.
type stub struct {
	fail func(trailer *metadata.MD) error
}

func (s stub) do(opts []gax.CallOption) error {
	var settings gax.CallSettings
	for _, o := range opts {
		o.Resolve(&settings)
	}
	for _, o := range settings.GRPC {
		if o, ok := o.(grpc.TrailerCallOption); ok {
			return s.fail(o.TrailerAddr)
		}
	}
	return s.fail(new(metadata.MD))
}

func (s stub) Encrypt(_ context.Context, _ *kmspb.EncryptRequest, opts ...gax.CallOption) (*kmspb.EncryptResponse, error) {
	return nil, s.do(opts)
}

func (s stub) Decrypt(_ context.Context, _ *kmspb.DecryptRequest, opts ...gax.CallOption) (*kmspb.DecryptResponse, error) {
	return nil, s.do(opts)
}

func (s stub) GetCryptoKey(_ context.Context, _ *kmspb.GetCryptoKeyRequest, opts ...gax.CallOption) (*kmspb.CryptoKey, error) {
	return nil, s.do(opts)
}

// echo answers a request for a token with what the request said.
func echo(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"bad token %s"}`, r.FormValue("subject_token"))
	}
}
