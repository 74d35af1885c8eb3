package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/seal"
)

// Lines keep a journal in a table: they are what [journal.Table] has its rows
// from. A line is a row: the journal's name, the line's number, its text. No row is
// ever changed. Make it with [OpenLines].
//
// [journal.Table]: https://pkg.go.dev/github.com/sealwright/sealwright/seal/journal#Table
type Lines struct {
	store *Store // of the same database, for how it is talked to
	stm   lineStatements
}

// OpenLines returns the lines of the journal [Config.Name] in a table that is
// "sealwright_journal" unless Config.Table says otherwise. All that the package says
// of a record holds for them. The database user needs SELECT and INSERT, and should
// have neither UPDATE nor DELETE.
func OpenLines(db *sql.DB, cfg Config) (*Lines, error) {
	if cfg.Table == "" {
		cfg.Table = "sealwright_journal"
	}
	s, err := Open(db, cfg)
	if err != nil {
		return nil, err
	}
	s.of = "journal"
	return &Lines{s, s.cfg.lineStatements()}, nil
}

// String says which journal it is.
func (l *Lines) String() string {
	return fmt.Sprintf("journal %q in table %s", l.store.cfg.Name, l.store.cfg.Table)
}

// Schema returns the statement that makes the table unless it exists, without a
// semicolon at the end.
func (l *Lines) Schema() string { return l.stm.schema }

// CreateTable makes the table unless it exists.
func (l *Lines) CreateTable(ctx context.Context) error {
	if _, err := l.store.db.ExecContext(ctx, l.stm.schema); err != nil {
		return l.store.errorf(ctx, "create table of", err)
	}
	return nil
}

// Insert makes the row of a line, or returns [seal.ErrConflict] where there is one.
// After any other error it may be there.
func (l *Lines) Insert(ctx context.Context, seq uint64, line string) error {
	s := l.store
	there := func(ctx context.Context) error {
		var n int64
		return s.query(ctx, l.stm.has, []any{s.cfg.Name, int64(seq)}, []any{&n})
	}
	err := there(ctx) // as [Store.insert] looks
	inserted := false
	if errors.Is(err, sql.ErrNoRows) {
		inserted, err = s.change(ctx, there, l.stm.insert, s.cfg.Name, int64(seq), line)
	}
	switch {
	case err != nil:
		return s.errorf(ctx, "write line of", s.explain(ctx, err))
	case !inserted:
		return s.errorf(ctx, "write line of", seal.ErrConflict)
	}
	return nil
}

// Last returns the line of the highest number, or [seal.ErrNotFound] where there is
// none.
func (l *Lines) Last(ctx context.Context) (seq uint64, line string, err error) {
	var n int64
	err = l.store.query(ctx, l.stm.last, []any{l.store.cfg.Name}, []any{&n, &line})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", l.store.errorf(ctx, "read last line of", seal.ErrNotFound)
	}
	if err != nil {
		return 0, "", l.store.errorf(ctx, "read last line of", l.store.explain(ctx, err))
	}
	return uint64(n), line, nil
}

// After returns the first lines of a higher number, in their order, and the number
// of the last of them.
func (l *Lines) After(ctx context.Context, seq uint64, limit int) (lines []string, last uint64, err error) {
	last = seq
	err = l.store.read(ctx, func(q queryer) error {
		rows, err := q.QueryContext(ctx, l.stm.after, l.store.cfg.Name, int64(seq), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			var line string
			if err := rows.Scan(&n, &line); err != nil {
				return err
			}
			lines, last = append(lines, line), uint64(n)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, seq, l.store.errorf(ctx, "read", l.store.explain(ctx, err))
	}
	return lines, last, nil
}

// lineStatements are the texts that Lines send to the database.
type lineStatements struct {
	schema string // make the table
	insert string // name, seq, line
	has    string // name, seq → seq
	last   string // name → seq, line
	after  string // name, seq, limit → seqs and lines
}

func (c Config) lineStatements() lineStatements {
	_, _, quoted := c.table()
	s := lineStatements{
		insert: "INSERT INTO " + quoted + " (name, seq, line) VALUES (?, ?, ?)",
		has:    "SELECT seq FROM " + quoted + " WHERE name = ? AND seq = ?",
		last:   "SELECT seq, line FROM " + quoted + " WHERE name = ? ORDER BY seq DESC LIMIT 1",
		after:  "SELECT seq, line FROM " + quoted + " WHERE name = ? AND seq > ? ORDER BY seq LIMIT ?",
	}
	schema := linesSQLite
	switch c.Dialect {
	case PostgreSQL:
		schema = linesPostgreSQL
		s.insert += " ON CONFLICT DO NOTHING"
		for _, text := range []*string{&s.insert, &s.has, &s.last, &s.after} {
			*text = numbered(*text)
		}
	case MySQL:
		schema = linesMySQL
	case SQLite:
		s.insert += " ON CONFLICT DO NOTHING"
	}
	s.schema = fmt.Sprintf(schema, quoted)
	return s
}

// The tables. A line is ASCII, of at most 64 KiB, which is one more than MySQL's text.
const (
	linesPostgreSQL = `CREATE TABLE IF NOT EXISTS %s (
	name text NOT NULL,
	seq bigint NOT NULL,
	line text NOT NULL,
	PRIMARY KEY (name, seq)
)`
	linesMySQL = `CREATE TABLE IF NOT EXISTS %s (
	name varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	seq bigint NOT NULL,
	line mediumtext CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	PRIMARY KEY (name, seq)
) ENGINE=InnoDB`
	linesSQLite = `CREATE TABLE IF NOT EXISTS %s (
	name TEXT NOT NULL,
	seq INTEGER NOT NULL,
	line TEXT NOT NULL,
	PRIMARY KEY (name, seq)
)`
)
