//go:build unix

package columntest_test

import (
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

func TestSQLite(t *testing.T) {
	columntest.Conform(t, openSQLite(t))
}

// openSQLite opens a new file by modernc's driver, as a server should.
func openSQLite(t testing.TB) columntest.Database {
	t.Helper()
	return open(t, "sqlite", sqliteDSN(filepath.Join(t.TempDir(), "db")), sqlsource.SQLite)
}
