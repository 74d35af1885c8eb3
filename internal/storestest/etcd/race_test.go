//go:build unix

package etcd_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sealwright/sealwright/internal/sqltest/linear"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// Writers race while leaders are killed and cut off, and there is an order that
// explains all that they were told; of a store that puts blindly there is none.
func TestStaleWriter(t *testing.T) {
	c := cluster(t)
	var clients []*clientv3.Client
	for range linear.Writers {
		clients = append(clients, connect(t, c.Endpoints()...))
	}
	fresh := func(wrap func(seal.Store) seal.Store) (stores []seal.Store) {
		key := newKey()
		for _, client := range clients {
			stores = append(stores, wrap(short{open(t, client, key)}))
		}
		return stores
	}
	plain := func(s seal.Store) seal.Store { return s }
	histories, violations, mutant := 0, 0, "missed"
	var total linear.Tally
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
	for ; histories < 12 || faults.Load() < 4; histories++ {
		history := linear.Race(t, fresh(plain), uint64(histories), &total)
		if result := linear.Check(history); result != porcupine.Ok {
			violations++
			t.Errorf("history %d: %s:\n%s", histories, result, linear.Describe(history))
		}
	}
	cancel()
	wg.Wait()
	for i := range 40 { // it may go well once or twice
		var ignored linear.Tally
		if linear.Check(linear.Race(t, fresh(storetest.BlindPut), uint64(i), &ignored)) == porcupine.Illegal {
			mutant = "caught"
			break
		}
	}
	if mutant != "caught" || total.Conflicts == 0 || total.Applied == 0 {
		t.Errorf("the planted store was %s; %+v", mutant, total)
	}
	t.Logf("GUARANTEE 3 stale-writer: histories=%d violations=%d mutant=%s stores=etcd faults=%d swaps=%d conflicts=%d unknown=%d of-them-applied=%d",
		histories, violations, mutant, faults.Load(), total.Swaps, total.Conflicts, total.Unknown, total.Applied)
}
