//go:build unix

package dbtest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// StartPostgreSQL starts a PostgreSQL server with these options, or returns
// [ErrNoServer]. Its first user is "admin". It must be closed, and ends at the
// latest with this process.
func StartPostgreSQL(options ...string) (*Server, error) {
	bin, err := postgresBinaries()
	if err != nil {
		return nil, err
	}
	return product{
		driver: "pgx",
		user:   "postgres",
		socket: ".s.PGSQL.5432",
		dsn:    PostgreSQLDSN,
		cached: "postgresql-files",
		initialize: func(dir string) []string {
			return []string{filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"}
		},
		serve: func(dir string) []string {
			return append([]string{filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-c", "jit=off"}, options...)
		},
		interrupt: "INT",
	}.start()
}

// PostgreSQLDSN returns how to connect as this user to the server whose socket
// is, or would be, in a directory.
func PostgreSQLDSN(dir, user string) string {
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
		if exists(filepath.Join(dir, "initdb")) && exists(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("PostgreSQL: %w: no directory with initdb and postgres in the PATH or in /usr/lib/postgresql", ErrNoServer)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
