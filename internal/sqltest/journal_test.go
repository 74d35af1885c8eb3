package sqltest

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

func TestSQLiteJournal(t *testing.T) {
	db := openSQLite(t, t.TempDir()+"/app.db", "journal_mode(WAL)")
	journalIn(t, db, sqlstore.SQLite)
}

func openLines(t *testing.T, db *sql.DB, cfg sqlstore.Config) *sqlstore.Lines {
	t.Helper()
	lines, err := sqlstore.OpenLines(db, cfg)
	must(t, err)
	return lines
}

func journalEvent(n int) seal.Event {
	return seal.Event{Kind: seal.EventShare, Actor: "José\x00\u202e😀", Detail: strings.Repeat("\n", n), Err: fmt.Errorf("share %d", n)}
}

// journalIn has a database keep journals.
func journalIn(t *testing.T, db *sql.DB, dialect sqlstore.Dialect) {
	t.Helper()
	table := "journal_of_" + strings.ToLower(dialect.String())
	missing := openLines(t, db, sqlstore.Config{Dialect: dialect, Table: table + "_missing"})
	if _, _, err := missing.Last(t.Context()); !errors.Is(err, sqlstore.ErrNoTable) {
		t.Errorf("no table: %v", err)
	}
	if err := missing.Insert(t.Context(), 1, "x"); !errors.Is(err, sqlstore.ErrNoTable) {
		t.Errorf("no table: %v", err)
	}
	cfg := sqlstore.Config{Dialect: dialect, Table: table, Name: "server-1"}
	lines := openLines(t, db, cfg)
	for range 2 {
		must(t, lines.CreateTable(t.Context()))
	}
	place := journal.Table{Rows: lines}

	// Over restarts, with lines of all lengths, beside another of the table.
	var head journal.Head
	for range 2 {
		j, err := journal.Open(journal.Config{Place: place, Name: "server-1"})
		must(t, err)
		other := cfg
		other.Name = "server-2"
		beside, err := journal.Open(journal.Config{Place: journal.Table{Rows: openLines(t, db, other)}, Name: "server-2"})
		must(t, err)
		for n := range 5 {
			j.Event(journalEvent(n * 1024))
			beside.Event(journalEvent(n))
		}
		must(t, j.Flush(t.Context()))
		must(t, beside.Close())
		must(t, j.Close())
		head = j.Status().Head
	}
	result, err := journal.Verify(t.Context(), place, head)
	if err != nil || result.Lines != 14 || result.Opened != 2 {
		t.Fatalf("%+v, %v", result, err)
	}
	n := 0
	for e, err := range journal.Read(t.Context(), place) {
		must(t, err)
		if want := journalEvent(n % 5 * 1024); e.Kind == seal.EventShare {
			if e.Actor != want.Actor || e.Detail != want.Detail || !strings.HasPrefix(e.Err.Error(), "share ") {
				t.Errorf("event %d is %+v", n, e)
			}
			n++
		}
	}

	// Two at once, by mistake: each event once.
	cfg.Name = "shared"
	shared := journal.Table{Rows: openLines(t, db, cfg)}
	var wg sync.WaitGroup
	for range 2 {
		j, err := journal.Open(journal.Config{Place: shared})
		must(t, err)
		wg.Go(func() {
			for n := range 10 {
				j.Event(journalEvent(n))
			}
			for range 10 {
				if j.Flush(t.Context()) == nil {
					break
				}
			}
			j.Close()
		})
	}
	wg.Wait()
	n = 0
	for e, err := range journal.Read(t.Context(), shared) {
		must(t, err)
		if e.Kind == seal.EventShare {
			n++
		}
	}
	if n != 20 {
		t.Errorf("%d events of two, want 20", n)
	}

	// What is done to the rows is noticed.
	remove := fmt.Sprintf("DELETE FROM %s WHERE name = 'server-1' AND seq = %d", table, head.Seq)
	if _, err := db.ExecContext(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Verify(t.Context(), place); err != nil {
		t.Errorf("without a head: %v", err)
	}
	if _, err := journal.Verify(t.Context(), place, head); !errors.Is(err, journal.ErrCut) {
		t.Errorf("the last line is gone: %v", err)
	}

	// A row of the highest number that the database has: nothing follows it.
	must(t, lines.Insert(t.Context(), math.MaxInt64, "x"))
	j, err := journal.Open(journal.Config{Place: place})
	must(t, err)
	defer j.Close()
	j.Event(journalEvent(1))
	if s := j.Status(); !errors.Is(s.Err, journal.ErrExhausted) || s.Waiting != 1 {
		t.Errorf("after the highest number: %+v", s)
	}
	if seq, _, err := lines.Last(t.Context()); err != nil || seq != math.MaxInt64 {
		t.Errorf("the last row is %d, %v", seq, err)
	}
}
