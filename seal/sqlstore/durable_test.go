package sqlstore_test

import (
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// Every way in which a database is known to lose what it confirmed, and some in
// which it is not.
func TestNotDurable(t *testing.T) {
	postgres := func(values ...driver.Value) func(*fakeDB) {
		return func(f *fakeDB) { f.postgres = values }
	}
	mysql := func(flush, method, log, sync string) func(*fakeDB) {
		return func(f *fakeDB) {
			f.mysql = [][]driver.Value{{"Innodb_flush_log_at_trx_commit", flush}, {"innodb_flush_method", method}, {"log_bin", log}, {"sync_binlog", sync}}
		}
	}
	engine := func(v driver.Value) func(*fakeDB) { return func(f *fakeDB) { f.engine = v } }
	journal := func(mode string) func(*fakeDB) { return func(f *fakeDB) { f.journal = mode } }
	tests := map[string]struct {
		dialect sqlstore.Dialect
		set     func(*fakeDB)
		words   string // "" if it is durable
	}{
		"fsync off":            {sqlstore.PostgreSQL, postgres("on", "off", "p"), "fsync is off: it must be on, or set Config.AllowLostCommits"},
		"unlogged table":       {sqlstore.PostgreSQL, postgres("on", "on", "u"), "the table is unlogged"},
		"temporary table":      {sqlstore.PostgreSQL, postgres("on", "on", "t"), "the table is unlogged or temporary"},
		"no table seen":        {sqlstore.PostgreSQL, postgres("local", "on", nil), ""},
		"flushed each second":  {sqlstore.MySQL, mysql("0", "fsync", "OFF", "0"), "innodb_flush_log_at_trx_commit is 0: it must be 1"},
		"synced each second":   {sqlstore.MySQL, mysql("2", "fsync", "OFF", "0"), "innodb_flush_log_at_trx_commit is 2: it must be 1"},
		"never synced":         {sqlstore.MySQL, mysql("1", "nosync", "OFF", "0"), "innodb_flush_method is nosync"},
		"lazy binary log":      {sqlstore.MySQL, mysql("1", "O_DIRECT", "ON", "0"), "sync_binlog is 0: it must be 1 where log_bin is ON"},
		"grouped binary log":   {sqlstore.MySQL, mysql("1", "O_DIRECT", "ON", "100"), "sync_binlog is 100"},
		"MyISAM":               {sqlstore.MySQL, engine("MyISAM"), "the table's engine is MyISAM: it must be InnoDB"},
		"careful binary log":   {sqlstore.MySQL, mysql("1", "O_DIRECT", "ON", "1"), ""},
		"careful MariaDB":      {sqlstore.MySQL, mysql("3", "fsync", "OFF", "0"), ""},
		"a view":               {sqlstore.MySQL, engine(nil), ""},
		"a replica of Dolt":    {sqlstore.MySQL, func(f *fakeDB) { f.mysql = [][]driver.Value{{"dolt_read_replica_remote", "origin"}} }, "dolt_read_replica_remote is origin: it must be empty: give the primary one"},
		"a primary Dolt":       {sqlstore.MySQL, func(f *fakeDB) { f.mysql = [][]driver.Value{{"log_bin", "ON"}, {"dolt_read_replica_remote", ""}} }, ""},
		"variables unknown":    {sqlstore.MySQL, func(f *fakeDB) { f.mysql = nil }, ""},
		"no journal":           {sqlstore.SQLite, journal("off"), "journal_mode is off: it must be WAL"},
		"a database in memory": {sqlstore.SQLite, journal("memory"), "journal_mode is memory"},
		"journal persists":     {sqlstore.SQLite, journal("persist"), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db, f := newFakeDB(t)
			test.set(f)
			rev, err := open(t, db, test.dialect).Swap(t.Context(), []byte("one"), "")
			if test.words == "" {
				if err != nil {
					t.Errorf("Swap: error %v, want none", err)
				}
				return
			}
			if rev != "" || !errors.Is(err, sqlstore.ErrNotDurable) || errors.Is(err, sqlstore.ErrNoTable) || !strings.Contains(err.Error(), test.words) {
				t.Errorf("Swap = %q, error %v, want ErrNotDurable and %q", rev, err, test.words)
			}
			if len(f.rows) > 0 {
				t.Error("something was stored")
			}
			lax, err := sqlstore.Open(db, sqlstore.Config{Dialect: test.dialect, AllowLostCommits: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lax.Swap(t.Context(), []byte("one"), ""); err != nil {
				t.Errorf("Swap with AllowLostCommits: error %v", err)
			}
		})
	}
}

// MySQL is read in a transaction that sees what is committed, whatever the host
// made of its sessions.
func TestMySQLReads(t *testing.T) {
	db, f := newFakeDB(t)
	s := open(t, db, sqlstore.MySQL)
	if _, _, err := s.Load(t.Context()); !errors.Is(err, seal.ErrNotFound) {
		t.Fatal(err)
	}
	want := []string{
		"OPEN", "SHOW SESSION VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_sync_wait', 'wsrep_dirty_reads', 'dolt_transactions_disabled', 'tidb_disable_txn_auto_retry', " +
			"'tidb_snapshot', 'tidb_read_staleness', 'tidb_low_resolution_tso', 'tidb_enable_external_ts_read', 'tidb_guarantee_linearizability')",
		"BEGIN Default", "COMMIT AND NO CHAIN NO RELEASE", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION",
		"SELECT revision, record FROM `sealwright_records` WHERE name = ?", "ROLLBACK",
	}
	if diff := cmp.Diff(want, f.log.texts); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}
