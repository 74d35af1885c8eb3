package sqlstore

import (
	"context"
	"database/sql"
	"errors"
)

// query reads one row, of what is committed now.
func (s *Store) query(ctx context.Context, text string, dest ...any) error {
	if s.cfg.Dialect == MySQL {
		return s.queryMySQL(ctx, text, dest...)
	}
	return s.db.QueryRowContext(ctx, text, s.cfg.Name).Scan(dest...)
}

// readMySQL begins a transaction that reads what is committed, within one that
// ended whatever went on in the session. Hosts make sessions READ UNCOMMITTED,
// which read what may never be committed; without autocommit, or with a
// completion_type of CHAIN, they read what was there when they were first used,
// and take no other level until that has ended. It is not READ ONLY: proxies send
// those to replicas.
var readMySQL = []string{
	"COMMIT AND NO CHAIN NO RELEASE",
	"SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
	"START TRANSACTION",
}

func (s *Store) queryMySQL(ctx context.Context, text string, dest ...any) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, begin := range readMySQL {
		if _, err := tx.ExecContext(ctx, begin); err != nil {
			return err
		}
	}
	return tx.QueryRowContext(ctx, text, s.cfg.Name).Scan(dest...)
}

// revision returns the present revision, or sql.ErrNoRows.
func (s *Store) revision(ctx context.Context) (revision int64, err error) {
	err = s.query(ctx, s.stm.revision, &revision)
	return revision, err
}

// insert makes the row, and reports whether it did.
func (s *Store) insert(ctx context.Context, next int64, rec []byte) (changed bool, err error) {
	// MySQL can't insert and tell a row that was there from a failure; the others
	// tell even if the row comes between.
	if _, err := s.revision(ctx); !errors.Is(err, sql.ErrNoRows) {
		return false, err // nil: there is a record
	}
	return s.change(ctx, s.stm.insert, s.cfg.Name, next, rec)
}

// change executes an INSERT or an UPDATE and reports whether it changed the row,
// for good. It never runs twice, as statements outside of a transaction or of one
// connection may when database/sql takes a lost connection for an unused one.
func (s *Store) change(ctx context.Context, text string, args ...any) (changed bool, err error) {
	if s.cfg.Dialect == SQLite {
		return s.changeSQLite(ctx, text, args...)
	}
	options := &sql.TxOptions{}
	durable := s.durableMySQL
	if s.cfg.Dialect == PostgreSQL {
		// The row is compared as it is now, whatever the session's default is.
		// MySQL does so at every level, and refuses this one where its binary log
		// holds statements.
		options.Isolation = sql.LevelReadCommitted
		durable = s.durablePostgreSQL
	}
	tx, err := s.db.BeginTx(ctx, options)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	if err := durable(ctx, tx); err != nil {
		return false, err
	}
	changed, err = changedRow(tx.ExecContext(ctx, text, args...))
	if err != nil && text == s.stm.insert {
		// Nothing was committed, so a row that is there now is somebody else's.
		tx.Rollback()
		if _, missing := s.revision(ctx); missing == nil {
			return false, nil
		}
	}
	if err != nil || !changed {
		return false, err
	}
	return true, tx.Commit()
}

func (s *Store) changeSQLite(ctx context.Context, text string, args ...any) (changed bool, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	restore, err := s.durableSQLite(ctx, conn)
	if err != nil {
		return false, err
	}
	defer restore()
	return changedRow(conn.ExecContext(ctx, text, args...))
}

// changedRow reports whether a row was changed. An UPDATE gives it a new revision,
// so that MySQL's drivers say the same whether they count rows found or changed.
func changedRow(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}
