package sqlstore

import (
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
	list     string // name, limit → names after it
	tables   string // → how many tables of the name there are: 0 or 1
	durable  string // what the dialect's function in durable.go needs
}

func (c Config) statements() statements {
	schema, table, quoted := c.table()
	s := statements{
		load:     "SELECT revision, record FROM " + quoted + " WHERE name = ?",
		revision: "SELECT revision FROM " + quoted + " WHERE name = ?",
		insert:   "INSERT INTO " + quoted + " (name, revision, record) VALUES (?, ?, ?)",
		update:   "UPDATE " + quoted + " SET revision = ?, record = ? WHERE name = ? AND revision = ?",
		list:     "SELECT name FROM " + quoted + " WHERE name > ? AND length(record) > 0 ORDER BY name LIMIT ?",
	}
	switch c.Dialect {
	case PostgreSQL:
		s.schema = fmt.Sprintf(schemaPostgreSQL, quoted)
		s.insert += " ON CONFLICT DO NOTHING"
		s.tables = "SELECT count(to_regclass('" + quoted + "'))"
		s.durable = fmt.Sprintf(durablePostgreSQL, quoted)
		// A text is in the order of the database's language otherwise.
		s.list = "SELECT name FROM " + quoted + ` WHERE name COLLATE "C" > ? AND length(record) > 0 ORDER BY name COLLATE "C" LIMIT ?`
		for _, text := range []*string{&s.load, &s.revision, &s.insert, &s.update, &s.list} {
			*text = numbered(*text)
		}
	case MySQL:
		s.schema = fmt.Sprintf(schemaMySQL, quoted)
		in := "DATABASE()"
		if schema != "" {
			in = "'" + schema + "'"
		}
		from := " FROM information_schema.tables WHERE table_schema = " + in + " AND table_name = '" + table + "'"
		s.tables, s.durable = "SELECT count(*)"+from, "SELECT engine"+from
	case SQLite:
		s.schema = fmt.Sprintf(schemaSQLite, quoted)
		s.insert += " ON CONFLICT DO NOTHING"
		if schema != "" {
			s.durable = c.quote(schema) + "."
		}
		s.tables = "SELECT count(*) FROM " + s.durable + "sqlite_master WHERE type = 'table' AND name = '" + table + "'"
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

// durablePostgreSQL raises synchronous_commit from off to on for the transaction,
// and asks what else decides whether the commit lasts.
const durablePostgreSQL = `SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true),
	current_setting('fsync'), (SELECT relpersistence::text FROM pg_class WHERE oid = to_regclass('%s'))`

// table returns the parts of the table's name, and all of it in quotes.
func (c Config) table() (schema, table, quoted string) {
	schema, table, ok := strings.Cut(c.Table, ".")
	if !ok {
		schema, table = "", c.Table
		return schema, table, c.quote(table)
	}
	return schema, table, c.quote(schema) + "." + c.quote(table)
}

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
