//go:build unix

package dbtest

import (
	"fmt"
	"net"
	"path/filepath"

	"github.com/sealwright/sealwright/internal/freeport"
	"github.com/sealwright/sealwright/internal/servercache"
)

// The servers that speak as MySQL does and are in the user's cache, where
// internal/sqltest/servers puts them.
const (
	DoltVersion = "0.40.5-0.20260306010754-a1fdc83b8378"     // 1.83
	TiDBVersion = "1.1.0-beta.0.20251126154744-e4e814fdc0af" // 8.5
)

// StartDolt starts a Dolt server, or returns [ErrNoServer]. Its first user is root,
// and there is a database "app". It must be closed, and ends at the latest with this
// process.
func StartDolt() (*Server, error) {
	program, err := cached("Dolt", "dolt", DoltVersion, "dolt")
	if err != nil {
		return nil, err
	}
	address, err := freeport.Address() // it listens on one beside its socket
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(address)
	return startKin(product{serve: func(dir string) []string {
		// One that was killed leaves its socket, and the next is then without.
		return []string{"/bin/sh", "-c", `rm -f "$0/s"; DOLT_ROOT_PATH=$0 DOLT_DISABLE_EVENT_FLUSH=1 exec "$@"`, dir, program,
			"sql-server", "--data-dir", filepath.Join(dir, "data"), "--socket", filepath.Join(dir, "s"), "-H", host, "-P", port}
	}})
}

// StartTiDB starts a TiDB server that keeps what it stores by itself, without a
// cluster of TiKV, or returns [ErrNoServer]. For the rest it is as StartDolt's.
func StartTiDB() (*Server, error) {
	program, err := cached("TiDB", "tidb", TiDBVersion, "tidb-server")
	if err != nil {
		return nil, err
	}
	return startKin(product{serve: func(dir string) []string {
		return []string{program, "-store", "unistore", "-path", filepath.Join(dir, "data"), "-socket", filepath.Join(dir, "s"), "-P", "0",
			"-report-status=false", "-temp-dir", filepath.Join(dir, "tmp"), "-log-slow-query", filepath.Join(dir, "slow"), "-L", "warn"}
	}})
}

// startKin starts a server that is used as MariaDB's is. It runs as whoever runs the
// tests, whose cache nobody else may read.
func startKin(p product) (s *Server, err error) {
	p.driver, p.user, p.socket, p.dsn, p.interrupt = "mysql", "root", "s", MariaDBDSN, "TERM"
	p.initialize = func(dir string) []string { return []string{"mkdir", filepath.Join(dir, "data")} }
	if s, err = p.start(); err != nil {
		return nil, err
	}
	return s, s.createApp()
}

// createApp makes the database that a MariaDBDSN names, and closes the server where it
// can't.
func (s *Server) createApp() (err error) {
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	db, err := s.Open("")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec("CREATE DATABASE IF NOT EXISTS app")
	return err
}

// cached returns where a program is in the user's cache.
func cached(product, name, version, program string) (string, error) {
	dir, err := servercache.Dir(name, version)
	if err == nil && exists(filepath.Join(dir, program)) {
		return filepath.Join(dir, program), nil
	}
	return "", fmt.Errorf("%s: %w: cd internal/sqltest && GOWORK=off go run ./servers %s", product, ErrNoServer, name)
}
