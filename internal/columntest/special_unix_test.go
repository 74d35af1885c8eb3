//go:build unix

package columntest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
)

// ids reads all ids, in pages of two.
func ids(t *testing.T, s *sqlsource.Source) (ids []string) {
	t.Helper()
	for after := ""; ; {
		page, err := s.Page(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return ids
		}
		for _, item := range page {
			ids = append(ids, item.ID)
		}
		after = ids[len(ids)-1]
	}
}

// replaceAll puts "next" in place of everything, and returns what was not replaced.
func replaceAll(t *testing.T, s *sqlsource.Source) (left []string) {
	t.Helper()
	page, err := s.Page(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var batch []migrate.Replacement
	for _, item := range page {
		batch = append(batch, migrate.Replacement{ID: item.ID, Old: item.Ciphertext, Next: []byte("next of " + item.ID)})
	}
	if err := s.ReplaceBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for _, e := range batch {
		if !e.Replaced {
			left = append(left, e.ID)
		}
	}
	return left
}

func refusal(t *testing.T, d columntest.Database, cfg sqlsource.Config, text string) {
	t.Helper()
	cfg.Dialect = d.Dialect
	if _, err := sqlsource.Open(t.Context(), d.DB, cfg); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), text) {
		t.Errorf("table %s: %v; want %q", cfg.Table, err, text)
	}
}

// A key of SQLite may hold anything, whatever its column says, and every row is
// found: once they were not, as blobs come behind all text.
func TestSQLiteAnyKey(t *testing.T) {
	d := openSQLite(t)
	for _, kind := range []string{"BLOB", "TEXT", "INTEGER", "UUID", "", "NUMERIC"} {
		table := columntest.Table("anykey")
		d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id %s NOT NULL UNIQUE, a TEXT)", table, kind))
		for _, id := range []string{"1", "-5", "'text'", "'it''s'", "x'00ff'", "x''", "''", "'1e5'", "'12'"} {
			d.Execute(t, fmt.Sprintf("INSERT INTO %s VALUES (%s, 'a value')", table, id))
		}
		s := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}, Key: []string{"id"}})
		if got := ids(t, s); len(got) != 9 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 9 {
			t.Errorf("%s: %q", kind, got)
		}
		if left := replaceAll(t, s); left != nil {
			t.Errorf("%s: not replaced: %q", kind, left)
		}
	}
	table := columntest.Table("real")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id REAL NOT NULL UNIQUE, a TEXT)", table), fmt.Sprintf("INSERT INTO %s VALUES (1.5, 'a')", table))
	s := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}, Key: []string{"id"}})
	if _, err := s.Page(t.Context(), "1.5", 1); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "holds 1.5: integers, text and blobs are taken") {
		t.Errorf("a real key: %v", err)
	}
	table = columntest.Table("nullkey")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id TEXT PRIMARY KEY, a TEXT)", table), fmt.Sprintf("INSERT INTO %s VALUES (NULL, 'a')", table))
	s = d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}})
	if _, err := s.Page(t.Context(), "", 1); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "a row has NULL in its key") {
		t.Errorf("a key that is NULL: %v", err)
	}
}

// A value stays text or a blob, whatever its column says.
func TestSQLiteAnyValue(t *testing.T) {
	d := openSQLite(t)
	for _, create := range []string{
		"(id INTEGER PRIMARY KEY, a TEXT)", "(id INTEGER PRIMARY KEY, a BLOB)", "(id INTEGER PRIMARY KEY, a)",
		"(id TEXT PRIMARY KEY, a TEXT) WITHOUT ROWID", "(id INTEGER PRIMARY KEY, a ANY) STRICT",
	} {
		table := columntest.Table("anyvalue")
		d.Execute(t, fmt.Sprintf("CREATE TABLE %s %s", table, create),
			fmt.Sprintf("INSERT INTO %s VALUES (1, 'text'), (2, x'0102')", table))
		s := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}})
		if left := replaceAll(t, s); left != nil {
			t.Errorf("%s: not replaced: %q", create, left)
		}
		for id, want := range map[int]string{1: "text", 2: "blob"} {
			var kind string
			if err := d.DB.QueryRow(fmt.Sprintf("SELECT typeof(a) FROM %s WHERE id = %d", table, id)).Scan(&kind); err != nil || kind != want {
				t.Errorf("%s: %s became %s, %v", create, want, kind, err)
			}
		}
		if n, err := s.Estimate(t.Context()); n != 2 || err != nil {
			t.Errorf("%s: an estimate of %d, %v", create, n, err)
		}
	}
}

func TestSQLiteReadOnly(t *testing.T) {
	d := openSQLite(t)
	d.Execute(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)", "PRAGMA query_only = 1")
	d.DB.SetMaxOpenConns(1)
	refusal(t, d, sqlsource.Config{Table: "t", Columns: []string{"a"}}, "the table cannot be written")
}

// A database that is busy for longer than its timeout is one to try again.
func TestSQLiteBusy(t *testing.T) {
	d := openSQLite(t)
	d.Execute(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)", "INSERT INTO t VALUES (1, 'a')")
	s := d.Open(t, sqlsource.Config{Table: "t", Columns: []string{"a"}})
	conn, err := d.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	d.DB.SetMaxOpenConns(2)
	other, err := d.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ExecContext(t.Context(), "PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	other.Close()
	if ok, err := s.Replace(t.Context(), "1", []byte("a"), []byte("b")); ok || !errors.Is(err, migrate.ErrUnavailable) {
		t.Errorf("busy: %v, %v", ok, err)
	}
}

func openPostgres(t testing.TB, user string) columntest.Database {
	t.Helper()
	return open(t, "pgx", postgres.Need(t).DSN(user), sqlsource.PostgreSQL)
}

func TestPostgreSQLTables(t *testing.T) {
	d := openPostgres(t, "")
	d.Execute(t, `CREATE SCHEMA IF NOT EXISTS billing`, `CREATE DOMAIN secret AS varchar(200)`, `CREATE COLLATION anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
	for _, create := range []string{
		`(id int PRIMARY KEY, a varchar(200))`, `(id smallint PRIMARY KEY, a secret)`, `(id text PRIMARY KEY, a text COLLATE anycase)`,
		`(id text COLLATE anycase PRIMARY KEY, a text)`, `(id numeric PRIMARY KEY, a text)`, `(id date PRIMARY KEY, a text)`,
		`(id int, a text, PRIMARY KEY (id)) PARTITION BY RANGE (id)`,
	} {
		table := columntest.Table("kinds")
		d.Execute(t, "CREATE TABLE billing."+table+" "+create)
		values := "('1', 'a value'), ('2', 'A VALUE'), ('10', 'b')"
		if strings.Contains(create, "date") {
			values = "('2026-01-01', 'a value'), ('2025-12-31', 'A VALUE'), ('2026-11-01', 'b')"
		}
		if strings.Contains(create, "PARTITION") {
			d.Execute(t, fmt.Sprintf("CREATE TABLE billing.%s_1 PARTITION OF billing.%[1]s FOR VALUES FROM (0) TO (5)", table),
				fmt.Sprintf("CREATE TABLE billing.%s_2 PARTITION OF billing.%[1]s DEFAULT", table))
		}
		d.Execute(t, "INSERT INTO billing."+table+" VALUES "+values)
		s := d.Open(t, sqlsource.Config{Schema: "billing", Table: table, Columns: []string{"a"}})
		got := ids(t, s)
		if len(got) != 3 {
			t.Errorf("%s: %q", create, got)
		}
		if ok, err := s.Replace(t.Context(), got[len(got)-1], []byte("B"), []byte("no")); ok || err != nil {
			t.Errorf("%s: another case: %v, %v", create, ok, err)
		}
		if left := replaceAll(t, s); left != nil {
			t.Errorf("%s: not replaced: %q", create, left)
		}
	}
}

func TestPostgreSQLCannotWrite(t *testing.T) {
	d := openPostgres(t, "")
	d.Execute(t, "CREATE TABLE readable (id int PRIMARY KEY, a text)", "CREATE ROLE reader LOGIN", "GRANT SELECT ON readable TO reader",
		"CREATE TABLE computed (id int PRIMARY KEY, a text, b text GENERATED ALWAYS AS (a || 'x') STORED)")
	a := []string{"a"}
	refusal(t, openPostgres(t, "reader"), sqlsource.Config{Table: "readable", Columns: a}, "the table cannot be written")
	refusal(t, d, sqlsource.Config{Table: "computed", Columns: []string{"b"}}, `column "b" is computed`)
	replica := open(t, "pgx", postgres.Need(t).DSN("")+" default_transaction_read_only=on", sqlsource.PostgreSQL)
	refusal(t, replica, sqlsource.Config{Table: "readable", Columns: a}, "open to be read only: give the primary one")
}

// Where pgx has the server keep its statements, and the pooler does not, nothing is
// done in another's name: it is refused, and the error says what to do.
func TestPoolerRefuses(t *testing.T) {
	direct := openPostgres(t, "")
	direct.Execute(t, "CREATE TABLE pooled (id int PRIMARY KEY, a text)", "INSERT INTO pooled VALUES (1, 'a')")
	told := false
	for range 20 {
		d := open(t, "pgx", pooler.Need(t).DSN(""), sqlsource.PostgreSQL)
		s, err := sqlsource.Open(t.Context(), d.DB, sqlsource.Config{Dialect: d.Dialect, Table: "pooled", Columns: []string{"a"}})
		for range 5 {
			if err == nil {
				_, err = s.Page(t.Context(), "", 1)
			}
		}
		if err != nil {
			if told = true; !strings.Contains(err.Error(), "default_query_exec_mode=exec") || errors.Is(err, migrate.ErrUnavailable) {
				t.Fatal(err)
			}
			break
		}
	}
	if !told {
		t.Log("this pooler keeps track of statements")
	}
}

// A statement that others keep waiting ends, and so do those in a deadlock, and the
// next reading finds what is there.
func TestPostgreSQLLocked(t *testing.T) {
	d := openPostgres(t, "")
	d.Execute(t, "CREATE TABLE locked (id int PRIMARY KEY, a text)", "INSERT INTO locked SELECT i, 'in clear ' || i FROM generate_series(1, 100) AS i")
	s := d.Open(t, sqlsource.Config{Table: "locked", Columns: []string{"a"}})
	_, kr := columntest.Keyring(t, 1)
	legacy, err := migrate.NewLegacy(kr, nil, migrate.LegacyConfig{Decrypt: func(b, _ []byte) ([]byte, error) { return b, nil }, Encoding: migrate.Text})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := d.DB.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("UPDATE locked SET a = 'theirs' WHERE id = 42"); err != nil {
		t.Fatal(err)
	}
	// They commit when they see that somebody waited, and gave up.
	waited := 0
	wait := func(ctx context.Context, _ time.Duration) error {
		if waited++; waited == 9 {
			return tx.Commit()
		}
		return nil
	}
	last := migrate.Progress{}
	for p, err := range migrate.Rewrap(t.Context(), kr, s, migrate.RewrapOptions{Legacy: legacy, BatchTime: 10 * time.Millisecond, Wait: wait}) {
		if err != nil {
			t.Fatal(err)
		}
		last = p
	}
	if last.Rewrapped != 100 || waited < 9 {
		t.Errorf("%+v, waited %d times", last, waited)
	}
	page, err := s.Page(t.Context(), "41", 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := kr.DecryptString(string(page[0].Ciphertext), page[0].AAD); got != "theirs" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Values are told apart by their bytes in a column that takes them for the same.
func TestMariaDBAnyCase(t *testing.T) {
	d := open(t, "mysql", mariadb.Need(t).DSN("root"), sqlsource.MySQL)
	for _, charset := range []string{"utf8mb4 COLLATE utf8mb4_general_ci", "latin1 COLLATE latin1_swedish_ci", "utf16 COLLATE utf16_general_ci", "ascii COLLATE ascii_bin"} {
		table := columntest.Table("anycase")
		d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, a varchar(200) CHARACTER SET %s)", table, charset),
			fmt.Sprintf("INSERT INTO %s VALUES (1, 'sw1.abc'), (2, 'sw1.ABC')", table))
		s := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}})
		batch := []migrate.Replacement{{ID: "1", Old: []byte("sw1.ABC"), Next: []byte("no")}, {ID: "2", Old: []byte("sw1.ABC"), Next: []byte("sw1.next")}}
		if err := s.ReplaceBatch(t.Context(), batch); err != nil || batch[0].Replaced || !batch[1].Replaced {
			t.Errorf("%s: %v, %v", charset, batch, err)
		}
		if left := replaceAll(t, s); left != nil {
			t.Errorf("%s: not replaced: %q", charset, left)
		}
	}
}

func TestMariaDBCannotWrite(t *testing.T) {
	d := open(t, "mysql", mariadb.Need(t).DSN("root"), sqlsource.MySQL)
	d.Execute(t, "CREATE TABLE readable (id int PRIMARY KEY, a text, b text GENERATED ALWAYS AS (concat(a, 'x')) VIRTUAL, UNIQUE (a(10)))", "CREATE USER reader", "GRANT SELECT ON app.readable TO reader")
	a := []string{"a"}
	refusal(t, open(t, "mysql", mariadb.Need(t).DSN("reader"), sqlsource.MySQL), sqlsource.Config{Table: "readable", Columns: a}, "the table cannot be written")
	refusal(t, d, sqlsource.Config{Table: "readable", Columns: []string{"b"}}, `column "b" is computed`)
	refusal(t, d, sqlsource.Config{Table: "readable", Columns: []string{"b"}, Key: a}, "no unique key is made of the columns")
	d.Execute(t, "SET GLOBAL read_only = 1")
	defer d.Execute(t, "SET GLOBAL read_only = 0")
	refusal(t, d, sqlsource.Config{Table: "readable", Columns: a}, "a replica, or open to be read only: give the primary one")
}

// A batch that is larger than what a statement may be goes in several.
func TestMariaDBPacket(t *testing.T) {
	d := open(t, "mysql", mariadb.Need(t).DSN("root"), sqlsource.MySQL)
	d.Execute(t, "CREATE TABLE large (id int PRIMARY KEY, a mediumtext)")
	value := strings.Repeat("v", 1<<20)
	var packet int
	if err := d.DB.QueryRowContext(t.Context(), "SELECT @@max_allowed_packet").Scan(&packet); err != nil {
		t.Fatal(err)
	}
	var batch []migrate.Replacement
	for id := range packet/(2*len(value)) + 4 { // with old and next one half more than a packet holds
		d.Insert(t, "large", id, value)
		batch = append(batch, migrate.Replacement{ID: fmt.Sprint(id), Old: []byte(value), Next: []byte("next" + value)})
	}
	s := d.Open(t, sqlsource.Config{Table: "large", Columns: []string{"a"}})
	if err := s.ReplaceBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for _, e := range batch {
		if !e.Replaced {
			t.Errorf("item %s was not replaced", e.ID)
		}
	}
	most := strings.Repeat("v", (packet-5000)/4) // twice, and as hex
	d.Insert(t, "large", 1000, most)
	if replaced, err := s.Replace(t.Context(), "1000", []byte(most), []byte("next"+most)); !replaced || err != nil {
		t.Errorf("a value that just fits: %v, %v", replaced, err)
	}
	large := strings.Repeat("v", packet/4)
	d.Insert(t, "large", 1001, large)
	_, err := s.Replace(t.Context(), "1001", []byte(large), []byte("next"+large))
	if want := fmt.Sprintf("the server's max_allowed_packet is %d: raise it", packet); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), want) {
		t.Errorf("a value that no statement holds: %v", err)
	}
	if page, err := s.Page(t.Context(), "", 40); err != nil || len(page) > 2 {
		t.Errorf("a page of %d large values, %v", len(page), err)
	}
}

// Of values that stand outside of their rows a census reads the beginnings alone.
func TestPostgreSQLSlices(t *testing.T) {
	d := open(t, "pgx", postgres.Need(t).DSN(""), sqlsource.PostgreSQL)
	d.DB.SetMaxOpenConns(1) // which tells what it read
	const rows, size = 40, 200 << 10
	for _, kind := range []string{"text", "bytea"} {
		table := columntest.Table("sliced")
		d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, a %s)", table, kind))
		_, kr := columntest.Keyring(t, 1)
		for id := range rows {
			var value any
			var err error
			if value, err = kr.Encrypt(nil, make([]byte, size), nil); kind == "text" {
				value, err = kr.EncryptString(strings.Repeat("x", size), nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			d.Insert(t, table, id, value)
		}
		d.Insert(t, table, rows, []byte(strings.Repeat("legacy", size))) // compressed
		read := func() (blocks int) {
			d.Execute(t, "SELECT pg_stat_force_next_flush()")
			if err := d.DB.QueryRow("SELECT toast_blks_read + toast_blks_hit FROM pg_statio_user_tables WHERE relname = $1", table).Scan(&blocks); err != nil {
				t.Fatal(err)
			}
			return blocks
		}
		s := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}})
		before := read()
		c, err := migrate.Count(t.Context(), kr, s)
		counted := read() - before
		if err != nil || c.Terms[1].Items != rows || c.Other.Items != 1 {
			t.Errorf("%s: %+v, %v", kind, c, err)
		}
		before = read()
		if _, err := s.Page(t.Context(), "", 1); err != nil {
			t.Fatal(err)
		}
		if one := read() - before; 4*counted > rows*one || one < size/8192 {
			t.Errorf("%s: to count %d values read %d blocks, one whole value %d", kind, rows, counted, one)
		}
	}
}
