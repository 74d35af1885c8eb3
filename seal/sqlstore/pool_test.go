package sqlstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal/sqlstore"
)

// Requests that hold every connection, and wait for the store, are named by the
// error; a store that waits for a slow database is not told about its pool.
func TestPoolInUse(t *testing.T) {
	const hint = "all connections of the pool are in use (2), perhaps by requests that wait for this: give the store a pool of its own"
	for _, d := range dialects {
		synctest.Test(t, func(t *testing.T) {
			db, f := newFakeDB(t)
			db.SetMaxOpenConns(2)
			f.rows["default"] = fakeRow{7, []byte("one")}
			var requests []interface{ Rollback() error }
			for range 2 {
				tx, err := db.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				requests = append(requests, tx)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			_, _, loaded := open(t, db, d).Load(ctx)
			_, swapped := open(t, db, d).Swap(ctx, nil, "7")
			for what, err := range map[string]error{"Load": loaded, "Swap": swapped} {
				if !errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(err.Error(), hint) {
					t.Errorf("%v: %s in a pool that is in use: error %v, want %q", d, what, err, hint)
				}
			}
			for _, tx := range requests {
				tx.Rollback()
			}
			f.fail = func(string) error { time.Sleep(time.Minute); return errors.New("slow") }
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			s, err := sqlstore.Open(db, sqlstore.Config{Dialect: d})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Load(ctx); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "pool") {
				t.Errorf("%v: Load from a slow database: error %v", d, err)
			}
			f.fail = nil
			db.Close()
		})
	}
}
