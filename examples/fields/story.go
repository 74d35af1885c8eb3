package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

var operator = seal.By{Actor: "fields"}

// A story is what one run goes through.
type story struct {
	dir     string
	rows    int
	env     environment
	srv     *server
	chapter int

	tokens   map[int64]string // as they were last acknowledged to be stored
	sessions map[string]string
	copied   string // a row of before the rotation, as in a backup
}

func newStory(dir string, rows int) *story {
	return &story{dir: dir, rows: rows, env: newEnvironment(), tokens: map[int64]string{}, sessions: map[string]string{}}
}

func (s *story) begin(title string) {
	s.chapter++
	fmt.Printf("\n%d. %s\n", s.chapter, title)
}

func say(format string, args ...any) { fmt.Printf("   "+format+"\n", args...) }

// open starts the server anew, and unseals it but the first time.
func (s *story) open(ctx context.Context, env *environment) (err error) {
	if err := s.close(); err != nil {
		return err
	}
	if s.srv, err = openServer(ctx, s.dir, env); err != nil {
		return err
	}
	err = s.srv.b.Unseal(ctx)
	if errors.Is(err, seal.ErrUninitialized) {
		return nil
	}
	return err
}

func (s *story) close() error {
	if s.srv == nil {
		return nil
	}
	srv := s.srv
	s.srv = nil
	return srv.close()
}

func (s *story) before(ctx context.Context) error {
	s.begin("A server as there are many: it encrypts with keys from its environment")
	if err := s.open(ctx, &s.env); err != nil {
		return err
	}
	tx, err := s.srv.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for id := range int64(s.rows) {
		s.tokens[id] = fmt.Sprintf("token-%06d-of-a-third-party", id)
		stored, err := s.env.encryptToken(s.tokens[id])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO tokens VALUES (?, ?)", id, stored); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	err = s.srv.file.Update(func(tx *bbolt.Tx) error {
		for i := range s.rows / 10 {
			id := fmt.Sprintf("session-%06d", i)
			s.sessions[id] = fmt.Sprintf(`{"user":%d}`, i)
			stored, err := s.env.encryptSession([]byte(s.sessions[id]))
			if err != nil {
				return err
			}
			if err := tx.Bucket([]byte(s.srv.sessions.name)).Put([]byte(id), stored); err != nil {
				return err
			}
		}
		return nil
	})
	say("%d tokens in a SQL table, AES-GCM; %d sessions in a bbolt file, AES-CFB.", len(s.tokens), len(s.sessions))
	say("One key each, for ever; whoever has it has everything, and it cannot be changed.")
	return err
}

func (s *story) adopt(ctx context.Context) error {
	s.begin("It adopts a keyring, and nothing stored has to change for it")
	if err := initStore(ctx, s.dir, s.srv.b); err != nil {
		return err
	}
	if err := s.verify(ctx, "every value of before reads"); err != nil {
		return err
	}
	for id := range int64(s.rows / 20) {
		if err := s.write(ctx, id*20); err != nil {
			return err
		}
	}
	say("%d tokens are written anew, by the keyring.", s.rows/20)
	if err := s.srv.db.QueryRowContext(ctx, "SELECT secret FROM tokens WHERE id = 0").Scan(&s.copied); err != nil {
		return err
	}
	if err := s.verify(ctx, "old and new values read side by side"); err != nil {
		return err
	}
	return s.census(ctx)
}

func (s *story) rotate(ctx context.Context) error {
	s.begin("The data key is rotated: a second term")
	if err := s.srv.b.Rotate(ctx, operator); err != nil {
		return err
	}
	if err := s.verify(ctx, "everything reads, and nothing stored was touched"); err != nil {
		return err
	}
	return s.census(ctx)
}

func (s *story) refuse(ctx context.Context) error {
	s.begin("The first term cannot be retired while something is under it")
	err := migrate.Retire(ctx, s.srv.b, 1, operator, s.srv.tokens, s.srv.sessions)
	if !errors.Is(err, seal.ErrTermInUse) {
		return fmt.Errorf("a term in use was retired: %v", err)
	}
	say("%v", err)
	return nil
}

func (s *story) rewrapAndStop(ctx context.Context) error {
	s.begin("What is stored is rewrapped while others write, and the server stops in the middle")
	p, writes, err := s.rewrapUnderLoad(ctx, "tokens", s.srv.tokens, s.srv.oldTokens, int64(s.rows*2/5))
	if err != nil {
		return err
	}
	if p.Done {
		return errors.New("it was not stopped in the middle")
	}
	say("stopped after token %s; meanwhile %d live writes, of which %d came between and won.", p.After, writes, p.Changed)
	if err := s.open(ctx, &s.env); err != nil {
		return err
	}
	return s.verify(ctx, "it starts again, and old, new and newer values read")
}

func (s *story) rewrapToTheEnd(ctx context.Context) error {
	s.begin("It goes on where it was, to the end")
	tokens, writes, err := s.rewrapUnderLoad(ctx, "tokens", s.srv.tokens, s.srv.oldTokens, 0)
	if err != nil {
		return err
	}
	sessions, err := s.srv.rewrap(ctx, "sessions", s.srv.sessions, s.srv.oldSessions, 0)
	if err != nil {
		return err
	}
	if !tokens.Done || !sessions.Done {
		return errors.New("the sources were not walked to their ends")
	}
	say("%d live writes meanwhile.", writes)
	if err := s.census(ctx); err != nil {
		return err
	}
	c, err := migrate.Count(ctx, s.srv.b.Keyring(), s.srv.tokens, s.srv.sessions)
	if err != nil {
		return err
	}
	if want := int64(len(s.tokens) + len(s.sessions)); c.Terms[2].Items != want || c.Total().Items != want {
		return fmt.Errorf("%d of %d items are under the active term", c.Terms[2].Items, want)
	}
	return s.verify(ctx, "every value reads, with the last write to it")
}

func (s *story) retire(ctx context.Context) error {
	s.begin("Nothing is under the first term any more: it is retired")
	if err := migrate.Retire(ctx, s.srv.b, 1, operator, s.srv.tokens, s.srv.sessions); err != nil {
		return err
	}
	if terms := s.srv.b.Status().Terms; len(terms) != 1 || terms[0].Number != 2 {
		return fmt.Errorf("terms left: %+v", terms)
	}
	return s.verify(ctx, "everything reads without it")
}

func (s *story) restart(ctx context.Context) error {
	s.begin("The old keys are taken out of the environment, and the server restarts")
	if err := s.open(ctx, nil); err != nil {
		return err
	}
	if err := s.verify(ctx, "everything reads with the keyring alone"); err != nil {
		return err
	}
	_, err := s.srv.tokenBox.DecryptString(ctx, s.copied, "0")
	if !errors.Is(err, keyring.ErrUnknownTerm) {
		return fmt.Errorf("a copy under the retired term: %v", err)
	}
	say("a copy of before:  %v", err)
	var stored string
	if err := s.srv.db.QueryRowContext(ctx, "SELECT secret FROM tokens WHERE id = 1").Scan(&stored); err != nil {
		return err
	}
	_, err = s.srv.tokenBox.DecryptString(ctx, stored, "2")
	if !errors.Is(err, keyring.ErrCorrupt) {
		return fmt.Errorf("a token in another's row: %v", err)
	}
	say("a token in another's row:  %v", err)
	return nil
}

// write changes a token, as its owner does.
func (s *story) write(ctx context.Context, id int64) error {
	token := fmt.Sprintf("token-%06d-written-%x", id, rand.Uint64())
	if err := s.srv.setToken(ctx, id, token); err != nil {
		return err
	}
	s.tokens[id] = token
	return nil
}

// rewrapUnderLoad rewraps while another goroutine changes tokens.
func (s *story) rewrapUnderLoad(ctx context.Context, name string, src migrate.Source, legacy *migrate.Legacy, stop int64) (p migrate.Progress, writes int, err error) {
	live, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		for live.Err() == nil && failed == nil {
			// With the outer context: the last write is not torn off.
			failed = s.write(ctx, rand.Int64N(int64(s.rows)))
			writes++
			time.Sleep(2 * time.Millisecond)
		}
	})
	p, err = s.srv.rewrap(ctx, name, src, legacy, stop)
	end()
	wg.Wait()
	return p, writes, errors.Join(err, failed)
}

// verify reads every value, and compares it with what was written last.
func (s *story) verify(ctx context.Context, what string) error {
	for _, id := range slices.Sorted(maps.Keys(s.tokens)) {
		got, err := s.srv.token(ctx, id)
		if err != nil {
			return fmt.Errorf("token %d: %w", id, err)
		}
		if got != s.tokens[id] {
			return fmt.Errorf("token %d reads otherwise than it was written", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.sessions)) {
		got, err := s.srv.session(ctx, id)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		if string(got) != s.sessions[id] {
			return fmt.Errorf("%s reads otherwise than it was written", id)
		}
	}
	say("checked: %s.", what)
	return nil
}

// census tells how much is under which term.
func (s *story) census(ctx context.Context) error {
	names := []string{"tokens", "sessions"}
	for i, src := range []migrate.Source{s.srv.tokens, s.srv.sessions} {
		c, err := migrate.Count(ctx, s.srv.b.Keyring(), src)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%-9s legacy %d", names[i], c.Other.Items+c.Unknown.Items)
		for _, term := range slices.Sorted(maps.Keys(c.Terms)) {
			line += fmt.Sprintf(", term %d %d", term, c.Terms[term].Items)
		}
		say("%s", line)
	}
	return nil
}
