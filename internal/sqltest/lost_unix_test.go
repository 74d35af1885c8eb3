//go:build unix

package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// networked are the drivers that reach a server over a network.
var networked = map[string]struct {
	server  dbtest.Start
	dialect sqlstore.Dialect
	driver  string
	dsn     func(host, port string) string
}{
	"PostgreSQL, pgx":    {postgres, sqlstore.PostgreSQL, "pgx", postgresOver},
	"PostgreSQL, lib/pq": {postgres, sqlstore.PostgreSQL, "postgres", postgresOver},
	"MariaDB":            {mariadb, sqlstore.MySQL, "mysql", mariadbOver},
}

func postgresOver(host, port string) string {
	return fmt.Sprintf("host=%s port=%s user=admin dbname=postgres sslmode=disable", host, port)
}

func mariadbOver(host, port string) string {
	return fmt.Sprintf("root@tcp(%s)/app", net.JoinHostPort(host, port))
}

// Whichever answer of the server is lost on its way, a swap that took place is no
// conflict, and a record that is there is not "not found".
func TestLostAnswers(t *testing.T) {
	for name, test := range networked {
		t.Run(name, func(t *testing.T) {
			admin := openServer(t, test.server, "admin")
			if test.dialect == sqlstore.MySQL {
				admin = openServer(t, test.server, "root")
			}
			must(t, openStore(t, admin, sqlstore.Config{Dialect: test.dialect}).CreateTable(t.Context()))
			s, err := test.server()
			must(t, err)
			storetest.RunLostAnswers(t, func(t *testing.T) (seal.Store, func(n int)) {
				w := storetest.NewWire(t, "unix", s.Socket())
				host, port, err := net.SplitHostPort(w.Addr())
				must(t, err)
				db, err := sql.Open(test.driver, test.dsn(host, port))
				must(t, err)
				t.Cleanup(func() { db.Close() })
				return openStore(t, db, sqlstore.Config{Dialect: test.dialect, Name: unique("lost")}), w.Lose
			})
		})
	}
}

// A server that stops to answer, in whichever place of the conversation, keeps a
// call no longer than its context, and nothing of the pool.
func TestServerHangs(t *testing.T) {
	for name, test := range networked {
		t.Run(name, func(t *testing.T) {
			if test.driver == "postgres" {
				t.Skip("lib/pq asks the server to cancel, and waits for what it was waiting for")
			}
			admin := openServer(t, test.server, "admin")
			if test.dialect == sqlstore.MySQL {
				admin = openServer(t, test.server, "root")
			}
			cfg := sqlstore.Config{Dialect: test.dialect, Name: unique("hangs")}
			must(t, openStore(t, admin, cfg).CreateTable(t.Context()))
			rev, err := openStore(t, admin, cfg).Swap(t.Context(), []byte("one"), "")
			must(t, err)
			server, err := test.server()
			must(t, err)
			w := storetest.NewWire(t, "unix", server.Socket())
			host, port, err := net.SplitHostPort(w.Addr())
			must(t, err)
			db, err := sql.Open(test.driver, test.dsn(host, port))
			must(t, err)
			t.Cleanup(func() { db.Close() })
			db.SetMaxOpenConns(2)
			s := openStore(t, db, cfg)
			for _, connected := range []bool{false, true} {
				if connected {
					_, _, err := s.Load(t.Context())
					must(t, err)
				}
				w.Hang(true)
				for what, do := range map[string]func(context.Context) error{
					"Load": func(ctx context.Context) error { _, _, err := s.Load(ctx); return err },
					"Swap": func(ctx context.Context) error { _, err := s.Swap(ctx, []byte("two"), rev); return err },
				} {
					ended := make(chan error, 1)
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					defer cancel()
					go func() { ended <- do(ctx) }()
					select {
					case err := <-ended:
						if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, seal.ErrNotFound) || errors.Is(err, seal.ErrConflict) {
							t.Errorf("%s (connected before: %v): error %v, want context.DeadlineExceeded", what, connected, err)
						}
					case <-time.After(30 * time.Second):
						t.Fatalf("%s (connected before: %v) does not come back with its context", what, connected)
					}
				}
				w.Hang(false)
			}
		})
	}
}
