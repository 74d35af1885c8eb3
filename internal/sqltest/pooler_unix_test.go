//go:build unix

package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/lib/pq"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// The ways in which PostgreSQL's two drivers put a statement on the wire. Some
// have the server keep it under a name, which this pooler does not know of, and
// are refused some of the time.
var postgresModes = map[string]struct {
	driver, parameter string
	refused           bool
}{
	"pgx as it comes":      {"pgx", "", true},
	"pgx, cache_describe":  {"pgx", "default_query_exec_mode=cache_describe", false},
	"pgx, describe_exec":   {"pgx", "default_query_exec_mode=describe_exec", false},
	"pgx, exec":            {"pgx", "default_query_exec_mode=exec", false},
	"pgx, simple_protocol": {"pgx", "default_query_exec_mode=simple_protocol", false},
	"lib/pq":               {"postgres", "", false},
	"lib/pq, binary":       {"postgres", "binary_parameters=yes", false},
}

// Behind a pooler in transaction mode a statement that a driver prepares and then
// executes may be another client's by then. No load may answer with what is there,
// or not there, for that one.
func TestPoolerAnswersForAnother(t *testing.T) {
	openServer(t, pooler, "admin") // or skip
	direct := openPostgres(t, "admin")
	must(t, openStore(t, direct, sqlstore.Config{Dialect: sqlstore.PostgreSQL}).CreateTable(t.Context()))
	for name, mode := range postgresModes {
		t.Run(name, func(t *testing.T) {
			var right, wrong, refused atomic.Int64
			var wg sync.WaitGroup
			for range 12 {
				db := openPooled(t, mode.driver, mode.parameter)
				cfg := sqlstore.Config{Dialect: sqlstore.PostgreSQL, Name: unique("pooled")}
				rec := []byte("the record " + cfg.Name)
				rev, err := openStore(t, direct, cfg).Swap(t.Context(), rec, "")
				must(t, err)
				s := openStore(t, db, cfg)
				ctx, cancel := context.WithCancel(t.Context())
				go s.Watch(ctx, make(chan struct{})) // it sends other statements
				wg.Go(func() {
					defer cancel()
					for range 60 {
						got, gotRev, err := s.Load(t.Context())
						switch {
						case err == nil && gotRev == rev && string(got) == string(rec):
							right.Add(1)
						case err == nil, errors.Is(err, seal.ErrNotFound), errors.Is(err, sqlstore.ErrNoTable):
							wrong.Add(1)
							if wrong.Load() == 1 {
								t.Errorf("Load = %q, %q, %v, want %q, %q", got, gotRev, err, rec, rev)
							}
						default:
							if refused.Add(1) == 1 && (!mode.refused || !strings.Contains(err.Error(), "default_query_exec_mode")) {
								t.Errorf("Load: error %v", err)
							}
						}
					}
				})
			}
			wg.Wait()
			t.Logf("right=%d wrong=%d refused=%d", right.Load(), wrong.Load(), refused.Load())
		})
	}
}

// openPooled opens the database behind the pooler.
func openPooled(t testing.TB, driver, parameter string) *sql.DB {
	t.Helper()
	s := pooler.Need(t)
	db, err := sql.Open(driver, s.DSN("admin")+" "+parameter)
	must(t, err)
	db.SetMaxIdleConns(8)
	t.Cleanup(func() { db.Close() })
	return db
}

// Both drivers pass the suite, also behind the pooler.
func TestPostgreSQLDrivers(t *testing.T) {
	server := postgres.Need(t)
	must(t, openStore(t, openPostgres(t, "admin"), sqlstore.Config{Dialect: sqlstore.PostgreSQL}).CreateTable(t.Context()))
	suite := func(name string, open func(t *testing.T) *sql.DB) {
		t.Run(name, func(t *testing.T) {
			one, other := open(t), open(t) // or skip
			storetest.Run(t, func(t *testing.T) seal.Store {
				cfg := sqlstore.Config{Dialect: sqlstore.PostgreSQL, Name: unique("driver")}
				return storetest.Turns(openStore(t, one, cfg), openStore(t, other, cfg))
			})
		})
	}
	suite("lib/pq", func(t *testing.T) *sql.DB {
		db, err := sql.Open("postgres", server.DSN("admin"))
		must(t, err)
		db.SetMaxIdleConns(8)
		t.Cleanup(func() { db.Close() })
		return db
	})
	for name, mode := range postgresModes {
		if !mode.refused {
			suite(name+", pooled", func(t *testing.T) *sql.DB { return openPooled(t, mode.driver, mode.parameter) })
		}
	}
}
