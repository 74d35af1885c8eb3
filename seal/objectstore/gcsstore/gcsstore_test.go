package gcsstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"cloud.google.com/go/storage"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
	"github.com/sealwright/sealwright/seal/objectstore/gcsstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

func open(t testing.TB, client *storage.Client, bucket string) *objectstore.Store {
	t.Helper()
	s, err := gcsstore.New(client, gcsstore.Config{Bucket: bucket, PollInterval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) seal.Store {
		client, _ := newClient(t)
		return open(t, client, "bucket")
	})
}

// The client calls a missing bucket a missing object.
func TestUnreachable(t *testing.T) {
	t.Run("no such bucket", func(t *testing.T) {
		client, _ := newClient(t)
		storetest.RunUnreachable(t, func(t *testing.T) seal.Store { return open(t, client, "other") })
	})
	t.Run("no right", func(t *testing.T) {
		client, f := newClient(t)
		f.denied = true
		storetest.RunUnreachable(t, func(t *testing.T) seal.Store { return open(t, client, "bucket") })
	})
}

// The client tries again by itself what it got no good answer to, if there is a
// condition: a write that took place would be refused the second time, and called a
// conflict.
func TestAWriteIsSentOnce(t *testing.T) {
	client, f := newClient(t)
	s := open(t, client, "bucket")
	if err := s.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.fail, f.uploads = 1, 0
	if _, err := s.Swap(t.Context(), []byte("one"), ""); err == nil || errors.Is(err, seal.ErrConflict) {
		t.Errorf("a Swap whose answer was lost: %v, want an error that leaves it open", err)
	}
	if f.uploads != 1 {
		t.Errorf("it was sent %d times", f.uploads)
	}
	if rec, _, err := s.Load(t.Context()); err != nil || string(rec) != "one" {
		t.Errorf("Load: %q, %v; want what was stored", rec, err)
	}
	if f.cached != "no-store" {
		t.Errorf("the object's Cache-Control is %q", f.cached)
	}
}

func TestAServerWithoutConditionsIsRefused(t *testing.T) {
	client, f := newClient(t)
	f.blind = true
	if _, err := open(t, client, "bucket").Swap(t.Context(), []byte("one"), ""); !errors.Is(err, objectstore.ErrNoConditions) {
		t.Errorf("Swap: %v, want ErrNoConditions", err)
	}
	if len(f.objects) != 0 {
		t.Errorf("%d objects are left, want none", len(f.objects))
	}
}

func TestConfig(t *testing.T) {
	if _, err := gcsstore.New(nil, gcsstore.Config{Bucket: "bucket"}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("New without a client: %v, want seal.ErrConfig", err)
	}
	client, _ := newClient(t)
	if _, err := gcsstore.New(client, gcsstore.Config{}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("New without a bucket: %v, want seal.ErrConfig", err)
	}
}

func TestCancelled(t *testing.T) {
	client, _ := newClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, client, "bucket").Swap(ctx, []byte("one"), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Swap: %v, want context.Canceled", err)
	}
}
