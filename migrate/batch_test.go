package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A batchSource is a memSource that takes batches, and says how many there are.
type batchSource struct {
	*memSource
	onBatch func(ctx context.Context, batch []migrate.Replacement) error // before it
	after   func(batch []migrate.Replacement) error                      // after it
	sizes   []int
}

func (s *batchSource) ReplaceBatch(ctx context.Context, batch []migrate.Replacement) error {
	s.mu.Lock()
	s.sizes = append(s.sizes, len(batch))
	s.mu.Unlock()
	if s.onBatch != nil {
		if err := s.onBatch(ctx, batch); err != nil {
			return err
		}
	}
	for i := range batch {
		var err error
		if batch[i].Replaced, err = s.Replace(ctx, batch[i].ID, batch[i].Old, batch[i].Next); err != nil {
			return err
		}
	}
	if s.after != nil {
		return s.after(batch)
	}
	return nil
}

func (s *batchSource) Estimate(context.Context) (int64, error) { return int64(len(s.all())), nil }

// newBatches returns a source of n items under term 1 of two.
func newBatches(tb testing.TB, n int) (*batchSource, *keyring.Owner, *keyring.Keyring) {
	tb.Helper()
	owner, kr := newKeyring(tb, 1, 1)
	src := filled(tb, kr, n)
	install(tb, owner, 2, 2)
	return &batchSource{memSource: src}, owner, kr
}

// Pages grow while batches are quick, and shrink when they are slow.
func TestRewrapBatchSizes(t *testing.T) {
	for name, tt := range map[string]struct {
		each time.Duration
		opt  migrate.RewrapOptions
		want []int
	}{
		"quick":         {0, migrate.RewrapOptions{}, []int{100, 200, 400, 800, 1600, 900}},
		"as it should":  {time.Millisecond, migrate.RewrapOptions{PageSize: 60}, []int{60, 60, 60}},
		"slow":          {10 * time.Millisecond, migrate.RewrapOptions{}, []int{100, 50, 25, 12, 12, 12}},
		"slow, allowed": {10 * time.Millisecond, migrate.RewrapOptions{BatchTime: time.Second}, []int{100, 100}},
		"a rate":        {0, migrate.RewrapOptions{ItemsPerSecond: 300}, []int{6, 6}},
	} {
		if testing.Short() && (name == "as it should" || name == "slow, allowed") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				src, _, kr := newBatches(t, 4000)
				src.onBatch = func(_ context.Context, batch []migrate.Replacement) error {
					time.Sleep(time.Duration(len(batch)) * tt.each)
					return nil
				}
				if _, items, err := finish(t.Context(), kr, src, tt.opt); err != nil || items != nil {
					t.Fatal(err, items)
				}
				if diff := cmp.Diff(tt.want, src.sizes[:min(len(tt.want), len(src.sizes))]); diff != "" {
					t.Errorf("batches (-want +got):\n%s", diff)
				}
				checkAll(t, kr, src.memSource, 2)
			})
		})
	}
}

// Large values make small pages, whatever is asked for.
func TestRewrapBatchBytes(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := &batchSource{memSource: &memSource{}}
	items := 250
	if !testlevel.Whole() {
		items = 50
	}
	items = testlevel.Most(items, 25)
	for i := range items {
		id := fmt.Sprintf("%04d", i)
		src.put(id, encrypt(t, kr, strings.Repeat("v", 100<<10), id))
	}
	install(t, owner, 2, 2)
	if _, bad, err := finish(t.Context(), kr, src, migrate.RewrapOptions{PageSize: 200}); err != nil || bad != nil {
		t.Fatal(err, bad)
	}
	for i, n := range src.sizes {
		if n > 11 {
			t.Errorf("batch %d has %d items of 100 KiB", i, n)
		}
	}
}

// Whatever order pages come to their ends in, After says what is dealt with.
func TestRewrapWorkersInOrder(t *testing.T) {
	virtual(t, func(t *testing.T) {
		src, _, kr := newBatches(t, 1000)
		src.onBatch = func(_ context.Context, batch []migrate.Replacement) error {
			if batch[0].ID[1] == '2' || batch[0].ID[1] == '3' {
				time.Sleep(time.Second)
			}
			return nil
		}
		begin, after := time.Now(), ""
		for p, err := range migrate.Rewrap(t.Context(), kr, src, migrate.RewrapOptions{Workers: 4, PageSize: 100, BatchTime: time.Minute}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range src.all() {
				term, err := keyring.TermOf(it.Ciphertext)
				if it.ID <= p.After && (err != nil || term != 2) {
					t.Errorf("after %s: item %s is under term %d, %v", p.After, it.ID, term, err)
				}
			}
			if p.After < after {
				t.Errorf("after %s comes %s", after, p.After)
			}
			if after = p.After; p.Left() != 1000-p.Items {
				t.Errorf("%d items are left after %d", p.Left(), p.Items)
			}
		}
		if took := time.Since(begin); took > 1500*time.Millisecond {
			t.Errorf("two pages of a second each took %v beside each other", took)
		}
		checkAll(t, kr, src.memSource, 2)
	})
}

// A batch that nobody knows the outcome of is looked up, and counts as what it was.
func TestRewrapUnknownOutcome(t *testing.T) {
	for name, made := range map[string]bool{"it was made": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				src, _, kr := newBatches(t, 300)
				lost := 0
				fail := func([]migrate.Replacement) error {
					if lost++; lost%2 == 1 {
						return errLost
					}
					return nil
				}
				if made {
					src.after = fail
				} else {
					src.onBatch = func(_ context.Context, b []migrate.Replacement) error { return fail(b) }
				}
				p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{})
				want := migrate.Progress{After: "0299", Done: true, Items: 300, Rewrapped: 300, Bytes: p.Bytes, Elapsed: p.Elapsed, Total: 300}
				if diff := cmp.Diff(want, p); diff != "" || err != nil || items != nil || src.puts != 300 {
					t.Errorf("%v, %v, %d puts; progress (-want +got):\n%s", err, items, src.puts, diff)
				}
				checkAll(t, kr, src.memSource, 2)
			})
		})
	}
}

// A source that is not there is waited for, for a minute; one that says what is
// wrong is not.
func TestRewrapUnavailable(t *testing.T) {
	virtual(t, func(t *testing.T) {
		src, _, kr := newBatches(t, 300)
		down := time.Now().Add(45 * time.Second)
		src.onBatch = func(context.Context, []migrate.Replacement) error {
			if time.Now().Before(down) {
				return errLost
			}
			return nil
		}
		src.onPage = func(string) error { return src.onBatch(nil, nil) }
		if p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Workers: 2}); err != nil || items != nil || p.Rewrapped != 300 {
			t.Errorf("away for 45 s: %+v, %v, %v", p, items, err)
		}

		down = time.Now().Add(time.Hour)
		begin := time.Now()
		_, _, err := finish(t.Context(), kr, src, migrate.RewrapOptions{})
		var of *migrate.SourceError
		if took := time.Since(begin); !errors.As(err, &of) || !errors.Is(err, migrate.ErrUnavailable) || of.Op != "page" || took < time.Minute || took > 70*time.Second {
			t.Errorf("away for an hour: after %v, %v", took, err)
		}
		src.onPage = nil
		install(t, keyring.New(), 1, 1)
		src, _, kr = newBatches(t, 3)
		src.onBatch = func(context.Context, []migrate.Replacement) error { return errDown }
		p, _, err := finish(t.Context(), kr, src, migrate.RewrapOptions{})
		if !errors.Is(err, errDown) || err.Error() != `migrate: source: replace the items from "0000" on: the database is down` || p.After != "" {
			t.Errorf("it says what is wrong: %+v, %v", p, err)
		}
	})
}

// A statement that waits for a row which others hold does not hold its own rows
// for long: it is canceled, and tried again by halves, until that row is alone.
func TestRewrapBatchHeldUp(t *testing.T) {
	virtual(t, func(t *testing.T) {
		src, _, kr := newBatches(t, 100)
		begin := time.Now()
		src.onBatch = func(ctx context.Context, batch []migrate.Replacement) error {
			for _, e := range batch {
				if e.ID == "0077" && time.Since(begin) < 20*time.Second {
					<-ctx.Done()
					return ctx.Err()
				}
			}
			return nil
		}
		p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{})
		if took := time.Since(begin); err != nil || items != nil || p.Rewrapped != 100 || took > 30*time.Second {
			t.Errorf("after %v: %+v, %v, %v", took, p, items, err)
		}
		checkAll(t, kr, src.memSource, 2)
	})
}

// The last item of a page, deleted by others, is gone and no error.
func TestRewrapBatchDeleted(t *testing.T) {
	src, _, kr := newBatches(t, 20)
	src.onBatch = func(context.Context, []migrate.Replacement) error {
		src.drop("0009")
		src.drop("0003")
		return nil
	}
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{PageSize: 10})
	if err != nil || items != nil || p.Items != 18 || p.Rewrapped != 18 || p.Changed != 2 || p.Empty != 0 {
		t.Errorf("%+v, %v, %v", p, items, err)
	}
	checkAll(t, kr, src.memSource, 2)
}

// What panics does so where the host can recover, and nothing goes on behind it.
func TestRewrapWorkerPanics(t *testing.T) {
	virtual(t, func(t *testing.T) {
		src, _, kr := newBatches(t, 500)
		src.onBatch = func(_ context.Context, batch []migrate.Replacement) error {
			if batch[0].ID >= "0100" {
				panic("the host's own")
			}
			return nil
		}
		defer func() {
			if got := recover(); got != "the host's own" {
				t.Errorf("recovered %v", got)
			}
		}()
		finish(t.Context(), kr, src, migrate.RewrapOptions{Workers: 3})
		t.Error("it did not panic")
	})
}

// Whoever leaves the loop leaves nothing running, which synctest would tell.
func TestRewrapWorkersLeft(t *testing.T) {
	virtual(t, func(t *testing.T) {
		src, _, kr := newBatches(t, 1000)
		src.onBatch = func(ctx context.Context, _ []migrate.Replacement) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Minute):
				return nil
			}
		}
		for p, err := range migrate.Rewrap(t.Context(), kr, src, migrate.RewrapOptions{Workers: 4, BatchTime: time.Hour}) {
			if err != nil || p.Items != 100 {
				t.Errorf("%+v, %v", p, err)
			}
			break
		}
	})
}

func TestRewrapThrottle(t *testing.T) {
	virtual(t, func(t *testing.T) {
		src, _, kr := newBatches(t, 500)
		begin, asked := time.Now(), 0
		lag := func(context.Context) (time.Duration, error) {
			if asked++; asked == 3 || asked == 4 {
				return 10 * time.Second, nil
			}
			return 0, nil
		}
		if _, _, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Throttle: lag, PageSize: 100}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 20*time.Second || asked != 8 {
			t.Errorf("asked %d times, took %v", asked, took)
		}
		_, _, err := finish(t.Context(), kr, src, migrate.RewrapOptions{Throttle: func(context.Context) (time.Duration, error) { return 0, errDown }})
		if !errors.Is(err, errDown) || err.Error() != "migrate: rewrap: throttle: the database is down" {
			t.Errorf("it fails: %v", err)
		}
	})
}

type memBookmark struct {
	text string
	err  error
}

func (b *memBookmark) Load(context.Context) (string, error) { return b.text, b.err }

func (b *memBookmark) Save(_ context.Context, text string) error {
	b.text = text
	return b.err
}

// A bookmark takes the next run to where the last one was, under the same term.
func TestRewrapBookmark(t *testing.T) {
	virtual(t, func(t *testing.T) {
		src, owner, kr := newBatches(t, 1000)
		book := &memBookmark{}
		src.onBatch = func(context.Context, []migrate.Replacement) error { time.Sleep(400 * time.Millisecond); return nil }
		opt := migrate.RewrapOptions{Bookmark: book, PageSize: 100, BatchTime: time.Second}
		for p, err := range migrate.Rewrap(t.Context(), kr, src, opt) {
			if err != nil {
				t.Fatal(err)
			}
			if p.Items == 500 {
				break
			}
		}
		if book.text != "2 500 0499" {
			t.Errorf("the bookmark says %q", book.text)
		}
		first := true
		for p, err := range migrate.Rewrap(t.Context(), kr, src, opt) {
			if err != nil {
				t.Fatal(err)
			}
			if first && (p.Before != 500 || p.Items != 100 || p.After != "0599" || p.Left() != 400) {
				t.Errorf("it went on with %+v", p)
			}
			first = false
		}
		if book.text != "" {
			t.Errorf("at the end the bookmark says %q", book.text)
		}
		checkAll(t, kr, src.memSource, 2)

		// Another term: everything again, also where the text is nobody's.
		install(t, owner, 3, 3)
		for _, text := range []string{"2 300 0299", "3 x 0299", "3 -1 0299", "nothing of ours"} {
			book.text = text
			for p, err := range migrate.Rewrap(t.Context(), kr, src, opt) {
				if err != nil || p.Before != 0 || p.After != "0099" {
					t.Errorf("%q: %+v, %v", text, p, err)
				}
				break
			}
		}
		book.err = errDown
		if _, _, err := finish(t.Context(), kr, src, opt); !errors.Is(err, errDown) || err.Error() != "migrate: rewrap: read the bookmark: the database is down" {
			t.Errorf("it cannot be read: %v", err)
		}
		opt.After = "0000"
		if _, _, err := finish(t.Context(), kr, src, opt); !errors.Is(err, errDown) || err.Error() != "migrate: rewrap: save the bookmark: the database is down" {
			t.Errorf("it cannot be saved: %v", err)
		}
	})
}

func TestProgressLeft(t *testing.T) {
	for name, tt := range map[string]struct {
		p    migrate.Progress
		left int64
		time time.Duration
	}{
		"nothing known":   {migrate.Progress{Items: 5, Elapsed: time.Second}, -1, -1},
		"at the start":    {migrate.Progress{Total: 100}, 100, -1},
		"half":            {migrate.Progress{Total: 100, Before: 30, Items: 20, Elapsed: 2 * time.Second}, 50, 5 * time.Second},
		"more than there": {migrate.Progress{Total: 10, Items: 20, Elapsed: time.Second}, 0, 0},
		"done":            {migrate.Progress{Total: 100, Items: 20, Elapsed: time.Second, Done: true}, 0, 0},
		"ages":            {migrate.Progress{Total: 1 << 60, Items: 1, Elapsed: time.Hour}, 1<<60 - 1, 1 << 31 * time.Second},
	} {
		if left, took := tt.p.Left(), tt.p.TimeLeft(); left != tt.left || took != tt.time {
			t.Errorf("%s: %d left, %v; want %d, %v", name, left, took, tt.left, tt.time)
		}
	}
}

// What a metric gets is all there is, and nothing twice.
func TestOutcomes(t *testing.T) {
	p := migrate.Progress{Items: 15, Rewrapped: 7, Legacy: 2, Current: 5, Failed: 3, Empty: 4}
	want := map[string]int64{"rewrapped": 5, "adopted": 2, "current": 5, "failed": 3, "empty": 4}
	if diff := cmp.Diff(want, p.Outcomes()); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	c := migrate.Census{Terms: map[uint32]migrate.Tally{1: {Items: 7}, 20: {}}, Unknown: migrate.Tally{Items: 1}, Other: migrate.Tally{Items: 2}, Empty: 3}
	if diff := cmp.Diff(map[string]int64{"1": 7, "20": 0, "unknown": 1, "legacy": 2, "empty": 3}, c.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestRewrapBatchOptionsRefused(t *testing.T) {
	src, _, kr := newBatches(t, 1)
	for text, opt := range map[string]migrate.RewrapOptions{
		"Workers is -1":       {Workers: -1},
		"Workers is 65":       {Workers: 65},
		"BatchTime is -1ns":   {BatchTime: -1},
		"PageSize is -1":      {PageSize: -1},
		"a rate is -1":        {ItemsPerSecond: -1},
		"of another keyring":  {Legacy: &migrate.Legacy{}},
		"give LegacyConfig a": {Legacy: newLegacy(t, kr, migrate.LegacyConfig{Cipher: migrate.AESGCM})},
	} {
		if _, _, err := finish(t.Context(), kr, src, opt); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if src.puts != 0 {
		t.Errorf("%d items were replaced", src.puts)
	}
}
