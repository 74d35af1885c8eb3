package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

const table = "CREATE TABLE IF NOT EXISTS tokens (id INTEGER PRIMARY KEY AUTOINCREMENT, secret TEXT NOT NULL, refreshed INTEGER NOT NULL DEFAULT 0)"

// tokens keeps third parties' tokens, encrypted in a column.
type tokens struct {
	db  *sql.DB
	box *seal.Box
}

// add stores a token in a row of which the database makes the id: the token is
// bound to it, so the row comes first, in the same transaction.
func (t *tokens) add(ctx context.Context, token string) (id int64, err error) {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if err := tx.QueryRowContext(ctx, "INSERT INTO tokens (secret) VALUES ('') RETURNING id").Scan(&id); err != nil {
		return 0, err
	}
	secret, err := t.box.EncryptString(ctx, token, strconv.FormatInt(id, 10))
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE tokens SET secret = ? WHERE id = ?", secret, id); err != nil {
		return 0, err
	}
	return id, tx.Commit()
}

func (t *tokens) get(ctx context.Context, id int64) (string, error) {
	var secret string
	if err := t.db.QueryRowContext(ctx, "SELECT secret FROM tokens WHERE id = ?", id).Scan(&secret); err != nil {
		return "", err
	}
	return t.box.DecryptString(ctx, secret, strconv.FormatInt(id, 10))
}

// refresh has each token renewed by who gave it, now and every hour.
func (t *tokens) refresh(ctx context.Context) error {
	every := time.NewTicker(time.Hour)
	defer every.Stop()
	for {
		if err := t.refreshAll(ctx); err != nil && ctx.Err() == nil {
			fmt.Println("refresh, again in an hour:", err)
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// refreshAll would ask the third parties; this one only shows that it could.
func (t *tokens) refreshAll(ctx context.Context) error {
	var after int64
	for {
		err := t.db.QueryRowContext(ctx, "SELECT id FROM tokens WHERE id > ? ORDER BY id LIMIT 1", after).Scan(&after)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		if _, err := t.get(ctx, after); err != nil {
			return fmt.Errorf("token %d: %w", after, err)
		}
		if _, err := t.db.ExecContext(ctx, "UPDATE tokens SET refreshed = refreshed + 1 WHERE id = ?", after); err != nil {
			return err
		}
	}
}

// ServeHTTP takes a token with POST /tokens/, and shows it with GET /tokens/ID.
func (t *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := authorize(r, "tokens"); err != nil {
		http.Error(w, "permission denied", http.StatusForbidden)
		return
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, "/tokens/"), 10, 64)
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/tokens/":
		var token []byte
		if token, err = io.ReadAll(http.MaxBytesReader(w, r.Body, 4096)); err == nil {
			if id, err = t.add(r.Context(), string(token)); err == nil {
				w.WriteHeader(http.StatusCreated)
				fmt.Fprintln(w, id)
			}
		}
	case r.Method == http.MethodGet && err == nil:
		var token string
		if token, err = t.get(r.Context(), id); err == nil {
			io.WriteString(w, token)
		}
	default:
		http.Error(w, "POST /tokens/ or GET /tokens/ID", http.StatusBadRequest)
		return
	}
	switch {
	case err == nil:
	case errors.Is(err, sql.ErrNoRows):
		http.NotFound(w, r)
	case sealhttp.Error(w, err): // sealed just now
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
