//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// A bench has the databases, and closes them.
type bench struct {
	rows    int
	opened  []*table
	closers []func()
}

func (b *bench) close() {
	for i := len(b.closers) - 1; i >= 0; i-- {
		b.closers[i]()
	}
}

func (b *bench) tables() []*table { return b.opened }

// A table is one of tokens, each of 40 bytes and bound to its row, under a keyring
// of its own that is rotated whenever everything is under the active term.
type table struct {
	name    string
	db      *sql.DB
	dialect sqlsource.Dialect
	workers int
	src     *sqlsource.Source
	rows    int

	owner *keyring.Owner
	kr    *keyring.Keyring
	term  uint32
	after string // where the next measurement goes on
}

func (t *table) rotate() error {
	t.term++
	var terms []keyring.Term
	for n := max(1, int(t.term)-1); n <= int(t.term); n++ {
		term := keyring.Term{Number: uint32(n), Active: n == int(t.term)}
		term.Key[0], term.Key[1], term.Key[31] = byte(n), byte(n>>8), 0x5e
		terms = append(terms, term)
	}
	return t.owner.Install("bench", terms)
}

const create = "CREATE TABLE tokens (id bigint NOT NULL PRIMARY KEY, secret text NOT NULL)"

// open makes a table of n rows.
func (b *bench) open(ctx context.Context, name, driver, dsn string, dialect sqlsource.Dialect, workers, n int) (*table, error) {
	t := &table{name: name, dialect: dialect, workers: workers, owner: keyring.New(), rows: n}
	t.kr = t.owner.Keyring()
	var err error
	if t.db, err = sql.Open(driver, dsn); err != nil {
		return nil, err
	}
	b.closers = append(b.closers, func() { t.db.Close() })
	t.db.SetMaxIdleConns(8)
	if err := t.rotate(); err != nil {
		return nil, err
	}
	if _, err := t.db.ExecContext(ctx, create); err != nil {
		return nil, err
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	for from := 0; from < n; from += 1000 {
		var values []string
		for id := from; id < min(n, from+1000); id++ {
			text, err := t.kr.EncryptString(plaintext(id), sqlsource.AAD("tokens", "secret", strconv.Itoa(id)))
			if err != nil {
				return nil, err
			}
			values = append(values, fmt.Sprintf("(%d, '%s')", id, text))
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO tokens VALUES "+strings.Join(values, ", ")); err != nil {
			return nil, err
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	t.src, err = t.source(ctx)
	return t, errors.Join(err, t.rotate())
}

func plaintext(id int) string { return fmt.Sprintf("token %08d of a third party, 40 bytes", id) }

func (t *table) source(ctx context.Context) (*sqlsource.Source, error) {
	return sqlsource.Open(ctx, t.db, sqlsource.Config{Dialect: t.dialect, Table: "tokens", Columns: []string{"secret"}})
}

// rewrap rewraps about n rows, in pages of that size or as they come, and returns
// how many a second.
func (t *table) rewrap(ctx context.Context, page, n int) (float64, error) {
	return t.measure(ctx, t.src, migrate.RewrapOptions{PageSize: page, Workers: t.workers}, n)
}

// rowByRow does it through a source without batches, as a host writes one.
func (t *table) rowByRow(ctx context.Context, n int) (float64, error) {
	return t.measure(ctx, &rowByRow{t.db, t.dialect}, migrate.RewrapOptions{}, n)
}

func (t *table) measure(ctx context.Context, src migrate.Source, opt migrate.RewrapOptions, n int) (float64, error) {
	begin, done := time.Now(), int64(0)
	for {
		opt.After = t.after
		before := done
		for p, err := range migrate.Rewrap(ctx, t.kr, src, opt) {
			if err != nil {
				return 0, err
			}
			done, t.after = before+p.Rewrapped, p.After
			if p.Done {
				t.after = ""
				if err := t.rotate(); err != nil {
					return 0, err
				}
			} else if done >= int64(n) {
				break
			}
		}
		if done >= int64(n) || t.after == "" && done > 0 {
			return float64(done) / time.Since(begin).Seconds(), nil
		}
	}
}

// whole rewraps the table to its end, and from its beginning on.
func (t *table) whole(ctx context.Context) (float64, error) {
	if t.after != "" {
		if _, err := t.rewrap(ctx, 0, math.MaxInt); err != nil {
			return 0, err
		}
	}
	return t.rewrap(ctx, 0, math.MaxInt)
}

// rowByRow is the source that examples/fields had, with its parameters numbered and
// without a first id: a statement, and a durable commit, for each row.
type rowByRow struct {
	db      *sql.DB
	dialect sqlsource.Dialect
}

func (s *rowByRow) text(text string) string {
	if s.dialect != sqlsource.PostgreSQL {
		return text
	}
	for n := 1; strings.Contains(text, "?"); n++ {
		text = strings.Replace(text, "?", fmt.Sprintf("$%d", n), 1)
	}
	return text
}

func (s *rowByRow) Page(ctx context.Context, after string, limit int) ([]migrate.Item, error) {
	from := int64(-1)
	if after != "" {
		var err error
		if from, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, err
		}
	}
	rows, err := s.db.QueryContext(ctx, s.text("SELECT id, secret FROM tokens WHERE id > ? AND secret <> '' ORDER BY id LIMIT ?"), from, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []migrate.Item
	for rows.Next() {
		var id int64
		var stored string
		if err := rows.Scan(&id, &stored); err != nil {
			return nil, err
		}
		text := strconv.FormatInt(id, 10)
		page = append(page, migrate.Item{ID: text, AAD: sqlsource.AAD("tokens", "secret", text), Ciphertext: []byte(stored)})
	}
	return page, rows.Err()
}

func (s *rowByRow) Replace(ctx context.Context, id string, old, next []byte) (bool, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return false, err
	}
	result, err := s.db.ExecContext(ctx, s.text("UPDATE tokens SET secret = ? WHERE id = ? AND secret = ?"), string(next), n, string(old))
	if err != nil {
		return false, err
	}
	changed, err := result.RowsAffected()
	return changed == 1, err
}

// comparisons opens what is wanted.
func (b *bench) comparisons(ctx context.Context, wanted *regexp.Regexp, counted int) (all []comparison, err error) {
	want := func(names ...string) bool {
		for _, name := range names {
			if wanted.MatchString(name) {
				return true
			}
		}
		return false
	}
	add := func(t *table, target float64, each int) {
		all = append(all, comparison{
			name:   "rewrap/" + t.name + "/rowbyrow",
			target: target,
			ours:   t.whole,
			theirs: func(ctx context.Context) (float64, error) { return t.rowByRow(ctx, each) },
		})
	}
	if want("rewrap/postgres/rowbyrow", "rewrap/postgres-1ms/rowbyrow", "rewrap/postgres/floor", "count/postgres/rowbyrow") {
		if err := b.postgres(ctx, want, add, &all, counted); err != nil {
			return nil, err
		}
	}
	if want("rewrap/mariadb/rowbyrow") {
		server, err := dbtest.StartMariaDB()
		if errors.Is(err, dbtest.ErrNoServer) {
			log.Print(err)
		} else if err != nil {
			return nil, err
		} else {
			b.closers = append(b.closers, server.Close)
			t, err := b.open(ctx, "mariadb", "mysql", server.DSN("root?interpolateParams=true"), sqlsource.MySQL, 4, b.rows)
			if err != nil {
				return nil, err
			}
			b.opened = append(b.opened, t)
			add(t, 25, 200)
		}
	}
	if want("rewrap/sqlite/rowbyrow") {
		dir, err := os.MkdirTemp("", "rewrapbench")
		if err != nil {
			return nil, err
		}
		b.closers = append(b.closers, func() { os.RemoveAll(dir) })
		dsn := "file:" + filepath.Join(dir, "db") + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)"
		t, err := b.open(ctx, "sqlite", "sqlite", dsn, sqlsource.SQLite, 1, b.rows)
		if err != nil {
			return nil, err
		}
		b.opened = append(b.opened, t)
		add(t, 25, 200)
	}
	return all, nil
}

func (b *bench) postgres(ctx context.Context, want func(...string) bool, add func(*table, float64, int), all *[]comparison, counted int) error {
	server, err := dbtest.StartPostgreSQL()
	if errors.Is(err, dbtest.ErrNoServer) {
		log.Print(err)
		return nil
	}
	if err != nil {
		return err
	}
	b.closers = append(b.closers, server.Close)
	// Each in a schema of its own.
	open := func(schema, dir string, workers, rows int) (*table, error) {
		admin, err := server.Open("")
		if err != nil {
			return nil, err
		}
		defer admin.Close()
		if _, err := admin.ExecContext(ctx, fmt.Sprintf(`CREATE SCHEMA "%s"`, schema)); err != nil {
			return nil, err
		}
		return b.open(ctx, schema, "pgx", dbtest.PostgreSQLDSN(dir, "")+` search_path="`+schema+`"`, sqlsource.PostgreSQL, workers, rows)
	}
	dir := filepath.Dir(server.Socket())
	if want("rewrap/postgres/rowbyrow") {
		t, err := open("postgres", dir, 4, b.rows)
		if err != nil {
			return err
		}
		b.opened = append(b.opened, t)
		add(t, 40, 200)
	}
	if want("rewrap/postgres-1ms/rowbyrow") {
		proxy, err := columntest.StartProxy(server.Socket(), time.Millisecond)
		if err != nil {
			return err
		}
		b.closers = append(b.closers, proxy.Close)
		t, err := open("postgres-1ms", proxy.Dir, 4, b.rows)
		if err != nil {
			return err
		}
		b.opened = append(b.opened, t)
		add(t, 100, 200)
	}
	if want("rewrap/postgres/floor") {
		t, err := open("floor", dir, 1, b.rows)
		if err != nil {
			return err
		}
		c, err := b.floor(ctx, t)
		if err != nil {
			return err
		}
		*all = append(*all, c)
	}
	if want("count/postgres/rowbyrow") {
		t, err := open("census", dir, 1, 1)
		if err != nil {
			return err
		}
		c, err := t.census(ctx, counted)
		if err != nil {
			return err
		}
		*all = append(*all, c...)
	}
	return nil
}
