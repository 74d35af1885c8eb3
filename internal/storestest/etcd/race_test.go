//go:build unix

package etcd_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sealwright/sealwright/internal/sqltest/linear"
	"github.com/sealwright/sealwright/seal"
)

// Writers race while leaders are killed and cut off, and there is an order that
// explains all that they were told; of a store that puts blindly there is none.
func TestStaleWriter(t *testing.T) {
	c := cluster(t)
	var clients []*clientv3.Client
	for range linear.Writers {
		clients = append(clients, connect(t, c.Endpoints()...))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var faults atomic.Int64
	wg.Go(func() { // one fault after the other
		for ctx.Err() == nil {
			leader, err := c.Leader(ctx)
			if err != nil {
				return
			}
			if faults.Add(1)%2 == 0 {
				c.Cut(leader, true)
				time.Sleep(time.Second) // no measure of anything: how long it is away
				c.Cut(leader, false)
				continue
			}
			if err := c.Crash(leader); err != nil {
				t.Error(err)
			}
			time.Sleep(300 * time.Millisecond)
			if err := c.Restart(leader); err != nil {
				t.Error(err)
			}
		}
	})
	more := func(made int) bool {
		if made < 12 || faults.Load() < 4 {
			return true
		}
		cancel()
		wg.Wait()
		return false
	}
	proof := linear.Prove(t, more, func() (stores []seal.Store) {
		key := newKey()
		for _, client := range clients {
			stores = append(stores, short{open(t, client, key)})
		}
		return stores
	})
	if !t.Failed() {
		t.Logf("%s faults=%d", proof.Figures("etcd"), faults.Load())
	}
}
