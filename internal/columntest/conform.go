package columntest

import (
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
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

// Conform has the sources of a database do all that package sqlsource says.
func Conform(t *testing.T, d Database) {
	for _, kind := range d.keyKinds() {
		t.Run("key "+kind.name, func(t *testing.T) { d.testKey(t, kind) })
	}
	t.Run("census", d.testCensus)
	t.Run("compare", d.testCompare)
	t.Run("live writes", d.testLive)
	t.Run("names and where", d.testNames)
	t.Run("too long", d.testTooLong)
	t.Run("refused", d.testRefused)
	t.Run("bookmark", d.testBookmark)
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
