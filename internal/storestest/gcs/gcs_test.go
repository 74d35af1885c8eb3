//go:build unix

// Package gcs_test runs gcsstore on fake-gcs-server, an emulator of Cloud Storage
// whose generations are times in microseconds, as the real ones.
package gcs_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"

	"github.com/sealwright/sealwright/internal/storestest/objecttest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
	"github.com/sealwright/sealwright/seal/objectstore/gcsstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

func start(t *testing.T) (addr string) {
	t.Helper()
	emulator, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, PublicHost: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	emulator.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "127.0.0.1" // under which it serves content
		emulator.HTTPHandler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// open returns a store with a client and a transport of its own.
func open(t testing.TB, addr, bucket, key string) *objectstore.Store {
	t.Helper()
	client, err := storage.NewClient(t.Context(), option.WithEndpoint("http://"+addr+"/storage/v1/"),
		option.WithHTTPClient(&http.Client{Transport: &http.Transport{}}))
	if err != nil {
		t.Fatal(err)
	}
	client.SetRetry(storage.WithMaxAttempts(3), storage.WithBackoff(gax.Backoff{Initial: time.Millisecond, Max: 20 * time.Millisecond}))
	t.Cleanup(func() { client.Close() })
	s, err := gcsstore.New(client, gcsstore.Config{Bucket: bucket, Key: key, PollInterval: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	addr := start(t)
	storetest.Run(t, func(t *testing.T) seal.Store {
		key := objecttest.Key()
		return storetest.Turns(open(t, addr, "bucket", key), open(t, addr, "bucket", key))
	})
}

func TestUnreachable(t *testing.T) {
	for name, s := range map[string]seal.Store{
		"no server":      open(t, "127.0.0.1:1", "bucket", "key"),
		"no such bucket": open(t, start(t), "another", "key"),
	} {
		t.Run(name, func(t *testing.T) {
			storetest.RunUnreachable(t, func(*testing.T) seal.Store { return s })
		})
	}
}

func TestLostAnswers(t *testing.T) {
	wire := storetest.NewWire(t, "tcp", start(t))
	storetest.RunLostAnswers(t, func(t *testing.T) (seal.Store, func(int)) {
		s := open(t, wire.Addr(), "bucket", objecttest.Key())
		if err := s.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s, wire.Lose
	})
}

func TestStaleWriter(t *testing.T) {
	addr := start(t)
	objecttest.StaleWriter(t, "gcs(fake-gcs-server)", 6, func(key string) seal.Store { return open(t, addr, "bucket", key) })
}
