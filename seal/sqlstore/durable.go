package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// ErrNotDurable is returned by Swap, which stored nothing, where the database is
// set to lose a commit that it confirmed, in a crash or a loss of power, and a
// session can't change that. Its text names the setting. See
// [Config.AllowLostCommits].
var ErrNotDurable = errors.New("sqlstore: the database may lose what it confirmed")

// session is a transaction or a connection.
type session interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
}

// lossy returns an ErrNotDurable, unless the host wants it this way.
func (s *Store) lossy(setting, value, want string) error {
	if s.cfg.AllowLostCommits {
		return nil
	}
	return fmt.Errorf("%w: %s is %s: it must be %s, or set Config.AllowLostCommits", ErrNotDurable, setting, value, want)
}

// durablePostgreSQL has the transaction's commit wait for the disk. A stricter
// synchronous_commit than on stays, and so does local. The server's fsync belongs
// to the administrator, and who made the table UNLOGGED wants it lost.
func (s *Store) durablePostgreSQL(ctx context.Context, tx session) error {
	var setting, fsync string
	var kind sql.NullString // none: there is no such table, which the change will tell
	if err := tx.QueryRowContext(ctx, s.stm.durable).Scan(&setting, &fsync, &kind); err != nil {
		return err
	}
	if fsync != "on" {
		return s.lossy("fsync", fsync, "on")
	}
	if kind.String == "u" || kind.String == "t" {
		return s.lossy("the table", "unlogged or temporary", "a logged one")
	}
	return nil
}

// mysqlVariables are global to a server, and a session can only read them. SHOW
// answers with those that the server knows; it needs no privilege.
const mysqlVariables = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', 'innodb_flush_method', 'log_bin', 'sync_binlog', 'dolt_read_replica_remote')"

// durableMySQL looks whether a commit waits for the disk. Where there is a binary
// log, recovery rolls back what did not reach it.
// https://dev.mysql.com/doc/refman/8.4/en/innodb-parameters.html#sysvar_innodb_flush_log_at_trx_commit
func (s *Store) durableMySQL(ctx context.Context, tx session) error {
	values, err := mysqlVariablesOf(ctx, tx, mysqlVariables)
	if err != nil {
		return err
	}
	const flush = "innodb_flush_log_at_trx_commit"
	sync, inLog := values["sync_binlog"] // Dolt has a binary log and not this: no recovery reads it
	switch value, ok := values[flush]; {
	case ok && value != "1" && value != "3": // MariaDB's 3 syncs more often than 1
		return s.lossy(flush, value, "1")
	case values["innodb_flush_method"] == "nosync":
		return s.lossy("innodb_flush_method", "nosync", "another one")
	case values["log_bin"] == "ON" && inLog && sync != "1":
		return s.lossy("sync_binlog", sync, "1 where log_bin is ON")
	case values["dolt_read_replica_remote"] != "": // what it fetches next replaces what it stored
		return s.lossy("dolt_read_replica_remote", values["dolt_read_replica_remote"], "empty: give the primary one")
	}
	var engine sql.NullString // none: a view, or no such table, which the change will tell
	err = tx.QueryRowContext(ctx, s.stm.durable).Scan(&engine)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if engine.Valid && !strings.EqualFold(engine.String, "InnoDB") {
		return s.lossy("the table's engine", engine.String, "InnoDB")
	}
	return nil
}

// mysqlVariablesOf returns what a SHOW VARIABLES answers, by lower-case names.
func mysqlVariablesOf(ctx context.Context, in session, show string) (map[string]string, error) {
	rows, err := in.QueryContext(ctx, show)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	values := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		values[strings.ToLower(name)] = value
	}
	return values, rows.Err()
}

// durableSQLite has the connection's transactions reach the disk before they
// return, and returns what puts the connection back. With synchronous = NORMAL a
// commit in WAL mode does not; with FULL a rollback journal may come back. The
// journal belongs to the file and to whoever set it up.
// https://www.sqlite.org/pragma.html#pragma_synchronous
func (s *Store) durableSQLite(ctx context.Context, conn session) (restore func(), err error) {
	var journal string
	if err := conn.QueryRowContext(ctx, "PRAGMA "+s.stm.durable+"journal_mode").Scan(&journal); err != nil {
		return nil, err
	}
	if journal == "off" || journal == "memory" {
		if err := s.lossy("journal_mode", journal, "WAL, DELETE, TRUNCATE or PERSIST"); err != nil {
			return nil, err
		}
	}
	const extra = 3
	synchronous := "PRAGMA " + s.stm.durable + "synchronous"
	var before int
	if err := conn.QueryRowContext(ctx, synchronous).Scan(&before); err != nil {
		return nil, err
	}
	if before >= extra {
		return func() {}, nil
	}
	if _, err := conn.ExecContext(ctx, synchronous+" = EXTRA"); err != nil {
		return nil, err
	}
	return func() {
		// If this fails, the connection is slower than before, and no worse.
		conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("%s = %d", synchronous, before))
	}, nil
}
