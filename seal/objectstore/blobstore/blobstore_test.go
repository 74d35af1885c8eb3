package blobstore_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
	"github.com/sealwright/sealwright/seal/objectstore/blobstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

func open(t testing.TB, client *container.Client) *objectstore.Store {
	t.Helper()
	s, err := blobstore.New(client, blobstore.Config{PollInterval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) seal.Store {
		client, _ := newClient(t, "bucket")
		return open(t, client)
	})
}

func TestUnreachable(t *testing.T) {
	for _, c := range []struct {
		name, container string
		denied          bool
		says            string
	}{
		{"no such container", "other", false, "make the container"},
		{"no right", "bucket", true, "the identity needs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, f := newClient(t, c.container)
			f.denied = c.denied
			s := open(t, client)
			storetest.RunUnreachable(t, func(*testing.T) seal.Store { return s })
			if _, _, err := s.Load(t.Context()); !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("Load: %v, want what to do: %q", err, c.says)
			}
		})
	}
}

// The client tries again by itself what it got no good answer to: a write that took
// place would be refused the second time, and called a conflict.
func TestAWriteIsSentOnce(t *testing.T) {
	client, f := newClient(t, "bucket")
	s := open(t, client)
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
	if rec, _, err := s.Load(t.Context()); err != nil || string(rec) != "one" {
		t.Errorf("Load: %q, %v; want what was stored", rec, err)
	}
}

// A lease refuses with the status of a condition, and is none: whoever loads again
// meets it again.
func TestALeaseIsNoConflict(t *testing.T) {
	client, f := newClient(t, "bucket")
	s := open(t, client)
	rev, err := s.Swap(t.Context(), []byte("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	f.leased = true
	if _, err := s.Swap(t.Context(), []byte("two"), rev); err == nil || errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap of a blob with a lease: %v, want an error that is not seal.ErrConflict", err)
	}
}

func TestAServerWithoutConditionsIsRefused(t *testing.T) {
	client, f := newClient(t, "bucket")
	f.blind = true
	if _, err := open(t, client).Swap(t.Context(), []byte("one"), ""); !errors.Is(err, objectstore.ErrNoConditions) {
		t.Errorf("Swap: %v, want ErrNoConditions", err)
	}
	if len(f.objects) != 0 {
		t.Errorf("%d blobs are left, want none", len(f.objects))
	}
}

func TestConfig(t *testing.T) {
	if _, err := blobstore.New(nil, blobstore.Config{}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("New without a client: %v, want seal.ErrConfig", err)
	}
}
