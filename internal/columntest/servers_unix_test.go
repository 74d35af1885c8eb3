//go:build unix

package columntest_test

import (
	"database/sql"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// The servers of this test binary, each started at its first use.
var (
	postgres = sync.OnceValues(kept(dbtest.StartPostgreSQL))
	mariadb  = sync.OnceValues(kept(func() (*dbtest.Server, error) { return dbtest.StartMariaDB() }))
	pooler   = sync.OnceValues(kept(func() (*dbtest.Server, error) {
		server, err := postgres()
		if err != nil {
			return nil, err
		}
		return dbtest.StartPgBouncer(server, 3)
	}))
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
	for i := len(servers.all) - 1; i >= 0; i-- {
		servers.all[i].Close()
	}
	os.Exit(code)
}

// dsn returns how to connect to a server, or skips the test.
func dsn(t testing.TB, server func() (*dbtest.Server, error), user string) string {
	t.Helper()
	s, err := server()
	if errors.Is(err, dbtest.ErrNoServer) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.DSN(user)
}

func open(t testing.TB, driver, dsn string, dialect sqlsource.Dialect) columntest.Database {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return columntest.Database{DB: db, Dialect: dialect}
}

func TestPostgreSQL(t *testing.T) {
	for name, tt := range map[string]struct {
		driver, parameters string
		server             func() (*dbtest.Server, error)
	}{
		"pgx":                       {"pgx", "", postgres},
		"pgx, simple protocol":      {"pgx", " default_query_exec_mode=simple_protocol", postgres},
		"lib/pq":                    {"postgres", "", postgres},
		"lib/pq, binary":            {"postgres", " binary_parameters=yes", postgres},
		"pgbouncer, pgx exec":       {"pgx", " default_query_exec_mode=exec", pooler},
		"pgbouncer, pgx describe":   {"pgx", " default_query_exec_mode=describe_exec", pooler},
		"pgbouncer, pgx simple":     {"pgx", " default_query_exec_mode=simple_protocol", pooler},
		"pgbouncer, lib/pq":         {"postgres", "", pooler},
		"pgbouncer, lib/pq, binary": {"postgres", " binary_parameters=yes", pooler},
	} {
		t.Run(name, func(t *testing.T) {
			columntest.Conform(t, open(t, tt.driver, dsn(t, tt.server, "")+tt.parameters, sqlsource.PostgreSQL))
		})
	}
}

func TestMariaDB(t *testing.T) {
	for name, parameters := range map[string]string{
		"as it comes":                        "",
		"interpolateParams":                  "interpolateParams=true",
		"clientFoundRows":                    "clientFoundRows=true",
		"interpolateParams, clientFoundRows": "interpolateParams=true&clientFoundRows=true",
		"latin1":                             "charset=latin1",
		"another collation":                  "collation=utf8mb4_bin",
	} {
		t.Run(name, func(t *testing.T) {
			columntest.Conform(t, open(t, "mysql", dsn(t, mariadb, "root?"+parameters), sqlsource.MySQL))
		})
	}
}
