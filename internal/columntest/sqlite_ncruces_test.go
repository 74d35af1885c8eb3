package columntest_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

func TestSQLiteNcruces(t *testing.T) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "db")+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	columntest.Conform(t, columntest.Database{DB: db, Dialect: sqlsource.SQLite})
}
