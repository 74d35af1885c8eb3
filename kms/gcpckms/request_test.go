package gcpckms_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/google/go-cmp/cmp"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// each makes one call of every kind and returns their errors.
func each(ctx context.Context, w *gcpckms.Wrapper, blob *kms.Blob) map[string]error {
	_, wrap := w.Wrap(ctx, make([]byte, 32), home)
	_, unwrap := w.Unwrap(ctx, blob, home)
	_, probe := w.Probe(ctx)
	return map[string]error{"wrap": wrap, "unwrap": unwrap, "probe": probe}
}

// Answers that Google's client repeats must reach the caller after one request.
func TestOneRequestPerCall(t *testing.T) {
	requests := 0
	for name, config := range clients {
		server := newServer(t)
		w := newWrapper(t, config(t, server, "a"))
		blob, err := w.Wrap(t.Context(), make([]byte, 32), home)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(server.Requests()); n != 1 {
			t.Fatalf("%s: %d requests for one Wrap", name, n)
		}
		for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.Aborted, codes.Unauthenticated} {
			before := len(server.Requests())
			server.Intercept(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
				return nil, status.Error(code, "not now")
			})
			for op, err := range each(t.Context(), w, blob) {
				if err == nil {
					t.Errorf("%s: %s: no error of %v", name, op, code)
				}
			}
			n := len(server.Requests()) - before
			if n != 3 {
				t.Errorf("%s: %d requests for 3 calls answered with %v", name, n, code)
			}
			requests += n
		}
	}

	// The count is no accident: left to itself, Google's client comes again.
	server := newServer(t)
	id, client := server.KeyID("a"), native(t, server)
	server.Intercept(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if len(server.Requests()) < 3 {
			return nil, status.Error(codes.Unavailable, "not now")
		}
		return next(ctx, q)
	})
	if _, err := client.GetCryptoKey(t.Context(), &kmspb.GetCryptoKeyRequest{Name: id}); err != nil {
		t.Fatal(err)
	}
	if n := len(server.Requests()); n != 3 {
		t.Errorf("the client with its retries made %d requests, want 3", n)
	}
	t.Logf("GUARANTEE 8 gcpckms-requests: calls=36 requests=%d", requests)
}

// The metadata of a request is what Google's own client sends, but for the
// advertisement of versions.
func TestMetadata(t *testing.T) {
	server := newServer(t)
	for _, config := range clients {
		each(t.Context(), newWrapper(t, config(t, server, "a")), nil)
	}
	seen := make(map[string][]metadata.MD)
	for _, r := range server.Requests() {
		for _, k := range []string{"x-goog-api-client", "user-agent", "authorization"} {
			if k == "authorization" && len(r.Metadata.Get(k)) != 1 {
				t.Errorf("%s: the token is there %d times", r.Method, len(r.Metadata.Get(k)))
			}
			r.Metadata.Delete(k)
		}
		seen[r.Method] = append(seen[r.Method], r.Metadata)
	}
	for _, method := range []string{"Encrypt", "GetCryptoKey"} {
		if got := seen[method]; len(got) != 2 {
			t.Errorf("%s: %d requests", method, len(got))
		} else if diff := cmp.Diff(got[0], got[1]); diff != "" {
			t.Errorf("%s: %s", method, diff)
		} else if want := "name=projects%2Ftest%2F"; !strings.HasPrefix(got[0].Get("x-goog-request-params")[0], want) {
			t.Errorf("%s: routed by %q", method, got[0].Get("x-goog-request-params"))
		}
	}
}

// Every request has a deadline: the caller's, or else the Config's.
func TestTimeout(t *testing.T) {
	for name, config := range clients {
		for _, c := range []struct{ timeout, want time.Duration }{{0, 10 * time.Second}, {time.Minute, time.Minute}} {
			server := newServer(t)
			cfg := config(t, server, "a")
			cfg.Timeout = c.timeout
			w := newWrapper(t, cfg)
			var left []time.Duration
			server.Intercept(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				if at, ok := ctx.Deadline(); ok {
					left = append(left, time.Until(at))
				}
				return next(ctx, q)
			})
			each(context.Background(), w, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			_, err := w.Probe(ctx)
			cancel()
			if err != nil || len(left) != 3 {
				t.Fatalf("%s: %v, deadlines %v", name, err, left)
			}
			for i, want := range []time.Duration{c.want, c.want, time.Hour} {
				if left[i] > want || left[i] < want/2 {
					t.Errorf("%s: request %d has %v, want about %v", name, i, left[i], want)
				}
			}
		}
	}
}

func TestTimeoutRunsOut(t *testing.T) {
	for name, config := range clients {
		server := newServer(t)
		cfg := config(t, server, "a")
		cfg.Timeout = 50 * time.Millisecond
		w := newWrapper(t, cfg)
		server.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang}))
		_, err := w.Probe(context.Background())
		if !errors.Is(err, kms.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// New makes no request and looks for no credentials.
func TestNewIsQuiet(t *testing.T) {
	server := newServer(t)
	cfg := server.Config("a")
	cfg.Token = func(context.Context) (*auth.Token, error) {
		t.Error("New asked for a token")
		return nil, errors.New("too early")
	}
	newWrapper(t, cfg)
	newWrapper(t, gcpckms.Config{KeyID: server.KeyID("a"), CredentialsFile: filepath.Join(t.TempDir(), "absent")})
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "absent"))
	newWrapper(t, gcpckms.Config{KeyID: server.KeyID("a"), AllowEnvironment: true})
	if n := len(server.Requests()); n != 0 {
		t.Errorf("New made %d requests", n)
	}
}

// A Wrapper has nothing to close: no goroutine outlives a call.
func TestNothingRemains(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	each(t.Context(), w, nil)
	calls := 60 / step(5)
	before := runtime.NumGoroutine()
	for range calls / 3 {
		each(t.Context(), w, nil)
	}
	// Those of the last connections, on both sides, need a moment to end.
	after := runtime.NumGoroutine()
	for range 500 {
		if after = runtime.NumGoroutine(); after <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if after > before {
		t.Errorf("%d goroutines before %d calls, %d after", before, calls, after)
	}
}

// The proxy of the environment is used only where the Config allows it. The
// variable is read once in a process, so the test starts others.
func TestProxy(t *testing.T) {
	const marker = "GCPCKMS_TEST_PROXY"
	if mode := os.Getenv(marker); mode != "" {
		w := newWrapper(t, gcpckms.Config{
			KeyID:            "projects/p/locations/l/keyRings/r/cryptoKeys/k",
			Endpoint:         "192.0.2.1", // of nobody
			Token:            token("canary"),
			AllowEnvironment: mode == "allowed",
			Timeout:          3 * time.Second,
		})
		_, err := w.Probe(t.Context())
		t.Log(err)
		return
	}
	for mode, want := range map[string]bool{"allowed": true, "forbidden": false} {
		asked := make(chan string, 16)
		address := listen(t, asked)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxy$", "-test.v")
		cmd.Env = append(os.Environ(), marker+"="+mode, "HTTPS_PROXY=http://"+address, "NO_PROXY=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		select {
		case line := <-asked:
			if !want || line != "CONNECT 192.0.2.1:443 HTTP/1.1" {
				t.Errorf("%s: the proxy was asked: %q", mode, line)
			}
		default:
			if want {
				t.Errorf("%s: the proxy was not asked: %s", mode, out)
			}
		}
	}
}

// A damaged or dishonest answer is refused.
func TestAnswers(t *testing.T) {
	encrypt := func(f func(*kmspb.EncryptResponse)) func(any) {
		return func(a any) {
			if a, ok := a.(*kmspb.EncryptResponse); ok {
				f(a)
			}
		}
	}
	decrypt := func(f func(*kmspb.DecryptResponse)) func(any) {
		return func(a any) {
			if a, ok := a.(*kmspb.DecryptResponse); ok {
				f(a)
			}
		}
	}
	probe := func(f func(*kmspb.CryptoKey)) func(any) {
		return func(a any) {
			if a, ok := a.(*kmspb.CryptoKey); ok {
				f(a)
			}
		}
	}
	refill := func(a *kmspb.DecryptResponse, n int) {
		a.Plaintext = make([]byte, n)
		a.PlaintextCrc32C.Value = crc(a.Plaintext)
	}
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	blob, err := w.Wrap(t.Context(), make([]byte, 32), home)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		op    string
		spoil func(any)
		want  error
		words string
	}{
		"plaintext checksum not delivered":       {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.VerifiedPlaintextCrc32C = false }), kms.ErrUnavailable, "did not reach"},
		"associated data checksum not delivered": {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.VerifiedAdditionalAuthenticatedDataCrc32C = false }), kms.ErrUnavailable, "did not reach"},
		"no ciphertext checksum":                 {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.CiphertextCrc32C = nil }), kms.ErrUnavailable, "checksum differs"},
		"wrong ciphertext checksum":              {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.CiphertextCrc32C.Value++ }), kms.ErrUnavailable, "checksum differs"},
		"ciphertext damaged":                     {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.Ciphertext[20] ^= 1 }), kms.ErrUnavailable, "checksum differs"},
		"no ciphertext":                          {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.Ciphertext, a.CiphertextCrc32C.Value = nil, 0 }), kms.ErrCorrupt, "empty"},
		"another key wrapped":                    {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.Name = strings.Replace(a.Name, "/a/", "/b/", 1) }), kms.ErrWrongKey, "another key answered"},
		"a key of a longer name wrapped":         {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.Name = strings.Replace(a.Name, "/a/", "/a2/", 1) }), kms.ErrWrongKey, "another key answered"},
		"no version wrapped":                     {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.Name = strings.TrimSuffix(a.Name, "1") }), kms.ErrWrongKey, "another key answered"},
		"strange version wrapped":                {"wrap", encrypt(func(a *kmspb.EncryptResponse) { a.Name += "/x" }), kms.ErrWrongKey, "another key answered"},
		"no plaintext checksum":                  {"unwrap", decrypt(func(a *kmspb.DecryptResponse) { a.PlaintextCrc32C = nil }), kms.ErrUnavailable, "checksum differs"},
		"plaintext damaged":                      {"unwrap", decrypt(func(a *kmspb.DecryptResponse) { a.Plaintext[7] ^= 1 }), kms.ErrUnavailable, "checksum differs"},
		"empty plaintext":                        {"unwrap", decrypt(func(a *kmspb.DecryptResponse) { refill(a, 0) }), kms.ErrCorrupt, "empty"},
		"plaintext too long":                     {"unwrap", decrypt(func(a *kmspb.DecryptResponse) { refill(a, kms.MaxKeySize+1) }), kms.ErrCorrupt, "too long"},
		"another key probed":                     {"probe", probe(func(a *kmspb.CryptoKey) { a.Name += "2" }), kms.ErrWrongKey, "another key answered"},
		"another key's version probed":           {"probe", probe(func(a *kmspb.CryptoKey) { a.Primary.Name = strings.Replace(a.Primary.Name, "/a/", "/b/", 1) }), kms.ErrWrongKey, "another key's"},
		"asymmetric key":                         {"probe", probe(func(a *kmspb.CryptoKey) { a.Purpose = kmspb.CryptoKey_ASYMMETRIC_SIGN }), kms.ErrMisconfigured, "ASYMMETRIC_SIGN"},
		"answer too long to read":                {"unwrap", decrypt(func(a *kmspb.DecryptResponse) { refill(a, 2<<20) }), kms.ErrCorrupt, "larger than max"},
	} {
		t.Run(name, func(t *testing.T) {
			server.Intercept(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				a, err := next(ctx, q)
				if err == nil {
					a = proto.Clone(a.(proto.Message))
					c.spoil(a)
				}
				return a, err
			})
			for op, err := range each(t.Context(), w, blob) {
				if op != c.op {
					if err != nil {
						t.Errorf("%s: %v", op, err)
					}
				} else if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
					t.Errorf("%s: %v, want %v with %q", op, err, c.want, c.words)
				}
			}
		})
	}
}

// What is sent is checked too: the KMS refuses what was damaged on its way.
func TestRequestDamaged(t *testing.T) {
	for name, damage := range map[string]func(q any){
		"plaintext":       func(q any) { q.(*kmspb.EncryptRequest).Plaintext[0] ^= 1 },
		"associated data": func(q any) { q.(*kmspb.EncryptRequest).AdditionalAuthenticatedData[0] ^= 1 },
	} {
		server := newServer(t)
		server.Intercept(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			damage(q)
			return next(ctx, q)
		})
		_, err := newWrapper(t, server.Config("a")).Wrap(t.Context(), make([]byte, 32), home)
		if !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), "damaged on its way to the KMS") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
