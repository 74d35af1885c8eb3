package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

func Example() {
	dir, err := os.MkdirTemp("", "sealwright")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", sqliteDSN(filepath.Join(dir, "app.db"), "busy_timeout(5000)"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	store, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.SQLite})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()

	_, _, err = store.Load(ctx)
	fmt.Println("no table:", errors.Is(err, sqlstore.ErrNoTable))
	if err := store.CreateTable(ctx); err != nil {
		panic(err)
	}
	_, _, err = store.Load(ctx)
	fmt.Println("no record:", errors.Is(err, seal.ErrNotFound))

	first, err := store.Swap(ctx, []byte("one"), "")
	if err != nil {
		panic(err)
	}
	if _, err := store.Swap(ctx, []byte("two"), first); err != nil {
		panic(err)
	}
	_, err = store.Swap(ctx, []byte("three"), first)
	fmt.Println("a stale writer:", errors.Is(err, seal.ErrConflict))
	rec, _, err := store.Load(ctx)
	fmt.Printf("%s, %v\n", rec, err)
	// Output:
	// no table: true
	// no record: true
	// a stale writer: true
	// two, <nil>
}

func sqliteDSN(path string, pragmas ...string) string {
	query := url.Values{"_pragma": pragmas}
	return (&url.URL{Scheme: "file", Opaque: filepath.ToSlash(path), RawQuery: query.Encode()}).String()
}

func openSQLite(t testing.TB, path string, pragmas ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", sqliteDSN(path, append(pragmas, "busy_timeout(20000)")...))
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func openStore(t testing.TB, db *sql.DB, cfg sqlstore.Config) *sqlstore.Store {
	t.Helper()
	cfg.PollInterval = 2 * time.Millisecond
	s, err := sqlstore.Open(db, cfg)
	must(t, err)
	return s
}

// openSQLiteStores returns several servers' stores in one new file.
func openSQLiteStores(t testing.TB, n int, pragmas ...string) (stores []seal.Store) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.db")
	for range n {
		s := openStore(t, openSQLite(t, path, pragmas...), sqlstore.Config{Dialect: sqlstore.SQLite})
		must(t, s.CreateTable(t.Context()))
		stores = append(stores, s)
	}
	return stores
}

func TestSQLite(t *testing.T) {
	for name, pragmas := range map[string][]string{
		"rollback journal":    {"journal_mode(DELETE)"},
		"write-ahead log":     {"journal_mode(WAL)"},
		"relaxed, as is made": {"journal_mode(WAL)", "synchronous(NORMAL)"},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) seal.Store {
				stores := openSQLiteStores(t, 3, pragmas...)
				return storetest.Turns(stores[0], stores[1:]...)
			})
		})
	}
}

// One connection in all, as SQLite hosts like to have.
func TestSQLiteSingleConnection(t *testing.T) {
	storetest.Run(t, func(t *testing.T) seal.Store {
		db := openSQLite(t, filepath.Join(t.TempDir(), "app.db"))
		db.SetMaxOpenConns(1)
		s := openStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite})
		must(t, s.CreateTable(t.Context()))
		return s
	})
}

func TestSQLiteEmptyRecord(t *testing.T) {
	s := openSQLiteStores(t, 1)[0]
	for old, rec := "", []byte(nil); ; rec = []byte{} {
		rev, err := s.Swap(t.Context(), rec, old)
		must(t, err)
		if got, gotRev, err := s.Load(t.Context()); err != nil || len(got) != 0 || gotRev != rev {
			t.Errorf("Load = %q, %q, %v, want an empty record at %q", got, gotRev, err, rev)
		}
		if rec != nil {
			return
		}
		old = rev
	}
}

func TestSQLiteUnreachable(t *testing.T) {
	storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
		db := openSQLite(t, filepath.Join(t.TempDir(), "missing", "app.db"))
		return openStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite})
	})
	t.Run("missing table", func(t *testing.T) {
		open := func(t *testing.T) seal.Store {
			db := openSQLite(t, filepath.Join(t.TempDir(), "app.db"))
			return openStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: "main.nothing"})
		}
		storetest.RunUnreachable(t, open)
		wantNoTable(t, open(t))
	})
	t.Run("read-only", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "app.db")
		s := openStore(t, openSQLite(t, path), sqlstore.Config{Dialect: sqlstore.SQLite})
		must(t, s.CreateTable(t.Context()))
		rev, err := s.Swap(t.Context(), []byte("one"), "")
		must(t, err)
		reader := openStore(t, openSQLite(t, path, "query_only(true)"), sqlstore.Config{Dialect: sqlstore.SQLite})
		if rec, _, err := reader.Load(t.Context()); err != nil || string(rec) != "one" {
			t.Errorf("Load = %q, %v", rec, err)
		}
		if _, err := reader.Swap(t.Context(), []byte("two"), rev); err == nil || errors.Is(err, seal.ErrConflict) || errors.Is(err, sqlstore.ErrNoTable) {
			t.Errorf("Swap where nothing may be written: error %v", err)
		}
	})
}

// The swap reaches the disk also where the host made its commits faster, and
// the host's connection is then as it was.
func TestSQLiteSynchronous(t *testing.T) {
	db := openSQLite(t, filepath.Join(t.TempDir(), "app.db"), "journal_mode(WAL)", "synchronous(NORMAL)")
	db.SetMaxOpenConns(1)
	s := openStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite})
	must(t, s.CreateTable(t.Context()))
	for _, rec := range []string{"one", "two"} {
		_, rev, err := s.Load(t.Context())
		if err != nil && !errors.Is(err, seal.ErrNotFound) {
			t.Fatal(err)
		}
		_, err = s.Swap(t.Context(), []byte(rec), rev)
		must(t, err)
		var synchronous int
		must(t, db.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&synchronous))
		if synchronous != 1 {
			t.Errorf("synchronous is %d after Swap, want the host's 1", synchronous)
		}
	}
}

// A journal that a crash does not survive is refused, and so is a database in
// memory.
func TestSQLiteNotDurable(t *testing.T) {
	for _, mode := range []string{"OFF", "MEMORY", ":memory:"} {
		for allowed, want := range map[bool]error{false: sqlstore.ErrNotDurable, true: nil} {
			path, pragma := filepath.Join(t.TempDir(), "app.db"), "journal_mode("+mode+")"
			if mode == ":memory:" {
				path, pragma = mode, "foreign_keys(1)"
			}
			db := openSQLite(t, path, pragma)
			db.SetMaxOpenConns(1)
			s := openStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite, AllowLostCommits: allowed})
			must(t, s.CreateTable(t.Context()))
			if _, err := s.Swap(t.Context(), []byte("one"), ""); !errors.Is(err, want) {
				t.Errorf("%s, allowed %v: Swap: error %v, want %v", mode, allowed, err, want)
			}
		}
	}
}

// It is the attached database whose commits are made to wait, not the main one.
func TestSQLiteAttached(t *testing.T) {
	db := openSQLite(t, filepath.Join(t.TempDir(), "app.db"), "journal_mode(MEMORY)", "synchronous(OFF)")
	db.SetMaxOpenConns(1)
	vault := filepath.Join(t.TempDir(), "vault.db")
	for _, text := range []string{`ATTACH '` + vault + `' AS vault`, `PRAGMA vault.journal_mode = WAL`, `PRAGMA vault.synchronous = OFF`} {
		_, err := db.ExecContext(t.Context(), text)
		must(t, err)
	}
	s := openStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: "vault.records"})
	must(t, s.CreateTable(t.Context()))
	_, err := s.Swap(t.Context(), []byte("one"), "")
	must(t, err)
	_, err = db.ExecContext(t.Context(), `PRAGMA vault.journal_mode = OFF`)
	must(t, err)
	if _, err := s.Swap(t.Context(), []byte("two"), "1"); !errors.Is(err, sqlstore.ErrNotDurable) {
		t.Errorf("Swap where the attached database has no journal: error %v", err)
	}
}

func wantNoTable(t testing.TB, s seal.Store) {
	t.Helper()
	_, _, loadErr := s.Load(t.Context())
	_, createErr := s.Swap(t.Context(), []byte("one"), "")
	_, swapErr := s.Swap(t.Context(), []byte("one"), "1")
	for op, err := range map[string]error{"Load": loadErr, "Swap of a first record": createErr, "Swap": swapErr} {
		if !errors.Is(err, sqlstore.ErrNoTable) || !strings.Contains(err.Error(), "run the migration") {
			t.Errorf("%s: error %v, want ErrNoTable", op, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
