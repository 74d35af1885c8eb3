// Package sqlkeys keeps named keys in a table of a SQL database that the host has
// anyway: PostgreSQL, MySQL or MariaDB, SQLite. It brings no driver.
//
//	store, err := sqlkeys.Open(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
//	…
//	keys, err := named.New(named.Config{Store: store, …})
//
// It is [sqlstore] with a row for each key, in a table of the same shape: what is
// said there of durability, poolers, drivers, replicas and a pool of its own holds
// here. The table is "sealwright_keys" unless Config.Table says otherwise; Config.Name
// is not used. [Store.CreateTable] makes it, or the host's migrations do, with the
// [sqlstore.Config.Schema] of a Config with this Table. After that the database user
// needs SELECT, INSERT and UPDATE, and not DELETE: a key that is deleted leaves an
// empty row, so that no revision ever comes twice.
package sqlkeys

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// Table is the name of the table unless the configuration has another.
const Table = "sealwright_keys"

// Store is a [named.Store] in a SQL database. It is safe for concurrent use, from
// several processes at once. Make it with [Open].
type Store struct {
	db    *sql.DB
	cfg   sqlstore.Config
	table *sqlstore.Store // for what concerns all keys
}

// Open returns a store in the database, which stays the caller's to close. It does
// not talk to it. The error, which is [seal.ErrConfig], says what is wrong with the
// configuration.
func Open(db *sql.DB, cfg sqlstore.Config) (*Store, error) {
	if cfg.Name != "" {
		return nil, fmt.Errorf("%w: sqlkeys: Name is %q, want none: each key has its own", seal.ErrConfig, cfg.Name)
	}
	if cfg.Table == "" {
		cfg.Table = Table
	}
	table, err := sqlstore.Open(db, cfg)
	if err != nil {
		return nil, err
	}
	return &Store{db, cfg, table}, nil
}

// CreateTable makes the table unless it exists. It needs the right to do so, which
// the server itself can do without.
func (s *Store) CreateTable(ctx context.Context) error { return s.table.CreateTable(ctx) }

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// row returns the store of one key.
func (s *Store) row(name string) (*sqlstore.Store, error) {
	if !namePattern.MatchString(name) {
		return nil, fmt.Errorf("sqlkeys: %w: %q is no name of a key", named.ErrInput, name)
	}
	cfg := s.cfg
	cfg.Name = name
	return sqlstore.Open(s.db, cfg)
}

// Load returns the document of a name and its revision, or [named.ErrNotFound].
func (s *Store) Load(ctx context.Context, name string) (document []byte, revision string, err error) {
	row, err := s.row(name)
	if err != nil {
		return nil, "", err
	}
	document, revision, err = row.Load(ctx)
	if errors.Is(err, seal.ErrNotFound) || err == nil && len(document) == 0 {
		return nil, "", fmt.Errorf("sqlkeys: %w", named.ErrNotFound)
	}
	return document, revision, err
}

// Swap replaces a document, as [named.Store] says. The error is
// [sqlstore.ErrNotDurable] where a commit may be lost.
func (s *Store) Swap(ctx context.Context, name string, document []byte, revision string) (next string, err error) {
	row, err := s.row(name)
	if err != nil {
		return "", err
	}
	if document != nil && len(document) == 0 {
		return "", fmt.Errorf("sqlkeys: %w: the document is empty", named.ErrInput)
	}
	if document == nil && revision == "" {
		return "", fmt.Errorf("sqlkeys: %w: there is nothing to remove", named.ErrConflict)
	}
	next, err = row.Swap(ctx, document, revision)
	if errors.Is(err, seal.ErrConflict) && revision == "" {
		next, err = again(ctx, row, document, err)
	}
	switch {
	case errors.Is(err, seal.ErrConflict):
		return "", fmt.Errorf("sqlkeys: %w: %w", named.ErrConflict, err)
	case err != nil:
		return "", err
	case document == nil:
		return "", nil
	}
	return next, nil
}

// again makes a key in the row that one of the same name has left.
func again(ctx context.Context, row *sqlstore.Store, document []byte, conflict error) (string, error) {
	left, revision, err := row.Load(ctx)
	if err != nil {
		return "", err
	}
	if len(left) > 0 {
		return "", conflict
	}
	return row.Swap(ctx, document, revision)
}

// List returns at most limit names that come after the given one, in the order of
// their bytes.
func (s *Store) List(ctx context.Context, after string, limit int) ([]string, error) {
	return s.table.List(ctx, after, limit)
}
