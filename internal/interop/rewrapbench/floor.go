//go:build unix

package main

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// floorPage is how many rows both sides rewrite at a time.
const floorPage = 1000

// floor compares a rewrap with the same statements and no cryptography at all, page
// by page, each over a half of the same table.
func (b *bench) floor(ctx context.Context, t *table) (comparison, error) {
	half := func(condition string) (*sqlsource.Source, error) {
		return sqlsource.Open(ctx, t.db, sqlsource.Config{Dialect: t.dialect, Table: "tokens", Columns: []string{"secret"},
			Where: fmt.Sprintf("id %s %d", condition, t.rows/2)})
	}
	lower, err := half("<")
	if err != nil {
		return comparison{}, err
	}
	upper, err := half(">=")
	if err != nil {
		return comparison{}, err
	}
	w := &walk{table: t, src: lower}
	b.closers = append(b.closers, func() { w.end() })
	bare := &bareWalk{src: upper}
	return comparison{name: "rewrap/postgres/floor", target: 0.75, ours: w.page, theirs: bare.page, times: 20, best: true}, nil
}

// A walk is a rewrap that stops after each page, again and again from the beginning.
type walk struct {
	*table
	src  migrate.Source
	next func() (migrate.Progress, error, bool)
	stop func()
	done int64
}

func (w *walk) end() {
	if w.stop != nil {
		w.stop()
	}
	w.next, w.stop, w.done = nil, nil, 0
}

func (w *walk) page(ctx context.Context) (float64, error) {
	for {
		if w.next == nil {
			// A batch takes as long as it takes: both sides' pages are the same.
			w.next, w.stop = iter.Pull2(migrate.Rewrap(ctx, w.kr, w.src, migrate.RewrapOptions{PageSize: floorPage, BatchTime: math.MaxInt64 / 100}))
		}
		begin := time.Now()
		p, err, _ := w.next()
		took := time.Since(begin)
		if err != nil {
			return 0, err
		}
		if !p.Done {
			n := p.Rewrapped - w.done
			w.done = p.Rewrapped
			return float64(n) / took.Seconds(), nil
		}
		w.end()
		if err := w.rotate(); err != nil {
			return 0, err
		}
	}
}

// A bareWalk reads a page and replaces it, with other characters in the place of
// those that were there.
type bareWalk struct {
	src   *sqlsource.Source
	after string
	round byte
}

func (w *bareWalk) page(ctx context.Context) (float64, error) {
	for {
		begin := time.Now()
		items, err := w.src.Page(ctx, w.after, floorPage)
		if err != nil {
			return 0, err
		}
		if len(items) == 0 {
			w.after = ""
			w.round++
			continue
		}
		batch := make([]migrate.Replacement, len(items))
		for i, item := range items {
			next := append([]byte(nil), item.Ciphertext...)
			for k := len(next) - 20; k < len(next); k++ {
				next[k] = 'A' + (next[k]+w.round+1)%26
			}
			batch[i] = migrate.Replacement{ID: item.ID, Old: item.Ciphertext, Next: next}
		}
		if err := w.src.ReplaceBatch(ctx, batch); err != nil {
			return 0, err
		}
		took := time.Since(begin)
		for _, e := range batch {
			if !e.Replaced {
				return 0, fmt.Errorf("row %s was not replaced", e.ID)
			}
		}
		w.after = items[len(items)-1].ID
		return float64(len(items)) / took.Seconds(), nil
	}
}
