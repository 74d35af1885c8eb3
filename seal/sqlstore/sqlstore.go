// Package sqlstore keeps the record of a seal in a table of a SQL database that
// the host has anyway: PostgreSQL, MySQL or MariaDB, SQLite. It uses database/sql
// and brings no driver.
//
//	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
//	…
//	db.SetMaxOpenConns(2) // the host's own requests have another pool
//	store, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
//
// # The table
//
// A record is one row: its name, a revision, its bytes. [Config.Schema] is the
// statement that makes the table, for the host's migrations, and
// [Store.CreateTable] executes it. After that the database user needs SELECT,
// INSERT and UPDATE on this table and nothing else. Do not give it DELETE: a
// store that lost its row looks like one that was never initialized.
//
// # Compare-and-swap
//
// Swap is one UPDATE … WHERE revision = old, and the first one an INSERT under
// the primary key. A revision is a random number, not a counter: one that was
// used before a backup was restored, or before the row was deleted, is never met
// again.
//
// The database must be the primary one. A replica that lags answers with an old
// record, which a Barrier takes for a rollback. The nodes of a Galera cluster are
// all primary: there each transaction waits until its node has what the others
// confirmed (wsrep_sync_wait, which the session then has back as it was).
//
// A database that gives a transaction up for the sake of another, at the latest
// when it commits, has stored nothing: that is a conflict too (PostgreSQL's 40001
// and 40P01; MySQL's 1213 and 1062, TiDB's 8005 and 9007).
//
// # Dolt and TiDB
//
// They are of Dialect MySQL, and find out when they commit who was first: a conflict
// here too. The suite runs with Dolt; for TiDB this package does what its documentation
// says, which no test has seen yet. By some settings a session of theirs confirms what
// it does not store (Dolt's dolt_transactions_disabled; before TiDB 8.0
// tidb_disable_txn_auto_retry = OFF) or reads what was there before (TiDB's
// tidb_snapshot, tidb_read_staleness, tidb_low_resolution_tso,
// tidb_enable_external_ts_read, and tidb_guarantee_linearizability = OFF): such a
// session is set right, and not given back to the pool.
//
// Dolt keeps the record in the working set of the branch that the connection string
// names: another branch, also by DOLT_CHECKOUT in a session, has another record or none,
// and DOLT_RESET or DOLT_CHECKOUT of the table brings back an old one as a restore does.
// A read replica of Dolt is refused with [ErrNotDurable], as what it fetches next takes
// the place of what it stored.
//
// # Poolers
//
// What is read is read in a transaction, as behind a pooler in transaction mode
// (PgBouncer's, or a cloud's) a driver that prepares a statement and executes it
// may otherwise execute another client's, with no error. That costs two round
// trips. A pooler that does not keep track of named statements refuses some of
// pgx's: set default_query_exec_mode=exec in its connection string.
//
// # Durability
//
// Swap returns nil only after the commit, and asks the database to put that on
// the disk where a session may ask: PostgreSQL's synchronous_commit is raised from
// off to on for the transaction, SQLite's synchronous to EXTRA for the connection
// while it swaps. What belongs to the whole server or file is looked up each time,
// and Swap fails with [ErrNotDurable] where a commit may be lost: PostgreSQL with
// fsync = off or an unlogged table; MySQL with another
// innodb_flush_log_at_trx_commit than 1, another sync_binlog than 1 beside a
// binary log, or another engine than InnoDB; SQLite with journal_mode OFF or
// MEMORY, as a database in memory has. [Config.AllowLostCommits] takes them all. Dolt
// syncs its journal at each commit, and has no such setting; TiDB names MySQL's and
// ignores them: what a commit promises there is for TiKV to say.
//
// # A pool of its own
//
// Give the store a pool of its own of one or two connections, made with sql.Open
// once more and [sql.DB.SetMaxOpenConns]. In the host's pool a load waits for a
// connection as any request does; where requests decrypt within transactions, and
// another replica has just rotated the keys, all connections may be held by requests
// that wait for this load, and none gets on until [seal.Config]'s StoreTimeout. The
// error says so then.
//
// # Drivers
//
// The suite runs with pgx and lib/pq, go-sql-driver/mysql, and for SQLite with
// modernc's, mattn's and ncruces'. What to know of them: modernc's has no busy
// timeout unless one is set, nor has ncruces' as soon as any _pragma is; mattn's sets
// synchronous to NORMAL, which a swap raises and the host's own commits have. Where a
// server stops to answer, pgx and go-sql-driver return when the context is done;
// lib/pq goes on waiting, and the Barrier gives up on it after StoreTimeout. A driver
// whose transactions are none, as gorqlite's, is not for this package.
//
// # Errors
//
// [seal.ErrNotFound] means that the table was read and has no such row. A
// database that can't be reached is another error, and so is a table that isn't
// there, [ErrNoTable]. After an error of Swap other than [seal.ErrConflict],
// [seal.ErrTooLarge] and [ErrNotDurable] the swap may or may not have taken place,
// and may even take place a little later, as a server goes on with what a lost
// connection sent. SQLite answers "database is locked" where its busy_timeout is
// too short: set some seconds.
package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sealwright/sealwright/internal/poll"
	"github.com/sealwright/sealwright/internal/sqlerror"
	"github.com/sealwright/sealwright/seal"
)

// ErrNoTable is returned where the database was reached and has no such table,
// or none that this database user may see. It is never [seal.ErrNotFound]: a
// migration that did not run is no reason to initialize.
var ErrNoTable = errors.New("sqlstore: the table is missing: run the migration with its Schema, or call CreateTable")

// Store is a [seal.Store] and a [seal.Watcher] in a SQL database. It is safe for
// concurrent use, from several processes at once. Make it with [Open].
type Store struct {
	db  *sql.DB
	cfg Config
	stm statements
	of  string // what is in the table, for errors
}

// Open returns a store in the database, which stays the caller's to close, and is
// best a pool of its own. It does not talk to it. The error, which is [seal.ErrConfig], says what is wrong
// with the configuration.
func Open(db *sql.DB, cfg Config) (*Store, error) {
	if db == nil {
		return nil, fmt.Errorf("%w: sqlstore: the database is nil", seal.ErrConfig)
	}
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Store{db: db, cfg: cfg, stm: cfg.statements(), of: "record"}, nil
}

// CreateTable makes the table unless it exists. It needs the right to do so,
// which the server itself can do without: see [Config.Schema].
func (s *Store) CreateTable(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, s.stm.schema); err != nil {
		return s.errorf(ctx, "create table", err)
	}
	return nil
}

// Load returns the record and its revision, or [seal.ErrNotFound] if the table
// has no row of this name.
func (s *Store) Load(ctx context.Context) (rec []byte, rev string, err error) {
	var revision int64
	err = s.query(ctx, s.stm.load, []any{s.cfg.Name}, []any{&revision, &rec})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, "", s.errorf(ctx, "load", seal.ErrNotFound)
	case err != nil:
		return nil, "", s.errorf(ctx, "load", s.explain(ctx, err))
	case len(rec) > seal.MaxRecordSize:
		return nil, "", s.errorf(ctx, "load", fmt.Errorf("%w: the row is larger than any record", seal.ErrCorrupt))
	}
	return rec, formatRevision(revision), nil
}

// Swap replaces the record as [seal.Store] says. It fails with
// [seal.ErrTooLarge] if rec is longer than [seal.MaxRecordSize], and with
// [ErrNotDurable] where a commit may be lost.
func (s *Store) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if len(rec) > seal.MaxRecordSize {
		return "", s.errorf(ctx, "swap", fmt.Errorf("%d bytes: %w", len(rec), seal.ErrTooLarge))
	}
	if rec == nil {
		rec = []byte{} // nil would be NULL
	}
	next := newRevision()
	swapped, err := s.swap(ctx, rec, old, next)
	switch {
	case err != nil:
		return "", s.errorf(ctx, "swap", s.explain(ctx, err))
	case !swapped:
		return "", s.errorf(ctx, "swap", seal.ErrConflict)
	}
	return formatRevision(next), nil
}

func (s *Store) swap(ctx context.Context, rec []byte, old string, next int64) (swapped bool, err error) {
	if old != "" {
		revision, ok := parseRevision(old)
		if !ok {
			return false, ctx.Err() // no revision of ours
		}
		return s.change(ctx, nil, s.stm.update, next, rec, s.cfg.Name, revision)
	}
	return s.insert(ctx, next, rec)
}

// Watch tells of changes as [seal.Watcher] says, by asking for the revision
// every [Config.PollInterval]. It begins by sending once, as the record may have
// changed before. A database out of reach does not end it.
func (s *Store) Watch(ctx context.Context, changed chan<- struct{}) error {
	return poll.Watch(ctx, s.cfg.PollInterval, func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, max(s.cfg.PollInterval, time.Second))
		defer cancel()
		revision, err := s.revision(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return "", nil
		}
		return formatRevision(revision), err
	}, changed)
}

// explain finds out whether an error came of a missing table. Drivers tell that
// each in their own way, so the database is asked.
func (s *Store) explain(ctx context.Context, err error) error {
	if state := sqlerror.State(err); state == "26000" || state == "42P05" {
		return fmt.Errorf("%w: behind a pooler in transaction mode have pgx prepare no statement (default_query_exec_mode=exec), or the pooler keep track of them", err)
	}
	var tables int
	if ask := s.query(ctx, s.stm.tables, nil, []any{&tables}); ask != nil || tables > 0 {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoTable, err)
}

// errorf says what failed. Some drivers say only in their own words that the
// context was done.
func (s *Store) errorf(ctx context.Context, op string, err error) error {
	if done := ctx.Err(); done != nil && !errors.Is(err, done) {
		err = fmt.Errorf("%w: %w", done, err)
	}
	if pool := s.db.Stats(); errors.Is(err, context.DeadlineExceeded) && pool.MaxOpenConnections > 0 && pool.InUse >= pool.MaxOpenConnections {
		err = fmt.Errorf("%w: all connections of the pool are in use (%d), perhaps by requests that wait for this: give the store a pool of its own", err, pool.InUse)
	}
	return fmt.Errorf("sqlstore: %s %s %q in table %s: %w", op, s.of, s.cfg.Name, s.cfg.Table, err)
}

// newRevision returns a positive random number.
func newRevision() int64 {
	var b [8]byte
	rand.Read(b[:])
	return max(1, int64(binary.BigEndian.Uint64(b[:])>>1))
}

func formatRevision(n int64) string { return strconv.FormatInt(n, 10) }

func parseRevision(rev string) (n int64, ok bool) {
	n, err := strconv.ParseInt(rev, 10, 64)
	return n, err == nil && formatRevision(n) == rev
}
