//go:build unix

package columntest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// tortureSQLite kills another process, which is in the midst of whatever it does.
func tortureSQLite(t *testing.T) (*torture, func(n int) toll) {
	path := filepath.Join(t.TempDir(), "db")
	direct := open(t, "sqlite", sqliteDSN(path), sqlsource.SQLite)
	s := newTorture(t, direct)
	return s, func(n int) (r toll) {
		after := ""
		for r.interrupted < n {
			saved, done := s.child(path, after)
			if after = saved; done {
				r.walks++
				s.rotate()
				s.check(&r)
			} else {
				r.interrupted++
			}
		}
		s.blind = false
		if _, done := s.run(t.Context(), direct.DB, ""); !done {
			t.Error("it did not come to the end")
		}
		r.walks++
		s.check(&r)
		return r
	}
}

func sqliteDSN(path string) string {
	return "file:" + path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)"
}

// child has a process of its own rewrap, and kills it while live writes go on here.
func (s *torture) child(path, after string) (saved string, done bool) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d|%t|%s", tortureEnv, path, s.table, s.term, s.blind, after))
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	saved = after
	var said strings.Builder
	buf := make([]byte, 4096)
	armed := false
	for {
		n, err := out.Read(buf)
		said.Write(buf[:n])
		for {
			line, rest, found := strings.Cut(said.String(), "\n")
			if !found {
				break
			}
			said.Reset()
			said.WriteString(rest)
			if !armed { // from its first word on: how long it takes to start is of no interest
				armed = true
				time.AfterFunc(time.Duration(s.rng.Int64N(int64(150*time.Millisecond))), func() { cmd.Process.Kill() })
			}
			var id int
			switch {
			case strings.HasPrefix(line, "after "):
				saved = line[len("after "):]
			case line == "done":
				done = true
			case strings.HasPrefix(line, "batch "): // the moment for a live write to it
				fmt.Sscanf(line, "batch %d", &id)
				s.write(id)
			case strings.HasPrefix(line, "failed "):
				s.t.Error(line)
			}
		}
		if err != nil {
			break
		}
	}
	_ = cmd.Wait() // it was killed
	if done {
		saved = ""
	}
	return saved, done
}

// TestKilledChild is the process that is killed.
func TestKilledChild(t *testing.T) {
	args := strings.Split(os.Getenv(tortureEnv), "|")
	if len(args) != 5 {
		t.Skip("run by TestKilled")
	}
	var term uint32
	fmt.Sscan(args[2], &term)
	_, kr := columntest.Keyring(t, term)
	direct := open(t, "sqlite", sqliteDSN(args[0]), sqlsource.SQLite)
	src := direct.Open(t, sqlsource.Config{Table: args[1], Columns: []string{"a"}})
	fmt.Println("up")
	said := &telling{Source: src, db: direct.DB, table: args[1], blind: args[3] == "true"}
	for p, err := range migrate.Rewrap(t.Context(), kr, said, migrate.RewrapOptions{After: args[4], PageSize: 25, BatchTime: time.Minute}) {
		if err != nil && !errors.Is(err, migrate.ErrChanged) {
			fmt.Println("failed", err)
			return
		}
		fmt.Println("after", p.After)
		if p.Done {
			fmt.Println("done")
		}
	}
}

// telling says which batch comes, and gives others time to write to it.
type telling struct {
	*sqlsource.Source
	db    *sql.DB
	table string
	blind bool
}

func (b *telling) ReplaceBatch(ctx context.Context, batch []migrate.Replacement) error {
	fmt.Println("batch", batch[len(batch)/2].ID)
	time.Sleep(5 * time.Millisecond)
	if b.blind {
		e := &batch[len(batch)/2]
		var stored string
		if err := b.db.QueryRowContext(ctx, fmt.Sprintf("SELECT a FROM %s WHERE id = %s", b.table, e.ID)).Scan(&stored); err != nil {
			return err
		}
		e.Old = []byte(stored)
	}
	return b.Source.ReplaceBatch(ctx, batch)
}
