package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fakeDB stands for a database in the tests of this module, which has no
// driver: it understands the statements of this package by their first words
// and can be told to fail. It is no proof that a real database understands
// them; internal/sqltest runs those.
type fakeDB struct {
	mu     sync.Mutex // held by the transaction that changed something
	rows   map[string]fakeRow
	hasTab bool

	log struct {
		sync.Mutex
		texts []string
	}
	fail       func(text string) error // "OPEN" and "COMMIT" are texts, too
	noAffected bool                    // RowsAffected fails
	synchrony  atomic.Int64            // what PRAGMA synchronous answers

	// What the dialects' questions about durability are answered with.
	postgres []driver.Value // synchronous_commit, fsync, relpersistence
	mysql    [][]driver.Value
	engine   driver.Value
	journal  string
	session  [][]driver.Value // what the variables of the session are that this package asks for; none of Galera's where it is not
}

type fakeRow struct {
	revision int64
	record   []byte
}

func newFakeDB(t testing.TB) (*sql.DB, *fakeDB) {
	f := &fakeDB{
		rows: map[string]fakeRow{}, hasTab: true,
		postgres: []driver.Value{"on", "on", "p"},
		mysql:    [][]driver.Value{{"innodb_flush_log_at_trx_commit", "1"}, {"innodb_flush_method", "fsync"}, {"log_bin", "OFF"}, {"sync_binlog", "0"}},
		engine:   "InnoDB",
		journal:  "wal",
	}
	f.synchrony.Store(1)
	db := sql.OpenDB(f)
	t.Cleanup(func() { db.Close() })
	return db, f
}

func (f *fakeDB) note(text string) error {
	f.log.Lock()
	defer f.log.Unlock()
	f.log.texts = append(f.log.texts, text)
	if f.fail != nil {
		return f.fail(text)
	}
	return nil
}

// sent returns the first word of each statement since the last call.
func (f *fakeDB) sent() []string {
	f.log.Lock()
	defer f.log.Unlock()
	var words []string
	for _, text := range f.log.texts {
		first, _, _ := strings.Cut(text, " ")
		words = append(words, first)
	}
	f.log.texts = nil
	return words
}

func (f *fakeDB) Connect(context.Context) (driver.Conn, error) {
	if err := f.note("OPEN"); err != nil {
		return nil, err
	}
	return &fakeConn{db: f}, nil
}

func (f *fakeDB) Driver() driver.Driver { return nil }

type fakeConn struct {
	db    *fakeDB
	inTx  bool
	holds bool   // db.mu
	undo  func() // what the transaction did
}

func (c *fakeConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not prepared") }
func (c *fakeConn) Close() error                        { return nil }
func (c *fakeConn) Begin() (driver.Tx, error)           { return nil, errors.New("use BeginTx") }

func (c *fakeConn) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.db.note(fmt.Sprintf("BEGIN %v", sql.IsolationLevel(o.Isolation))); err != nil {
		return nil, err
	}
	c.inTx, c.undo = true, func() {}
	return c, nil
}

func (c *fakeConn) Commit() error {
	err := c.db.note("COMMIT")
	if err != nil {
		c.undo()
	}
	c.end()
	return err
}

func (c *fakeConn) Rollback() error {
	c.undo()
	c.end()
	return c.db.note("ROLLBACK")
}

func (c *fakeConn) end() {
	c.inTx, c.undo = false, nil
	if c.holds {
		c.holds = false
		c.db.mu.Unlock()
	}
}

func (c *fakeConn) lock() {
	if !c.holds {
		c.db.mu.Lock()
		c.holds = true
	}
}

func (c *fakeConn) unlock() {
	if !c.inTx {
		c.end()
	}
}

func (c *fakeConn) ExecContext(_ context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.db.note(text); err != nil {
		return nil, err
	}
	if c.inTx && (strings.HasPrefix(text, "COMMIT AND ") || strings.HasPrefix(text, "SET TRANSACTION ") || text == "START TRANSACTION") {
		return driver.ResultNoRows, nil // the transaction that reads is the one around it
	}
	if strings.HasPrefix(text, "SET SESSION ") {
		return driver.ResultNoRows, nil
	}
	c.lock()
	defer c.unlock()
	affected := int64(0)
	put := func(name string, row fakeRow) {
		before, was := c.db.rows[name]
		if undo := c.undo; undo != nil {
			c.undo = func() {
				if c.db.rows[name] = before; !was {
					delete(c.db.rows, name)
				}
				undo()
			}
		}
		row.record = slices.Clone(row.record)
		c.db.rows[name] = row
		affected = 1
	}
	switch {
	case strings.HasSuffix(text, "synchronous = EXTRA"):
		c.db.synchrony.Store(3)
	case strings.Contains(text, "synchronous = "):
		_, level, _ := strings.Cut(text, " = ")
		n, err := strconv.ParseInt(level, 10, 64)
		if err != nil {
			return nil, err
		}
		c.db.synchrony.Store(n)
	case strings.HasPrefix(text, "CREATE TABLE"):
		c.db.hasTab = true
	case !c.db.hasTab:
		return nil, errors.New("fake: what table?")
	case slices.ContainsFunc(args, func(a driver.NamedValue) bool { b, ok := a.Value.([]byte); return ok && b == nil }):
		return nil, errors.New("fake: NULL in a column that is NOT NULL")
	case strings.HasPrefix(text, "INSERT"):
		name := args[0].Value.(string)
		if _, ok := c.db.rows[name]; !ok {
			put(name, fakeRow{args[1].Value.(int64), args[2].Value.([]byte)})
		} else if !strings.HasSuffix(text, "ON CONFLICT DO NOTHING") {
			return nil, errors.New("fake: duplicate entry")
		}
	case strings.HasPrefix(text, "UPDATE"):
		name := args[2].Value.(string)
		if row, ok := c.db.rows[name]; ok && row.revision == args[3].Value.(int64) {
			put(name, fakeRow{args[0].Value.(int64), args[1].Value.([]byte)})
		}
	default:
		return nil, fmt.Errorf("fake: exec %q", text)
	}
	if c.db.noAffected {
		return driver.ResultNoRows, nil
	}
	return driver.RowsAffected(affected), nil
}

func (c *fakeConn) QueryContext(_ context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.db.note(text); err != nil {
		return nil, err
	}
	switch { // what reads no table waits for nobody
	case strings.HasPrefix(text, "PRAGMA ") && strings.HasSuffix(text, "synchronous"):
		return rowsOf([]driver.Value{c.db.synchrony.Load()}), nil
	case strings.HasPrefix(text, "PRAGMA ") && strings.HasSuffix(text, "journal_mode"):
		return rowsOf([]driver.Value{c.db.journal}), nil
	case strings.HasPrefix(text, "SELECT set_config("):
		return rowsOf(c.db.postgres), nil
	case strings.HasPrefix(text, "SHOW SESSION VARIABLES "):
		return &fakeRows{columns: 2, rows: c.db.session}, nil
	case strings.HasPrefix(text, "SHOW GLOBAL VARIABLES "):
		return &fakeRows{columns: 2, rows: c.db.mysql}, nil
	case strings.HasPrefix(text, "SELECT engine "):
		if !c.db.hasTab {
			return &fakeRows{columns: 1}, nil
		}
		return rowsOf([]driver.Value{c.db.engine}), nil
	}
	c.lock()
	defer c.unlock()
	switch {
	case strings.HasPrefix(text, "SELECT count("):
		n := int64(0)
		if c.db.hasTab {
			n = 1
		}
		return rowsOf([]driver.Value{n}), nil
	case !c.db.hasTab:
		return nil, errors.New("fake: what table?")
	}
	row, ok := c.db.rows[args[0].Value.(string)]
	values := []driver.Value{row.revision, slices.Clone(row.record)}
	if !strings.HasPrefix(text, "SELECT revision, record FROM ") {
		values = values[:1]
	}
	if !ok {
		return &fakeRows{columns: len(values)}, nil
	}
	return rowsOf(values), nil
}

type fakeRows struct {
	columns int
	rows    [][]driver.Value
}

func rowsOf(row []driver.Value) *fakeRows { return &fakeRows{len(row), [][]driver.Value{row}} }

func (r *fakeRows) Columns() []string { return make([]string, r.columns) }
func (r *fakeRows) Close() error      { return nil }

func (r *fakeRows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}
