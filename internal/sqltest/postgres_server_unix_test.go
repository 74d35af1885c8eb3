//go:build unix

package sqltest

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
)

func openPostgres(t testing.TB, user string) *sql.DB {
	t.Helper()
	return openServer(t, postgres, user)
}

// newPostgresDSN returns the name of a new database.
func newPostgresDSN(t *testing.T) string {
	name := unique("processes")
	execute(t, openPostgres(t, "admin"), "CREATE DATABASE "+name)
	return strings.Replace(postgres.Need(t).DSN("admin"), "dbname=postgres", "dbname="+name, 1)
}
