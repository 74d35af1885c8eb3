package sqlsource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
)

// A server rotates its data key, and brings a column of its table under it while it
// goes on reading and writing.
func Example() {
	ctx := context.Background()
	cloud := &kmstest.Fake{}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": cloud.Key("prod")}})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		log.Fatal(err)
	}
	db, rows := newFakeDB(nil) // sql.Open, of whatever driver the server has
	defer db.Close()
	for id := range 250 {
		// Every value is bound to its place, by the rule that the source has, too.
		text, err := b.Keyring().EncryptString("a token", sqlsource.AAD("tokens", "secret", fmt.Sprint(id)))
		if err != nil {
			log.Fatal(err)
		}
		rows.values[int64(id)] = []byte(text) // INSERT INTO tokens …
	}

	tokens, err := sqlsource.Open(ctx, db, sqlsource.Config{Dialect: sqlsource.SQLite, Table: "tokens", Columns: []string{"secret"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := b.Rotate(ctx, seal.By{}); err != nil {
		log.Fatal(err)
	}
	for p, err := range migrate.Rewrap(ctx, b.Keyring(), tokens, migrate.RewrapOptions{PageSize: 100}) {
		if bad, ok := errors.AsType[*migrate.ItemError](err); ok {
			log.Print(bad)
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d of about %d, done: %t\n", p.Items, p.Total, p.Done)
	}
	fmt.Println("term 1 retired:", migrate.Retire(ctx, b, 1, seal.By{}, tokens) == nil)
	// Output:
	// 100 of about 250, done: false
	// 200 of about 250, done: false
	// 250 of about 250, done: false
	// 250 of about 250, done: true
	// term 1 retired: true
}

func open(t *testing.T) (*sqlsource.Source, *fakeDB) {
	t.Helper()
	db, f := newFakeDB(t)
	s, err := sqlsource.Open(t.Context(), db, sqlsource.Config{Dialect: sqlsource.SQLite, Table: "tokens", Columns: []string{"secret"}})
	if err != nil {
		t.Fatal(err)
	}
	f.texts = nil
	return s, f
}

// A write is one transaction, and ends with it; whatever fails is told.
func TestTransactions(t *testing.T) {
	s, f := open(t)
	f.values = map[int64][]byte{1: []byte("a"), 2: []byte("b")}
	for name, tt := range map[string]struct {
		writes bool
		call   func() error
	}{
		"page":     {false, func() error { _, err := s.Page(t.Context(), "1", 10); return err }},
		"count":    {false, func() error { _, err := s.Heads(t.Context()); return err }},
		"estimate": {false, func() error { _, err := s.Estimate(t.Context()); return err }},
		"replace":  {true, func() error { _, err := s.Replace(t.Context(), "1", []byte("x"), []byte("y")); return err }},
		"batch":    {true, func() error { return s.ReplaceBatch(t.Context(), []migrate.Replacement{{ID: "1"}, {ID: "2"}}) }},
	} {
		f.texts = nil
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sent := slices.Clone(f.texts)
		if tt.writes != (len(sent) == 3 && sent[0] == "BEGIN" && sent[2] == "COMMIT") || !tt.writes && len(sent) != 1 {
			t.Errorf("%s: %q", name, sent)
		}
		for i, at := range sent {
			f.texts = nil
			f.fail = func(text string) error {
				if text == at || name == "estimate" {
					return io.ErrUnexpectedEOF
				}
				return nil
			}
			err := tt.call()
			f.fail = nil
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), "sqlsource: ") {
				t.Errorf("%s fails at %s: %v", name, at, err)
			}
			if tt.writes && i == 1 && !slices.Contains(f.texts, "ROLLBACK") {
				t.Errorf("%s fails at %s: %q", name, at, f.texts)
			}
		}
	}
}

// The rule of associated data is the one that is written down.
func TestAAD(t *testing.T) {
	s, f := open(t)
	f.values = map[int64][]byte{-42: []byte("a")}
	page, err := s.Page(t.Context(), "", 1)
	want := []migrate.Item{{ID: "-42", AAD: keyring.AAD("tokens", "secret", "-42"), Ciphertext: []byte("a")}}
	if diff := cmp.Diff(want, page); diff != "" || err != nil {
		t.Errorf("%v, page (-want +got):\n%s", err, diff)
	}
	if got := sqlsource.AAD("t", "c", "eu", "7"); string(got) != string(keyring.AAD("t", "c", "eu", "7")) {
		t.Errorf("%q", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	db, f := newFakeDB(t)
	ok := sqlsource.Config{Dialect: sqlsource.SQLite, Table: "tokens", Columns: []string{"secret"}}
	for text, change := range map[string]func(*sqlsource.Config){
		"Dialect is PostgreSQL, MySQL or SQLite": func(c *sqlsource.Config) { c.Dialect = 9 },
		"Table is empty":                         func(c *sqlsource.Config) { c.Table = "" },
		"Columns is empty":                       func(c *sqlsource.Config) { c.Columns = nil },
		"a name is empty":                        func(c *sqlsource.Config) { c.Key = []string{""} },
		"there is no such table":                 func(c *sqlsource.Config) { c.Table = "other" },
	} {
		cfg := ok
		change(&cfg)
		if _, err := sqlsource.Open(t.Context(), db, cfg); !errors.Is(err, seal.ErrConfig) || !strings.HasPrefix(err.Error(), "sqlsource: open") || !strings.Contains(err.Error(), text) {
			t.Errorf("%v; want %q", err, text)
		}
	}
	if _, err := sqlsource.Open(t.Context(), nil, ok); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "the database is nil") {
		t.Errorf("no database: %v", err)
	}
	down := errors.New("down")
	f.fail = func(text string) error { return down }
	if _, err := sqlsource.Open(t.Context(), db, ok); !errors.Is(err, down) || errors.Is(err, seal.ErrConfig) {
		t.Errorf("a database that is down: %v", err)
	}
	f.fail = nil
	if _, err := (&sqlsource.Bookmark{DB: db, Dialect: sqlsource.SQLite, Table: "t"}).Load(t.Context()); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("a bookmark without a name: %v", err)
	}
	for d, want := range map[sqlsource.Dialect]string{sqlsource.PostgreSQL: "PostgreSQL", sqlsource.MySQL: "MySQL", sqlsource.SQLite: "SQLite", 9: "Dialect(9)"} {
		if d.String() != want {
			t.Errorf("%v", d)
		}
	}
}
