package sqlstore_test

import (
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/seal/sqlstore"
)

// A session that would confirm what is not stored, or read what was there before, is
// made to do neither, before its transaction begins; and the host, who made it so,
// gets another one.
func TestUntruthfulSession(t *testing.T) {
	tests := map[string]struct {
		session [][]driver.Value
		set     string
	}{
		"Dolt, as it comes":       {[][]driver.Value{{"dolt_transactions_disabled", "0"}}, ""},
		"Dolt, in words":          {[][]driver.Value{{"dolt_transactions_disabled", "OFF"}}, ""},
		"Dolt, no transactions":   {[][]driver.Value{{"dolt_transactions_disabled", "1"}}, "SET SESSION dolt_transactions_disabled = 0"},
		"Dolt, none, in words":    {[][]driver.Value{{"dolt_transactions_disabled", "ON"}}, "SET SESSION dolt_transactions_disabled = 0"},
		"TiDB, as it comes":       {[][]driver.Value{{"tidb_disable_txn_auto_retry", "ON"}, {"tidb_snapshot", ""}, {"tidb_read_staleness", "0"}, {"tidb_low_resolution_tso", "OFF"}, {"tidb_enable_external_ts_read", "OFF"}, {"tidb_guarantee_linearizability", "ON"}}, ""},
		"TiDB, no staleness":      {[][]driver.Value{{"tidb_read_staleness", ""}}, ""},
		"TiDB, run again":         {[][]driver.Value{{"tidb_disable_txn_auto_retry", "OFF"}, {"tidb_read_staleness", "0"}}, "SET SESSION tidb_disable_txn_auto_retry = 1"},
		"TiDB, in the past":       {[][]driver.Value{{"tidb_snapshot", "2026-11-30 10:00:00"}}, "SET SESSION tidb_snapshot = ''"},
		"TiDB, stale and in lots": {[][]driver.Value{{"tidb_read_staleness", "-5"}, {"TIDB_LOW_RESOLUTION_TSO", "ON"}}, "SET SESSION tidb_read_staleness = 0, SESSION tidb_low_resolution_tso = 0"},
		"TiDB, elsewhere's time":  {[][]driver.Value{{"tidb_enable_external_ts_read", "ON"}, {"tidb_guarantee_linearizability", "OFF"}}, "SET SESSION tidb_enable_external_ts_read = 0, SESSION tidb_guarantee_linearizability = 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db, f := newFakeDB(t)
			f.session = test.session
			s := open(t, db, sqlstore.MySQL)
			f.rows["default"] = fakeRow{7, []byte("one")}
			for what, do := range map[string]func() error{
				"Load": func() error { _, _, err := s.Load(t.Context()); return err },
				"Swap": func() error {
					_, err := s.Swap(t.Context(), []byte("two"), "7")
					f.rows["default"] = fakeRow{7, nil}
					return err
				},
			} {
				f.log.texts = nil
				if err := do(); err != nil {
					t.Fatal(err)
				}
				got := ""
				for _, text := range f.log.texts {
					if strings.HasPrefix(text, "BEGIN") {
						break
					}
					if strings.HasPrefix(text, "SET SESSION") {
						got += text
					}
				}
				if diff := cmp.Diff(test.set, got); diff != "" {
					t.Errorf("%s set (-want +got):\n%s", what, diff)
				}
				if kept := db.Stats().OpenConnections == 1; kept == (test.set != "") {
					t.Errorf("%s: the session is given back: %v", what, kept)
				}
			}
			broken := errors.New("broken")
			f.fail = func(text string) error {
				if strings.HasPrefix(text, "SET SESSION") {
					return broken
				}
				return nil
			}
			if _, _, err := s.Load(t.Context()); errors.Is(err, broken) != (test.set != "") {
				t.Errorf("Load in a session that can't be made to: error %v", err)
			}
			if kept := db.Stats().OpenConnections == 1; kept == (test.set != "") {
				t.Errorf("a session that can't be made to is given back: %v", kept)
			}
		})
	}
}
