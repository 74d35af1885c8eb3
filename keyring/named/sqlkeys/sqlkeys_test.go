package sqlkeys_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/keyring/named/sqlkeys"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// The conformance suite runs on real databases in internal/sqltest: this module
// has no driver. What is here needs none.

func TestOpenRefuses(t *testing.T) {
	db := sql.OpenDB(none{})
	defer db.Close()
	for words, cfg := range map[string]sqlstore.Config{
		"each key has its own": {Dialect: sqlstore.SQLite, Name: "default"},
		"Dialect is":           {},
		"Table is":             {Dialect: sqlstore.SQLite, Table: "a-b"},
	} {
		if _, err := sqlkeys.Open(db, cfg); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want words: %s", err, words)
		}
	}
	if _, err := sqlkeys.Open(nil, sqlstore.Config{Dialect: sqlstore.SQLite}); !errors.Is(err, seal.ErrConfig) {
		t.Error(err)
	}
}

// What can't be asked of the database is not asked; what it says is handed on.
func TestRefused(t *testing.T) {
	db := sql.OpenDB(none{})
	defer db.Close()
	s, err := sqlkeys.Open(db, sqlstore.Config{Dialect: sqlstore.SQLite})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a/b", "k'; DROP TABLE", strings.Repeat("k", 65)} {
		if _, _, err := s.Load(t.Context(), name); !errors.Is(err, named.ErrInput) {
			t.Errorf("Load of %q: %v", name, err)
		}
		if _, err := s.Swap(t.Context(), name, []byte("d"), ""); !errors.Is(err, named.ErrInput) {
			t.Errorf("Swap of %q: %v", name, err)
		}
	}
	if _, err := s.Swap(t.Context(), "k", []byte{}, ""); !errors.Is(err, named.ErrInput) {
		t.Errorf("an empty document: %v", err)
	}
	if _, err := s.Swap(t.Context(), "k", nil, ""); !errors.Is(err, named.ErrConflict) {
		t.Errorf("to remove what is not there: %v", err)
	}
	for name, f := range map[string]func() error{
		"load":   func() error { _, _, err := s.Load(t.Context(), "k"); return err },
		"swap":   func() error { _, err := s.Swap(t.Context(), "k", []byte("d"), ""); return err },
		"list":   func() error { _, err := s.List(t.Context(), "", 1); return err },
		"create": func() error { return s.CreateTable(t.Context()) },
	} {
		if err := f(); !errors.Is(err, errAway) || errors.Is(err, named.ErrNotFound) || errors.Is(err, named.ErrConflict) {
			t.Errorf("%s: %v, want what the database says", name, err)
		}
	}
}

// none is a database that is away.
type none struct{ driver.Connector }

var errAway = errors.New("the database is away")

func (none) Connect(context.Context) (driver.Conn, error) { return nil, errAway }
func (none) Driver() driver.Driver                        { return nil }
