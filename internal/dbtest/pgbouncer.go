//go:build unix

package dbtest

import (
	"errors"
	"fmt"
	"os/exec"
)

// StartPgBouncer starts PgBouncer, a pooler, in transaction mode before a
// PostgreSQL server, or returns [ErrNoServer]: each transaction, and each
// statement outside of one, gets any of so many connections to the server, which
// all clients share. It must be closed before the server is.
func StartPgBouncer(server *Server, connections int) (*Server, error) {
	bouncer, err := exec.LookPath("pgbouncer")
	if err != nil {
		// It may be where only root has its PATH.
		if bouncer = "/usr/sbin/pgbouncer"; !exists(bouncer) {
			return nil, fmt.Errorf("PgBouncer: %w: no pgbouncer in the PATH or in /usr/sbin", ErrNoServer)
		}
	}
	if server.driver != "pgx" {
		return nil, errors.New("PgBouncer is for PostgreSQL")
	}
	settings := `[databases]
* = host=%s user=admin
[pgbouncer]
unix_socket_dir = %s
listen_addr =
listen_port = 5432
auth_type = any
pool_mode = transaction
default_pool_size = %d
ignore_startup_parameters = extra_float_digits
`
	return product{
		driver: "pgx",
		user:   "postgres",
		socket: ".s.PGSQL.5432",
		dsn:    PostgreSQLDSN,
		initialize: func(dir string) []string {
			return []string{"/bin/sh", "-c", `printf %s "$1" >pgbouncer.ini`, "sh", fmt.Sprintf(settings, server.dir, dir, connections)}
		},
		serve:     func(string) []string { return []string{bouncer, "pgbouncer.ini"} },
		interrupt: "INT",
	}.start()
}
