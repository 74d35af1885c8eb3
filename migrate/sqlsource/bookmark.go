package sqlsource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/migrate"
)

// A Bookmark keeps how far a rewrap has come in a row of a table of the host's: it
// is a [migrate.Bookmark].
//
//	CREATE TABLE rewrapped (name varchar(200) PRIMARY KEY, mark varchar(2000) NOT NULL)
type Bookmark struct {
	DB      *sql.DB
	Dialect Dialect
	Schema  string // as in [Config]
	Table   string

	// Name is the row's: what is rewrapped, with all that decides its order, such
	// as "tokens.secret". With another Key, or other Columns, give it another name.
	Name string
}

// Load returns what was saved last, or "".
func (b *Bookmark) Load(ctx context.Context) (text string, err error) {
	s, err := b.source()
	if err != nil {
		return "", err
	}
	err = s.inTx(ctx, nil, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT mark FROM "+s.table+" WHERE name = "+s.d.parameter(1), b.Name).Scan(&text)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("sqlsource: bookmark: %w", err)
	}
	return text, nil
}

// Save replaces what was saved.
func (b *Bookmark) Save(ctx context.Context, text string) error {
	s, err := b.source()
	if err != nil {
		return err
	}
	into := fmt.Sprintf("INSERT INTO %s (name, mark) VALUES (%s, %s) ", s.table, s.d.parameter(1), s.d.parameter(2))
	if b.Dialect == MySQL {
		into += "ON DUPLICATE KEY UPDATE mark = VALUES(mark)"
	} else {
		into += "ON CONFLICT (name) DO UPDATE SET mark = excluded.mark"
	}
	err = s.inTx(ctx, nil, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, into, b.Name, text)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlsource: bookmark: %w", err)
	}
	return nil
}

// source is what the bookmark's table has in common with one.
func (b *Bookmark) source() (*Source, error) {
	if b.DB == nil || b.Name == "" {
		return nil, fmt.Errorf("sqlsource: bookmark: %w", refuse("DB or Name is empty"))
	}
	cfg := Config{Dialect: b.Dialect, Schema: b.Schema, Table: b.Table, Columns: []string{"mark"}}
	s, err := newSource(b.DB, cfg)
	if err != nil {
		return nil, fmt.Errorf("sqlsource: bookmark: %w", err)
	}
	return s, nil
}

var _ migrate.Bookmark = (*Bookmark)(nil)
