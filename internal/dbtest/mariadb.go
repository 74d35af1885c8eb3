//go:build unix

package dbtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// StartMariaDB starts a MariaDB server with these options, or returns
// [ErrNoServer]. Its first user is root, and there is a database "app". It must
// be closed, and ends at the latest with this process.
//
// A user may have parameters of the session behind them: "root?autocommit=0".
func StartMariaDB(options ...string) (*Server, error) {
	s, err := startMariaDB(nil, options...)
	if err != nil {
		return nil, err
	}
	return s, s.createApp()
}

// startMariaDB is StartMariaDB without the database, which a node of a cluster can't
// make before it has joined, and with these variables in its environment.
func startMariaDB(env []string, options ...string) (*Server, error) {
	install, err := exec.LookPath("mariadb-install-db")
	if err != nil {
		return nil, fmt.Errorf("MariaDB: %w: no mariadb-install-db in the PATH", ErrNoServer)
	}
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		// It may be where only root has its PATH.
		if server = "/usr/sbin/mariadbd"; !exists(server) {
			return nil, fmt.Errorf("MariaDB: %w: no mariadbd in the PATH or in /usr/sbin", ErrNoServer)
		}
	}
	common := func(dir string) []string {
		return []string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--skip-name-resolve", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M",
			"--innodb-use-native-aio=OFF"} // of which a machine has so much, for all servers together
	}
	return product{
		driver: "mysql",
		user:   "mysql",
		socket: "s",
		dsn:    MariaDBDSN,
		cached: "mariadb-files",
		initialize: func(dir string) []string {
			return slices.Concat([]string{install}, common(dir), []string{"--auth-root-authentication-method=normal", "--skip-test-db"})
		},
		serve: func(dir string) []string {
			return slices.Concat([]string{server}, common(dir), []string{"--skip-networking", "--socket=" + filepath.Join(dir, "s"), "--pid-file=" + filepath.Join(dir, "pid")}, options)
		},
		env:       env,
		interrupt: "TERM",
	}.start()
}

// MariaDBDSN returns how to connect as this user to the server whose socket is, or
// would be, in a directory. Nobody in particular is root in no database.
func MariaDBDSN(dir, user string) string {
	socket := filepath.Join(dir, "s")
	if user == "" {
		return fmt.Sprintf("root@unix(%s)/", socket)
	}
	user, parameters, _ := strings.Cut(user, "?")
	return fmt.Sprintf("%s@unix(%s)/app?%s", user, socket, parameters)
}
