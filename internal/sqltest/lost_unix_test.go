//go:build unix

package sqltest

import (
	"database/sql"
	"fmt"
	"net"
	"testing"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// Whichever answer of the server is lost on its way, a swap that took place is no
// conflict, and a record that is there is not "not found".
func TestLostAnswers(t *testing.T) {
	postgresDSN := func(host, port string) string {
		return fmt.Sprintf("host=%s port=%s user=admin dbname=postgres sslmode=disable", host, port)
	}
	mariadbDSN := func(host, port string) string { return fmt.Sprintf("root@tcp(%s)/app", net.JoinHostPort(host, port)) }
	tests := map[string]struct {
		server  func() (*dbtest.Server, error)
		dialect sqlstore.Dialect
		driver  string
		dsn     func(host, port string) string
	}{
		"PostgreSQL, pgx":    {postgres, sqlstore.PostgreSQL, "pgx", postgresDSN},
		"PostgreSQL, lib/pq": {postgres, sqlstore.PostgreSQL, "postgres", postgresDSN},
		"MariaDB":            {mariadb, sqlstore.MySQL, "mysql", mariadbDSN},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			admin := openServer(t, test.server, "")
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
