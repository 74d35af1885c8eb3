//go:build unix

// Package s3_test runs s3store on versitygw, a server of S3 over files.
package s3_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sealwright/sealwright/internal/storestest/objecttest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
	"github.com/sealwright/sealwright/seal/objectstore/s3store"
	"github.com/sealwright/sealwright/seal/storetest"
)

const secret = "a secret of this test"

func start(t *testing.T, flags ...string) *objecttest.Server {
	t.Helper()
	program := objecttest.Cached(t, "versitygw-1.8.0", "versitygw")
	dir := t.TempDir()
	server := objecttest.Start(t, func(host, port string) []string {
		args := append([]string{program, "--access", "user", "--secret", secret, "--port", host + ":" + port, "--quiet", "posix"}, flags...)
		return append(args, dir)
	})
	_, err := connect(server.Addr(), secret).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bucket")})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// connect returns a client with a transport of its own.
func connect(addr, secret string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + addr), UsePathStyle: true, Region: "us-east-1",
		HTTPClient: &http.Client{Transport: &http.Transport{}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "user", SecretAccessKey: secret}, nil
		}),
	})
}

func open(t testing.TB, client *s3.Client, bucket, key string) *objectstore.Store {
	t.Helper()
	s, err := s3store.New(client, s3store.Config{Bucket: bucket, Key: key, PollInterval: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	addr := start(t).Addr()
	storetest.Run(t, func(t *testing.T) seal.Store {
		key := objecttest.Key()
		return storetest.Turns(open(t, connect(addr, secret), "bucket", key), open(t, connect(addr, secret), "bucket", key))
	})
}

func TestUnreachable(t *testing.T) {
	addr := start(t).Addr()
	for name, s := range map[string]seal.Store{
		"no server":      open(t, connect("127.0.0.1:1", secret), "bucket", "key"),
		"no such bucket": open(t, connect(addr, secret), "another", "key"),
		"a wrong secret": open(t, connect(addr, "another"), "bucket", "key"),
	} {
		t.Run(name, func(t *testing.T) {
			storetest.RunUnreachable(t, func(*testing.T) seal.Store { return s })
		})
	}
}

func TestLostAnswers(t *testing.T) {
	wire := storetest.NewWire(t, "tcp", start(t).Addr())
	storetest.RunLostAnswers(t, func(t *testing.T) (seal.Store, func(int)) {
		s := open(t, connect(wire.Addr(), secret), "bucket", objecttest.Key())
		if err := s.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s, wire.Lose
	})
}

// The answers that are lost are those of the proof.
func TestLostAnswersOfTheProof(t *testing.T) {
	wire := storetest.NewWire(t, "tcp", start(t).Addr())
	storetest.RunLostAnswers(t, func(t *testing.T) (seal.Store, func(int)) {
		return open(t, connect(wire.Addr(), secret), "bucket", objecttest.Key()), wire.Lose
	})
}

func TestStaleWriter(t *testing.T) {
	addr := start(t).Addr()
	objecttest.StaleWriter(t, "s3(versitygw)", 12, func(key string) seal.Store {
		return open(t, connect(addr, secret), "bucket", key)
	})
}

// In a bucket whose versions are kept, versitygw lets a swap win whose object was
// deleted, if it names the version before: the proof finds it, and the store stays
// away. S3 itself answers 404 there.
func TestAServerThatSwapsWhatWasDeletedIsRefused(t *testing.T) {
	addr := start(t, "--versioning-dir", t.TempDir()).Addr()
	client := connect(addr, secret)
	if _, err := client.PutBucketVersioning(t.Context(), versioned()); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, client, "bucket", "key").Swap(t.Context(), []byte("one"), "")
	if !errors.Is(err, objectstore.ErrNoConditions) || !strings.Contains(err.Error(), "a swap after a delete won") {
		t.Errorf("Swap: %v, want ErrNoConditions; if versitygw was mended, run the conformance suite here", err)
	}
}

// A killed server keeps what it said it has: that is the page cache's doing, as
// versitygw does not sync. A power cut is another matter.
func TestTheServerIsKilled(t *testing.T) {
	server := start(t)
	returned, lost := objecttest.Killed(t, server, 5, func(key string) seal.Store {
		return open(t, connect(server.Addr(), secret), "bucket", key)
	})
	if lost != 0 {
		t.Errorf("%d of %d Swaps that had returned are lost", lost, returned)
	}
	t.Logf("GUARANTEE 4 durable-s3: server=versitygw kills=5 swaps=%d lost=%d", returned, lost)
}

// Between the store and the server something takes the conditions away, as a gateway
// that does not know them.
func TestAGatewayThatDropsConditionsIsRefused(t *testing.T) {
	addr := start(t).Addr()
	for _, header := range []string{"If-Match", "If-None-Match"} {
		client := connect(addr, secret)
		plain := s3.New(client.Options(), func(o *s3.Options) {
			o.APIOptions = append(o.APIOptions, drop(header))
		})
		key := objecttest.Key()
		_, err := open(t, plain, "bucket", key).Swap(t.Context(), []byte("one"), "")
		if !errors.Is(err, objectstore.ErrNoConditions) || !strings.Contains(err.Error(), "more than one won") {
			t.Errorf("without %s: %v, want ErrNoConditions", header, err)
		}
		if _, _, err := open(t, client, "bucket", key).Load(t.Context()); !errors.Is(err, seal.ErrNotFound) {
			t.Errorf("without %s: Load: %v, want seal.ErrNotFound", header, err)
		}
	}
}

// drop takes a header away before the request is signed, as a gateway that signs anew.
func drop(header string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Build.Add(middleware.BuildMiddlewareFunc("drop", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
			in.Request.(*smithyhttp.Request).Header.Del(header)
			return next.HandleBuild(ctx, in)
		}), middleware.After)
	}
}

func versioned() *s3.PutBucketVersioningInput {
	return &s3.PutBucketVersioningInput{
		Bucket:                  aws.String("bucket"),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}
}
