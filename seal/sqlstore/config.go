package sqlstore

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// Dialect is the kind of a database.
type Dialect int

// The dialects. Zero is none of them.
const (
	PostgreSQL Dialect = iota + 1
	MySQL              // also MariaDB, Dolt, TiDB
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

// Config says where the record is.
type Config struct {
	// Dialect is the kind of the database. It is required.
	Dialect Dialect

	// Table is the table, with its schema or database before a dot if need be,
	// each of lower-case letters, digits and underscores. Zero is
	// "sealwright_records".
	Table string

	// Name tells the records of several servers in one table apart: 1 to 64
	// letters, digits, dots, hyphens and underscores. Zero is "default".
	Name string

	// PollInterval is how often Watch asks. Zero is five seconds.
	PollInterval time.Duration

	// AllowLostCommits takes a database that may lose what it confirmed, where
	// Swap otherwise fails with [ErrNotDurable]. What was encrypted under a key
	// of a lost record is lost with it. It is for tests, and for a cluster that
	// has each commit on several machines instead of on a disk.
	AllowLostCommits bool
}

// Schema returns the statement that makes the table unless it exists, without a
// semicolon at the end.
func (c Config) Schema() (string, error) {
	c, err := c.complete()
	if err != nil {
		return "", err
	}
	return c.statements().schema, nil
}

var (
	tablePattern = regexp.MustCompile(`^([a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*$`)
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// isTable and isName compare lengths: a limit in an expression is what most of its
// compilation costs, at the start of every program.
func isTable(table string) bool {
	schema, name, _ := strings.Cut(table, ".")
	return len(schema) <= 63 && len(name) <= 63 && tablePattern.MatchString(table)
}

func isName(name string) bool { return len(name) <= 64 && namePattern.MatchString(name) }

// complete checks the configuration and fills in what is zero.
func (c Config) complete() (Config, error) {
	if c.Table == "" {
		c.Table = "sealwright_records"
	}
	if c.Name == "" {
		c.Name = "default"
	}
	if c.PollInterval == 0 {
		c.PollInterval = 5 * time.Second
	}
	switch {
	case c.Dialect < PostgreSQL || c.Dialect > SQLite:
		return Config{}, fmt.Errorf("%w: sqlstore: Dialect is %v, want PostgreSQL, MySQL or SQLite", seal.ErrConfig, c.Dialect)
	case !isTable(c.Table):
		return Config{}, fmt.Errorf("%w: sqlstore: Table is %q, want lower-case letters, digits and underscores, at most 63, after a schema and a dot if need be", seal.ErrConfig, c.Table)
	case !isName(c.Name):
		return Config{}, fmt.Errorf("%w: sqlstore: Name is %q, want 1 to 64 letters, digits, dots, hyphens and underscores", seal.ErrConfig, c.Name)
	case c.PollInterval < 0:
		return Config{}, fmt.Errorf("%w: sqlstore: PollInterval is %v, want none or a positive one", seal.ErrConfig, c.PollInterval)
	}
	return c, nil
}
