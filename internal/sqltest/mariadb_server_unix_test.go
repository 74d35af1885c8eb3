//go:build unix

package sqltest

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// mariadb starts the one MariaDB server of this test binary that nobody kills, at
// its first use.
var mariadb = sync.OnceValues(func() (*dbServer, error) { return startMariaDB() })

// startMariaDB starts a server of its own, with these options.
func startMariaDB(options ...string) (*dbServer, error) {
	install, err := exec.LookPath("mariadb-install-db")
	if err != nil {
		return nil, fmt.Errorf("MariaDB: %w: no mariadb-install-db in the PATH", errNoServer)
	}
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		// It may be where only root has its PATH.
		if server = "/usr/sbin/mariadbd"; !exists(server) {
			return nil, fmt.Errorf("MariaDB: %w: no mariadbd in the PATH or in /usr/sbin", errNoServer)
		}
	}
	common := func(dir string) []string {
		return []string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--skip-name-resolve", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"}
	}
	s, err := product{
		driver: "mysql",
		user:   "mysql",
		dsn:    mariadbDSN,
		initialize: func(dir string) []string {
			return slices.Concat([]string{install}, common(dir), []string{"--auth-root-authentication-method=normal", "--skip-test-db"})
		},
		serve: func(dir string) []string {
			return slices.Concat([]string{server}, common(dir), []string{"--skip-networking", "--socket=" + filepath.Join(dir, "s"), "--pid-file=" + filepath.Join(dir, "pid")}, options)
		},
		interrupt: "TERM",
	}.start()
	if err != nil {
		return nil, err
	}
	db, err := s.open("")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	_, err = db.Exec("CREATE DATABASE app")
	return s, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// mariadbDSN has parameters of the session after the user: "root?autocommit=0".
// Nobody in particular is root in no database.
func mariadbDSN(dir, user string) string {
	socket := filepath.Join(dir, "s")
	if user == "" {
		return fmt.Sprintf("root@unix(%s)/", socket)
	}
	user, parameters, _ := strings.Cut(user, "?")
	return fmt.Sprintf("%s@unix(%s)/app?%s", user, socket, parameters)
}

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
	s, err := mariadb()
	must(t, err)
	return strings.Replace(mariadbDSN(s.dir, "root"), ")/app?", ")/"+name+"?", 1)
}
