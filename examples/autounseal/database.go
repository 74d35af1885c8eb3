package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sealwright/sealwright/seal/sqlstore"
)

// propagation is how long a new data key is only read. A replica looks for
// changes every five seconds.
const propagation = 20 * time.Second

// openDatabase opens the database whose connection string is in a file, and the
// record's store in it. Each new connection reads the file anew: the password
// may be replaced while the server runs.
func openDatabase(file string) (*sql.DB, *sqlstore.Store, error) {
	cfg, err := readConnection(file)
	if err != nil {
		return nil, nil, err
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionBeforeConnect(func(_ context.Context, c *pgx.ConnConfig) error {
		now, err := readConnection(file)
		if err == nil {
			*c = *now
		}
		return err
	}))
	db.SetMaxOpenConns(8)
	store, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, store, nil
}

func readConnection(file string) (*pgx.ConnConfig, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cfg, err := pgx.ParseConfig(strings.TrimSpace(string(text)))
	if err != nil {
		// The driver's words may quote the string, which holds the password.
		return nil, fmt.Errorf("%s: not a connection string: write postgres://USER:PASSWORD@HOST:5432/DATABASE, with special characters as %%XX", file)
	}
	return cfg, nil
}

// rows is a shelf in a table, for any number of processes.
type rows struct{ db *sql.DB }

func (r *rows) Close() error { return r.db.Close() }

func (r *rows) create(ctx context.Context) error {
	_, err := r.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS notes (name text PRIMARY KEY, ciphertext bytea NOT NULL)")
	return err
}

func (r *rows) get(ctx context.Context, name string) (ciphertext []byte, found bool, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT ciphertext FROM notes WHERE name = $1", name).Scan(&ciphertext)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return ciphertext, err == nil, err
}

func (r *rows) put(ctx context.Context, name string, ciphertext []byte) error {
	_, err := r.db.ExecContext(ctx, "INSERT INTO notes (name, ciphertext) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET ciphertext = $2", name, ciphertext)
	return err
}
