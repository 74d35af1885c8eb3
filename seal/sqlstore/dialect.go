package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// statements are the texts sent to the database.
type statements struct {
	schema   string // make the table
	load     string // name → revision, record
	revision string // name → revision
	insert   string // name, new revision, record
	update   string // new revision, record, name, old revision
	tables   string // → how many tables of the name there are: 0 or 1
}

func (c Config) statements() statements {
	schema, table := "", c.Table
	if before, after, ok := strings.Cut(c.Table, "."); ok {
		schema, table = before, after
	}
	quoted := c.quote(table)
	if schema != "" {
		quoted = c.quote(schema) + "." + quoted
	}
	s := statements{
		load:     "SELECT revision, record FROM " + quoted + " WHERE name = ?",
		revision: "SELECT revision FROM " + quoted + " WHERE name = ?",
		insert:   "INSERT INTO " + quoted + " (name, revision, record) VALUES (?, ?, ?)",
		update:   "UPDATE " + quoted + " SET revision = ?, record = ? WHERE name = ? AND revision = ?",
	}
	switch c.Dialect {
	case PostgreSQL:
		s.schema = fmt.Sprintf(schemaPostgreSQL, quoted)
		s.insert += " ON CONFLICT DO NOTHING"
		s.tables = "SELECT count(to_regclass('" + quoted + "'))"
		for _, text := range []*string{&s.load, &s.revision, &s.insert, &s.update} {
			*text = numbered(*text)
		}
	case MySQL:
		s.schema = fmt.Sprintf(schemaMySQL, quoted)
		in := "DATABASE()"
		if schema != "" {
			in = "'" + schema + "'"
		}
		s.tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = " + in + " AND table_name = '" + table + "'"
	case SQLite:
		s.schema = fmt.Sprintf(schemaSQLite, quoted)
		s.insert += " ON CONFLICT DO NOTHING"
		master := "sqlite_master"
		if schema != "" {
			master = c.quote(schema) + "." + master
		}
		s.tables = "SELECT count(*) FROM " + master + " WHERE type = 'table' AND name = '" + table + "'"
	}
	return s
}

// The tables. Names are compared byte by byte in all of them. A record ends at 4
// MiB, a mediumblob at 16.
const (
	schemaPostgreSQL = `CREATE TABLE IF NOT EXISTS %s (
	name text PRIMARY KEY,
	revision bigint NOT NULL,
	record bytea NOT NULL
)`
	schemaMySQL = `CREATE TABLE IF NOT EXISTS %s (
	name varchar(64) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
	revision bigint NOT NULL,
	record mediumblob NOT NULL
) ENGINE=InnoDB`
	schemaSQLite = `CREATE TABLE IF NOT EXISTS %s (
	name TEXT NOT NULL PRIMARY KEY,
	revision INTEGER NOT NULL,
	record BLOB NOT NULL
)`
)

// quote quotes an identifier, which holds no quotes.
func (c Config) quote(identifier string) string {
	if c.Dialect == MySQL {
		return "`" + identifier + "`"
	}
	return `"` + identifier + `"`
}

// numbered replaces the question marks by $1, $2, ….
func numbered(text string) string {
	parts := strings.Split(text, "?")
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		fmt.Fprintf(&b, "$%d%s", i+1, part)
	}
	return b.String()
}

// change executes an INSERT or an UPDATE and reports whether it changed the row,
// for good. It never runs twice, as statements outside of a transaction or of one
// connection may when database/sql takes a lost connection for an unused one.
func (s *Store) change(ctx context.Context, text string, args ...any) (changed bool, err error) {
	if s.cfg.Dialect == SQLite {
		return s.changeSQLite(ctx, text, args...)
	}
	options := &sql.TxOptions{}
	if s.cfg.Dialect == PostgreSQL {
		// The row is compared as it is now, whatever the session's default is.
		options.Isolation = sql.LevelReadCommitted
	}
	tx, err := s.db.BeginTx(ctx, options)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	if s.cfg.Dialect == PostgreSQL {
		const durable = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
		if _, err := tx.ExecContext(ctx, durable); err != nil {
			return false, err
		}
	}
	changed, err = changedRow(tx.ExecContext(ctx, text, args...))
	if err != nil || !changed {
		return false, err
	}
	return true, tx.Commit()
}

// changeSQLite has the transaction reach the disk before it returns. With
// synchronous = NORMAL a commit in WAL mode does not; with FULL a rollback journal
// may come back. https://www.sqlite.org/pragma.html#pragma_synchronous
func (s *Store) changeSQLite(ctx context.Context, text string, args ...any) (changed bool, err error) {
	const extra = 3
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	var before int
	if err := conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&before); err != nil {
		return false, err
	}
	if before < extra {
		if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = EXTRA"); err != nil {
			return false, err
		}
		// If this fails, the connection is slower than before, and no worse.
		defer conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA synchronous = %d", before))
	}
	return changedRow(conn.ExecContext(ctx, text, args...))
}

func changedRow(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}
