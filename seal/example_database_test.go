package seal_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
)

// fakeDB stands for a database with one table, tokens (id, secret), in the
// Examples of this package: the module has no driver. It knows their three
// statements, and no transactions; examples/host runs the same on SQLite.
type fakeDB struct{ secrets []string }

func openDatabase(secrets ...string) *sql.DB { return sql.OpenDB(&fakeDB{secrets}) }

func (f *fakeDB) Connect(context.Context) (driver.Conn, error) { return f, nil }
func (f *fakeDB) Driver() driver.Driver                        { return nil }
func (f *fakeDB) Begin() (driver.Tx, error)                    { return f, nil }
func (f *fakeDB) Commit() error                                { return nil }
func (f *fakeDB) Rollback() error                              { return nil }
func (f *fakeDB) Close() error                                 { return nil }

func (f *fakeDB) Prepare(text string) (driver.Stmt, error) { return &fakeStmt{f, text}, nil }

type fakeStmt struct {
	*fakeDB
	text string
}

func (s *fakeStmt) NumInput() int { return -1 }

func (s *fakeStmt) Exec(args []driver.Value) (driver.Result, error) {
	if !strings.HasPrefix(s.text, "UPDATE tokens") {
		return nil, errors.New("the fake does not know: " + s.text)
	}
	s.secrets[args[1].(int64)-1] = args[0].(string)
	return driver.RowsAffected(1), nil
}

func (s *fakeStmt) Query(args []driver.Value) (driver.Rows, error) {
	switch {
	case strings.HasPrefix(s.text, "INSERT INTO tokens"):
		s.secrets = append(s.secrets, "")
		return &fakeRow{int64(len(s.secrets))}, nil
	case strings.HasPrefix(s.text, "SELECT secret FROM tokens"):
		return &fakeRow{s.secrets[args[0].(int64)-1]}, nil
	}
	return nil, errors.New("the fake does not know: " + s.text)
}

// A fakeRow is rows of one value, which is nil once it was read.
type fakeRow struct{ value driver.Value }

func (r *fakeRow) Columns() []string { return []string{"value"} }
func (r *fakeRow) Close() error      { return nil }

func (r *fakeRow) Next(into []driver.Value) error {
	if r.value == nil {
		return io.EOF
	}
	into[0], r.value = r.value, nil
	return nil
}
