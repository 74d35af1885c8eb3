package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// query reads one row, of what is committed now. It does so in a transaction,
// which has one connection to the database to itself: behind a pooler in
// transaction mode a statement that a driver prepares and then executes outside of
// one may meet, in between, another connection, where it is another client's
// statement that is executed, with no error.
func (s *Store) query(ctx context.Context, text string, args, dest []any) error {
	return s.read(ctx, func(q queryer) error { return q.QueryRowContext(ctx, text, args...).Scan(dest...) })
}

// A queryer reads: a database, or a transaction.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (s *Store) read(ctx context.Context, f func(queryer) error) error {
	if s.cfg.Dialect == SQLite {
		return f(s.db)
	}
	options := &sql.TxOptions{}
	if s.cfg.Dialect == PostgreSQL {
		// The session's default may see what was there before, or fail where
		// others write.
		options.Isolation = sql.LevelReadCommitted
	}
	tx, end, err := s.begin(ctx, options)
	if err != nil {
		return err
	}
	defer end()
	if s.cfg.Dialect == MySQL {
		for _, begin := range readMySQL {
			if _, err := tx.ExecContext(ctx, begin); err != nil {
				return err
			}
		}
	}
	return f(tx)
}

// begin begins a transaction, which end rolls back unless it was committed.
func (s *Store) begin(ctx context.Context, options *sql.TxOptions) (tx *sql.Tx, end func(), err error) {
	if s.cfg.Dialect != MySQL {
		if tx, err = s.db.BeginTx(ctx, options); err != nil {
			return nil, nil, err
		}
		return tx, func() { tx.Rollback() }, nil
	}
	conn, restore, err := s.awaitCluster(ctx)
	if err != nil {
		return nil, nil, err
	}
	if tx, err = conn.BeginTx(ctx, options); err != nil {
		restore()
		conn.Close()
		return nil, nil, err
	}
	return tx, sync.OnceFunc(func() {
		tx.Rollback()
		restore()
		conn.Close()
	}), nil
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

// revision returns the present revision, or sql.ErrNoRows.
func (s *Store) revision(ctx context.Context) (revision int64, err error) {
	err = s.query(ctx, s.stm.revision, []any{s.cfg.Name}, []any{&revision})
	return revision, err
}

// insert makes the row, and reports whether it did.
func (s *Store) insert(ctx context.Context, next int64, rec []byte) (changed bool, err error) {
	// MySQL can't insert and tell a row that was there from a failure; the others
	// tell even if the row comes between.
	if _, err := s.revision(ctx); !errors.Is(err, sql.ErrNoRows) {
		return false, err // nil: there is a record
	}
	present := func(ctx context.Context) error {
		_, err := s.revision(ctx)
		return err
	}
	return s.change(ctx, present, s.stm.insert, s.cfg.Name, next, rec)
}

// change executes an INSERT or an UPDATE and reports whether it changed the row,
// for good. It never runs twice, as statements outside of a transaction or of one
// connection may when database/sql takes a lost connection for an unused one. Of an
// INSERT, present returns nil if the row is there now.
func (s *Store) change(ctx context.Context, present func(context.Context) error, text string, args ...any) (changed bool, err error) {
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
	tx, end, err := s.begin(ctx, options)
	if err != nil {
		return false, err
	}
	defer end()
	if err := durable(ctx, tx); err != nil {
		return false, err
	}
	changed, err = changedRow(tx.ExecContext(ctx, text, args...))
	if err == nil && changed {
		err = tx.Commit()
		return err == nil, unlessLost(err)
	}
	if err = unlessLost(err); err != nil && present != nil {
		// Nothing was committed, so a row that is there now is somebody else's.
		end() // in a pool of one connection there is no other to ask with
		if present(ctx) == nil {
			return false, nil
		}
	}
	return false, err
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
