//go:build unix

package columntest_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

var kills = flag.Int("kills", 25, "how often TestKilled interrupts a rewrap, over each database")

const tortureRows = 400

// A torture is a table that is rewrapped, interrupted and written to by others, and
// what was acknowledged to them. Every change of a row is kept by a trigger.
type torture struct {
	t       *testing.T
	rng     *rand.Rand
	direct  columntest.Database // the writers' connection
	table   string
	owner   *keyring.Owner
	kr      *keyring.Keyring
	term    uint32
	version []int
	writes  int
	blind   bool // planted: the compare is left out where a live write came between
}

func newTorture(t *testing.T, direct columntest.Database) *torture {
	s := &torture{t: t, rng: rand.New(rand.NewPCG(3, 1)), direct: direct, table: columntest.Table("torture"), term: 1, version: make([]int, tortureRows)}
	s.owner, s.kr = columntest.Keyring(t, 1)
	log := s.table + "_log"
	text, serial := "text", "bigint AUTO_INCREMENT PRIMARY KEY"
	switch direct.Dialect {
	case sqlsource.PostgreSQL:
		serial = "bigserial PRIMARY KEY"
	case sqlsource.SQLite:
		serial = "INTEGER PRIMARY KEY"
	}
	direct.Execute(t, fmt.Sprintf("CREATE TABLE %s (id bigint NOT NULL PRIMARY KEY, a %s)", s.table, text),
		fmt.Sprintf("CREATE TABLE %s (n %s, id bigint, a %s)", log, serial, text))
	insert := fmt.Sprintf("INSERT INTO %s (id, a) VALUES (NEW.id, NEW.a)", log)
	switch direct.Dialect {
	case sqlsource.PostgreSQL:
		direct.Execute(t, fmt.Sprintf("CREATE FUNCTION %s_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s; RETURN NEW; END $$", log, insert),
			fmt.Sprintf("CREATE TRIGGER %s_t AFTER INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION %[1]s_f()", log, s.table))
	case sqlsource.MySQL:
		direct.Execute(t, fmt.Sprintf("CREATE TRIGGER %s_i AFTER INSERT ON %s FOR EACH ROW %s", log, s.table, insert),
			fmt.Sprintf("CREATE TRIGGER %s_u AFTER UPDATE ON %s FOR EACH ROW %s", log, s.table, insert))
	default:
		direct.Execute(t, fmt.Sprintf("CREATE TRIGGER %s_i AFTER INSERT ON %s BEGIN %s; END", log, s.table, insert),
			fmt.Sprintf("CREATE TRIGGER %s_u AFTER UPDATE ON %s BEGIN %s; END", log, s.table, insert))
	}
	for id := range s.version {
		direct.Insert(t, s.table, int64(id), s.encrypt(id))
	}
	s.writes = 0
	return s
}

func (s *torture) plaintext(id int) string {
	return fmt.Sprintf("row %d version %d", id, s.version[id])
}

func (s *torture) encrypt(id int) string {
	text, err := s.kr.EncryptString(s.plaintext(id), sqlsource.AAD(s.table, "a", fmt.Sprint(id)))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// write is a live write, which is acknowledged when it returns.
func (s *torture) write(id int) {
	s.version[id]++
	s.writes++
	s.direct.Execute(s.t, fmt.Sprintf("UPDATE %s SET a = '%s' WHERE id = %d", s.table, s.encrypt(id), id))
}

// A tortured source has live writes come between a page and its batch.
type tortured struct {
	*sqlsource.Source
	s  *torture
	mu *sync.Mutex
}

func (b tortured) ReplaceBatch(ctx context.Context, batch []migrate.Replacement) error {
	var e *migrate.Replacement
	b.mu.Lock()
	for range b.s.rng.IntN(3) {
		var id int
		e = &batch[b.s.rng.IntN(len(batch))]
		fmt.Sscan(e.ID, &id)
		b.s.write(id)
	}
	b.mu.Unlock()
	if b.s.blind && e != nil {
		var stored string
		if err := b.s.direct.DB.QueryRowContext(ctx, fmt.Sprintf("SELECT a FROM %s WHERE id = %s", b.s.table, e.ID)).Scan(&stored); err != nil {
			return err
		}
		e.Old = []byte(stored)
	}
	return b.Source.ReplaceBatch(ctx, batch)
}

// run rewraps over a connection that may be cut, until the end or the interruption.
func (s *torture) run(ctx context.Context, db *sql.DB, after string) (saved string, done bool) {
	saved = after
	src, err := sqlsource.Open(ctx, db, sqlsource.Config{Dialect: s.direct.Dialect, Table: s.table, Columns: []string{"a"}})
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, migrate.ErrUnavailable) {
			s.t.Fatal(err)
		}
		return saved, false
	}
	var mu sync.Mutex
	for p, err := range migrate.Rewrap(ctx, s.kr, tortured{src, s, &mu}, migrate.RewrapOptions{After: after, PageSize: 25, Workers: 2, BatchTime: time.Second}) {
		switch {
		case ctx.Err() != nil:
			return saved, false
		case errors.Is(err, migrate.ErrChanged):
		case err != nil:
			s.t.Fatal(err)
		case p.Done:
			return "", true
		}
		mu.Lock()
		if s.rng.IntN(5) > 0 { // otherwise it dies before it is saved
			saved = p.After
		}
		mu.Unlock()
	}
	return saved, false
}

func (s *torture) rotate() {
	s.term++
	columntest.Install(s.t, s.owner, s.term)
}

// A toll is what was found in the end.
type toll struct{ interrupted, walks, lost, duplicated int }

// check reads every row, and every change that was ever made of one. A rewrap that
// changed a row again, with nothing to do, did it twice.
func (s *torture) check(r *toll) {
	rows, err := s.direct.DB.Query(fmt.Sprintf("SELECT id, a FROM %s", s.table))
	if err != nil {
		s.t.Fatal(err)
	}
	seen := 0
	each(s.t, rows, func(id int, a string) {
		seen++
		got, err := s.kr.DecryptString(a, sqlsource.AAD(s.table, "a", fmt.Sprint(id)))
		if err != nil || got != s.plaintext(id) {
			r.lost++
		}
	})
	r.lost += tortureRows - seen
	rows, err = s.direct.DB.Query(fmt.Sprintf("SELECT id, a FROM %s_log ORDER BY id, n", s.table))
	if err != nil {
		s.t.Fatal(err)
	}
	last, lastID := "", -1
	each(s.t, rows, func(id int, a string) {
		term, err := keyring.TermOfString(a)
		if err != nil {
			s.t.Fatal(err)
		}
		plaintext, err := s.kr.DecryptString(a, sqlsource.AAD(s.table, "a", fmt.Sprint(id)))
		if err != nil {
			s.t.Fatal(err)
		}
		now := fmt.Sprint(term, plaintext)
		if id == lastID && now == last {
			r.duplicated++
		}
		last, lastID = now, id
	})
	s.direct.Execute(s.t, fmt.Sprintf("DELETE FROM %s_log", s.table))
}

func each(t *testing.T, rows *sql.Rows, f func(id int, a string)) {
	t.Helper()
	defer rows.Close()
	for rows.Next() {
		var id int
		var a string
		if err := rows.Scan(&id, &a); err != nil {
			t.Fatal(err)
		}
		f(id, a)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// through interrupts n times, each time at another message of the driver's: it does
// not arrive, or its answer does not, of a commit for instance. Half of the time the
// process dies with it; otherwise it goes on, over connections of its own.
func (s *torture) through(p *columntest.Proxy, connect func() *sql.DB, n int) (r toll) {
	after := ""
	for r.interrupted < n {
		ctx, die := context.WithCancel(s.t.Context())
		dies := s.rng.IntN(2) == 0
		count := 0
		var again func()
		again = func() {
			r.interrupted++
			if count++; dies || count == 3 {
				die()
				return
			}
			p.CutAt(1+int64(s.rng.IntN(60)), s.rng.IntN(2) == 0, again)
		}
		p.CutAt(1+int64(s.rng.IntN(100)), s.rng.IntN(2) == 0, again)
		db := connect()
		saved, done := s.run(ctx, db, after)
		p.Cut()
		die()
		db.Close()
		if after = saved; done {
			r.walks++
			s.rotate()
		}
		if r.walks%20 == 19 {
			s.check(&r)
		}
	}
	p.CutAt(1<<62, false, nil)
	db := connect()
	defer db.Close()
	s.blind = false
	if _, done := s.run(s.t.Context(), db, ""); !done {
		s.t.Error("it did not come to the end")
	}
	r.walks++
	s.check(&r)
	return r
}

// tortureServer is for the databases with a socket.
func tortureServer(t *testing.T, server dbtest.Start, driver, user string, dialect sqlsource.Dialect, dsnAt func(dir, user string) string) (*torture, func(n int) toll) {
	up := server.Need(t)
	s := newTorture(t, open(t, driver, up.DSN(user), dialect))
	p, err := columntest.StartProxy(up.Socket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return s, func(n int) toll {
		return s.through(p, func() *sql.DB {
			db, err := sql.Open(driver, dsnAt(p.Dir, user))
			if err != nil {
				t.Fatal(err)
			}
			return db
		}, n)
	}
}

var tortures = map[string]func(t *testing.T) (*torture, func(n int) toll){
	"postgres": func(t *testing.T) (*torture, func(n int) toll) {
		return tortureServer(t, postgres, "pgx", "", sqlsource.PostgreSQL, dbtest.PostgreSQLDSN)
	},
	"mariadb": func(t *testing.T) (*torture, func(n int) toll) {
		return tortureServer(t, mariadb, "mysql", "root?interpolateParams=true", sqlsource.MySQL, dbtest.MariaDBDSN)
	},
	"sqlite": tortureSQLite,
}

// TestKilled: batches and workers lose and duplicate nothing, wherever they are
// interrupted, and live writes win.
func TestKilled(t *testing.T) {
	for name, start := range tortures {
		t.Run(name, func(t *testing.T) {
			s, interrupt := start(t)
			begin := time.Now()
			r := interrupt(*kills)
			if r.lost != 0 || r.duplicated != 0 || s.writes == 0 {
				t.Errorf("%+v after %d live writes", r, s.writes)
			}
			t.Logf("GUARANTEE 31 %s: interrupted=%d walks=%d live_writes=%d lost=%d duplicated=%d (%v)", name, r.interrupted, r.walks, s.writes, r.lost, r.duplicated, time.Since(begin).Round(time.Second))
		})
	}
}

// TestKilledCatches: the compare is left out of the element of each batch that a live
// write changed last.
func TestKilledCatches(t *testing.T) {
	for name, start := range tortures {
		t.Run(name, func(t *testing.T) {
			s, interrupt := start(t)
			s.blind = true
			if r := interrupt(15); r.lost == 0 {
				t.Errorf("nothing was noticed: %+v after %d live writes", r, s.writes)
			} else {
				t.Logf("GUARANTEE 31 planted-%s: lost=%d", name, r.lost)
			}
		})
	}
}

const tortureEnv = "COLUMNTEST_TORTURED"
