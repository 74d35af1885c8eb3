//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// resident is what the process has in memory.
func resident() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for text := range strings.Lines(string(status)) {
		if after, ok := strings.CutPrefix(text, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(after), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// memory goes through n rows, of which a twentieth is under an older term, with
// pages of several sizes, and prints the most that the process had above what it had
// when it was idle.
func (b *bench) memory(ctx context.Context, n int) error {
	server, err := dbtest.StartPostgreSQL()
	if err != nil {
		return err
	}
	b.closers = append(b.closers, server.Close)
	t, err := b.open(ctx, "memory", "pgx", dbtest.PostgreSQLDSN(filepath.Dir(server.Socket()), ""), sqlsource.PostgreSQL, 4, 1)
	if err != nil {
		return err
	}
	// All rows have the same associated data, so that the database makes them.
	aad := []byte("everywhere")
	t.src, err = sqlsource.Open(ctx, t.db, sqlsource.Config{Dialect: t.dialect, Table: "tokens", Columns: []string{"secret"},
		AAD: func(string, []string) []byte { return aad }})
	if err != nil {
		return err
	}
	old, err := t.kr.EncryptString(plaintext(1), aad)
	if err != nil {
		return err
	}
	if err := t.rotate(); err != nil {
		return err
	}
	current, err := t.kr.EncryptString(plaintext(1), aad)
	if err != nil {
		return err
	}
	for _, statement := range []string{"TRUNCATE tokens", fmt.Sprintf("INSERT INTO tokens SELECT i, '%s' FROM generate_series(1, %d) AS i", current, n), "ANALYZE tokens"} {
		if _, err := t.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for _, page := range []int{0, 100, 5000, 100_000} {
		if _, err := t.db.ExecContext(ctx, fmt.Sprintf("UPDATE tokens SET secret = '%s' WHERE id %% 20 = 0", old)); err != nil {
			return err
		}
		debug.FreeOSMemory()
		idle, most := resident(), int64(0)
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for {
				most = max(most, resident())
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}()
		begin := time.Now()
		var last migrate.Progress
		for p, err := range migrate.Rewrap(ctx, t.kr, t.src, migrate.RewrapOptions{PageSize: page, Workers: t.workers}) {
			if err != nil {
				return err
			}
			last = p
		}
		close(stop)
		<-ended
		fmt.Printf("MEMORY rows=%d rewrapped=%d page=%d above_idle=%.1fMiB idle=%.1fMiB took=%v\n", last.Items, last.Rewrapped, page,
			float64(most-idle)/(1<<20), float64(idle)/(1<<20), time.Since(begin).Round(time.Second))
		runtime.GC()
	}
	return nil
}

// live has writers change a hundredth of the rows, with and without a rewrap at half
// of its full speed, by turns; in the end every write that was acknowledged is there.
func (b *bench) live(ctx context.Context) error {
	server, err := dbtest.StartPostgreSQL()
	if err != nil {
		return err
	}
	b.closers = append(b.closers, server.Close)
	t, err := b.open(ctx, "live", "pgx", dbtest.PostgreSQLDSN(filepath.Dir(server.Socket()), ""), sqlsource.PostgreSQL, 1, max(b.rows, 50_000))
	if err != nil {
		return err
	}
	full, err := t.whole(ctx)
	if err != nil {
		return err
	}
	hot := t.rows / 100
	versions := make([]int, hot)
	var without, with []time.Duration
	for range 4 {
		for _, beside := range []bool{false, true} {
			took, err := t.writers(ctx, versions, beside, full/2)
			if err != nil {
				return err
			}
			if beside {
				with = append(with, took...)
			} else {
				without = append(without, took...)
			}
		}
	}
	lost := 0
	for i, version := range versions {
		id := i * 100
		var stored string
		if err := t.db.QueryRowContext(ctx, "SELECT secret FROM tokens WHERE id = $1", id).Scan(&stored); err != nil {
			return err
		}
		got, err := t.kr.DecryptString(stored, sqlsource.AAD("tokens", "secret", strconv.Itoa(id)))
		want := plaintext(id)
		if version > 0 {
			want = fmt.Sprint("version ", version)
		}
		if err != nil || got != want {
			lost++
		}
	}
	a, c := percentile(without, 0.99), percentile(with, 0.99)
	fmt.Printf("LIVE full_speed=%.0f throttle=%.0f writes=%d p50=%v p99=%v beside: writes=%d p50=%v p99=%v lost=%d\n", full, full/2,
		len(without), percentile(without, .5).Round(time.Microsecond), a.Round(time.Microsecond), len(with), percentile(with, .5).Round(time.Microsecond), c.Round(time.Microsecond), lost)
	fmt.Printf("RATIO live/postgres/p99 %.3g\n", float64(c)/float64(a))
	return nil
}

// writers has two of them write for some seconds, each to rows of its own.
func (t *table) writers(ctx context.Context, versions []int, beside bool, rate float64) (took []time.Duration, err error) {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	rng := rand.New(rand.NewPCG(1, 2))
	for w := range 2 {
		seed := rng.Uint64()
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1))
			for ctx.Err() == nil {
				i := rng.IntN(len(versions)/2)*2 + w
				id := i * 100
				text, err := t.kr.EncryptString(fmt.Sprint("version ", versions[i]+1), sqlsource.AAD("tokens", "secret", strconv.Itoa(id)))
				begin := time.Now()
				if err == nil {
					// To its end: what is torn off may have been stored.
					_, err = t.db.ExecContext(context.WithoutCancel(ctx), "UPDATE tokens SET secret = $1 WHERE id = $2", text, id)
				}
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				} else {
					versions[i]++
					took = append(took, time.Since(begin))
				}
				mu.Unlock()
			}
		})
	}
	for beside && ctx.Err() == nil && len(errs) == 0 {
		_, err := t.measure(ctx, t.src, migrate.RewrapOptions{ItemsPerSecond: rate}, math.MaxInt)
		if err != nil && ctx.Err() == nil {
			errs = append(errs, err)
		}
	}
	wg.Wait()
	return took, errors.Join(errs...)
}
