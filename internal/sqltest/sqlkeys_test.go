package sqltest

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/keyring/named/namedtest"
	"github.com/sealwright/sealwright/keyring/named/sqlkeys"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// keysIn returns a store of named keys in a table of its own.
func keysIn(t *testing.T, db *sql.DB, dialect sqlstore.Dialect, table string) named.Store {
	t.Helper()
	store, err := sqlkeys.Open(db, sqlstore.Config{Dialect: dialect, Table: table})
	must(t, err)
	must(t, store.CreateTable(t.Context()))
	return store
}

func TestSQLiteKeys(t *testing.T) {
	namedtest.Run(t, func(t *testing.T) named.Store {
		db, err := sql.Open("sqlite", sqliteDSN(filepath.Join(t.TempDir(), "app.db"), "busy_timeout(10000)"))
		must(t, err)
		t.Cleanup(func() { db.Close() })
		return keysIn(t, db, sqlstore.SQLite, "")
	})
}
