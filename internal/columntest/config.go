package columntest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
)

// testNames: names are quoted, rows are chosen, and what stands elsewhere is left.
func (d Database) testNames(t *testing.T) {
	text, _ := d.types()
	quote := `"`
	if d.Dialect == sqlsource.MySQL {
		quote = "`"
	}
	q := func(name string) string { return quote + strings.ReplaceAll(name, quote, quote+quote) + quote }
	name := Table(`Odd "name" with ` + "`" + ` and 'quotes'`)
	if d.Dialect == sqlsource.MySQL {
		name = Table("Odd `name` with 'quotes'")
	}
	schema := map[sqlsource.Dialect]string{sqlsource.PostgreSQL: "public", sqlsource.MySQL: "app", sqlsource.SQLite: "main"}[d.Dialect]
	table := q(schema) + "." + q(name)
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (%s bigint NOT NULL, kind int, %s %s, PRIMARY KEY (%[2]s))", table, q("the id"), q("select"), text))
	owner, kr := Keyring(t, 1)
	for id := range 10 {
		value, err := kr.EncryptString("value", sqlsource.AAD("tokens", "select", fmt.Sprint(id)))
		if err != nil {
			t.Fatal(err)
		}
		if id == 4 {
			value = "in clear"
		}
		d.Insert(t, table, int64(id), id%2, value)
	}
	Install(t, owner, 2)
	src := d.Open(t, sqlsource.Config{Schema: schema, Table: name, Columns: []string{"select"}, Where: "kind = 0 OR kind = 3", Name: "tokens"})
	d.wantCensus(t, kr, src, map[uint32]int{1: 4}, 0, 1, 0)
	failed := 0
	for _, err := range migrate.Rewrap(t.Context(), kr, src, migrate.RewrapOptions{PageSize: 2}) {
		if errors.Is(err, keyring.ErrFormat) && strings.Contains(err.Error(), `item "4"`) {
			failed++
		} else if err != nil {
			t.Error(err)
		}
	}
	if failed != 1 {
		t.Errorf("%d items failed", failed)
	}
	d.wantCensus(t, kr, src, map[uint32]int{2: 4}, 0, 1, 0)
	all := d.Open(t, sqlsource.Config{Schema: schema, Table: name, Columns: []string{"select"}, AAD: func(column string, key []string) []byte {
		return sqlsource.AAD("tokens", column, key...)
	}})
	d.wantCensus(t, kr, all, map[uint32]int{1: 5, 2: 4}, 0, 1, 0)
}

// testTooLong: a value that would not fit is named, and nothing is cut.
func (d Database) testTooLong(t *testing.T) {
	if d.Dialect == sqlsource.SQLite {
		t.Skip("no column of SQLite has a length")
	}
	table := Table("short")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id bigint NOT NULL PRIMARY KEY, a varchar(120))", table))
	if d.Dialect == sqlsource.MySQL {
		d.Execute(t, "SET SESSION sql_mode = ''") // it would cut
	}
	long := strings.Repeat("x", 40)
	d.Insert(t, table, int64(1), "short")
	d.Insert(t, table, int64(2), long)
	_, kr := Keyring(t, 1)
	legacy, err := migrate.NewLegacy(kr, nil, migrate.LegacyConfig{Decrypt: func(stored, _ []byte) ([]byte, error) { return stored, nil }, Encoding: migrate.Text})
	if err != nil {
		t.Fatal(err)
	}
	src := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}})
	var end error
	for _, err := range migrate.Rewrap(t.Context(), kr, src, migrate.RewrapOptions{Legacy: legacy}) {
		end = err
	}
	if !errors.Is(end, seal.ErrConfig) || !strings.Contains(end.Error(), `item "2" needs 150 bytes, and column "a" holds 120: widen it`) {
		t.Errorf("error %v", end)
	}
	page, err := src.Page(t.Context(), "1", 10)
	if err != nil || string(page[0].Ciphertext) != long {
		t.Errorf("%q, %v", page, err)
	}
}

func (d Database) testRefused(t *testing.T) {
	text, _ := d.types()
	nullable, none, short, padded, number, view := Table("nullable"), Table("none"), Table("veryshort"), Table("padded"), Table("number"), Table("view")
	d.Execute(t,
		fmt.Sprintf("CREATE TABLE %s (id bigint, a %s, UNIQUE (id))", nullable, text),
		fmt.Sprintf("CREATE TABLE %s (id bigint, a %s)", none, text),
		fmt.Sprintf("CREATE TABLE %s (id bigint PRIMARY KEY, a varchar(60))", short),
		fmt.Sprintf("CREATE TABLE %s (id bigint PRIMARY KEY, a char(200))", padded),
		fmt.Sprintf("CREATE TABLE %s (id bigint PRIMARY KEY, a int)", number),
		fmt.Sprintf("CREATE VIEW %s AS SELECT * FROM %s", view, padded))
	a := []string{"a"}
	for name, tt := range map[string]struct {
		cfg     sqlsource.Config
		text    string
		dynamic bool // SQLite has no such thing
	}{
		"no table":             {sqlsource.Config{Table: "nobody's", Columns: a}, "there is no such table", false},
		"no schema":            {sqlsource.Config{Schema: "nobody's", Table: short, Columns: a}, "", false},
		"no column":            {sqlsource.Config{Table: short, Columns: []string{"b"}}, `the table has no column "b"`, false},
		"no columns":           {sqlsource.Config{Table: short}, "Columns is empty", false},
		"a view":               {sqlsource.Config{Table: view, Columns: a, Key: []string{"id"}}, "it is a view", false},
		"no primary key":       {sqlsource.Config{Table: none, Columns: a}, "the table has no primary key", false},
		"not unique":           {sqlsource.Config{Table: none, Columns: a, Key: []string{"id"}}, "no unique key is made of the columns", false},
		"NULL in the key":      {sqlsource.Config{Table: nullable, Columns: a, Key: []string{"id"}}, `column "id" of the key may be NULL`, true},
		"the key":              {sqlsource.Config{Table: short, Columns: []string{"id"}}, `column "id" is of the key`, false},
		"twice":                {sqlsource.Config{Table: short, Columns: []string{"a", "a"}}, "is named twice", false},
		"too short":            {sqlsource.Config{Table: short, Columns: a}, `column "a" holds 60 bytes, and the shortest ciphertext has 96: widen it`, true},
		"padded":               {sqlsource.Config{Table: padded, Columns: a}, `column "a" pads its values`, true},
		"a number":             {sqlsource.Config{Table: number, Columns: a}, `column "a" is of type int`, true},
		"a name of zero bytes": {sqlsource.Config{Table: "\x00", Columns: a}, "holds a zero byte", false},
	} {
		if tt.dynamic && d.Dialect == sqlsource.SQLite {
			continue
		}
		tt.cfg.Dialect = d.Dialect
		s, err := sqlsource.Open(t.Context(), d.DB, tt.cfg)
		if s != nil || err == nil || tt.text != "" && !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v; want %q", name, err, tt.text)
		}
	}
}

func (d Database) testBookmark(t *testing.T) {
	table := Table("rewrapped")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (name varchar(200) PRIMARY KEY, mark varchar(2000) NOT NULL)", table))
	b := &sqlsource.Bookmark{DB: d.DB, Dialect: d.Dialect, Table: table, Name: "tokens.secret"}
	other := &sqlsource.Bookmark{DB: d.DB, Dialect: d.Dialect, Table: table, Name: "other"}
	for _, want := range []string{"", "2 100 it's 42", "", "3 1 x"} {
		if want != "" {
			if err := b.Save(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		} else if err := errors.Join(b.Save(t.Context(), want), other.Save(t.Context(), "other's")); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Load(t.Context()); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	b.Table = "nobody's"
	if _, err := b.Load(t.Context()); err == nil {
		t.Error("a table that is not there is read")
	}
}
