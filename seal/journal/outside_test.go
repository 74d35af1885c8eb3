package journal_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// deaf answers nothing until it is released, whatever the context says.
type deaf struct {
	calls    atomic.Int32
	released chan struct{}
}

func newDeaf() *deaf { return &deaf{released: make(chan struct{})} }

func (d *deaf) wait() {
	d.calls.Add(1)
	<-d.released
}

// A deafStore is a store of heads that hangs.
type deafStore struct {
	*deaf
	seal.Store
}

func (s deafStore) Load(ctx context.Context) ([]byte, string, error) {
	s.wait()
	return s.Store.Load(ctx)
}

func (s deafStore) Swap(ctx context.Context, text []byte, revision string) (string, error) {
	s.wait()
	return s.Store.Swap(ctx, text, revision)
}

// deafRows are rows of a database that hangs in every call.
type deafRows struct {
	*deaf
	*memRows
}

func (r deafRows) Insert(ctx context.Context, seq uint64, line string) error {
	r.wait()
	return r.memRows.Insert(ctx, seq, line)
}

func (r deafRows) Last(ctx context.Context) (uint64, string, error) {
	r.wait()
	return r.memRows.Last(ctx)
}

func (r deafRows) After(ctx context.Context, seq uint64, limit int) ([]string, uint64, error) {
	r.wait()
	return r.memRows.After(ctx, seq, limit)
}

// What the journal calls and never comes back, for a day, costs one goroutine each,
// and hinders neither the rest nor the end; when it comes back all is made good.
func TestHangsForADay(t *testing.T) {
	tried, hung := 0, int32(0)
	for name, c := range map[string]struct {
		hang    func(*journal.Config, *deaf)
		healthy bool // lines are written meanwhile
	}{
		"the store of heads": {func(c *journal.Config, d *deaf) { c.Heads = deafStore{d, c.Heads} }, true},
		"the host, told of a failure": {func(c *journal.Config, d *deaf) {
			var disk fault
			disk.set(errFull)
			time.AfterFunc(time.Minute, func() { disk.set(nil) })
			c.Place = journal.Gate{File: c.Place.(journal.File), Before: disk.ask}
			c.OnFailure = func(error) { d.wait() }
		}, true},
		"the disk": {func(c *journal.Config, d *deaf) {
			c.Place = journal.Gate{File: c.Place.(journal.File), Before: func() error { d.wait(); return nil }}
		}, false},
		"the table's database": {func(c *journal.Config, d *deaf) { c.Place = journal.Table{Rows: deafRows{d, newRows()}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				d, cfg := newDeaf(), journal.Config{Place: inDir(t), Heads: seal.NewMemStore(), Keep: 200}
				c.hang(&cfg, d)
				j, err := journal.Open(cfg)
				must(t, err)
				synctest.Wait()
				before := runtime.NumGoroutine()
				stop := run(t, j)
				events := 24 * 12
				if testing.Short() {
					events = 24
				}
				for n := range events {
					j.Event(event(n % 60))
					time.Sleep(24 * time.Hour / time.Duration(events))
				}
				synctest.Wait() // who ends just now has ended
				calls := d.calls.Load()
				if tried, hung = tried+1, max(hung, calls); calls != 1 {
					t.Errorf("%d calls hang", calls)
				}
				if more := runtime.NumGoroutine() - before; more > 4 { // Run, what keeps heads, what tells, what hangs
					t.Errorf("%d goroutines more", more)
				}
				if s := j.Status(); c.healthy != (s.Err == nil && s.Waiting == 0) {
					t.Errorf("status %+v", s)
				}
				start := time.Now()
				stop()
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("Run ended after %v", took)
				}
				stop = run(t, j)
				close(d.released)
				time.Sleep(3 * time.Minute)
				if s := j.Status(); s.Err != nil || s.Heads != nil || s.Waiting != 0 || keptHead(t, cfg.Heads) != s.Head {
					t.Errorf("when it has come back: status %+v", s)
				}
				must(t, j.Close())
				stop()
				if _, err := journal.Verify(t.Context(), cfg.Place, j.Status().Head); err != nil {
					t.Error(err)
				}
			})
		})
	}
	if tried > 0 && !testing.Short() {
		t.Logf("GUARANTEE 25 journal-calls-that-hang-for-a-day: tried=%d hung_goroutines_of_each=%d", tried, hung)
	}
}

// A disk on which even a file is not closed holds Close no longer than what is said.
func TestCloseHangs(t *testing.T) {
	virtual(t, func(t *testing.T) {
		d := newDeaf()
		j, err := journal.Open(journal.Config{Place: journal.Gate{File: inDir(t), Before: func() error { return nil }, Closing: d.wait}})
		must(t, err)
		j.Event(event(1))
		start := time.Now()
		if err := j.Close(); !errors.Is(err, journal.ErrLate) || !strings.Contains(err.Error(), "it was not given back") {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		close(d.released)
		synctest.Wait()
	})
}

// slowRows are rows of a database that answers nothing, for a time, after one more
// call, but hears that a call has no time any more.
type slowRows struct {
	*memRows
	away  atomic.Bool
	calls atomic.Int32 // while it is away
}

func (r *slowRows) After(ctx context.Context, seq uint64, limit int) ([]string, uint64, error) {
	if r.away.Load() && r.calls.Add(1) > 1 {
		<-ctx.Done()
		return nil, seq, ctx.Err()
	}
	return r.memRows.After(ctx, seq, limit)
}

// A database that goes away while the journal reads in it what was there is tried
// again, and not waited for until the process ends.
func TestDatabaseGoesAwayWhileItIsRead(t *testing.T) {
	virtual(t, func(t *testing.T) {
		rows := &slowRows{memRows: newRows()}
		j, err := journal.Open(journal.Config{Place: journal.Table{Rows: rows}})
		must(t, err)
		stop := run(t, j)
		j.Event(event(1))
		other := open(t, journal.Config{Place: journal.Table{Rows: rows}})
		other.Event(event(2)) // so that the first has to look where its own last line is
		rows.away.Store(true)
		j.Event(event(3)) // finds the other's line in the place of its own, and then nothing
		time.Sleep(time.Minute)
		if s := j.Status(); !errors.Is(s.Err, context.DeadlineExceeded) || s.Waiting == 0 {
			t.Errorf("while it is away: %+v", s)
		}
		rows.away.Store(false)
		time.Sleep(time.Minute)
		if s := j.Status(); s.Err != nil || s.Waiting != 0 || s.Missing != nil {
			t.Errorf("when it is back: %+v", s)
		}
		must(t, j.Close())
		stop()
	})
}
