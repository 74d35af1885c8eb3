package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver"
	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// A server keeps tokens and sessions, each bound to its place and id by a box.
// Without a Legacy that reads what the keyring encrypted and nothing else.
type server struct {
	db       *sql.DB
	records  *sql.DB // the same database, for the Barrier alone
	file     *bbolt.DB
	b        *seal.Barrier
	tokens   *sqlsource.Source
	sessions *bucket

	tokenBox, sessionBox   *seal.Box
	oldTokens, oldSessions *migrate.Legacy // for rewrap
}

// openServer opens the databases, and a Barrier, which is sealed. Env is nil
// once the old keys are taken away.
func openServer(ctx context.Context, dir string, env *environment) (s *server, err error) {
	s = &server{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	// A term is retired when nothing is under it any more, so a row that was
	// rewrapped has to stay so when the power fails.
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)"}}
	file := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(filepath.Join(dir, "tokens.db")), RawQuery: pragmas.Encode()}
	database := file.String()
	if s.db, err = sql.Open("sqlite3", database); err != nil {
		return s, err
	}
	s.db.SetMaxOpenConns(1) // SQLite has one writer
	// The record has a pool of its own. A request that decrypts within a transaction
	// may have the Barrier load it, which another replica has just changed: in one
	// pool they would wait for each other.
	if s.records, err = sql.Open("sqlite3", database); err != nil {
		return s, err
	}
	s.records.SetMaxOpenConns(1)
	for _, statement := range []string{
		"CREATE TABLE IF NOT EXISTS tokens (id INTEGER PRIMARY KEY, secret TEXT NOT NULL)",
		"CREATE TABLE IF NOT EXISTS rewrapped (name TEXT PRIMARY KEY, mark TEXT NOT NULL)",
	} {
		if _, err = s.db.ExecContext(ctx, statement); err != nil {
			return s, err
		}
	}
	if s.file, err = bbolt.Open(filepath.Join(dir, "sessions.bolt"), 0o600, nil); err != nil {
		return s, err
	}
	s.tokens, err = sqlsource.Open(ctx, s.db, sqlsource.Config{Dialect: sqlsource.SQLite, Table: "tokens", Columns: []string{"secret"}})
	if err != nil {
		return s, err
	}
	if s.b, err = openBarrier(ctx, dir, s.records); err != nil {
		return s, err
	}
	s.tokenBox, s.sessionBox = s.b.Box("tokens", "secret"), s.b.Box("sessions")
	s.sessions = &bucket{s.file, "sessions", s.sessionBox}
	if err = s.file.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(s.sessions.name))
		return err
	}); err != nil || env == nil {
		return s, err
	}
	if s.oldTokens, err = env.tokens(s.b.Keyring()); err != nil {
		return s, err
	}
	if s.oldSessions, err = env.sessions(s.b.Keyring()); err != nil {
		return s, err
	}
	s.tokenBox.Legacy, s.sessionBox.Legacy = s.oldTokens.Open, s.oldSessions.Open
	return s, nil
}

// keyFile names the key, which is made once, with the store: a start never makes
// one, which would open nothing where the old one's volume is not mounted.
func keyFile(dir string) string { return filepath.Join(dir, "kms.key") }

// initStore makes the key and the store.
func initStore(ctx context.Context, dir string, b *seal.Barrier) error {
	if err := localkms.Create(ctx, keyFile(dir)); err != nil {
		return err
	}
	_, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "local"}}, operator)
	return err
}

func openBarrier(ctx context.Context, dir string, db *sql.DB) (*seal.Barrier, error) {
	key, err := localkms.New(localkms.Config{Path: keyFile(dir)}) // it reads nothing yet
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.SQLite})
	if err != nil {
		return nil, err
	}
	if err := store.CreateTable(ctx); err != nil {
		return nil, err
	}
	return seal.Open(seal.Config{
		Store: store, KMS: map[string]kms.Wrapper{"local": key},
		Poll: time.Second, // for this story, in which a Keeper waits for other replicas to see a rotation
	})
}

func (s *server) close() error {
	var errs []error
	if s.b != nil {
		errs = append(errs, s.b.Close())
	}
	for _, db := range []*sql.DB{s.db, s.records} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// token reads one token, of before or after.
func (s *server) token(ctx context.Context, id int64) (string, error) {
	var stored string
	if err := s.db.QueryRowContext(ctx, "SELECT secret FROM tokens WHERE id = ?", id).Scan(&stored); err != nil {
		return "", err
	}
	return s.tokenBox.DecryptString(ctx, stored, strconv.FormatInt(id, 10))
}

// setToken stores a token. Writing knows nothing of the old keys.
func (s *server) setToken(ctx context.Context, id int64, token string) error {
	stored, err := s.tokenBox.EncryptString(ctx, token, strconv.FormatInt(id, 10))
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "INSERT INTO tokens (id, secret) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET secret = excluded.secret", id, stored)
	return err
}

// session reads one session, of before or after.
func (s *server) session(ctx context.Context, id string) (session []byte, err error) {
	err = s.file.View(func(tx *bbolt.Tx) error {
		session, err = s.sessionBox.Decrypt(ctx, tx.Bucket([]byte(s.sessions.name)).Get([]byte(id)), id)
		return err
	})
	return session, err
}

// rewrap brings a source under the active term, from where the run before was, and
// stops after a number of items; 0 is none.
func (s *server) rewrap(ctx context.Context, name string, src migrate.Source, legacy *migrate.Legacy, stop int64) (p migrate.Progress, err error) {
	b := newBar(name)
	defer b.end()
	opt := migrate.RewrapOptions{
		Bookmark:       &sqlsource.Bookmark{DB: s.db, Dialect: sqlsource.SQLite, Table: "rewrapped", Name: name},
		Legacy:         legacy,
		ItemsPerSecond: 4000, // leave some to the others
	}
	var failed []error
	for p, err = range migrate.Rewrap(ctx, s.b.Keyring(), src, opt) {
		if bad, ok := errors.AsType[*migrate.ItemError](err); ok {
			failed = append(failed, bad)
			continue
		}
		if err != nil {
			return p, err
		}
		b.show(p)
		if stop > 0 && p.Items >= stop {
			return p, nil
		}
	}
	if failed != nil {
		return p, fmt.Errorf("%s: %w", name, errors.Join(failed...))
	}
	return p, nil
}
