//go:build unix

package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/internal/sqltest/linear"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/keyring/named/namedtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// kin are servers that speak as MySQL does and store in ways of their own, where
// internal/sqltest/servers has built them.
var kin = map[string]struct {
	server dbtest.Start
	start  dbtest.Start // one of its own, to be killed
	// What hosts may make of their sessions, parameters of the driver and variables.
	sessions map[string][]string
}{
	"Dolt": {servers.Keep(dbtest.StartDolt), dbtest.StartDolt, map[string][]string{
		"as it comes":       nil,
		"rows found":        {"clientFoundRows", "true"},
		"interpolated":      {"interpolateParams", "true"},
		"no autocommit":     {"autocommit", "0"},
		"a commit for each": {"dolt_transaction_commit", "1"},
		"conflicts allowed": {"dolt_allow_commit_conflicts", "1", "dolt_force_transaction_commit", "1"},
		"no transactions":   {"dolt_transactions_disabled", "1"},
	}},
	"TiDB": {servers.Keep(dbtest.StartTiDB), dbtest.StartTiDB, map[string][]string{
		"as it comes":           nil,
		"rows found":            {"clientFoundRows", "true"},
		"interpolated":          {"interpolateParams", "true"},
		"no autocommit":         {"autocommit", "0"},
		"read committed":        {"tx_isolation", "'READ-COMMITTED'"},
		"optimistic":            {"tidb_txn_mode", "'optimistic'"},
		"optimistic, and again": {"tidb_txn_mode", "'optimistic'", "tidb_disable_txn_auto_retry", "0"},
		"stale":                 {"tidb_read_staleness", "-5"},
		"low resolution":        {"tidb_low_resolution_tso", "1"},
	}},
}

var withKin = flag.Bool("kin", false, "have TestKin… run Dolt and TiDB, which takes minutes")

// needKin skips the tests of this file unless they are asked for.
func needKin(t *testing.T) {
	t.Helper()
	if !*withKin {
		t.Skip("Dolt and TiDB are run with -kin: cd internal/sqltest && GOWORK=off go run ./servers dolt tidb && GOWORK=off go test -run Kin . -kin")
	}
}

// eachKin has a test for each, with a table for stores.
func eachKin(t *testing.T, test func(t *testing.T, server dbtest.Start, sessions map[string][]string)) {
	needKin(t)
	for name, k := range kin {
		t.Run(name, func(t *testing.T) {
			admin := openServer(t, k.server, "root")
			must(t, openStore(t, admin, sqlstore.Config{Dialect: sqlstore.MySQL}).CreateTable(t.Context()))
			test(t, k.server, k.sessions)
		})
	}
}

// kinStores returns what makes n servers' stores of a new record.
func kinStores(t testing.TB, server dbtest.Start, user string, n int) func() []seal.Store {
	var dbs []*sql.DB
	for range n {
		dbs = append(dbs, openServer(t, server, user))
	}
	return func() (stores []seal.Store) {
		name := unique("record")
		for _, db := range dbs {
			stores = append(stores, openStore(t, db, sqlstore.Config{Dialect: sqlstore.MySQL, Name: name}))
		}
		return stores
	}
}

func TestKin(t *testing.T) {
	eachKin(t, func(t *testing.T, server dbtest.Start, sessions map[string][]string) {
		for name, parameters := range sessions {
			t.Run(name, func(t *testing.T) {
				fresh := kinStores(t, server, session(parameters...), 3)
				storetest.Run(t, func(t *testing.T) seal.Store {
					stores := fresh()
					return storetest.Turns(stores[0], stores[1:]...)
				})
			})
		}
	})
}

// Writers race, in sessions of every kind.
func TestKinStaleWriter(t *testing.T) {
	var total linear.Proof
	var names []string
	eachKin(t, func(t *testing.T, server dbtest.Start, sessions map[string][]string) {
		for name, parameters := range sessions {
			t.Run(name, func(t *testing.T) {
				total.Add(linear.Prove(t, linear.Histories(3), kinStores(t, server, session(parameters...), linear.Writers)))
			})
		}
		names = append(names, strings.TrimPrefix(t.Name(), "TestKinStaleWriter/"))
	})
	if !t.Failed() && len(names) > 0 {
		t.Log(total.Figures(strings.Join(names, ",")))
	}
}

// Of those who create one record at the same moment one succeeds, and the others
// are told that there is one.
func TestKinCreators(t *testing.T) {
	eachKin(t, func(t *testing.T, server dbtest.Start, sessions map[string][]string) {
		const creators, rounds = 4, 5
		for _, parameters := range sessions {
			fresh := kinStores(t, server, session(parameters...), creators)
			for range rounds {
				oneCreates(t, fresh())
			}
		}
	})
}

// A server that is killed at once after a swap has it when it starts again.
func TestKinKilled(t *testing.T) {
	needKin(t)
	for name, k := range kin {
		t.Run(name, func(t *testing.T) {
			server := k.start.Need(t)
			defer server.Close()
			db, err := server.Open("root")
			must(t, err)
			defer db.Close()
			s := openStore(t, db, sqlstore.Config{Dialect: sqlstore.MySQL})
			must(t, s.CreateTable(t.Context()))
			kills, swaps, rev := 0, 0, ""
			for range 5 {
				want := ""
				for range 4 {
					want = unique("record")
					rev, err = s.Swap(t.Context(), []byte(want), rev)
					must(t, err)
					swaps++
				}
				must(t, server.Crash())
				must(t, server.Run())
				kills++
				rec, got, err := loadAfterKill(t.Context(), s)
				if err != nil || string(rec) != want || got != rev {
					t.Fatalf("kill %d: Load = %q, %v, want %q", kills, rec, err, want)
				}
			}
			t.Logf("GUARANTEE 4 kin-killed: server=%s kills=%d swaps=%d lost=0", name, kills, swaps)
		})
	}
}

// loadAfterKill loads: the pool may still hold connections to the one that was killed.
func loadAfterKill(ctx context.Context, s seal.Store) (rec []byte, rev string, err error) {
	for range 4 {
		if rec, rev, err = s.Load(ctx); err == nil || errors.Is(err, seal.ErrNotFound) {
			break
		}
	}
	return rec, rev, err
}

func TestKinUnreachable(t *testing.T) {
	eachKin(t, func(t *testing.T, server dbtest.Start, _ map[string][]string) {
		for _, table := range []string{"nothing", "app.nothing", "nowhere.nothing"} {
			open := func(t *testing.T) seal.Store {
				return openStore(t, openServer(t, server, "root"), sqlstore.Config{Dialect: sqlstore.MySQL, Table: table})
			}
			storetest.RunUnreachable(t, open)
			wantNoTable(t, open(t))
		}
	})
}

func TestKinKeys(t *testing.T) {
	eachKin(t, func(t *testing.T, server dbtest.Start, _ map[string][]string) {
		db := openServer(t, server, "root")
		namedtest.Run(t, func(t *testing.T) named.Store { return keysIn(t, db, sqlstore.MySQL, unique("keys")) })
	})
}

func TestKinJournal(t *testing.T) {
	eachKin(t, func(t *testing.T, server dbtest.Start, _ map[string][]string) {
		journalIn(t, openServer(t, server, "root"), sqlstore.MySQL)
	})
}

// A session of Dolt may have its transactions confirm what they don't store. The
// planted fault: a host's own does. A store's does not.
func TestKinConfirmsNothing(t *testing.T) {
	needKin(t)
	server := kin["Dolt"].server
	admin := openServer(t, server, "root")
	cfg := sqlstore.Config{Dialect: sqlstore.MySQL, Name: unique("confirmed")}
	must(t, openStore(t, admin, cfg).CreateTable(t.Context()))
	rev, err := openStore(t, admin, cfg).Swap(t.Context(), []byte("one"), "")
	must(t, err)
	db := openServer(t, server, session("dolt_transactions_disabled", "1"))
	tx, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.Exec("UPDATE sealwright_records SET record = 'lost', revision = 7 WHERE name = ?", cfg.Name)
	must(t, err)
	must(t, tx.Commit())
	if rec, got, err := openStore(t, admin, cfg).Load(t.Context()); err != nil || string(rec) != "one" || got != rev {
		t.Fatalf("Load = %q, %q, %v: the session lost nothing, and this test proves nothing", rec, got, err)
	}
	// What the host left undone in the session may still fail the first swap, which
	// then stored nothing, and the session is gone.
	s := openStore(t, db, cfg)
	next, err := s.Swap(t.Context(), []byte("two"), rev)
	if err != nil {
		next, err = s.Swap(t.Context(), []byte("two"), rev)
	}
	must(t, err)
	if rec, got, err := openStore(t, admin, cfg).Load(t.Context()); err != nil || string(rec) != "two" || got != next {
		t.Errorf("Load = %q, %q, %v after a swap that returned %q", rec, got, err, next)
	}
}

// A read replica of Dolt takes writes, and is refused.
func TestKinReplica(t *testing.T) {
	needKin(t)
	admin := openServer(t, kin["Dolt"].server, "root")
	s := openStore(t, admin, sqlstore.Config{Dialect: sqlstore.MySQL, Name: unique("replica")})
	must(t, s.CreateTable(t.Context()))
	execute(t, admin, "SET GLOBAL dolt_read_replica_remote = 'origin'")
	t.Cleanup(func() { admin.Exec("SET GLOBAL dolt_read_replica_remote = ''") })
	if _, err := s.Swap(t.Context(), []byte("one"), ""); !errors.Is(err, sqlstore.ErrNotDurable) || !strings.Contains(err.Error(), "dolt_read_replica_remote is origin") {
		t.Errorf("Swap: error %v, want ErrNotDurable", err)
	}
	execute(t, admin, "SET GLOBAL dolt_read_replica_remote = ''", "SET GLOBAL log_bin = 1") // which is for replicas alone
	t.Cleanup(func() { admin.Exec("SET GLOBAL log_bin = 0") })
	if _, err := s.Swap(t.Context(), []byte("one"), ""); err != nil {
		t.Errorf("Swap: error %v", err)
	}
}
