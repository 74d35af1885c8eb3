package sqlsource_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeDB stands for a SQLite file with one table, tokens (id INTEGER PRIMARY KEY,
// secret TEXT), in the tests of this module, which has no driver: it knows the
// statements of this package by their first words, and can be told to fail. It is
// no proof that a real database understands them; internal/columntest runs those.
type fakeDB struct {
	mu     sync.Mutex
	values map[int64][]byte
	texts  []string
	fail   func(text string) error // "BEGIN" and "COMMIT" are texts, too
}

func newFakeDB(t testing.TB) (*sql.DB, *fakeDB) {
	f := &fakeDB{values: map[int64][]byte{}}
	db := sql.OpenDB(f)
	if t != nil {
		t.Cleanup(func() { db.Close() })
	}
	return db, f
}

func (f *fakeDB) note(text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts = append(f.texts, text)
	if f.fail != nil {
		return f.fail(text)
	}
	return nil
}

func (f *fakeDB) Connect(context.Context) (driver.Conn, error) { return &fakeConn{f}, nil }
func (f *fakeDB) Driver() driver.Driver                        { return nil }

type fakeConn struct{ *fakeDB }

func (c *fakeConn) Close() error              { return nil }
func (c *fakeConn) Begin() (driver.Tx, error) { return c, c.note("BEGIN") }
func (c *fakeConn) Commit() error             { return c.note("COMMIT") }
func (c *fakeConn) Rollback() error           { return c.note("ROLLBACK") }

func (c *fakeConn) Prepare(text string) (driver.Stmt, error) {
	return &fakeStmt{c, text}, c.note(text)
}

type fakeStmt struct {
	*fakeConn
	text string
}

func (s *fakeStmt) NumInput() int { return -1 }

func (s *fakeStmt) Exec(args []driver.Value) (driver.Result, error) {
	if len(args) != 4 {
		return driver.RowsAffected(0), nil // of nothing
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := args[2].(int64)
	if old, ok := s.values[id]; !ok || !bytes.Equal(old, args[3].([]byte)) {
		return driver.RowsAffected(0), nil
	}
	s.values[id] = bytes.Clone(args[0].([]byte))
	return driver.RowsAffected(1), nil
}

func (s *fakeStmt) Query(args []driver.Value) (driver.Rows, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := &fakeRows{}
	add := func(values ...driver.Value) { rows.rows = append(rows.rows, values) }
	switch {
	case strings.Contains(s.text, "pragma_table_xinfo"):
		if args[0] == "tokens" {
			add("id", int64(1), int64(0))
			add("secret", int64(0), int64(0))
		}
	case strings.Contains(s.text, "sqlite_master"):
		add("table")
	case strings.Contains(s.text, "pragma_index_list"):
	case strings.Contains(s.text, "GROUP BY head"):
		for _, v := range s.values {
			add(v[:min(len(v), 16)], int64(1), int64(len(v)))
		}
	case strings.Contains(s.text, "max(rowid)"):
		add(int64(len(s.values)))
	case strings.HasPrefix(s.text, "SELECT nullif(quote("):
		var limit int
		fmt.Sscanf(s.text[strings.LastIndex(s.text, "LIMIT"):], "LIMIT %d", &limit)
		ids := []int64{}
		for id := range s.values {
			if len(args) == 0 || id > args[0].(int64) {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		for _, id := range ids[:min(len(ids), limit)] {
			add(fmt.Sprint(id), s.values[id])
		}
	default:
		return nil, errors.New("the fake does not know: " + s.text)
	}
	return rows, nil
}

type fakeRows struct{ rows [][]driver.Value }

func (r *fakeRows) Columns() []string {
	if len(r.rows) == 0 {
		return nil
	}
	return make([]string, len(r.rows[0]))
}
func (r *fakeRows) Close() error { return nil }

func (r *fakeRows) Next(into []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(into, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}
