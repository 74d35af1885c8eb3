//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright/migrate"
)

// census fills a table of one row up to n of them, and compares the ways to count
// them.
func (t *table) census(ctx context.Context, n int) ([]comparison, error) {
	if _, err := t.db.ExecContext(ctx, "INSERT INTO tokens SELECT i, secret FROM tokens, generate_series(1, $1) AS i", n-1); err != nil {
		return nil, err
	}
	for _, text := range []string{"VACUUM ANALYZE tokens", "CHECKPOINT"} { // of which nothing is left to do later
		if _, err := t.db.ExecContext(ctx, text); err != nil {
			return nil, err
		}
	}
	count := func(src migrate.Source) func(context.Context) error {
		return func(ctx context.Context) error {
			c, err := migrate.Count(ctx, t.kr, src)
			if err == nil && c.Total().Items != int64(n) {
				err = fmt.Errorf("%d items of %d", c.Total().Items, n)
			}
			return err
		}
	}
	bare := func(ctx context.Context) error {
		tx, err := t.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		// In one process, as ours.
		if _, err := tx.ExecContext(ctx, "SET LOCAL max_parallel_workers_per_gather = 0"); err != nil {
			return err
		}
		var rows int
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM tokens").Scan(&rows)
	}
	ours, byRow, floor := &timed{do: count(t.src), n: n}, &timed{do: count(&rowByRow{t.db, t.dialect}), n: n}, &timed{do: bare, n: n}
	return []comparison{
		{name: "count/postgres/rowbyrow", target: 10, ours: ours.processors, theirs: byRow.processors, best: true},
		{name: "count/postgres/clock", ours: ours.clock, theirs: byRow.clock, best: true},
		{name: "count/postgres/floor", ours: ours.processors, theirs: floor.processors, times: 3, best: true},
	}, nil
}

// timed does something to n rows, and has how long it took the last time.
type timed struct {
	do   func(context.Context) error
	n    int
	took time.Duration
}

// processors does it, and returns how many rows a second of the processors' time.
func (t *timed) processors(ctx context.Context) (float64, error) {
	begin, spent := time.Now(), processors()
	if err := t.do(ctx); err != nil {
		return 0, err
	}
	t.took = time.Since(begin)
	spent = processors() - spent
	if spent <= 0 {
		spent = t.took // not Linux, or less than it counts
	}
	return float64(t.n) / spent.Seconds(), nil
}

// clock is of the same measurement.
func (t *timed) clock(context.Context) (float64, error) {
	return float64(t.n) / t.took.Seconds(), nil
}

// tick is the unit of the times in /proc, the same on every Linux.
const tick = time.Second / 100

// processors is what the processors have spent on this process and on all that it
// has started, such as the databases, or 0 where nobody knows.
func processors() (spent time.Duration) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	parent, ticks := map[int]int{}, map[int]int64{}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		// Behind the name, which may hold anything: state, parent, …
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 15 {
			continue
		}
		parent[pid], _ = strconv.Atoi(fields[1])
		for _, field := range fields[11:15] { // user, system, and those of children that have ended
			n, _ := strconv.ParseInt(field, 10, 64)
			ticks[pid] += n
		}
	}
	own := os.Getpid()
	for pid := range parent {
		at := pid
		for at > 1 && at != own {
			at = parent[at]
		}
		if at == own {
			spent += time.Duration(ticks[pid]) * tick
		}
	}
	return spent
}
