package columntest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
)

// A Database is one that a driver has opened.
type Database struct {
	DB      *sql.DB
	Dialect sqlsource.Dialect
}

var tables atomic.Int64

// Table returns a name that no other test has.
func Table(prefix string) string { return fmt.Sprintf("%s_%d", prefix, tables.Add(1)) }

// Execute executes statements, or ends the test.
func (d Database) Execute(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := d.DB.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// Insert inserts a row of values.
func (d Database) Insert(t testing.TB, table string, values ...any) {
	t.Helper()
	marks := make([]string, len(values))
	for i := range values {
		if marks[i] = "?"; d.Dialect == sqlsource.PostgreSQL {
			marks[i] = fmt.Sprintf("$%d", i+1)
		}
	}
	if _, err := d.DB.ExecContext(t.Context(), "INSERT INTO "+table+" VALUES ("+strings.Join(marks, ", ")+")", values...); err != nil {
		t.Fatalf("insert into %s: %v", table, err)
	}
}

// Open opens a table, or ends the test.
func (d Database) Open(t testing.TB, cfg sqlsource.Config) *sqlsource.Source {
	t.Helper()
	cfg.Dialect = d.Dialect
	s, err := sqlsource.Open(t.Context(), d.DB, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Keyring returns one with the terms 1 to n, of which the last is active; the same
// number has the same key each time.
func Keyring(t testing.TB, n uint32) (*keyring.Owner, *keyring.Keyring) {
	t.Helper()
	o := keyring.New()
	Install(t, o, n)
	return o, o.Keyring()
}

// Install gives the keyring its terms anew.
func Install(t testing.TB, o *keyring.Owner, n uint32) {
	t.Helper()
	var terms []keyring.Term
	for i := range n {
		term := keyring.Term{Number: i + 1, Active: i+1 == n}
		term.Key[0], term.Key[31] = byte(i+1), 0x5e
		terms = append(terms, term)
	}
	if err := o.Install("a store", terms); err != nil {
		t.Fatal(err)
	}
}

// text and binary are the types of ciphertexts.
func (d Database) types() (text, binary string) {
	switch d.Dialect {
	case sqlsource.PostgreSQL:
		return "text", "bytea"
	case sqlsource.MySQL:
		return "text", "blob"
	}
	return "TEXT", "BLOB"
}

// A keyKind is a kind of primary key, and some keys of it: how they are inserted,
// and how they are named in associated data.
type keyKind struct {
	name, columns, primary string
	keys                   [][]any
	parts                  func(key []any) []string
}

func plain(key []any) (parts []string) {
	for _, k := range key {
		if b, ok := k.([]byte); ok {
			parts = append(parts, fmt.Sprintf("%x", b))
		} else {
			parts = append(parts, fmt.Sprint(k))
		}
	}
	return parts
}

func (d Database) keyKinds() []keyKind {
	_, binary := d.types()
	text := "varchar(60)"
	if d.Dialect == sqlsource.MySQL {
		binary = "varbinary(60)"
	}
	integers := [][]any{{int64(-1 << 63)}, {int64(-7)}, {int64(0)}, {int64(1)}, {int64(2)}, {int64(10)}, {int64(1<<63 - 1)}}
	texts := [][]any{{"a"}, {"b,c"}, {"b#c"}, {"100%"}, {"it's"}, {`"q"`}, {`back\slash`}, {"ünï"}, {"line\nbreak"}, {"sw1.x"}, {"NULL"}, {"{}"}, {"Zz"}, {"zz "}}
	if d.Dialect == sqlsource.MySQL {
		texts = texts[:len(texts)-2] // its keys are the same in any case, and with spaces behind
	}
	kinds := []keyKind{
		{"integer", "id bigint NOT NULL", "id", integers, plain},
		{"text", "id " + text + " NOT NULL", "id", texts, plain},
		{"bytes", "id " + binary + " NOT NULL", "id", [][]any{{[]byte{0}}, {[]byte{0, 1}}, {[]byte("%,#'\"\\")}, {[]byte{0xff, 0xfe}}}, plain},
		{"composite", "region " + text + " NOT NULL, id bigint NOT NULL", "region, id",
			[][]any{{"eu", int64(2)}, {"eu", int64(10)}, {"us", int64(-1)}, {"us", int64(3)}, {"a,b", int64(1)}}, plain},
		{"three", "x bigint NOT NULL, y " + text + " NOT NULL, z bigint NOT NULL", "z, x, y",
			[][]any{{int64(1), "x", int64(1)}, {int64(1), "y", int64(1)}, {int64(2), "x", int64(1)}, {int64(1), "x", int64(2)}, {int64(1), "z", int64(2)}},
			func(key []any) []string { return plain([]any{key[2], key[0], key[1]}) }},
	}
	if d.Dialect == sqlsource.PostgreSQL {
		kinds = append(kinds,
			keyKind{"uuid", "id uuid NOT NULL", "id", [][]any{{"00000000-0000-0000-0000-000000000000"}, {"8d1e6b2a-3c4d-4e5f-8a9b-0c1d2e3f4a5b"}, {"ffffffff-ffff-ffff-ffff-ffffffffffff"}}, plain},
			keyKind{"serial", "id serial", "id", [][]any{{int64(1)}, {int64(2)}, {int64(1<<31 - 1)}}, plain})
	}
	if d.Dialect == sqlsource.MySQL {
		kinds = append(kinds,
			keyKind{"uuid", "id uuid NOT NULL", "id", [][]any{{"00000000-0000-0000-0000-000000000000"}, {"8d1e6b2a-3c4d-4e5f-8a9b-0c1d2e3f4a5b"}}, plain},
			keyKind{"unsigned", "id bigint unsigned NOT NULL", "id", [][]any{{"0"}, {"9223372036854775808"}, {"18446744073709551615"}}, plain},
			keyKind{"latin1, any case", "id varchar(60) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL", "id", [][]any{{"a"}, {"B"}, {"ö"}}, plain})
	}
	return kinds
}

// Conform has the sources of a database do all that package sqlsource says.
func Conform(t *testing.T, d Database) {
	for _, kind := range d.keyKinds() {
		t.Run("key "+kind.name, func(t *testing.T) { d.testKey(t, kind) })
	}
	t.Run("compare", d.testCompare)
	t.Run("live writes", d.testLive)
	t.Run("names and where", d.testNames)
	t.Run("too long", d.testTooLong)
	t.Run("refused", d.testRefused)
	t.Run("bookmark", d.testBookmark)
}

// testKey rewraps a table of text and bytes, among them NULL and nothing, page by
// page of every size.
func (d Database) testKey(t *testing.T, kind keyKind) {
	text, binary := d.types()
	table := Table("keys")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (%s, a %s, b %s, PRIMARY KEY (%s))", table, kind.columns, text, binary, kind.primary))
	owner, kr := Keyring(t, 1)
	n := 0
	for i, key := range kind.keys {
		parts := kind.parts(key)
		a, err := kr.EncryptString("a of "+strings.Join(parts, "/"), sqlsource.AAD(table, "a", parts...))
		if err != nil {
			t.Fatal(err)
		}
		b, err := kr.Encrypt(nil, []byte("b of "+strings.Join(parts, "/")), sqlsource.AAD(table, "b", parts...))
		if err != nil {
			t.Fatal(err)
		}
		row := append(append([]any{}, key...), a, b)
		n += 2
		switch i {
		case 1:
			row[len(row)-2] = nil
			n--
		case 2:
			row[len(row)-1] = []byte{}
			n--
		}
		d.Insert(t, table, row...)
	}
	empty := min(2, len(kind.keys)-1)
	src := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a", "b"}})
	d.wantCensus(t, kr, src, map[uint32]int{1: n}, 0, 0, empty)
	for term, opt := range []migrate.RewrapOptions{{PageSize: 1}, {PageSize: 2}, {PageSize: 3, Workers: 3}, {PageSize: 5, Workers: 2}, {}} {
		Install(t, owner, uint32(term+2))
		last := d.rewrap(t, kr, src, opt)
		if last.Items != int64(n) || last.Rewrapped != int64(n) || last.Empty != int64(empty) || last.Changed != 0 {
			t.Errorf("pages of %d: %+v; want %d items and %d empty", opt.PageSize, last, n, empty)
		}
		d.wantCensus(t, kr, src, map[uint32]int{uint32(term + 2): n}, 0, 0, empty)
	}
	// And each reads where it stands.
	read := 0
	for after := ""; ; {
		page, err := src.Page(t.Context(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, item := range page {
			if after = item.ID; len(item.Ciphertext) == 0 {
				continue
			}
			read++
			var got string
			var err error
			if bytes.HasPrefix(item.Ciphertext, []byte("sw1.")) {
				got, err = kr.DecryptString(string(item.Ciphertext), item.AAD)
			} else {
				var plaintext []byte
				plaintext, err = kr.Decrypt(nil, item.Ciphertext, item.AAD)
				got = string(plaintext)
			}
			if err != nil || !strings.HasPrefix(got, "a of ") && !strings.HasPrefix(got, "b of ") {
				t.Errorf("item %q: %q, %v", item.ID, got, err)
			}
		}
	}
	if read != n {
		t.Errorf("%d values were read, want %d", read, n)
	}
	if estimate, err := src.Estimate(t.Context()); err != nil || estimate < 0 {
		t.Errorf("the estimate is %d, %v", estimate, err)
	}
}

func (d Database) rewrap(t testing.TB, kr *keyring.Keyring, src migrate.Source, opt migrate.RewrapOptions) (last migrate.Progress) {
	t.Helper()
	for p, err := range migrate.Rewrap(t.Context(), kr, src, opt) {
		if err != nil {
			t.Error(err)
		}
		last = p
	}
	if !last.Done {
		t.Errorf("it did not come to the end: %+v", last)
	}
	return last
}

// walked hides that a source counts by itself.
type walked struct{ migrate.Source }

// wantCensus counts on both sides.
func (d Database) wantCensus(t *testing.T, kr *keyring.Keyring, src migrate.Source, terms map[uint32]int, unknown, other, empty int) {
	t.Helper()
	there, err := migrate.Count(t.Context(), kr, src)
	if err != nil {
		t.Fatal(err)
	}
	here, err := migrate.Count(t.Context(), kr, walked{src})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(there) != fmt.Sprint(here) {
		t.Errorf("the database counts %+v, and reading every value gives %+v", there, here)
	}
	for term, tally := range there.Terms {
		if int(tally.Items) != terms[term] {
			t.Errorf("%d items are under term %d, want %d", tally.Items, term, terms[term])
		}
	}
	if int(there.Unknown.Items) != unknown || int(there.Other.Items) != other || int(there.Empty) != empty {
		t.Errorf("census %+v; want %d unknown, %d other, %d empty", there, unknown, other, empty)
	}
}

// testCompare: each element of a batch is a compare-and-set of its own, byte by
// byte.
func (d Database) testCompare(t *testing.T) {
	text, binary := d.types()
	table := Table("compared")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id bigint NOT NULL PRIMARY KEY, a %s, b %s)", table, text, binary))
	for id := range 6 {
		d.Insert(t, table, int64(id), fmt.Sprintf("sw1.Value-%d", id), fmt.Appendf(nil, "\x01Value\x00\xff-%d", id))
	}
	src := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a", "b"}})
	batch := []migrate.Replacement{
		{ID: "0#a", Old: []byte("sw1.Value-0"), Next: []byte("sw1.next-0"), Replaced: false},
		{ID: "1#a", Old: []byte("sw1.value-1"), Next: []byte("no")},                           // another case
		{ID: "2#a", Old: []byte("sw1.Value-2 "), Next: []byte("no")},                          // longer by a space
		{ID: "3#a", Old: []byte("sw1.Value-0"), Next: []byte("no")},                           // another row's
		{ID: "9#a", Old: []byte("sw1.Value-9"), Next: []byte("no")},                           // not there
		{ID: "4#b", Old: []byte("\x01Value\x00\xff-4"), Next: []byte("\x01n\x00\xfe'\"\\-4")}, // bytes
		{ID: "5#b", Old: []byte("\x01Value\x00\xfe-5"), Next: []byte("no")},
		{ID: "5#a", Old: []byte("sw1.Value-5"), Next: []byte("sw1.next-5")},
		{ID: "0#b", Old: nil, Next: []byte("no")},
	}
	want := "[true false false false false true false true false]"
	if err := src.ReplaceBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, e := range batch {
		got = append(got, e.Replaced)
	}
	if fmt.Sprint(got) != want {
		t.Errorf("replaced %v, want %v", got, want)
	}
	page, err := src.Page(t.Context(), "", 100)
	if err != nil || len(page) != 12 {
		t.Fatalf("%d items, %v", len(page), err)
	}
	for _, item := range page {
		want := "sw1.Value-" + item.ID[:1]
		if item.ID[2] == 'b' {
			want = "\x01Value\x00\xff-" + item.ID[:1]
		}
		for _, e := range batch {
			if e.ID == item.ID && e.Replaced {
				want = string(e.Next)
			}
		}
		if string(item.Ciphertext) != want {
			t.Errorf("item %s holds %q, want %q", item.ID, item.Ciphertext, want)
		}
	}
	for _, id := range []string{"0", "0#c", "x#a", "1,2#a", "%4#a", "%zz#a", ""} {
		if replaced, err := src.Replace(t.Context(), id, nil, []byte("no")); err == nil && replaced {
			t.Errorf("the id %q is taken", id)
		}
	}
	if ok, err := src.Replace(t.Context(), "1#a", []byte("sw1.Value-1"), []byte("sw1.next-1")); !ok || err != nil {
		t.Errorf("one item: %v, %v", ok, err)
	}
}

// testLive: writes that come between a page and its batch win.
func (d Database) testLive(t *testing.T) {
	text, _ := d.types()
	table := Table("live")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id bigint NOT NULL PRIMARY KEY, a %s)", table, text))
	owner, kr := Keyring(t, 1)
	encrypt := func(id int, what string) string {
		out, err := kr.EncryptString(fmt.Sprint(what, " ", id), sqlsource.AAD(table, "a", fmt.Sprint(id)))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for id := range 50 {
		d.Insert(t, table, int64(id), encrypt(id, "first"))
	}
	Install(t, owner, 2)
	src := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}})
	wrote := false
	between := &between{Source: src, before: func() {
		if wrote {
			return
		}
		wrote = true
		for _, id := range []int{0, 7, 49} {
			d.Execute(t, fmt.Sprintf("UPDATE %s SET a = '%s' WHERE id = %d", table, encrypt(id, "second"), id))
		}
		d.Execute(t, fmt.Sprintf("DELETE FROM %s WHERE id = 20", table), fmt.Sprintf("UPDATE %s SET a = NULL WHERE id = 30", table))
	}}
	last := d.rewrap(t, kr, between, migrate.RewrapOptions{})
	if last.Items != 48 || last.Changed != 5 || last.Rewrapped != 45 || last.Current != 3 || last.Empty != 1 {
		t.Errorf("%+v", last)
	}
	page, err := src.Page(t.Context(), "", 100)
	if err != nil || len(page) != 49 {
		t.Fatalf("%d items, %v", len(page), err)
	}
	for _, item := range page {
		want := "first " + item.ID
		switch item.ID {
		case "0", "7", "49":
			want = "second " + item.ID
		case "30":
			continue
		}
		if got, err := kr.DecryptString(string(item.Ciphertext), item.AAD); err != nil || got != want {
			t.Errorf("item %s: %q, %v", item.ID, got, err)
		}
	}
}

// between does something before each batch.
type between struct {
	*sqlsource.Source
	before func()
}

func (b *between) ReplaceBatch(ctx context.Context, batch []migrate.Replacement) error {
	b.before()
	return b.Source.ReplaceBatch(ctx, batch)
}

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
