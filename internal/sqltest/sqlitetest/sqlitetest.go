// Package sqlitetest runs seal/sqlstore on a driver of SQLite.
package sqlitetest

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// Run runs the suite with several servers on one file, and looks whether a swap
// waits for the disk where the host's commits do not.
func Run(t *testing.T, open func(path string) (*sql.DB, error)) {
	stores := func(t *testing.T, n int) (db *sql.DB, all []seal.Store) {
		path := filepath.Join(t.TempDir(), "app.db")
		for range n {
			var err error
			if db, err = open(path); err != nil {
				t.Fatal(err)
			}
			opened := db
			t.Cleanup(func() { opened.Close() })
			s, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.SQLite, PollInterval: 2 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CreateTable(t.Context()); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		return db, all
	}
	storetest.Run(t, func(t *testing.T) seal.Store {
		_, s := stores(t, 3)
		return storetest.Turns(s[0], s[1:]...)
	})
	t.Run("synchronous", func(t *testing.T) {
		db, s := stores(t, 1)
		db.SetMaxOpenConns(1)
		var before, during, after int
		level := func(dest *int, text string) {
			t.Helper()
			if err := db.QueryRowContext(t.Context(), text).Scan(dest); err != nil {
				t.Fatal(err)
			}
		}
		for _, text := range []string{
			`PRAGMA trusted_schema = ON`, // or ncruces' would not have the trigger look
			`CREATE TABLE seen (synchronous INTEGER)`,
			`CREATE TRIGGER see AFTER INSERT ON sealwright_records BEGIN INSERT INTO seen SELECT synchronous FROM pragma_synchronous; END`,
		} {
			if _, err := db.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		level(&before, `PRAGMA synchronous`)
		if _, err := s[0].Swap(t.Context(), []byte("one"), ""); err != nil {
			t.Fatal(err)
		}
		level(&during, `SELECT synchronous FROM seen`)
		level(&after, `PRAGMA synchronous`)
		const extra = 3
		if during != extra || after != before {
			t.Errorf("synchronous was %d, %d during the swap, and %d after it, want %d during it and what was after it", before, during, after, extra)
		}
		t.Logf("synchronous is %d in this driver's connections", before)
	})
}
