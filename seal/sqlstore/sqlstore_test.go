package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

var (
	_ seal.Store   = (*sqlstore.Store)(nil)
	_ seal.Watcher = (*sqlstore.Store)(nil)
)

var dialects = []sqlstore.Dialect{sqlstore.PostgreSQL, sqlstore.MySQL, sqlstore.SQLite}

// The host brings the driver: pgx, go-sql-driver/mysql, modernc.org/sqlite.
func Example() {
	db, err := sql.Open("pgx", "postgres:///app")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
	if err != nil {
		log.Fatal(err)
	}
	_, _, err = store.Load(context.Background())
	switch {
	case errors.Is(err, sqlstore.ErrNoTable):
		log.Fatal("run the migrations first")
	case errors.Is(err, seal.ErrNotFound):
		log.Print("not initialized yet")
	case err != nil:
		log.Fatal(err) // says nothing of what is there
	}
}

// The statement for the host's migrations.
func ExampleConfig_Schema() {
	schema, err := sqlstore.Config{Dialect: sqlstore.PostgreSQL}.Schema()
	fmt.Println(schema, err)
	// Output:
	// CREATE TABLE IF NOT EXISTS "sealwright_records" (
	// 	name text PRIMARY KEY,
	// 	revision bigint NOT NULL,
	// 	record bytea NOT NULL
	// ) <nil>
}

func open(t testing.TB, db *sql.DB, d sqlstore.Dialect) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(db, sqlstore.Config{Dialect: d, PollInterval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStore runs the suite on a fake of each dialect: it tests what this package
// does, and not what a database does.
func TestStore(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) seal.Store {
				db, _ := newFakeDB(t)
				return open(t, db, d)
			})
		})
	}
}

func TestUnreachable(t *testing.T) {
	down := errors.New("no route to host")
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
				db, f := newFakeDB(t)
				f.fail = func(string) error { return down }
				return open(t, db, d)
			})
			db, f := newFakeDB(t)
			f.fail = func(string) error { return down }
			s := open(t, db, d)
			_, _, loadErr := s.Load(t.Context())
			_, swapErr := s.Swap(t.Context(), nil, "1")
			for op, err := range map[string]error{"load": loadErr, "swap": swapErr, "create table": s.CreateTable(t.Context())} {
				want := "sqlstore: " + op + ` record "default" in table sealwright_records: no route to host`
				if !errors.Is(err, down) || errors.Is(err, sqlstore.ErrNoTable) || err.Error() != want {
					t.Errorf("%s: error %v, want %q", op, err, want)
				}
			}
		})
	}
}

func TestMissingTable(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
				db, f := newFakeDB(t)
				f.hasTab = false
				return open(t, db, d)
			})
			db, f := newFakeDB(t)
			f.hasTab = false
			s := open(t, db, d)
			_, _, loadErr := s.Load(t.Context())
			_, createErr := s.Swap(t.Context(), nil, "")
			_, swapErr := s.Swap(t.Context(), nil, "1")
			for op, err := range map[string]error{"load": loadErr, "create": createErr, "swap": swapErr} {
				if !errors.Is(err, sqlstore.ErrNoTable) || !strings.Contains(err.Error(), "run the migration with its Schema, or call CreateTable: fake: what table?") {
					t.Errorf("%s: error %v, want ErrNoTable and the cause", op, err)
				}
			}
			if err := s.CreateTable(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Load(t.Context()); !errors.Is(err, seal.ErrNotFound) {
				t.Errorf("Load after CreateTable: error %v, want seal.ErrNotFound", err)
			}
		})
	}
}

// Every statement of a swap may fail: the error says so and is no conflict, and
// nothing was stored.
func TestFailingStatements(t *testing.T) {
	tests := map[sqlstore.Dialect][]string{
		sqlstore.PostgreSQL: {"BEGIN Read Committed", "SELECT set_config", "UPDATE", "COMMIT"},
		sqlstore.MySQL:      {"SHOW SESSION VARIABLES", "BEGIN Default", "SHOW GLOBAL VARIABLES", "SELECT engine", "UPDATE", "COMMIT"},
		sqlstore.SQLite:     {"PRAGMA journal_mode", "PRAGMA synchronous", "PRAGMA synchronous = EXTRA", "UPDATE"},
	}
	for d, texts := range tests {
		for _, text := range texts {
			t.Run(fmt.Sprint(d, " ", text), func(t *testing.T) {
				db, f := newFakeDB(t)
				s := open(t, db, d)
				rev, err := s.Swap(t.Context(), []byte("one"), "")
				if err != nil {
					t.Fatal(err)
				}
				broken := errors.New("broken")
				failed := false
				f.fail = func(sent string) error {
					if sent == text || strings.HasPrefix(sent, text) && !strings.HasPrefix(text, "PRAGMA") {
						failed = true
						return broken
					}
					return nil
				}
				if _, err := s.Swap(t.Context(), []byte("two"), rev); !failed || !errors.Is(err, broken) || errors.Is(err, seal.ErrConflict) {
					t.Errorf("Swap: error %v, want it broken", err)
				}
				f.fail = nil
				if rec, got, err := s.Load(t.Context()); err != nil || string(rec) != "one" || got != rev {
					t.Errorf("Load = %q, %q, %v, want what was", rec, got, err)
				}
			})
		}
	}
}

// What a driver can't tell is not guessed.
func TestUnknownEffect(t *testing.T) {
	for _, d := range dialects {
		db, f := newFakeDB(t)
		f.noAffected = true
		if _, err := open(t, db, d).Swap(t.Context(), []byte("one"), ""); err == nil || errors.Is(err, seal.ErrConflict) {
			t.Errorf("%v: Swap with an unknown effect: error %v", d, err)
		}
	}
}

// Another server creates the record between the question and the insert.
func TestCreatedMeanwhile(t *testing.T) {
	for _, d := range dialects {
		db, f := newFakeDB(t)
		f.fail = func(text string) error {
			if strings.HasPrefix(text, "INSERT") {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.rows["default"] = fakeRow{7, []byte("theirs")}
			}
			return nil
		}
		// MySQL says only that the insert failed, and is asked again.
		if _, err := open(t, db, d).Swap(t.Context(), []byte("ours"), ""); !errors.Is(err, seal.ErrConflict) {
			t.Errorf("%v: Swap: error %v, want seal.ErrConflict", d, err)
		}
		if rec := f.rows["default"].record; string(rec) != "theirs" {
			t.Errorf("%v: the table holds %q", d, rec)
		}
	}
}

// A swap is one transaction or one connection, and SQLite's is left as it was.
func TestConversation(t *testing.T) {
	want := map[sqlstore.Dialect][]string{
		sqlstore.PostgreSQL: {"BEGIN", "SELECT", "UPDATE", "COMMIT"},
		sqlstore.MySQL:      {"SHOW", "BEGIN", "SHOW", "SELECT", "UPDATE", "COMMIT"},
		sqlstore.SQLite:     {"PRAGMA", "PRAGMA", "PRAGMA", "UPDATE", "PRAGMA"},
	}
	for _, d := range dialects {
		db, f := newFakeDB(t)
		s := open(t, db, d)
		rev, err := s.Swap(t.Context(), []byte("one"), "")
		if err != nil {
			t.Fatal(err)
		}
		f.sent()
		var during int64
		f.fail = func(text string) error {
			if strings.HasPrefix(text, "UPDATE") {
				during = f.synchrony.Load()
			}
			return nil
		}
		if _, err := s.Swap(t.Context(), []byte("two"), rev); err != nil {
			t.Fatal(err)
		}
		if got := f.sent(); !slices.Equal(got, want[d]) {
			t.Errorf("%v: sent %q, want %q", d, got, want[d])
		}
		if d == sqlstore.SQLite && (during != 3 || f.synchrony.Load() != 1) {
			t.Errorf("synchronous was %d during the update and is %d after, want 3 and 1", during, f.synchrony.Load())
		}
		f.synchrony.Store(3)
		if _, err := s.Swap(t.Context(), []byte("three"), rev); !errors.Is(err, seal.ErrConflict) {
			t.Errorf("%v: a stale swap: error %v", d, err)
		}
		if got := f.sent(); d == sqlstore.SQLite && !slices.Equal(got, []string{"PRAGMA", "PRAGMA", "UPDATE"}) {
			t.Errorf("sent %q where synchronous is EXTRA already", got)
		}
	}
}

// The driver's own words for a context that is done are not enough.
func TestContextDone(t *testing.T) {
	db, f := newFakeDB(t)
	s := open(t, db, sqlstore.PostgreSQL)
	ctx, cancel := context.WithCancel(t.Context())
	f.fail = func(string) error {
		cancel()
		return errors.New("interrupted (9)")
	}
	_, _, err := s.Load(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "interrupted (9)") {
		t.Errorf("Load: error %v, want context.Canceled and the driver's words", err)
	}
}

func TestTooLarge(t *testing.T) {
	db, f := newFakeDB(t)
	s := open(t, db, sqlstore.SQLite)
	if _, err := s.Swap(t.Context(), make([]byte, seal.MaxRecordSize+1), ""); !errors.Is(err, seal.ErrTooLarge) || !strings.Contains(err.Error(), "4194305 bytes") {
		t.Errorf("Swap: error %v, want seal.ErrTooLarge", err)
	}
	if got := f.sent(); len(got) > 0 {
		t.Errorf("sent %q", got)
	}
	f.rows["default"] = fakeRow{1, make([]byte, seal.MaxRecordSize+1)}
	if _, _, err := s.Load(t.Context()); !errors.Is(err, seal.ErrCorrupt) || !strings.Contains(err.Error(), "larger than any record") {
		t.Errorf("Load: error %v, want seal.ErrCorrupt", err)
	}
}

// An empty record is one all the same.
func TestEmptyRecord(t *testing.T) {
	db, _ := newFakeDB(t)
	s := open(t, db, sqlstore.SQLite)
	if _, err := s.Swap(t.Context(), nil, ""); err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.Load(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Load = %q, %v, want an empty record", got, err)
	}
}

// Records of several names in one table do not meet.
func TestNames(t *testing.T) {
	db, _ := newFakeDB(t)
	for _, name := range []string{"", "a", "A"} {
		s, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.SQLite, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Swap(t.Context(), []byte(name), ""); err != nil {
			t.Errorf("Swap of the first record of %q: %v", name, err)
		}
		if rec, _, err := s.Load(t.Context()); err != nil || string(rec) != name {
			t.Errorf("Load of %q = %q, %v", name, rec, err)
		}
	}
}

// A deleted row that is made again is another one.
func TestRecreated(t *testing.T) {
	db, f := newFakeDB(t)
	s := open(t, db, sqlstore.PostgreSQL)
	first, err := s.Swap(t.Context(), []byte("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	delete(f.rows, "default")
	if _, err := s.Swap(t.Context(), []byte("two"), first); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap of a deleted row: error %v, want seal.ErrConflict", err)
	}
	if _, err := s.Swap(t.Context(), []byte("three"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), []byte("four"), first); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap at the revision of the deleted row: error %v, want seal.ErrConflict", err)
	}
}

func TestConfig(t *testing.T) {
	db, _ := newFakeDB(t)
	tests := map[string]struct {
		db    *sql.DB
		cfg   sqlstore.Config
		words string
	}{
		"no database":       {nil, sqlstore.Config{Dialect: sqlstore.SQLite}, "the database is nil"},
		"no dialect":        {db, sqlstore.Config{}, "Dialect is Dialect(0), want PostgreSQL, MySQL or SQLite"},
		"unknown dialect":   {db, sqlstore.Config{Dialect: 4}, "Dialect is Dialect(4)"},
		"negative dialect":  {db, sqlstore.Config{Dialect: -1}, "Dialect is Dialect(-1)"},
		"upper-case table":  {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: "Seal"}, `Table is "Seal"`},
		"injected table":    {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: `a"; DROP TABLE b; --`}, "Table is "},
		"injected line":     {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: "a\n"}, `Table is "a\n"`},
		"three-part table":  {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: "a.b.c"}, `Table is "a.b.c"`},
		"empty schema":      {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: ".a"}, `Table is ".a"`},
		"long table":        {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: strings.Repeat("a", 64)}, "at most 63"},
		"name with a space": {db, sqlstore.Config{Dialect: sqlstore.SQLite, Name: "a b"}, `Name is "a b"`},
		"long schema":       {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: strings.Repeat("a", 64) + ".b"}, "at most 63"},
		"long table of one": {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: "a." + strings.Repeat("b", 64)}, "at most 63"},
		"long name":         {db, sqlstore.Config{Dialect: sqlstore.SQLite, Name: strings.Repeat("a", 65)}, "want 1 to 64"},
		"negative interval": {db, sqlstore.Config{Dialect: sqlstore.SQLite, PollInterval: -1}, "PollInterval is -1ns"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := sqlstore.Open(test.db, test.cfg)
			if s != nil || !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), test.words) {
				t.Errorf("Open = %v, %v, want seal.ErrConfig and %q", s, err, test.words)
			}
			if test.db == nil {
				return
			}
			if schema, err := test.cfg.Schema(); schema != "" || !errors.Is(err, seal.ErrConfig) {
				t.Errorf("Schema() = %q, %v, want seal.ErrConfig", schema, err)
			}
		})
	}
	fine := sqlstore.Config{Dialect: sqlstore.MySQL, Table: strings.Repeat("a", 63) + "." + strings.Repeat("b", 63), Name: "A-z._9"}
	if _, err := sqlstore.Open(db, fine); err != nil {
		t.Error(err)
	}
}
