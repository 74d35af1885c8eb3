//go:build unix

package sqltest

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// A server, or a table, that loses what it confirmed is refused as soon as it is
// made so, and no longer.
func TestMariaDBNotDurable(t *testing.T) {
	admin := openMariaDB(t, "root")
	cfg := sqlstore.Config{Dialect: sqlstore.MySQL, Table: unique("lossy")}
	s := openStore(t, openMariaDB(t, "root"), cfg)
	must(t, s.CreateTable(t.Context()))
	rev, err := s.Swap(t.Context(), []byte("one"), "")
	must(t, err)
	lossy := []struct{ set, reset, words string }{
		{"SET GLOBAL innodb_flush_log_at_trx_commit = 0", "SET GLOBAL innodb_flush_log_at_trx_commit = 1", "innodb_flush_log_at_trx_commit is 0"},
		{"SET GLOBAL innodb_flush_log_at_trx_commit = 2", "SET GLOBAL innodb_flush_log_at_trx_commit = 1", "innodb_flush_log_at_trx_commit is 2"},
		{"ALTER TABLE " + cfg.Table + " ENGINE = MyISAM", "ALTER TABLE " + cfg.Table + " ENGINE = InnoDB", "engine is MyISAM"},
	}
	for _, l := range lossy {
		execute(t, admin, l.set)
		t.Cleanup(func() { admin.Exec(l.reset) })
		if _, err := s.Swap(t.Context(), []byte("lost"), rev); !errors.Is(err, sqlstore.ErrNotDurable) || !strings.Contains(err.Error(), l.words) {
			t.Errorf("%s: Swap: error %v, want ErrNotDurable", l.set, err)
		}
		if rec, got, err := s.Load(t.Context()); err != nil || string(rec) != "one" || got != rev {
			t.Errorf("%s: Load = %q, %q, %v, want what was", l.set, rec, got, err)
		}
		execute(t, admin, l.reset)
		if rev, err = s.Swap(t.Context(), []byte("one"), rev); err != nil {
			t.Fatalf("%s: Swap: error %v", l.reset, err)
		}
	}
	execute(t, admin, "SET GLOBAL innodb_flush_log_at_trx_commit = 3")
	t.Cleanup(func() { admin.Exec("SET GLOBAL innodb_flush_log_at_trx_commit = 1") })
	if _, err := s.Swap(t.Context(), []byte("more than durable"), rev); err != nil {
		t.Error(err)
	}
}

// A server that is killed at once after a swap has it when it starts again. The
// planted fault: where the host allowed lost commits and the log is flushed once
// a second, it has not. Here the binary log takes part in every commit.
func TestMariaDBKilled(t *testing.T) {
	openMariaDB(t, "root") // or skip
	s, err := dbtest.StartMariaDB("--log-bin", "--sync-binlog=1", "--binlog-format=STATEMENT")
	must(t, err)
	defer s.Close()
	kills, lost := 0, 0
	swap := func(cfg sqlstore.Config, global string) (kept bool) {
		t.Helper()
		cfg.Dialect, cfg.Name = sqlstore.MySQL, unique("killed")
		db, err := s.Open("root")
		must(t, err)
		defer db.Close()
		execute(t, db, global)
		store := openStore(t, db, cfg)
		must(t, store.CreateTable(t.Context()))
		rev, err := store.Swap(t.Context(), []byte("one"), "")
		must(t, err)
		rev, err = store.Swap(t.Context(), []byte("two"), rev)
		must(t, err)
		must(t, s.Crash())
		must(t, s.Run())
		rec, got, err := store.Load(t.Context())
		for range 3 { // the pool may still hold connections to the one that was killed
			if err == nil || errors.Is(err, seal.ErrNotFound) {
				break
			}
			rec, got, err = store.Load(t.Context())
		}
		if err != nil && !errors.Is(err, seal.ErrNotFound) {
			t.Fatal(err)
		}
		return string(rec) == "two" && got == rev
	}
	for range 5 {
		kills++
		if !swap(sqlstore.Config{}, "SET GLOBAL innodb_flush_log_at_trx_commit = 1") {
			lost++
			t.Error("a swap that returned is lost")
		}
	}
	planted := "missed"
	for range 5 { // it may be flushed just then
		if !swap(sqlstore.Config{AllowLostCommits: true}, "SET GLOBAL innodb_flush_log_at_trx_commit = 0, GLOBAL sync_binlog = 0") {
			planted = "lost"
			break
		}
	}
	if planted != "lost" {
		t.Error("a server that flushes once a second lost nothing: the kill proves nothing")
	}
	t.Logf("GUARANTEE 4 mariadb-killed: kills=%d lost=%d planted=%s", kills, lost, planted)
}
