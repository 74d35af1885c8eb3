package etcdstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sealwright/sealwright/seal/etcdstore"
)

// TestWhoDoesNotAnswerIsNamed: etcd was down, and all there was to read was "context
// deadline exceeded". An endpoint may hold a password, which is not named.
func TestWhoDoesNotAnswerIsNamed(t *testing.T) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://user:hunter2@127.0.0.1:1", "127.0.0.1:2", "a:1", "b:1", "c:1", "d:1"},
		Logger:    zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := etcdstore.New(client, etcdstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_, _, err = s.Load(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `no answer of "127.0.0.1:1", "127.0.0.1:2", "a:1", "b:1", "c:1", 1 more`) {
		t.Errorf("it says %v", err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("it says a password: %v", err)
	}
}
