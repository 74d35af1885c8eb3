package sqlsource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/internal/sqlerror"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A Source is the columns of a table as a [migrate.Source]. It takes batches,
// counts by itself and knows about how much there is: it is a [migrate.Batcher],
// a [migrate.Counter] and a [migrate.Estimator]. It is safe for concurrent use.
// Make it with [Open].
type Source struct {
	db      *sql.DB
	cfg     Config
	d       dialect
	table   string // quoted
	keys    []column
	columns []column
}

// A column is one as the database describes it.
type column struct {
	name, quoted string

	kind      string // its type, in the dialect's words
	binary    bool   // bytes, and not text
	limit     int64  // the longest value, in bytes or characters; 0 is none
	nullable  bool
	computed  bool
	unsigned  bool
	charset   string
	collation string
}

// A dialect is what the databases do differently.
type dialect interface {
	quote(name string) string

	// inspect describes all columns of the table, and its unique keys, the primary
	// one first. It refuses what is no table, or cannot be written.
	inspect(ctx context.Context, q queryer, s *Source) (columns []column, keys [][]string, err error)

	// check refuses a column of the key, or one of ciphertexts.
	checkKey(c *column) error
	checkValue(c *column) error

	// keyOut is the SQL that reads a column of the key as text, keyIn that which
	// makes the column's type of a parameter, and keyArg the parameter.
	keyOut(c *column) string
	keyIn(c *column, parameter string) string
	keyArg(c *column, text string) (any, error)

	// keyPart is a part of the key for associated data.
	keyPart(c *column, text string) string

	// rowCompare is whether keys of several columns are compared as rows.
	rowCompare() bool

	parameter(n int) string // the nth, from 1 on
	valueOut(c *column) string

	// replace executes the batch for one column, and sets which were replaced.
	replace(ctx context.Context, tx *sql.Tx, s *Source, c *column, batch []*change) error

	// most is how many changes, and of how many bytes, replace takes.
	most() (changes, bytes int)

	// fits refuses a change that is too large for a statement of its own.
	fits(r *migrate.Replacement) error

	// count is [Source.Heads] for one column, and heads the SQL of what it groups by.
	count(ctx context.Context, q queryer, s *Source, c *column) ([]migrate.Head, error)
	heads(c *column) string
	estimate(ctx context.Context, q queryer, s *Source) (rows int64, err error)
	unavailable(err error) bool
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// A change is one element of a batch with its place.
type change struct {
	*migrate.Replacement
	place
}

// Open looks at the table and returns it as a source. The database stays the
// caller's to close. The error is [seal.ErrConfig] for what is refused, and the
// database's otherwise.
func Open(ctx context.Context, db *sql.DB, cfg Config) (*Source, error) {
	s, err := newSource(db, cfg)
	if err != nil {
		return nil, fmt.Errorf("sqlsource: open: %w", err)
	}
	if err := s.inTx(ctx, nil, func(tx *sql.Tx) error { return s.inspect(ctx, tx) }); err != nil {
		return nil, fmt.Errorf("sqlsource: open table %q: %w", cfg.Table, err)
	}
	return s, nil
}

func newSource(db *sql.DB, cfg Config) (*Source, error) {
	if db == nil {
		return nil, refuse("the database is nil")
	}
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &Source{db: db, cfg: cfg}
	switch cfg.Dialect {
	case PostgreSQL:
		s.d = postgres{}
	case MySQL:
		s.d = &mysql{}
	case SQLite:
		s.d = sqlite{}
	}
	s.table = s.d.quote(cfg.Table)
	if cfg.Schema != "" {
		s.table = s.d.quote(cfg.Schema) + "." + s.table
	}
	return s, nil
}

// inTx does f in a transaction, which is as short as f is.
func (s *Source) inTx(ctx context.Context, opts *sql.TxOptions, f func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, opts)
	if err != nil {
		return s.errorf(ctx, err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // what went wrong before says more
		return s.errorf(ctx, err)
	}
	return s.errorf(ctx, tx.Commit())
}

// reading does f, in a transaction but over SQLite: there is no pooler in between
// there, and some of its drivers lock out all writers for one.
func (s *Source) reading(ctx context.Context, opts *sql.TxOptions, f func(q queryer) error) error {
	if s.cfg.Dialect == SQLite {
		return s.errorf(ctx, f(s.db))
	}
	return s.inTx(ctx, opts, func(tx *sql.Tx) error { return f(tx) })
}

// errorf marks an error after which the same may be tried again.
func (s *Source) errorf(ctx context.Context, err error) error {
	if state := sqlerror.State(err); state == "26000" || state == "42P05" {
		return fmt.Errorf("%w: behind a pooler in transaction mode have pgx prepare no statement (default_query_exec_mode=exec), or the pooler keep track of them", err)
	}
	if err == nil || ctx.Err() != nil || errors.Is(err, seal.ErrConfig) || !s.d.unavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", migrate.ErrUnavailable, err)
}

// pageBytes is about how much a page takes in memory, of which itemBytes for each
// item beside its value.
const (
	pageBytes = 512 << 10
	itemBytes = 200
)

// Page reads from the primary key on, as [migrate.Source] says.
func (s *Source) Page(ctx context.Context, after string, limit int) (page []migrate.Item, err error) {
	var from *place
	if after != "" {
		p, err := s.place(after)
		if err != nil {
			return nil, fmt.Errorf("sqlsource: page: %w", err)
		}
		from = &p
	}
	text, args, err := s.pageQuery(from, max(1, (limit+len(s.columns)-1)/len(s.columns)))
	if err != nil {
		return nil, fmt.Errorf("sqlsource: page: %w", err)
	}
	err = s.reading(ctx, nil, func(q queryer) error {
		page, err = s.readPage(ctx, q, from, limit, text, args)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlsource: page: %w", err)
	}
	return page, nil
}

func (s *Source) readPage(ctx context.Context, q queryer, from *place, limit int, text string, args []any) (page []migrate.Item, err error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	keys, values := make([]sql.NullString, len(s.keys)), make([][]byte, len(s.columns))
	var into []any
	for i := range keys {
		into = append(into, &keys[i])
	}
	for i := range values {
		into = append(into, &values[i])
	}
	size := 0
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		p := place{key: make([]string, len(keys))}
		for i, k := range keys {
			if !k.Valid {
				return nil, refuse("a row has NULL in its key, column %q: no order finds it again", s.keys[i].name)
			}
			p.key[i] = k.String
		}
		for i, value := range values {
			if from != nil && i <= from.column && equal(p.key, from.key) {
				continue // of the row in whose midst the last page ended
			}
			if len(page) == limit {
				return page, nil
			}
			p.column = i
			page = append(page, migrate.Item{ID: s.id(p), AAD: s.aad(p), Ciphertext: value})
			size += len(value) + itemBytes
			values[i] = nil
		}
		if size >= pageBytes && len(page) > 0 {
			return page, nil
		}
	}
	return page, rows.Err()
}

func equal(a, b []string) bool { return strings.Join(a, "\x00") == strings.Join(b, "\x00") }

func (s *Source) aad(p place) []byte {
	parts := make([]string, len(p.key))
	for i, part := range p.key {
		parts[i] = s.d.keyPart(&s.keys[i], part)
	}
	return s.cfg.AAD(s.columns[p.column].name, parts)
}

// pageQuery reads rows from behind a place on, or with it if columns of it are
// left.
func (s *Source) pageQuery(from *place, rows int) (text string, args []any, err error) {
	var out, order, where []string
	for i := range s.keys {
		out = append(out, s.d.keyOut(&s.keys[i]))
		// By the table's name: a bare one would be that of the text which is read, and
		// in text 10 comes before 9.
		order = append(order, s.d.quote(s.cfg.Table)+"."+s.keys[i].quoted)
	}
	for i := range s.columns {
		out = append(out, s.d.valueOut(&s.columns[i]))
	}
	if s.cfg.Where != "" {
		where = append(where, "("+s.cfg.Where+")")
	}
	if from != nil {
		op := ">"
		if from.column < len(s.columns)-1 {
			op = ">="
			rows++ // of the first one a part is left
		}
		var condition string
		if condition, args, err = s.keyset(from.key, op); err != nil {
			return "", nil, err
		}
		where = append(where, condition)
	}
	text = "SELECT " + strings.Join(out, ", ") + " FROM " + s.table
	if where != nil {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	return fmt.Sprintf("%s ORDER BY %s LIMIT %d", text, strings.Join(order, ", "), rows), args, nil
}

// keyset is the condition for the rows from a key on.
func (s *Source) keyset(key []string, op string) (text string, args []any, err error) {
	param := func(i int) (string, error) {
		arg, err := s.d.keyArg(&s.keys[i], key[i])
		args = append(args, arg)
		return s.d.keyIn(&s.keys[i], s.d.parameter(len(args))), err
	}
	if s.d.rowCompare() || len(key) == 1 {
		var names, params []string
		for i := range key {
			p, err := param(i)
			if err != nil {
				return "", nil, err
			}
			names, params = append(names, s.keys[i].quoted), append(params, p)
		}
		if len(key) == 1 {
			return names[0] + " " + op + " " + params[0], args, nil
		}
		return "(" + strings.Join(names, ", ") + ") " + op + " (" + strings.Join(params, ", ") + ")", args, nil
	}
	// a >= ? AND (a > ? OR (a = ? AND b > ?)), of which an index reads the first.
	p, err := param(0)
	if err != nil {
		return "", nil, err
	}
	text = s.keys[0].quoted + " >= " + p + " AND ("
	for n := range key {
		if n > 0 {
			text += " OR "
		}
		text += "("
		for i := range n + 1 {
			is := " = "
			if i == n {
				if is = " > "; i == len(key)-1 {
					is = " " + op + " "
				}
			}
			p, err := param(i)
			if err != nil {
				return "", nil, err
			}
			if i > 0 {
				text += " AND "
			}
			text += s.keys[i].quoted + is + p
		}
		text += ")"
	}
	return text + ")", args, nil
}
