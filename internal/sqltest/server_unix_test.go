//go:build unix

package sqltest

import (
	"database/sql"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/sealwright/sealwright/internal/dbtest"
)

// The servers of this test binary that nobody kills, each started at its first
// use.
var (
	postgres = sync.OnceValues(kept(dbtest.StartPostgreSQL))
	mariadb  = sync.OnceValues(kept(func() (*dbtest.Server, error) { return dbtest.StartMariaDB() }))
)

var servers struct {
	sync.Mutex
	all []*dbtest.Server
}

// kept has a server that was started be closed at the end.
func kept(start func() (*dbtest.Server, error)) func() (*dbtest.Server, error) {
	return func() (*dbtest.Server, error) {
		s, err := start()
		if err == nil {
			servers.Lock()
			servers.all = append(servers.all, s)
			servers.Unlock()
		}
		return s, err
	}
}

func TestMain(m *testing.M) {
	mysql.SetLogger(&mysql.NopLogger{}) // connections break here, and it would say so each time
	code := m.Run()
	for _, s := range servers.all {
		s.Close()
	}
	os.Exit(code)
}

// openServer opens a database of the server as this user, or skips the test.
func openServer(t testing.TB, server func() (*dbtest.Server, error), user string) *sql.DB {
	t.Helper()
	s, err := server()
	if errors.Is(err, dbtest.ErrNoServer) {
		t.Skip(err)
	}
	must(t, err)
	db, err := s.Open(user)
	must(t, err)
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
