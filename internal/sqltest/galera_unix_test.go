//go:build unix

package sqltest

import (
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// openGalera opens the two nodes of a cluster, or skips the test.
func openGalera(t *testing.T) (first, second *sql.DB) {
	t.Helper()
	a, b, err := dbtest.StartGalera()
	if errors.Is(err, dbtest.ErrNoServer) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { b.Close(); a.Close() })
	for _, node := range []struct {
		server *dbtest.Server
		db     **sql.DB
	}{{a, &first}, {b, &second}} {
		*node.db, err = node.server.Open("root")
		must(t, err)
		t.Cleanup(func() { (*node.db).Close() })
	}
	return first, second
}

// Two nodes of a cluster that are written to by turns are one store.
func TestGaleraTurns(t *testing.T) {
	a, b := openGalera(t)
	cfg := sqlstore.Config{Dialect: sqlstore.MySQL}
	must(t, openStore(t, a, cfg).CreateTable(t.Context()))
	storetest.Run(t, func(t *testing.T) seal.Store {
		cfg.Name = unique("turns")
		return storetest.Turns(openStore(t, a, cfg), openStore(t, b, cfg))
	})
	// What one node has confirmed the other knows, at once.
	cfg.Name = unique("fresh")
	stores := []seal.Store{openStore(t, a, cfg), openStore(t, b, cfg)}
	rev := ""
	for i := range 200 {
		rec := fmt.Sprint("record ", i)
		next, err := stores[i%2].Swap(t.Context(), []byte(rec), rev)
		if err != nil {
			t.Fatalf("Swap at the present revision: %v", err)
		}
		if got, gotRev, err := stores[(i+1)%2].Load(t.Context()); err != nil || string(got) != rec || gotRev != next {
			t.Fatalf("Load at the other node = %q, %q, %v, want %q, %q", got, gotRev, err, rec, next)
		}
		rev = next
	}
	// Of those who race at both nodes one wins, and the others are told.
	for i := range 50 {
		var won, lost atomic.Int64
		var wg sync.WaitGroup
		for _, s := range append(stores, stores...) {
			wg.Go(func() {
				switch _, err := s.Swap(t.Context(), []byte("mine"), rev); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, seal.ErrConflict):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 3 {
			t.Fatalf("race %d: %d won, %d were told of a conflict, of 4", i, won.Load(), lost.Load())
		}
		_, now, err := stores[0].Load(t.Context())
		must(t, err)
		rev = now
	}
	var wait int
	must(t, a.QueryRowContext(t.Context(), "SELECT @@wsrep_sync_wait").Scan(&wait))
	if wait != 0 {
		t.Errorf("wsrep_sync_wait is %d after all, want the host's 0", wait)
	}
}
