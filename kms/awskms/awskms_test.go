package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/kmstest"
)

var home = kms.Binding{Store: "0123456789abcdef", Slot: "cloud", Path: "2"}

// secretKey is what the tests wrap; no log and no error may show it.
var secretKey = []byte("a-canary-key-that-nobody-may-see")

func start(t testing.TB) *awskmstest.Server {
	s := awskmstest.NewServer()
	t.Cleanup(s.Close)
	return s
}

// with returns a Config for a key of s, by the access key that s knows.
func with(s *awskmstest.Server, key string) awskms.Config {
	return awskms.Config{
		KeyID:           key,
		Endpoint:        s.URL,
		AccessKeyID:     awskmstest.AccessKeyID,
		SecretAccessKey: awskmstest.SecretAccessKey,
		Timeout:         time.Minute, // an answer may be late on a busy machine
	}
}

func open(t testing.TB, cfg awskms.Config) *awskms.Wrapper {
	t.Helper()
	w, err := awskms.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func wrap(t testing.TB, w *awskms.Wrapper) *kms.Blob {
	t.Helper()
	blob, err := w.Wrap(t.Context(), secretKey, home)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func opens(t *testing.T, w *awskms.Wrapper, blob *kms.Blob) {
	t.Helper()
	got, err := w.Unwrap(t.Context(), blob, home)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, secretKey) {
		t.Fatalf("unwrapped %d bytes that are not the key", len(got))
	}
}

// refused checks the kind of an error and that its text has the words.
func refused(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("the error is %v, want %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error is %q, want it to say %q", err, w)
		}
	}
}

func TestConformance(t *testing.T) {
	s := start(t)
	s.OmitKeyMaterial() // a blob can't name the material, so the suite wants Probe to be silent too
	keys := map[string]string{"a": s.CreateKey(), "b": s.CreateKey()}
	inject := func(f awskmstest.Fault) func(*testing.T) {
		return func(t *testing.T) {
			s.Inject(f)
			t.Cleanup(func() { s.Inject(awskmstest.Fault{}) })
		}
	}
	state := func(state string) func(*testing.T) {
		return func(t *testing.T) {
			s.SetState(keys["a"], state)
			t.Cleanup(func() { s.SetState(keys["a"], "Enabled") })
		}
	}
	kmstest.Conformance(t, func(t *testing.T, key string) kms.Wrapper {
		return open(t, with(s, keys[key]))
	}, kmstest.Options{
		Rotate: func(t *testing.T, key string) { s.RotateKey(keys[key]) },
		Stall: func(t *testing.T, arrived func()) {
			inject(awskmstest.Fault{Hang: true, Arrived: func(string) { arrived() }})(t)
		},
		Faults: []kmstest.FaultCase{
			{Name: "outage", Inject: inject(awskmstest.Fault{Drop: true}), Want: kms.ErrUnavailable},
			{Name: "internal error", Inject: inject(awskmstest.Fault{Code: "KMSInternalException", Status: 500}), Want: kms.ErrUnavailable},
			{Name: "throttled", Inject: inject(awskmstest.Fault{Code: "ThrottlingException", RetryAfter: 7 * time.Second}), Want: kms.ErrThrottled, RetryAfter: 7 * time.Second},
			{Name: "denied", Inject: inject(awskmstest.Fault{Code: "AccessDeniedException"}), Want: kms.ErrDenied},
			{Name: "expired credentials", Inject: inject(awskmstest.Fault{Code: "ExpiredTokenException"}), Want: kms.ErrUnauthenticated},
			{Name: "clock skew", Inject: inject(awskmstest.Fault{Skew: time.Hour}), Want: kms.ErrClockSkew},
			{Name: "disabled", Inject: state("Disabled"), Want: kms.ErrKeyDisabled},
			{Name: "pending deletion", Inject: state("PendingDeletion"), Want: kms.ErrKeyGone},
			{Name: "deleted", Inject: inject(awskmstest.Fault{Code: "NotFoundException"}), Want: kms.ErrKeyGone},
			{Name: "wrong key id in the answer", Inject: inject(awskmstest.Fault{Lie: awskmstest.WrongKeyID}), Want: kms.ErrWrongKey},
			{Name: "corrupt in flight", Inject: inject(awskmstest.Fault{Corrupt: true}), Want: kms.ErrCorrupt},
		},
	})
}

func TestBlob(t *testing.T) {
	s := start(t)
	key := s.CreateKey()
	blob := wrap(t, open(t, with(s, key)))
	if len(blob.Ciphertext) == 0 {
		t.Error("no ciphertext")
	}
	blob.Ciphertext = nil
	if diff := cmp.Diff(&kms.Blob{Type: "awskms", KeyID: key}, blob); diff != "" {
		t.Error(diff)
	}
}

// A key has many names; blobs always say its ARN, and open under each of them.
func TestNames(t *testing.T) {
	s := start(t)
	key := s.CreateKey()
	alias := s.Alias("alias/team/prod", key)
	id := key[strings.LastIndexByte(key, '/')+1:]
	names := []string{key, id, alias, "alias/team/prod"}
	for _, name := range names {
		cfg := with(s, name)
		if !strings.HasPrefix(name, "arn:") {
			cfg.Region = awskmstest.Region
		}
		blob := wrap(t, open(t, cfg))
		if blob.KeyID != key {
			t.Errorf("%s: the blob names %q", name, blob.KeyID)
		}
		for _, other := range names {
			cfg := with(s, other)
			cfg.Region = awskmstest.Region
			opens(t, open(t, cfg), blob)
		}
	}
}

func TestMovedAlias(t *testing.T) {
	s := start(t)
	first, second := s.CreateKey(), s.CreateKey()
	alias := s.Alias("alias/prod", first)
	w := open(t, with(s, alias))
	old := wrap(t, w)

	s.Alias("alias/prod", second)
	opens(t, w, old)
	opens(t, open(t, with(s, alias)), old) // a restart
	fresh := wrap(t, w)
	opens(t, w, fresh)
	if old.KeyID != first || fresh.KeyID != second {
		t.Errorf("the blobs name %q and %q", old.KeyID, fresh.KeyID)
	}
	h, err := w.Probe(t.Context())
	if err != nil || h.KeyID != second {
		t.Errorf("probe: %+v, %v", h, err)
	}

	// Configured by its own name, a key opens its own blobs alone, and no
	// request is made for others.
	before := s.Requests("")
	for _, name := range []string{second, second[strings.LastIndexByte(second, '/')+1:]} {
		cfg := with(s, name)
		cfg.Region = awskmstest.Region
		_, err := open(t, cfg).Unwrap(t.Context(), old, home)
		refused(t, err, kms.ErrWrongKey, "is another key", first)
	}
	if n := s.Requests("") - before; n != 0 {
		t.Errorf("%d requests for a blob of another key", n)
	}
}

// An alias opens no blob of another region or account, where the request would
// go astray.
func TestForeignBlob(t *testing.T) {
	s := start(t)
	key := s.CreateKey()
	alias := s.Alias("alias/prod", key)
	blob := wrap(t, open(t, with(s, key)))
	before := s.Requests("")
	for name, c := range map[string]struct {
		key, old, new, words string
	}{
		"region":         {alias, "eu-west-1", "us-east-1", "is in another region"},
		"account":        {alias, "111122223333", "444455556666", "is in another account"},
		"partition":      {alias, "arn:aws:", "arn:aws-cn:", "is in another account"},
		"key's account":  {key, "111122223333", "444455556666", "is in another account"},
		"key's region":   {key, "eu-west-1", "us-east-1", "is in another region"},
		"an alias":       {alias, "key/", "alias/", "is not the ARN of a KMS key"},
		"no ARN":         {alias, "arn:", "urn:", "is not the ARN of a KMS key"},
		"other service":  {alias, ":kms:", ":s3:", "is not the ARN of a KMS key"},
		"wrong id":       {key, "key/0", "key/1", "is another key"},
		"multi-Region":   {alias, key[strings.LastIndexByte(key, ':'):], ":444455556666:key/mrk-1", "is not"},
		"mrk of another": {key, "key/0", "key/mrk-0", "is another key"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := *blob
			bad.KeyID = strings.Replace(blob.KeyID, c.old, c.new, 1)
			_, err := open(t, with(s, c.key)).Unwrap(t.Context(), &bad, home)
			refused(t, err, kms.ErrWrongKey, c.words)
		})
	}
	if n := s.Requests("") - before; n != 0 {
		t.Errorf("%d requests for foreign blobs", n)
	}
}

// The replicas of a multi-Region key open each other's blobs.
func TestMultiRegionKey(t *testing.T) {
	s := start(t)
	key := s.CreateMultiRegionKey()
	replica := strings.Replace(key, awskmstest.Region, "us-east-1", 1)
	blob := wrap(t, open(t, with(s, key)))
	other := open(t, with(s, replica))
	opens(t, other, blob)
	fresh := wrap(t, other)
	if fresh.KeyID != replica {
		t.Errorf("the blob names %q", fresh.KeyID)
	}
	opens(t, open(t, with(s, key)), fresh)

	s.Inject(awskmstest.Fault{Lie: func(_ string, a map[string]any) { a["KeyId"] = key }})
	_, err := other.Wrap(t.Context(), secretKey, home)
	refused(t, err, kms.ErrWrongKey, key) // the other region's replica answers
	s.Inject(awskmstest.Fault{})

	second := s.CreateMultiRegionKey()
	_, err = open(t, with(s, second)).Unwrap(t.Context(), fresh, home)
	refused(t, err, kms.ErrWrongKey, "is another key")
}

func TestKeyMaterial(t *testing.T) {
	s := start(t)
	w := open(t, with(s, s.CreateKey()))
	blob := wrap(t, w)
	h, err := w.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	blob.Version = h.Version
	opens(t, w, blob)
	blob.Version = "another"
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrWrongKey, "key material", h.Version)

	s.RotateKey(blob.KeyID)
	rotated, err := w.Probe(t.Context())
	if err != nil || rotated.Version == h.Version || rotated.Version == "" {
		t.Errorf("probe after the rotation: %+v, %v", rotated, err)
	}
	blob.Version = h.Version
	opens(t, w, blob)
}

func TestProbe(t *testing.T) {
	s := start(t)
	key := s.CreateKey()
	w := open(t, with(s, key))
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		set      func()
		enabled  bool
		deletion time.Time
	}{
		"enabled":          {func() { s.SetState(key, "Enabled") }, true, time.Time{}},
		"disabled":         {func() { s.SetState(key, "Disabled") }, false, time.Time{}},
		"updating":         {func() { s.SetState(key, "Updating") }, true, time.Time{}},
		"unavailable":      {func() { s.SetState(key, "Unavailable") }, false, time.Time{}},
		"pending deletion": {func() { s.ScheduleDeletion(key, at) }, false, at},
	} {
		t.Run(name, func(t *testing.T) {
			c.set()
			h, err := w.Probe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if h.Version == "" {
				t.Error("no key material")
			}
			h.Version = ""
			if diff := cmp.Diff(kms.Health{KeyID: key, Enabled: c.enabled, Deletion: c.deletion}, h); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every call is one request, whatever comes back.
func TestOneRequest(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "5")
	t.Setenv("AWS_RETRY_MODE", "adaptive")
	s := start(t)
	cfg := with(s, s.CreateKey())
	explicit := open(t, cfg)
	cfg.AllowEnvironment = true
	ambient := open(t, cfg)
	for name, w := range map[string]*awskms.Wrapper{"explicit": explicit, "ambient": ambient} {
		blob := wrap(t, w)
		for _, f := range []awskmstest.Fault{
			{},
			{Code: "ThrottlingException"},
			{Code: "LimitExceededException"},
			{Code: "KMSInternalException", Status: 500},
			{Code: "DependencyTimeoutException", Status: 503},
			{Code: "KeyUnavailableException", Status: 500},
			{Code: "RequestTimeout", Status: 408},
			{Skew: time.Hour},
			{Drop: true},
			{Status: 502, Body: "<html>"},
		} {
			s.Inject(f)
			for op, call := range map[string]func() error{
				"Encrypt":     func() error { _, err := w.Wrap(t.Context(), secretKey, home); return err },
				"Decrypt":     func() error { _, err := w.Unwrap(t.Context(), blob, home); return err },
				"DescribeKey": func() error { _, err := w.Probe(t.Context()); return err },
			} {
				before := s.Requests("")
				err := call()
				if n := s.Requests("") - before; n != 1 || s.Requests(op) == 0 {
					t.Errorf("%s: %s with %+v made %d requests, and ended with %v", name, op, f, n, err)
				}
			}
		}
		s.Inject(awskmstest.Fault{})
	}
}

// A call has a deadline, its own or the configured one.
func TestTimeout(t *testing.T) {
	s := start(t)
	cfg := with(s, s.CreateKey())
	blob := wrap(t, open(t, cfg))
	cfg.Timeout = 50 * time.Millisecond
	w := open(t, cfg)
	s.Inject(awskmstest.Fault{Hang: true})
	_, err := w.Unwrap(context.Background(), blob, home)
	refused(t, err, kms.ErrUnavailable, "no answer in time")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

// An answer that stops in its middle is no answer.
func TestHalfAnAnswer(t *testing.T) {
	s := start(t)
	cfg := with(s, s.CreateKey())
	cfg.HTTPClient = halting{s.Client()}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := open(t, cfg).Wrap(ctx, secretKey, home)
	refused(t, err, kms.ErrUnavailable, "no answer in time")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

type halting struct{ client *http.Client }

func (h halting) Do(req *http.Request) (*http.Response, error) {
	resp, err := h.client.Do(req)
	if err == nil {
		resp.Body = haltingBody{req.Context(), resp.Body}
	}
	return resp, err
}

type haltingBody struct {
	ctx context.Context
	io.Closer
}

func (b haltingBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func TestConcurrency(t *testing.T) {
	s := start(t)
	w := open(t, with(s, s.CreateKey()))
	blob := wrap(t, w)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%4 == 0 {
				cancel() // some leave in the middle
			}
			defer cancel()
			_, err := w.Unwrap(ctx, blob, home)
			if err != nil && i%4 != 0 {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
