package sqlstore_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// What drivers say: go-sql-driver's and go-mysql's numbers are fields, pgx's and
// lib/pq's states come of a method.
type (
	goSQLDriverError struct {
		Number   uint16
		SQLState [5]byte
		Message  string
	}
	goMySQLError struct {
		Code    uint16
		Message string
	}
	postgresError string
)

func (e *goSQLDriverError) Error() string { return fmt.Sprintf("Error %d: %s", e.Number, e.Message) }
func (e *goMySQLError) Error() string     { return fmt.Sprintf("ERROR %d: %s", e.Code, e.Message) }
func (e postgresError) Error() string     { return "SQLSTATE " + string(e) }
func (e postgresError) SQLState() string  { return string(e) }

// A database that gave the transaction up for another one, if only when it
// commits, has stored nothing: a conflict. Whatever else it says is no conflict.
func TestLostRace(t *testing.T) {
	tests := map[string]struct {
		dialect sqlstore.Dialect
		err     error
		lost    bool
	}{
		"Galera, Dolt":              {sqlstore.MySQL, &goSQLDriverError{Number: 1213}, true},
		"TiDB, optimistic":          {sqlstore.MySQL, &goSQLDriverError{Number: 9007}, true},
		"TiDB, stale":               {sqlstore.MySQL, fmt.Errorf("commit: %w", &goMySQLError{Code: 8005}), true},
		"TiDB, an insert":           {sqlstore.MySQL, &goMySQLError{Code: 1062}, true},
		"lock timeout":              {sqlstore.MySQL, &goSQLDriverError{Number: 1205}, false},
		"killed":                    {sqlstore.MySQL, &goSQLDriverError{Number: 1317}, false},
		"TiDB, undetermined":        {sqlstore.MySQL, &goSQLDriverError{Number: 8501}, false},
		"no number":                 {sqlstore.MySQL, errors.New("1213"), false},
		"no driver's error":         {sqlstore.MySQL, (*goSQLDriverError)(nil), false},
		"CockroachDB":               {sqlstore.PostgreSQL, postgresError("40001"), true},
		"deadlock":                  {sqlstore.PostgreSQL, fmt.Errorf("commit: %w", postgresError("40P01")), true},
		"CockroachDB, undetermined": {sqlstore.PostgreSQL, postgresError("40003"), false},
		"shut down":                 {sqlstore.PostgreSQL, postgresError("57P01"), false},
	}
	for name, test := range tests {
		for _, at := range []string{"INSERT", "UPDATE", "COMMIT"} {
			t.Run(name+" at "+at, func(t *testing.T) {
				if test.err == error((*goSQLDriverError)(nil)) && at != "COMMIT" {
					t.Skip("once is enough")
				}
				db, f := newFakeDB(t)
				s := open(t, db, test.dialect)
				rev := ""
				if at != "INSERT" {
					var err error
					if rev, err = s.Swap(t.Context(), []byte("one"), ""); err != nil {
						t.Fatal(err)
					}
				}
				f.fail = func(text string) error {
					if strings.HasPrefix(text, at) && !strings.Contains(text, "AND NO CHAIN") {
						return test.err
					}
					return nil
				}
				if got, err := s.Swap(t.Context(), []byte("two"), rev); err == nil || errors.Is(err, seal.ErrConflict) != test.lost {
					t.Errorf("Swap = %q, %v, want a conflict: %v", got, err, test.lost)
				}
				f.fail = nil
				if rec := string(f.rows["default"].record); rec == "two" {
					t.Errorf("the table holds %q", rec)
				}
			})
		}
	}
}

// On a node of a Galera cluster every transaction begins by waiting for the others,
// and the session is the host's again when it ends.
func TestGaleraWaits(t *testing.T) {
	variables := func(on, wait, dirty string) [][]driver.Value {
		return [][]driver.Value{{"wsrep_on", on}, {"wsrep_sync_wait", wait}, {"WSREP_DIRTY_READS", dirty}}
	}
	tests := map[string]struct {
		wsrep      [][]driver.Value
		set, reset string
	}{
		"no node":              {nil, "", ""},
		"MariaDB on its own":   {variables("OFF", "0", "OFF"), "", ""},
		"as it comes":          {variables("ON", "0", "OFF"), "SET SESSION wsrep_sync_wait = 7", "SET SESSION wsrep_sync_wait = 0"},
		"reads alone, and old": {variables("ON", "9", "ON"), "SET SESSION wsrep_sync_wait = 15, SESSION wsrep_dirty_reads = OFF", "SET SESSION wsrep_sync_wait = 9, SESSION wsrep_dirty_reads = ON"},
		"always":               {variables("ON", "15", "OFF"), "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db, f := newFakeDB(t)
			f.session = test.wsrep
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
				var got []string
				for _, text := range f.log.texts {
					if strings.HasPrefix(text, "SET SESSION") || strings.HasPrefix(text, "BEGIN") || text == "COMMIT" || text == "ROLLBACK" {
						got = append(got, text)
					}
				}
				want := slices.DeleteFunc([]string{test.set, "BEGIN Default", map[string]string{"Load": "ROLLBACK", "Swap": "COMMIT"}[what], test.reset}, func(s string) bool { return s == "" })
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s sent (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

// A session that can't be made to wait, or that says what nobody knows, is not
// read; one that can't be put back is not given back.
func TestGaleraFails(t *testing.T) {
	node := [][]driver.Value{{"wsrep_on", "ON"}, {"wsrep_sync_wait", "0"}}
	broken := errors.New("broken")
	tests := map[string]struct {
		wsrep [][]driver.Value
		fail  string
		words string // "" where all went well
	}{
		"not set":      {node, "SET SESSION wsrep_sync_wait = 7", "broken"},
		"not looked":   {node, "SHOW SESSION", "broken"},
		"unknown":      {[][]driver.Value{{"wsrep_on", "ON"}, {"wsrep_sync_wait", "ALWAYS"}}, "nothing", `wsrep_sync_wait is "ALWAYS"`},
		"not put back": {node, "SET SESSION wsrep_sync_wait = 0", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db, f := newFakeDB(t)
			f.session = test.wsrep
			f.rows["default"] = fakeRow{7, []byte("one")}
			f.fail = func(text string) error {
				if strings.HasPrefix(text, test.fail) {
					return broken
				}
				return nil
			}
			_, _, err := open(t, db, sqlstore.MySQL).Load(t.Context())
			if test.words == "" && err != nil || test.words != "" && (err == nil || !strings.Contains(err.Error(), test.words)) {
				t.Errorf("Load: error %v, want %q", err, test.words)
			}
			if open := db.Stats(); open.InUse != 0 || test.words == "" && open.OpenConnections != 0 {
				t.Errorf("connections %+v", open)
			}
		})
	}
}

// A connection that was lost while nobody used it is passed over.
func TestLostConnection(t *testing.T) {
	for _, d := range dialects {
		db, f := newFakeDB(t)
		s := open(t, db, d)
		f.rows["default"] = fakeRow{7, []byte("one")}
		lost := 0
		f.fail = func(text string) error {
			if text != "OPEN" && lost < 2 {
				lost++
				return driver.ErrBadConn
			}
			return nil
		}
		if rec, _, err := s.Load(t.Context()); err != nil || string(rec) != "one" || lost != 2 {
			t.Errorf("%v: Load = %q, %v after %d lost connections", d, rec, err, lost)
		}
	}
}

// Where a pooler has lost a statement that the driver prepared, the error says
// what to set.
func TestPoolerForgetsStatements(t *testing.T) {
	for _, state := range []string{"26000", "42P05"} {
		db, f := newFakeDB(t)
		f.fail = func(text string) error {
			if strings.HasPrefix(text, "SELECT") {
				return postgresError(state)
			}
			return nil
		}
		if _, _, err := open(t, db, sqlstore.PostgreSQL).Load(t.Context()); err == nil || !errors.As(err, new(postgresError)) || !strings.Contains(err.Error(), "default_query_exec_mode=exec") {
			t.Errorf("Load: error %v, want what to set", err)
		}
	}
}
