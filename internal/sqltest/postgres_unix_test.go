//go:build unix

package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

var names atomic.Int64

// unique returns a name that no other test has used: they share one server.
func unique(name string) string { return fmt.Sprintf("%s_%d", name, names.Add(1)) }

// postgresStores returns what makes n servers' stores of a new record.
func postgresStores(t testing.TB, n int) func() []seal.Store {
	t.Helper()
	var dbs []*sql.DB
	for range n {
		dbs = append(dbs, openPostgres(t, "admin"))
	}
	must(t, openStore(t, dbs[0], sqlstore.Config{Dialect: sqlstore.PostgreSQL}).CreateTable(t.Context()))
	return func() (stores []seal.Store) {
		name := unique("record")
		for _, db := range dbs {
			stores = append(stores, openStore(t, db, sqlstore.Config{Dialect: sqlstore.PostgreSQL, Name: name}))
		}
		return stores
	}
}

// disturbedPostgresStores are such stores whose connections are ended by the
// server again and again, whatever goes on in them.
func disturbedPostgresStores(t testing.TB, n int) func() []seal.Store {
	admin := openPostgres(t, "admin")
	return disturbed(t, postgresStores(t, n), func(ctx context.Context) {
		admin.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'admin' AND pid <> pg_backend_pid()`)
	})
}

func TestPostgreSQL(t *testing.T) {
	fresh := postgresStores(t, 3)
	storetest.Run(t, func(t *testing.T) seal.Store {
		stores := fresh()
		return storetest.Turns(stores[0], stores[1:]...)
	})
}

// A session whose default is stricter compares the row as it is, all the same.
func TestPostgreSQLSerializable(t *testing.T) {
	admin := openPostgres(t, "admin")
	role := unique("strict")
	execute(t, admin, `CREATE ROLE `+role+` LOGIN SUPERUSER`, `ALTER ROLE `+role+` SET default_transaction_isolation = 'serializable'`)
	db := openPostgres(t, role)
	storetest.Run(t, func(t *testing.T) seal.Store {
		s := openStore(t, db, sqlstore.Config{Dialect: sqlstore.PostgreSQL, Name: unique("strict")})
		must(t, s.CreateTable(t.Context()))
		return s
	})
}

func TestPostgreSQLUnreachable(t *testing.T) {
	openPostgres(t, "admin")
	t.Run("no server", func(t *testing.T) {
		storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
			db, err := sql.Open("pgx", dbtest.PostgreSQLDSN(t.TempDir(), "admin"))
			must(t, err)
			t.Cleanup(func() { db.Close() })
			return openStore(t, db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
		})
	})
	t.Run("no such user", func(t *testing.T) {
		storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
			return openStore(t, openPostgres(t, "nobody_at_all"), sqlstore.Config{Dialect: sqlstore.PostgreSQL})
		})
	})
	for _, table := range []string{"nothing", "public.nothing", "nowhere.nothing"} {
		t.Run("missing table "+table, func(t *testing.T) {
			open := func(t *testing.T) seal.Store {
				return openStore(t, openPostgres(t, "admin"), sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: table})
			}
			storetest.RunUnreachable(t, open)
			wantNoTable(t, open(t))
		})
	}
}

// After the migration a server needs three rights on one table.
func TestPostgreSQLRights(t *testing.T) {
	admin := openPostgres(t, "admin")
	namespace, role := unique("vault"), unique("app")
	cfg := sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: namespace + ".records"}
	schema, err := cfg.Schema()
	must(t, err)
	execute(t, admin, `CREATE SCHEMA `+namespace, schema, `CREATE ROLE `+role+` LOGIN`)
	store := openStore(t, openPostgres(t, role), cfg)
	denied := func(err error) bool {
		return err != nil && !errors.Is(err, sqlstore.ErrNoTable) && !errors.Is(err, seal.ErrNotFound) && strings.Contains(err.Error(), "permission denied")
	}
	if _, _, err := store.Load(t.Context()); !denied(err) {
		t.Errorf("Load without a right: error %v", err)
	}
	execute(t, admin, `GRANT USAGE ON SCHEMA `+namespace+` TO `+role)
	if _, err := store.Swap(t.Context(), []byte("one"), ""); !denied(err) {
		t.Errorf("Swap without a right: error %v", err)
	}
	execute(t, admin, `GRANT SELECT, INSERT, UPDATE ON `+cfg.Table+` TO `+role)
	if err := store.CreateTable(t.Context()); err == nil {
		t.Error("CreateTable without the right succeeded")
	}
	db := openPostgres(t, role)
	storetest.Run(t, func(t *testing.T) seal.Store {
		cfg := cfg
		cfg.Name = unique("app")
		return openStore(t, db, cfg)
	})
}

// The swap reaches the disk also where the role's commits do not wait for it;
// a stricter setting stays.
func TestPostgreSQLSynchronousCommit(t *testing.T) {
	admin := openPostgres(t, "admin")
	cfg := sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: unique("watched")}
	seen, see := unique("seen"), unique("see")
	must(t, openStore(t, admin, cfg).CreateTable(t.Context()))
	execute(t, admin,
		`CREATE TABLE `+seen+` (setting text)`,
		`CREATE FUNCTION `+see+`() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO `+seen+` VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$`,
		`CREATE TRIGGER `+see+` AFTER INSERT OR UPDATE ON `+cfg.Table+` FOR EACH ROW EXECUTE FUNCTION `+see+`()`)
	for setting, want := range map[string]string{"off": "on", "on": "on", "remote_apply": "remote_apply"} {
		role := unique("fast")
		execute(t, admin, `CREATE ROLE `+role+` LOGIN SUPERUSER`, `ALTER ROLE `+role+` SET synchronous_commit = '`+setting+`'`, `DELETE FROM `+cfg.Table, `DELETE FROM `+seen)
		db := openPostgres(t, role)
		db.SetMaxOpenConns(1)
		s := openStore(t, db, cfg)
		rev, err := s.Swap(t.Context(), []byte("one"), "")
		must(t, err)
		_, err = s.Swap(t.Context(), []byte("two"), rev)
		must(t, err)
		var n, right int
		must(t, admin.QueryRow(`SELECT count(*), count(*) FILTER (WHERE setting = $1) FROM `+seen, want).Scan(&n, &right))
		if n != 2 || right != 2 {
			t.Errorf("synchronous_commit = %s: %d of %d swaps ran with %s, want 2 of 2", setting, right, n, want)
		}
		var after string
		must(t, db.QueryRow(`SHOW synchronous_commit`).Scan(&after))
		if after != setting {
			t.Errorf("synchronous_commit = %s is %s after the swaps", setting, after)
		}
	}
}

// A server, or a table, that loses what it confirmed is refused as soon as it is
// made so, and no longer.
func TestPostgreSQLNotDurable(t *testing.T) {
	admin := openPostgres(t, "admin")
	cfg := sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: unique("lossy")}
	s := openStore(t, openPostgres(t, "admin"), cfg)
	must(t, s.CreateTable(t.Context()))
	rev, err := s.Swap(t.Context(), []byte("one"), "")
	must(t, err)
	fsync := func(value string) {
		execute(t, admin, `ALTER SYSTEM SET fsync = `+value, `SELECT pg_reload_conf()`)
		for now := ""; now != value; { // each session notices between two statements
			must(t, admin.QueryRowContext(t.Context(), `SHOW fsync`).Scan(&now))
		}
	}
	t.Cleanup(func() { admin.Exec(`ALTER SYSTEM RESET fsync`); admin.Exec(`SELECT pg_reload_conf()`) })
	for words, set := range map[string][2]func(){
		"fsync is off":          {func() { fsync("off") }, func() { fsync("on") }},
		"the table is unlogged": {func() { execute(t, admin, `ALTER TABLE `+cfg.Table+` SET UNLOGGED`) }, func() { execute(t, admin, `ALTER TABLE `+cfg.Table+` SET LOGGED`) }},
	} {
		set[0]()
		s := openStore(t, openPostgres(t, "admin"), cfg) // on a session that knows
		if _, err := s.Swap(t.Context(), []byte("lost"), rev); !errors.Is(err, sqlstore.ErrNotDurable) || !strings.Contains(err.Error(), words) {
			t.Errorf("Swap: error %v, want ErrNotDurable and %q", err, words)
		}
		if rec, got, err := s.Load(t.Context()); err != nil || string(rec) != "one" || got != rev {
			t.Errorf("Load = %q, %q, %v, want what was", rec, got, err)
		}
		set[1]()
		if rev, err = openStore(t, openPostgres(t, "admin"), cfg).Swap(t.Context(), []byte("one"), rev); err != nil {
			t.Fatal(err)
		}
	}
}

// A swap that waits for a row lock ends with its context, and is not done
// later: the lock's holder is gone and the record as it was.
func TestPostgreSQLBlockedSwap(t *testing.T) {
	admin := openPostgres(t, "admin")
	s := postgresStores(t, 1)()[0]
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
	must(t, holder.Rollback())
	if rec, got, err := s.Load(t.Context()); err != nil || string(rec) != "one" || got != rev {
		t.Errorf("Load = %q, %q, %v, want what was", rec, got, err)
	}
}
