//go:build unix

package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sealwright/sealwright/internal/etcdtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/etcdstore"
)

// three is a cluster that every test shares and leaves whole.
var three = sync.OnceValues(func() (*etcdtest.Cluster, error) { return etcdtest.Start(3) })

func TestMain(m *testing.M) {
	code := m.Run()
	if c, err := three(); err == nil {
		c.Close()
	}
	os.Exit(code)
}

func cluster(t testing.TB) *etcdtest.Cluster {
	t.Helper()
	c, err := three()
	if errors.Is(err, etcdtest.ErrNoServer) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func connect(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// keys are of one test each, as the cluster is everybody's.
var keys atomic.Int64

func newKey() string { return fmt.Sprintf("test/%d", keys.Add(1)) }

func open(t testing.TB, client *clientv3.Client, key string) *etcdstore.Store {
	t.Helper()
	s, err := etcdstore.New(client, etcdstore.Config{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func swap(t testing.TB, s seal.Store, rec, old string) (rev string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rev, err := s.Swap(ctx, []byte(rec), old)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func expect(t testing.TB, s seal.Store, rec, rev string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, at, err := s.Load(ctx)
	if err != nil || string(got) != rec || at != rev {
		t.Fatalf("Load = %q at %q, %v; want %q at %q", got, at, err, rec, rev)
	}
}
