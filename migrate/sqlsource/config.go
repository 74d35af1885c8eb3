package sqlsource

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

// Dialect is the kind of a database.
type Dialect int

// The dialects. Zero is none of them.
const (
	PostgreSQL Dialect = iota + 1
	MySQL              // also MariaDB
	SQLite
)

// String returns the dialect's name.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "PostgreSQL"
	case MySQL:
		return "MySQL"
	case SQLite:
		return "SQLite"
	}
	return fmt.Sprintf("Dialect(%d)", int(d))
}

// Config says where the ciphertexts are. Dialect, Table and Columns are required.
// Names are as the database has them, of any characters; they are quoted. Like
// Where they are the program's own, never input.
type Config struct {
	Dialect Dialect

	// Schema is the schema, database or attached file that the table is in. Empty:
	// the one that the connection is in.
	Schema string

	Table string

	// Columns hold the ciphertexts. They are gone through together, row by row.
	Columns []string

	// Key are the columns of a unique key without NULL. Empty: the primary key.
	Key []string

	// Where, if set, is a condition in SQL: rows for which it does not hold are not
	// looked at, nor counted.
	Where string

	// Name is what the table is called in associated data. Empty: Table, behind
	// Schema and a dot if that is set.
	Name string

	// AAD, if set, returns the associated data of a column in a row, in place of
	// the function [AAD]. The key is in text, a part for each of its columns. Of a
	// column that a [seal.Box] of another name encrypts:
	//
	//	AAD: func(_ string, key []string) []byte { return box.AAD(key...) },
	AAD func(column string, key []string) []byte
}

// AAD returns the associated data of a value: those of table, column and key, in
// the order of the key's columns, as b.Box(table, column) has them. Integers are in decimal, text is as it is, UUIDs
// are in lower case with hyphens, bytes are in lower-case hex.
func AAD(table, column string, key ...string) []byte {
	return keyring.AAD(append([]string{table, column}, key...)...)
}

func (c *Config) complete() error {
	names := slices.Concat([]string{c.Table}, c.Columns, c.Key)
	switch {
	case c.Dialect < PostgreSQL || c.Dialect > SQLite:
		return refuse("Dialect is PostgreSQL, MySQL or SQLite")
	case c.Table == "":
		return refuse("Table is empty")
	case len(c.Columns) == 0:
		return refuse("Columns is empty: name those that hold ciphertexts")
	case slices.Contains(names, "") || strings.ContainsRune(strings.Join(names, "")+c.Schema, 0):
		return refuse("a name is empty, or holds a zero byte")
	}
	for i, name := range c.Columns {
		if slices.Contains(c.Columns[:i], name) || slices.Contains(c.Key, name) {
			return refuse("column %q is named twice", name)
		}
	}
	if c.Name == "" {
		if c.Name = c.Table; c.Schema != "" {
			c.Name = c.Schema + "." + c.Table
		}
	}
	if c.AAD == nil {
		c.AAD = func(column string, key []string) []byte { return AAD(c.Name, column, key...) }
	}
	return nil
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", seal.ErrConfig, fmt.Sprintf(format, args...))
}
