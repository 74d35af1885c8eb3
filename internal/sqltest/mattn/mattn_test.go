//go:build cgo

package mattn

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"github.com/sealwright/sealwright/internal/sqltest/sqlitetest"
)

// The driver has synchronous be NORMAL unless it is told otherwise, where SQLite's
// own default is FULL.
func TestMattn(t *testing.T) {
	for name, parameters := range map[string]string{
		"as it comes":     "",
		"write-ahead log": "?_journal_mode=WAL&_busy_timeout=20000",
	} {
		t.Run(name, func(t *testing.T) {
			sqlitetest.Run(t, func(path string) (*sql.DB, error) {
				return sql.Open("sqlite3", "file:"+filepath.ToSlash(path)+parameters)
			})
		})
	}
}
