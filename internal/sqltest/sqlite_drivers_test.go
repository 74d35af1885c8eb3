package sqltest

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/sealwright/sealwright/internal/sqltest/sqlitetest"
)

// Modernc's driver and ncruces' stand here; mattn's, which has ncruces' name and
// needs cgo, in a package of its own.
func TestSQLiteDrivers(t *testing.T) {
	for name, open := range map[string]func(path string) (*sql.DB, error){
		"modernc": func(path string) (*sql.DB, error) {
			return sql.Open("sqlite", sqliteDSN(path, "busy_timeout(20000)", "journal_mode(WAL)", "synchronous(NORMAL)"))
		},
		"ncruces": func(path string) (*sql.DB, error) {
			return sql.Open("sqlite3", sqliteDSN(path, "busy_timeout(20000)", "journal_mode(WAL)", "synchronous(NORMAL)"))
		},
		"ncruces as it comes": func(path string) (*sql.DB, error) { return sql.Open("sqlite3", "file:"+filepath.ToSlash(path)) },
	} {
		t.Run(name, func(t *testing.T) { sqlitetest.Run(t, open) })
	}
}
