package awsinterop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/nsmithuk/local-kms/src/config"
	"github.com/nsmithuk/local-kms/src/data"
	"github.com/nsmithuk/local-kms/src/handler"
	"github.com/nsmithuk/local-kms/src/service"
	"github.com/sirupsen/logrus"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

const region = "eu-west-2"

// localKMS is a server, a client of the SDK for what an administrator does, and
// how many requests there were.
type localKMS struct {
	url   string
	admin *awssdk.Client

	mu       sync.Mutex
	requests int
	hang     func()
}

func start(t *testing.T) *localKMS {
	config.AWSRegion, config.AWSAccountId = region, "111122223333"
	db := data.NewDatabase(t.TempDir())
	t.Cleanup(db.Close)
	l := new(localKMS)
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.requests++
		hang := l.hang
		l.mu.Unlock()
		if hang != nil {
			io.Copy(io.Discard, r.Body)
			hang()
			select {
			case <-r.Context().Done():
			case <-done:
			}
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h := handler.NewRequestHandler(r, quiet, db)
		op := map[string]func() handler.Response{
			"CreateKey": h.CreateKey, "CreateAlias": h.CreateAlias, "UpdateAlias": h.UpdateAlias,
			"EnableKey": h.EnableKey, "DisableKey": h.DisableKey,
			"ScheduleKeyDeletion": h.ScheduleKeyDeletion, "CancelKeyDeletion": h.CancelKeyDeletion,
			"Encrypt": h.Encrypt, "Decrypt": h.Decrypt, "DescribeKey": h.DescribeKey,
		}[strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")]
		if op == nil {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		if r.Header.Get("X-Amz-Target") == "TrentService.Decrypt" {
			op = careful(op, body)
		}
		answer := op()
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(answer.Code)
		io.WriteString(w, answer.Body)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	l.url = server.URL
	l.admin = awssdk.New(awssdk.Options{
		Region: region, BaseEndpoint: &l.url,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAADMIN", "secret", ""),
	})
	return l
}

// careful does for local-kms's Decrypt what that omits: it panics on a blob
// that is cut, and does not compare the key's name in one with the one asked.
func careful(decrypt func() handler.Response, body []byte) func() handler.Response {
	return func() (answer handler.Response) {
		defer func() {
			if recover() != nil {
				answer = handler.NewInvalidCiphertextExceptionResponse("")
			}
		}()
		var in struct {
			KeyId          string
			CiphertextBlob []byte
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return handler.NewSerializationExceptionResponse("")
		}
		if key, _, _, ok := service.UnpackCiphertextBlob(in.CiphertextBlob); ok && key != in.KeyId {
			return handler.NewInvalidCiphertextExceptionResponse("")
		}
		return decrypt()
	}
}

func (l *localKMS) create(t *testing.T) string {
	t.Helper()
	out, err := l.admin.CreateKey(t.Context(), &awssdk.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}

func (l *localKMS) open(t *testing.T, key string) *awskms.Wrapper {
	t.Helper()
	w, err := awskms.New(awskms.Config{KeyID: key, Region: region, Endpoint: l.url, AccessKeyID: "AKIAAPP", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (l *localKMS) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// do runs an administrator's call.
func do[T any](t *testing.T) func(*T, error) {
	return func(_ *T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestConformance(t *testing.T) {
	l := start(t)
	keys := map[string]string{"a": l.create(t), "b": l.create(t)}
	a := aws.String(keys["a"])
	kmstest.Conformance(t, func(t *testing.T, key string) kms.Wrapper { return l.open(t, keys[key]) }, kmstest.Options{
		Stall: func(t *testing.T, arrived func()) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.hang = arrived
			t.Cleanup(func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.hang = nil
			})
		},
		Faults: []kmstest.FaultCase{
			{Name: "disabled", Want: kms.ErrKeyDisabled, Inject: func(t *testing.T) {
				do[awssdk.DisableKeyOutput](t)(l.admin.DisableKey(t.Context(), &awssdk.DisableKeyInput{KeyId: a}))
				t.Cleanup(func() {
					if _, err := l.admin.EnableKey(context.Background(), &awssdk.EnableKeyInput{KeyId: a}); err != nil {
						t.Error(err)
					}
				})
			}},
			{Name: "pending deletion", Want: kms.ErrKeyGone, Inject: func(t *testing.T) {
				do[awssdk.ScheduleKeyDeletionOutput](t)(l.admin.ScheduleKeyDeletion(t.Context(), &awssdk.ScheduleKeyDeletionInput{KeyId: a}))
				t.Cleanup(func() {
					_, err := l.admin.CancelKeyDeletion(context.Background(), &awssdk.CancelKeyDeletionInput{KeyId: a})
					if err == nil {
						_, err = l.admin.EnableKey(context.Background(), &awssdk.EnableKeyInput{KeyId: a})
					}
					if err != nil {
						t.Error(err)
					}
				})
			}},
		},
	})
}

// One call is one request here as well, and a moved alias locks nobody out.
func TestMovedAlias(t *testing.T) {
	l := start(t)
	first, second := l.create(t), l.create(t)
	alias := aws.String("alias/prod")
	do[awssdk.CreateAliasOutput](t)(l.admin.CreateAlias(t.Context(), &awssdk.CreateAliasInput{AliasName: alias, TargetKeyId: &first}))
	w := l.open(t, *alias)
	key, place := []byte("0123456789abcdef"), kms.Binding{Store: "s", Slot: "aws"}
	old, err := w.Wrap(t.Context(), key, place)
	if err != nil {
		t.Fatal(err)
	}
	do[awssdk.UpdateAliasOutput](t)(l.admin.UpdateAlias(t.Context(), &awssdk.UpdateAliasInput{AliasName: alias, TargetKeyId: &second}))
	fresh, err := w.Wrap(t.Context(), key, place)
	if err != nil {
		t.Fatal(err)
	}
	if old.KeyID != first || fresh.KeyID != second {
		t.Errorf("the blobs name %q and %q", old.KeyID, fresh.KeyID)
	}
	before := l.count()
	for _, blob := range []*kms.Blob{old, fresh} {
		if got, err := w.Unwrap(t.Context(), blob, place); err != nil || string(got) != string(key) {
			t.Errorf("unwrapped %d bytes, %v", len(got), err)
		}
	}
	if n := l.count() - before; n != 2 {
		t.Errorf("%d requests for two calls", n)
	}
	if _, err := l.open(t, second).Unwrap(t.Context(), old, place); !errors.Is(err, kms.ErrWrongKey) {
		t.Errorf("the blob of the other key: %v", err)
	}
	h, err := w.Probe(t.Context())
	if err != nil || h.KeyID != second || !h.Enabled || h.Version != "" {
		t.Errorf("probe: %+v, %v", h, err)
	}
}

// What is wrong with the key itself is told apart.
func TestErrors(t *testing.T) {
	l := start(t)
	key := l.create(t)
	rsa, err := l.admin.CreateKey(t.Context(), &awssdk.CreateKeyInput{KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  string
		kind error
	}{
		"no such key":   {key[:len(key)-1] + "_", kms.ErrKeyGone},
		"no such alias": {"alias/none", kms.ErrKeyGone},
		"an RSA key":    {*rsa.KeyMetadata.Arn, kms.ErrMisconfigured},
	} {
		if _, err := l.open(t, c.key).Probe(t.Context()); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
}
