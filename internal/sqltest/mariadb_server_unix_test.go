//go:build unix

package sqltest

import (
	"database/sql"
	"net/url"
	"strings"
	"testing"
)

// session is the user root with parameters of the driver or variables of the
// server, name and value in turn.
func session(parameters ...string) string {
	query := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	return "root?" + query.Encode()
}

func openMariaDB(t testing.TB, user string) *sql.DB {
	t.Helper()
	return openServer(t, mariadb, user)
}

// newMariaDBDSN returns the name of a new database.
func newMariaDBDSN(t *testing.T) string {
	name := unique("processes")
	execute(t, openMariaDB(t, "root"), "CREATE DATABASE "+name)
	return strings.Replace(mariadb.Need(t).DSN("root"), ")/app?", ")/"+name+"?", 1)
}
