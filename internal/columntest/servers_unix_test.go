//go:build unix

package columntest_test

import (
	"database/sql"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// The servers of this test binary, each started at its first use. Nobody kills them:
// they need not wait for the disk, which is most of what a small write takes.
var (
	servers  dbtest.Set
	postgres = servers.PostgreSQL("-c", "fsync=off")
	mariadb  = servers.MariaDB("--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=8M") // which TestMariaDBPacket goes beyond
	pooler   = servers.PgBouncer(postgres, 3)
)

func TestMain(m *testing.M) {
	mysql.SetLogger(&mysql.NopLogger{}) // connections break here, and it would say so each time
	code := m.Run()
	servers.Close()
	os.Exit(code)
}

func open(t testing.TB, driver, dsn string, dialect sqlsource.Dialect) columntest.Database {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(8) // PostgreSQL starts a process for each new one
	t.Cleanup(func() { db.Close() })
	return columntest.Database{DB: db, Dialect: dialect}
}

func TestPostgreSQL(t *testing.T) {
	for name, tt := range map[string]struct {
		driver, parameters string
		server             dbtest.Start
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
			columntest.Conform(t, open(t, tt.driver, tt.server.Need(t).DSN("")+tt.parameters, sqlsource.PostgreSQL))
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
			columntest.Conform(t, open(t, "mysql", mariadb.Need(t).DSN("root?"+parameters), sqlsource.MySQL))
		})
	}
}
