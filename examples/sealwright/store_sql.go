package main

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// errURL does not show the URL: a password may stand in it.
var errURL = errors.New("a database is postgres://USER@HOST/NAME or mysql://USER@HOST/NAME, without spaces; what etcd, Kubernetes and object storages hold is taken into a file first, by their own tools: sealwright copy --help")

// databaseURL reads the URL of a database; ok is false for what is none.
func databaseURL(text string) (p place, ok bool, err error) {
	scheme, _, found := strings.Cut(text, "://")
	if !found {
		return p, false, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return p, false, errURL
	}
	switch scheme {
	case "postgres", "postgresql":
		return place{kindPostgres, u.Redacted(), text}, true, nil
	case "mysql", "mariadb":
		return place{kindMySQL, u.Redacted(), mysqlDSN(u)}, true, nil
	case "file":
		return p, false, nil
	}
	return p, false, fmt.Errorf("%w: not %.20q", errURL, scheme)
}

func mysqlDSN(u *url.URL) string {
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr, c.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	if u.Port() == "" {
		c.Addr += ":3306"
	}
	q := u.Query()
	if socket := q.Get("socket"); socket != "" {
		c.Net, c.Addr = "unix", socket
		q.Del("socket")
	}
	dsn := c.FormatDSN()
	if len(q) > 0 {
		sep := "?"
		if strings.Contains(dsn[strings.LastIndex(dsn, "/"):], "?") {
			sep = "&"
		}
		dsn += sep + q.Encode()
	}
	return dsn
}

// openDB opens a database.
func (a *app) openDB(p place) (*sql.DB, error) {
	driver, dsn := "pgx", p.dsn
	switch p.kind {
	case kindMySQL:
		driver = "mysql"
	case kindSQLite:
		abs, err := filepath.Abs(p.dsn)
		if err != nil {
			return nil, err
		}
		driver = "sqlite3"
		u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs), RawQuery: url.Values{"_pragma": {"busy_timeout(5000)"}, "mode": {"rw"}}.Encode()}
		dsn = u.String()
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, errURL) // a driver's error may show the password
	}
	db.SetMaxOpenConns(2)
	a.closers = append(a.closers, func() { db.Close() })
	return db, nil
}

func (a *app) openSQLStore(p place) (seal.Store, error) {
	db, err := a.openDB(p)
	if err != nil {
		return nil, err
	}
	dialect := map[string]sqlstore.Dialect{kindPostgres: sqlstore.PostgreSQL, kindMySQL: sqlstore.MySQL, kindSQLite: sqlstore.SQLite}[p.kind]
	return sqlstore.Open(db, sqlstore.Config{Dialect: dialect, Table: a.cli.RecordTable, Name: a.cli.RecordName})
}

// sourceDialect is the same for a column.
func sourceDialect(kind string) sqlsource.Dialect {
	return map[string]sqlsource.Dialect{kindPostgres: sqlsource.PostgreSQL, kindMySQL: sqlsource.MySQL, kindSQLite: sqlsource.SQLite}[kind]
}
