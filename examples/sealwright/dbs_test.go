//go:build unix

package main_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// The stores in real databases: inspected, opened, exported, rekeyed.
func TestDatabases(t *testing.T) {
	for name, db := range map[string]struct {
		start   func() (*dbtest.Server, error)
		user    string
		url     func(socket string) string
		dialect sqlstore.Dialect
		blob    string
	}{
		"PostgreSQL": {func() (*dbtest.Server, error) { return dbtest.StartPostgreSQL() }, "admin", func(s string) string {
			return "postgres://admin:hunter2@/postgres?sslmode=disable&host=" + filepath.Dir(s)
		}, sqlstore.PostgreSQL, "text"},
		"MariaDB": {func() (*dbtest.Server, error) { return dbtest.StartMariaDB() }, "root", func(s string) string {
			return "mysql://root@localhost/app?socket=" + s
		}, sqlstore.MySQL, "varchar(500)"},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := db.start()
			if errors.Is(err, dbtest.ErrNoServer) {
				t.Skip("skipped: ", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Close)
			pool, err := server.Open(db.user)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			onDatabase(t, pool, db.url(server.Socket()), db.dialect, db.blob)
		})
	}
}

func onDatabase(t *testing.T, pool *sql.DB, url string, dialect sqlstore.Dialect, column string) {
	secretOf(t, "hunter2")
	secretOf(t, canary)
	s, err := sqlstore.Open(pool, sqlstore.Config{Dialect: dialect})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateTable(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, s, false, func(b *seal.Barrier) {
		must(t, pool, "CREATE TABLE tokens (tenant varchar(20), id integer, secret "+column+", PRIMARY KEY (tenant, id))")
		text, err := b.Box("tokens", "secret").EncryptString(t.Context(), canary, "a", "7")
		if err != nil {
			t.Fatal(err)
		}
		must(t, pool, "INSERT INTO tokens VALUES ('a', 7, '"+text+"')")
	})
	shares := w.shares[0] + w.shares[1]
	at := "@" + w.write(t, "url", url+"\n")
	run(t, "", "inspect", "--store", at).want(t, 0, "any 2 of 3 shares")
	out := filepath.Join(w.dir, "out")
	run(t, shares, "export", "sql", "--store", at, "--table", "tokens", "--columns", "secret", "--out", out).want(t, 0, "exported 1 values")
	if got := string(fileContent(t, out)); !strings.Contains(got, `{"id":["a","7"],"column":"secret","value":"`+canary+`"}`) {
		t.Error(got)
	}
	run(t, shares, "prove", "people", "--store", at).want(t, 1, "does not tell. Stop it and say --server-stopped")
	run(t, shares, "prove", "people", "--store", at, stopped).want(t, 0)
	run(t, "", "inspect", "--store", at, "--record", "other").want(t, 1, "--record")
	run(t, "", "inspect", "--store", at, "--record-table", "nosuch").want(t, 1, "the table is missing")
}
