//go:build unix

package sqltest

import (
	"cmp"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// postgres starts the one PostgreSQL server of this test binary at its first use.
var postgres = sync.OnceValues(func() (*dbServer, error) {
	bin, err := postgresBinaries()
	if err != nil {
		return nil, err
	}
	return product{
		driver: "pgx",
		user:   "postgres",
		dsn:    postgresDSN,
		initialize: func(dir string) []string {
			return []string{filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"}
		},
		serve: func(dir string) []string {
			return []string{filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses="}
		},
		interrupt: "INT",
	}.start()
})

func postgresDSN(dir, user string) string {
	return fmt.Sprintf("host=%s user=%s dbname=postgres sslmode=disable", dir, cmp.Or(user, "admin"))
}

// postgresBinaries returns the directory of initdb and postgres: the server's own,
// as links to single programs do not lead initdb to the others.
func postgresBinaries() (string, error) {
	var dirs []string
	if postgres, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(postgres); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, dir := range append(dirs, installed...) {
		_, initdbErr := os.Stat(filepath.Join(dir, "initdb"))
		_, postgresErr := os.Stat(filepath.Join(dir, "postgres"))
		if initdbErr == nil && postgresErr == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("PostgreSQL: %w: no directory with initdb and postgres in the PATH or in /usr/lib/postgresql", errNoServer)
}

func openPostgres(t testing.TB, user string) *sql.DB {
	t.Helper()
	return openServer(t, postgres, user)
}

// newPostgresDSN returns the name of a new database.
func newPostgresDSN(t *testing.T) string {
	name := unique("processes")
	execute(t, openPostgres(t, "admin"), "CREATE DATABASE "+name)
	s, err := postgres()
	must(t, err)
	return strings.Replace(postgresDSN(s.dir, "admin"), "dbname=postgres", "dbname="+name, 1)
}
