//go:build cgo

package mattn

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

func TestSQLite(t *testing.T) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "db")+"?_journal_mode=WAL&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	columntest.Conform(t, columntest.Database{DB: db, Dialect: sqlsource.SQLite})
}
