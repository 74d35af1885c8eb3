//go:build unix

package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// mariadbStores returns what makes n servers' stores of a new record.
func mariadbStores(t testing.TB, user string, n int) func() []seal.Store {
	t.Helper()
	var dbs []*sql.DB
	for range n {
		dbs = append(dbs, openMariaDB(t, user))
	}
	must(t, openStore(t, openMariaDB(t, "root"), sqlstore.Config{Dialect: sqlstore.MySQL}).CreateTable(t.Context()))
	return func() (stores []seal.Store) {
		name := unique("record")
		for _, db := range dbs {
			stores = append(stores, openStore(t, db, sqlstore.Config{Dialect: sqlstore.MySQL, Name: name}))
		}
		return stores
	}
}

// disturbedMariaDBStores are such stores whose connections are ended by the server
// again and again, whatever goes on in them.
func disturbedMariaDBStores(t testing.TB, n int) func() []seal.Store {
	admin := openMariaDB(t, "root")
	user := unique("disturbed")
	execute(t, admin, `CREATE USER `+user+`@localhost`, `GRANT ALL ON app.* TO `+user+`@localhost`)
	return disturbed(t, mariadbStores(t, user, n), func(ctx context.Context) {
		admin.ExecContext(ctx, `KILL CONNECTION USER `+user+`@localhost`)
	})
}

// What a host may make of its sessions and its driver does not change what a store
// does.
func TestMariaDB(t *testing.T) {
	admin := openMariaDB(t, "root") // or skip
	var version string
	must(t, admin.QueryRowContext(t.Context(), "SELECT VERSION()").Scan(&version))
	sessions := map[string][]string{
		"as it comes":       nil, // REPEATABLE READ
		"rows found":        {"clientFoundRows", "true"},
		"read uncommitted":  {"tx_isolation", "'READ-UNCOMMITTED'"},
		"read committed":    {"tx_isolation", "'READ-COMMITTED'"},
		"serializable":      {"tx_isolation", "'SERIALIZABLE'"},
		"snapshots":         {"innodb_snapshot_isolation", "1"},
		"no autocommit":     {"autocommit", "0"},
		"chained":           {"completion_type", "'CHAIN'"},
		"not strict":        {"sql_mode", "''"},
		"ANSI, traditional": {"sql_mode", "'ANSI,TRADITIONAL'"},
		"interpolated":      {"interpolateParams", "true", "clientFoundRows", "true"},
		"no backslashes":    {"interpolateParams", "true", "sql_mode", "'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'"},
		"latin1":            {"interpolateParams", "true", "charset", "latin1", "collation", "latin1_german1_ci"},
		"binary":            {"charset", "binary", "collation", "binary"},
	}
	for name, parameters := range sessions {
		t.Run(name, func(t *testing.T) {
			fresh := mariadbStores(t, session(parameters...), 3)
			storetest.Run(t, func(t *testing.T) seal.Store {
				stores := fresh()
				return storetest.Turns(stores[0], stores[1:]...)
			})
		})
	}
	t.Logf("%s: %d kinds of sessions", version, len(sessions))
}

// A store never reads what is not committed, nor what was there before, also where
// the host's own statements do.
func TestMariaDBReads(t *testing.T) {
	admin := openMariaDB(t, "root")
	for name, parameters := range map[string][]string{
		"read uncommitted": {"tx_isolation", "'READ-UNCOMMITTED'"},
		"no autocommit":    {"autocommit", "0"},
		"chained":          {"completion_type", "'CHAIN'"},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, openStore(t, admin, sqlstore.Config{Dialect: sqlstore.MySQL}).CreateTable(t.Context()))
			db := openMariaDB(t, session(parameters...))
			db.SetMaxOpenConns(1)
			cfg := sqlstore.Config{Dialect: sqlstore.MySQL, Name: unique("read")}
			s, other := openStore(t, db, cfg), openStore(t, admin, cfg)
			rev, err := s.Swap(t.Context(), []byte("one"), "")
			must(t, err)
			expect := func(want, wantRev string) {
				t.Helper()
				if rec, rev, err := s.Load(t.Context()); err != nil || string(rec) != want || rev != wantRev {
					t.Errorf("Load = %q, %q, %v, want %q", rec, rev, err, want)
				}
			}
			expect("one", rev)
			tx, err := admin.BeginTx(t.Context(), nil)
			must(t, err)
			_, err = tx.Exec("UPDATE sealwright_records SET record = 'never', revision = 7 WHERE name = ?", cfg.Name)
			must(t, err)
			expect("one", rev)
			must(t, tx.Rollback())
			if rev, err = other.Swap(t.Context(), []byte("two"), rev); err != nil {
				t.Fatal(err)
			}
			expect("two", rev)
		})
	}
}

// Of those who create one record at the same moment one succeeds, and the others
// are told that there is one.
func TestMariaDBCreators(t *testing.T) {
	const creators, rounds = 6, 30
	fresh := mariadbStores(t, session(), creators)
	for range rounds {
		oneCreates(t, fresh())
	}
}

// oneCreates has stores of one new record race to create it.
func oneCreates(t *testing.T, stores []seal.Store) {
	t.Helper()
	var created, conflicts atomic.Int64
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() {
			switch _, err := s.Swap(t.Context(), []byte("one"), ""); {
			case err == nil:
				created.Add(1)
			case errors.Is(err, seal.ErrConflict):
				conflicts.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 || conflicts.Load() != int64(len(stores)-1) {
		t.Fatalf("%d created, %d conflicts, of %d", created.Load(), conflicts.Load(), len(stores))
	}
}

func TestMariaDBUnreachable(t *testing.T) {
	openMariaDB(t, "root")
	t.Run("no server", func(t *testing.T) {
		storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
			db, err := sql.Open("mysql", dbtest.MariaDBDSN(t.TempDir(), "root"))
			must(t, err)
			t.Cleanup(func() { db.Close() })
			return openStore(t, db, sqlstore.Config{Dialect: sqlstore.MySQL})
		})
	})
	t.Run("no such user", func(t *testing.T) {
		storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
			return openStore(t, openMariaDB(t, "nobody_at_all"), sqlstore.Config{Dialect: sqlstore.MySQL})
		})
	})
	for _, table := range []string{"nothing", "app.nothing", "nowhere.nothing"} {
		t.Run("missing table "+table, func(t *testing.T) {
			open := func(t *testing.T) seal.Store {
				return openStore(t, openMariaDB(t, "root"), sqlstore.Config{Dialect: sqlstore.MySQL, Table: table})
			}
			storetest.RunUnreachable(t, open)
			wantNoTable(t, open(t))
		})
	}
}

// After the migration a server needs three rights on one table.
func TestMariaDBRights(t *testing.T) {
	admin := openMariaDB(t, "root")
	database, user := unique("vault"), unique("app")
	cfg := sqlstore.Config{Dialect: sqlstore.MySQL, Table: database + ".records"}
	schema, err := cfg.Schema()
	must(t, err)
	account := user + "@localhost"
	execute(t, admin, `CREATE DATABASE `+database, schema, `CREATE USER `+account, `GRANT SELECT ON app.* TO `+account)
	store := openStore(t, openMariaDB(t, user), cfg)
	denied := func(err error) bool {
		return err != nil && !errors.Is(err, seal.ErrNotFound) && !errors.Is(err, seal.ErrConflict) && strings.Contains(err.Error(), "command denied")
	}
	if _, _, err := store.Load(t.Context()); !denied(err) || !errors.Is(err, sqlstore.ErrNoTable) {
		t.Errorf("Load without a right: error %v, want ErrNoTable, as none is seen", err)
	}
	execute(t, admin, `GRANT SELECT ON `+cfg.Table+` TO `+account)
	if _, err := store.Swap(t.Context(), []byte("one"), ""); !denied(err) || errors.Is(err, sqlstore.ErrNoTable) {
		t.Errorf("Swap without a right: error %v", err)
	}
	execute(t, admin, `GRANT INSERT, UPDATE ON `+cfg.Table+` TO `+account)
	if err := store.CreateTable(t.Context()); err == nil {
		t.Error("CreateTable without the right succeeded")
	}
	db := openMariaDB(t, user)
	storetest.Run(t, func(t *testing.T) seal.Store {
		cfg := cfg
		cfg.Name = unique("app")
		return openStore(t, db, cfg)
	})
}

// A swap that waits for a row lock ends with its context, and is not done
// later: the lock's holder is gone and the record as it was.
func TestMariaDBBlockedSwap(t *testing.T) {
	admin := openMariaDB(t, "root")
	s := mariadbStores(t, session(), 1)()[0]
	rev, err := s.Swap(t.Context(), []byte("one"), "")
	must(t, err)
	holder, err := admin.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = holder.Exec(`SELECT 1 FROM sealwright_records FOR UPDATE`)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Swap(ctx, []byte("two"), rev); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap behind a lock: error %v, want context.DeadlineExceeded", err)
	}
	if rec, got, err := s.Load(t.Context()); err != nil || string(rec) != "one" || got != rev {
		t.Errorf("Load behind a lock = %q, %q, %v, want what was", rec, got, err)
	}
	must(t, holder.Rollback())
	// The one that was given up has the lock before this one.
	if _, err := s.Swap(t.Context(), []byte("three"), rev); err != nil {
		t.Errorf("Swap after a blocked one: error %v", err)
	}
}

// A lock that is not let go in time is an error of its own.
func TestMariaDBLockTimeout(t *testing.T) {
	admin := openMariaDB(t, "root")
	s := mariadbStores(t, session("innodb_lock_wait_timeout", "1"), 1)()[0]
	rev, err := s.Swap(t.Context(), []byte("one"), "")
	must(t, err)
	holder, err := admin.BeginTx(t.Context(), nil)
	must(t, err)
	defer holder.Rollback()
	_, err = holder.Exec(`SELECT 1 FROM sealwright_records FOR UPDATE`)
	must(t, err)
	if _, err := s.Swap(t.Context(), []byte("two"), rev); err == nil || errors.Is(err, seal.ErrConflict) || !strings.Contains(err.Error(), "Lock wait timeout exceeded") {
		t.Errorf("Swap behind a lock: error %v", err)
	}
}
