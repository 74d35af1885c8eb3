package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
)

func TestMemStore(t *testing.T) {
	Run(t, func(*testing.T) seal.Store { return seal.NewMemStore() })
}

func TestTurns(t *testing.T) {
	Run(t, func(*testing.T) seal.Store {
		m := seal.NewMemStore()
		return Turns(m, m, m)
	})
}

// A store whose backend takes less says so, and is held to what it says.
func TestSmallStore(t *testing.T) {
	const limit = 1 << 20
	small := func(*testing.T) seal.Store { return mutant{seal.NewMemStore(), nil, refusesFrom(limit + 1)} }
	Config{MaxRecordSize: limit}.Run(t, small)
	Config{MaxRecordSize: MinRecordSize}.Run(t, func(*testing.T) seal.Store {
		return mutant{seal.NewMemStore(), nil, refusesFrom(MinRecordSize + 1)}
	})
	checks := func(c Config) (words string) {
		for _, check := range (suite{Config: c}).checks() {
			words += failure(t, func(t testing.TB) { check.run(t, small(nil)) })
		}
		return words
	}
	if testing.Short() {
		return // the wrong limits, each of which tries the whole suite
	}
	for limit, want := range map[int]string{seal.MaxRecordSize: "seal: the record is larger than the store takes", limit + 1: "larger than the store takes", limit - 1: "want seal.ErrTooLarge"} {
		if words := checks(Config{MaxRecordSize: limit}); !strings.Contains(words, want) {
			t.Errorf("a store said to keep %d bytes: the suite found %q, want %q", limit, words, want)
		}
	}
}

func TestFaultyWithoutFaults(t *testing.T) {
	Run(t, func(*testing.T) seal.Store {
		return &Faulty{Inner: seal.NewMemStore(), Latency: time.Microsecond}
	})
}

// TestPlanted runs checks on stores with one fault each: they must fail, and
// with these words.
func TestPlanted(t *testing.T) {
	mem := func() seal.Store { return seal.NewMemStore() }
	tests := []struct {
		name   string
		store  func() seal.Store
		caught map[string]string // check to words of its failure
	}{
		{"blind put", func() seal.Store { return BlindPut(mem()) }, map[string]string{
			"create conflict":  "want seal.ErrConflict",
			"stale swap":       "want seal.ErrConflict",
			"unknown revision": "want seal.ErrConflict",
			"same content":     "want seal.ErrConflict",
			"racing creators":  "racing creators won",
			"racing writers":   "lost",
		}},
		{"content as revision (ABA)", func() seal.Store { return &contentRevision{} }, map[string]string{
			"same content": "a second time",
		}},
		{"other revision from Swap", func() seal.Store { return mutant{mem(), nil, otherRevision("x")} }, map[string]string{
			"create": "Load returned revision \"1\", want \"x\"",
		}},
		{"no revision", func() seal.Store { return mutant{mem(), nil, otherRevision("")} }, map[string]string{
			"create": "returned an empty revision",
		}},
		{"not found when out of reach", func() seal.Store { return mutant{mem(), loadAnyErrorIsNotFound, nil} }, map[string]string{
			"cancelled context": "want context.Canceled alone",
		}},
		{"conflict when out of reach", func() seal.Store { return mutant{mem(), nil, swapAnyErrorIsConflict} }, map[string]string{
			"cancelled context": "want context.Canceled alone",
			"oversized record":  "there was no conflict",
		}},
		{"context ignored", func() seal.Store {
			return mutant{mem(),
				func(_ context.Context, s seal.Store) ([]byte, string, error) { return s.Load(context.Background()) },
				func(_ context.Context, s seal.Store, rec []byte, old string) (string, error) {
					return s.Swap(context.Background(), rec, old)
				}}
		}, map[string]string{"cancelled context": "want context.Canceled alone"}},
		{"empty instead of not found", func() seal.Store { return mutant{mem(), notFoundIsEmpty, nil} }, map[string]string{
			"empty": "want seal.ErrNotFound",
		}},
		{"bytes beside not found", func() seal.Store { return mutant{mem(), notFoundWithBytes, nil} }, map[string]string{
			"empty": "beside the error",
		}},
		{"keeps the caller's slice", func() seal.Store { return &aliasing{keep: true} }, map[string]string{
			"ownership": "\"xxx\"",
		}},
		{"lends its own slice", func() seal.Store { return &aliasing{} }, map[string]string{
			"ownership": "\"yyy\"",
		}},
		{"changes the caller's slice", func() seal.Store { return mutant{mem(), nil, scribble} }, map[string]string{
			"ownership": "Swap changed the caller's record",
		}},
		{"conflict that writes", func() seal.Store { return mutant{mem(), nil, conflictThatWrites} }, map[string]string{
			"create conflict": "want \"one\"",
			"stale swap":      "want \"two\"",
		}},
		{"create over a record", func() seal.Store { return mutant{mem(), nil, createOver} }, map[string]string{
			"create conflict": "want seal.ErrConflict",
			"racing creators": "racing creators won",
		}},
		{"missing record updated", func() seal.Store { return mutant{mem(), nil, updateCreates} }, map[string]string{
			"unknown revision": "want seal.ErrConflict",
		}},
		{"text only", func() seal.Store { return mutant{mem(), nil, textOnly} }, map[string]string{
			"any bytes": "want 256 bytes", "largest record": "bytes beginning",
		}},
		{"trims space", func() seal.Store { return mutant{mem(), nil, trimmed} }, map[string]string{
			"any bytes": "want \"\\n\"",
		}},
		{"64 KiB column", func() seal.Store { return mutant{mem(), nil, cutAt(64 << 10)} }, map[string]string{
			"largest record": "65536 bytes", "oversized record": "error <nil>, want seal.ErrTooLarge",
		}},
		{"cuts an oversized record", func() seal.Store { return mutant{mem(), nil, cutAt(seal.MaxRecordSize)} }, map[string]string{
			"oversized record": "error <nil>, want seal.ErrTooLarge",
		}},
		{"an oversized record is an unknown outcome", func() seal.Store { return mutant{mem(), nil, tooLargeInItsOwnWords} }, map[string]string{
			"oversized record": "error storetest: request entity too large, want seal.ErrTooLarge",
		}},
		{"one load in forty lags", func() seal.Store { return Lagging(mem(), 40) }, map[string]string{
			"fresh reads": "which is stale",
		}},
		{"one load in 700 lags", func() seal.Store { return Lagging(mem(), 700) }, map[string]string{
			"fresh reads": "which is stale",
		}},
		{"one load in forty lags, at random", func() seal.Store { return &lagsAtRandom{Store: mem()} }, map[string]string{
			"fresh reads": "which is stale",
		}},
		{"a swap compares with what was before", func() seal.Store { return &staleSwaps{Store: mem()} }, map[string]string{
			"fresh reads": "at the revision of the one before",
		}},
		{"compare and write apart", func() seal.Store { return &unlocked{MemStore: seal.NewMemStore()} }, map[string]string{
			"racing creators": "racing creators won",
			"racing writers":  "lost",
		}},
		{"torn reads", func() seal.Store { return &tearing{} }, map[string]string{
			"whole records": "which nobody wrote",
		}},
		{"stale reads", func() seal.Store { return &stale{} }, map[string]string{
			"whole records": "after record",
			"swap":          "Load returned",
		}},
		{"watch that never tells", func() seal.Store { return watching{mem(), silent} }, map[string]string{
			"watch": "told of no change",
		}},
		{"watch that tells once", func() seal.Store { return watching{mem(), once} }, map[string]string{
			"watch": "did not tell of the record",
		}},
		{"watch that gives up", func() seal.Store { return watching{mem(), givesUp} }, map[string]string{
			"watch": "before its context was done",
		}},
		{"watch that outlives its context", func() seal.Store { return watching{mem(), deaf} }, map[string]string{
			"watch": "did not return", "watch unattended": "did not return",
		}},
		{"watch that hides why it ended", func() seal.Store { return watching{mem(), mute} }, map[string]string{
			"watch": "want context.Canceled", "watch unattended": "want context.Canceled",
		}},
		{"watch that waits for its receiver", func() seal.Store { return watching{mem(), blocking} }, map[string]string{
			"watch unattended": "did not return",
		}},
	}
	exercised := map[string]bool{} // checks that a planted fault made fail
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, c := range (suite{Config: Config{MaxRecordSize: seal.MaxRecordSize}}).checks() {
				want, planted := test.caught[c.name]
				if !planted {
					continue
				}
				exercised[c.name] = true
				words := failure(t, func(t testing.TB) { c.run(t, test.store()) })
				if !strings.Contains(words, want) {
					t.Errorf("check %q found %q, want a failure that says %q", c.name, words, want)
				}
			}
		})
	}
	for _, c := range (suite{}).checks() {
		if !exercised[c.name] {
			t.Errorf("no planted fault shows that the check %q can fail", c.name)
		}
	}
}

func TestRunUnreachable(t *testing.T) {
	down := func() seal.Store {
		f := &Faulty{Inner: seal.NewMemStore()}
		f.Outage(errors.New("no route to host"))
		return f
	}
	RunUnreachable(t, func(*testing.T) seal.Store { return down() })
	planted := map[string]struct {
		store seal.Store
		want  string
	}{
		"Load says not found": {mutant{down(), loadAnyErrorIsNotFound, nil}, "Load while the backend is out of reach: error seal: no record"},
		"Swap says conflict":  {mutant{down(), nil, swapAnyErrorIsConflict}, "Swap while the backend is out of reach: error seal: the record was changed"},
		"it is reached":       {seal.NewMemStore(), "Swap of a first record while the backend is out of reach: error <nil>"},
	}
	for name, test := range planted {
		if words := failure(t, func(t testing.TB) { unreachable(t, test.store) }); !strings.Contains(words, test.want) {
			t.Errorf("%s: the check found %q, want %q", name, words, test.want)
		}
	}
}

// failure runs a check in time of its own and returns the words it failed
// with, or "".
func failure(t *testing.T, check func(t testing.TB)) string {
	r := &recorder{}
	synctest.Test(t, func(t *testing.T) {
		r.TB = t
		done := make(chan struct{})
		go func() {
			defer close(done)
			check(r)
		}()
		<-done
		time.Sleep(time.Hour) // what the check left behind ends, too
	})
	return strings.Join(r.words, "\n")
}

// recorder is a testing.TB that keeps failures to itself.
type recorder struct {
	testing.TB
	mu    sync.Mutex
	words []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.words = append(r.words, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
