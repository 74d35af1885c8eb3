//go:build unix

package sqltest

import (
	"database/sql"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/sealwright/sealwright/internal/dbtest"
)

// The servers of this test binary that nobody kills, each started at its first
// use.
var (
	servers  dbtest.Set
	postgres = servers.PostgreSQL()
	mariadb  = servers.MariaDB()
	pooler   = servers.PgBouncer(postgres, 3) // in transaction mode
)

func TestMain(m *testing.M) {
	mysql.SetLogger(&mysql.NopLogger{}) // connections break here, and it would say so each time
	code := m.Run()
	servers.Close()
	os.Exit(code)
}

// openServer opens a database of the server as this user, or skips the test. Its
// pool keeps the connections that a race takes: PostgreSQL starts a process for
// each new one.
func openServer(t testing.TB, server dbtest.Start, user string) *sql.DB {
	t.Helper()
	db, err := server.Need(t).Open(user)
	must(t, err)
	db.SetMaxIdleConns(8)
	t.Cleanup(func() { db.Close() })
	return db
}

func execute(t testing.TB, db *sql.DB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}
