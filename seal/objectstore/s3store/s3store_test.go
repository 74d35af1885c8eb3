package s3store_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
	"github.com/sealwright/sealwright/seal/objectstore/s3store"
	"github.com/sealwright/sealwright/seal/storetest"
)

func open(t testing.TB, client *s3.Client, bucket string) *objectstore.Store {
	t.Helper()
	s, err := s3store.New(client, s3store.Config{Bucket: bucket, PollInterval: time.Millisecond})
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

func TestUnreachable(t *testing.T) {
	for name, spoil := range map[string]func(f *fake) (bucket string){
		"no such bucket": func(*fake) string { return "other" },
		"no right":       func(f *fake) string { f.denied = true; return "bucket" },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
				client, f := newClient(t)
				return open(t, client, spoil(f))
			})
		})
	}
	client, f := newClient(t)
	f.denied = true
	if _, _, err := open(t, client, "bucket").Load(t.Context()); !strings.Contains(fmt.Sprint(err), "s3:ListBucket") {
		t.Errorf("Load without a right: %v, want what right is needed", err)
	}
}

// The SDK tries again by itself what it got no good answer to: a write that took place
// would be refused the second time, and called a conflict.
func TestAWriteIsSentOnce(t *testing.T) {
	client, f := newClient(t)
	s := open(t, client, "bucket")
	if err := s.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.fail[http.MethodPut], f.asked[http.MethodPut] = 1, 0
	if _, err := s.Swap(t.Context(), []byte("one"), ""); err == nil || errors.Is(err, seal.ErrConflict) {
		t.Errorf("a Swap whose answer was lost: %v, want an error that leaves it open", err)
	}
	if f.asked[http.MethodPut] != 1 {
		t.Errorf("it was sent %d times", f.asked[http.MethodPut])
	}
	f.fail[http.MethodGet] = 1
	if rec, _, err := s.Load(t.Context()); err != nil || string(rec) != "one" {
		t.Errorf("Load, whose first answer was lost: %q, %v; want the second", rec, err)
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
	if _, err := s3store.New(nil, s3store.Config{Bucket: "bucket"}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("New without a client: %v, want seal.ErrConfig", err)
	}
	client, _ := newClient(t)
	if _, err := s3store.New(client, s3store.Config{}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("New without a bucket: %v, want seal.ErrConfig", err)
	}
}
