package sqltest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// A call is what a client asked for: a Swap from the content it knew to new
// content, which nobody else writes, or a Load.
type call struct {
	load     bool
	old, new string
}

// An answer is what it was told. A Load whose answer is an error tells nothing
// and stands in no history.
type answer struct {
	content string // of a Load; "" if there was no record
	outcome outcome
}

type outcome int

const (
	swapped outcome = iota
	conflict
	unknown // any other error: it may take place at any time from the call on, or never
)

// register is what a store has to look like: one value that is replaced by
// compare-and-swap. An unknown swap is fine wherever it stands; it returned at
// the end of time, so that one which never took place can stand there.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		content, in, out := state.(string), input.(call), output.(answer)
		switch {
		case in.load:
			return out.content == content, content
		case out.outcome == conflict:
			return in.old != content, content
		case in.old == content:
			return true, in.new
		}
		return out.outcome == unknown, content
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// TestStaleWriter has writers race on every store, some with what they knew long
// ago, some with connections that break, and looks for an order that explains
// all that they were told. With a store that puts blindly there is none.
func TestStaleWriter(t *testing.T) {
	histories := 40
	if testing.Short() {
		histories = 10
	}
	backends := []struct {
		name string
		// open returns what makes n stores of a new record, one for each writer.
		open func(t testing.TB, n int) (fresh func() []seal.Store)
	}{
		{"MemStore", memStores},
		{"filestore", fileStores},
		{"SQLite", func(t testing.TB, n int) func() []seal.Store {
			return func() []seal.Store { return openSQLiteStores(t, n, "journal_mode(WAL)") }
		}},
		{"PostgreSQL", disturbedPostgresStores},
		{"MariaDB", disturbedMariaDBStores},
	}
	var run, violations int
	var total tally
	var names []string
	mutant := "caught"
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			fresh := b.open(t, writers)
			names = append(names, b.name)
			var here tally
			for i := range histories {
				history := race(t, fresh(), uint64(i), &here)
				if result := porcupine.CheckOperationsTimeout(register, history, time.Minute); result != porcupine.Ok {
					violations++
					t.Errorf("history %d: %s:\n%s", i, result, describe(history))
				}
				run++
			}
			t.Logf("%d histories, %+v", histories, here)
			if here.conflicts == 0 || here.applied == 0 || here.unknown == here.applied {
				t.Errorf("%+v: the histories have no conflicts, or no unknown outcome of either kind", here)
			}
			total.add(here)
			for i := range histories { // it may go well once or twice
				var stores []seal.Store
				for _, s := range fresh() {
					stores = append(stores, storetest.BlindPut(s))
				}
				var ignored tally
				if porcupine.CheckOperationsTimeout(register, race(t, stores, uint64(i), &ignored), time.Minute) == porcupine.Illegal {
					return
				}
			}
			mutant = "missed"
			t.Errorf("%d histories of a store that puts blindly, and none was found out", histories)
		})
	}
	t.Logf("GUARANTEE 3 stale-writer: histories=%d violations=%d mutant=%s stores=%s swaps=%d conflicts=%d unknown=%d of-them-applied=%d",
		run, violations, mutant, strings.Join(names, ","), total.swaps, total.conflicts, total.unknown, total.applied)
}

func memStores(_ testing.TB, n int) func() []seal.Store {
	return func() []seal.Store { return slices.Repeat([]seal.Store{seal.NewMemStore()}, n) }
}

func fileStores(t testing.TB, n int) func() []seal.Store {
	return func() (stores []seal.Store) {
		path := filepath.Join(t.TempDir(), "record")
		for range n {
			s, err := filestore.Open(path)
			must(t, err)
			stores = append(stores, s)
		}
		return stores
	}
}

const (
	writers = 4
	calls   = 12 // of each writer
)

// tally says what happened in histories.
type tally struct {
	swaps, conflicts, unknown int
	applied                   int // unknown ones whose content was met
}

func (t *tally) add(o tally) {
	t.swaps += o.swaps
	t.conflicts += o.conflicts
	t.unknown += o.unknown
	t.applied += o.applied
}

// race makes one history: each writer uses a store of its own.
func race(t testing.TB, stores []seal.Store, seed uint64, sum *tally) []porcupine.Operation {
	start := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	record := func(client int, began time.Time, in call, out answer) {
		mu.Lock()
		defer mu.Unlock()
		returned := int64(time.Since(start))
		if out.outcome == unknown {
			returned = math.MaxInt64
		}
		history = append(history, porcupine.Operation{
			ClientId: client, Input: in, Call: int64(began.Sub(start)), Output: out, Return: returned,
		})
	}
	var wg sync.WaitGroup
	for client, store := range stores {
		wg.Go(func() {
			w := writer{
				client: client, random: rand.New(rand.NewPCG(seed, uint64(client))), record: record,
				// Two outcomes are made unknown for certain: one swap that
				// took place, and one that did not.
				store: &storetest.Faulty{Inner: store, OnSwap: map[int]storetest.Fault{
					2: {Effect: storetest.FailAfter}, 3: {Effect: storetest.FailBefore},
				}},
			}
			for n := range calls {
				w.call(t.Context(), n)
			}
		})
	}
	wg.Wait()
	last := writer{client: len(stores), record: record, store: stores[0]}
	for !last.load(t.Context()) { // the connection may be broken just then
	}
	return sum.count(history)
}

// count adds a history, and returns it without the unknown swaps whose content
// nobody met: they have no part in it. One that took place before the last Load
// would have been found by it or by the one who replaced it. Leaving them out
// keeps the search for an order short.
func (t *tally) count(history []porcupine.Operation) (short []porcupine.Operation) {
	met := map[string]bool{}
	for _, op := range history {
		if in := op.Input.(call); in.load {
			met[op.Output.(answer).content] = true
		}
	}
	for _, op := range history {
		in, out := op.Input.(call), op.Output.(answer).outcome
		if !in.load {
			t.swaps++
		}
		switch {
		case in.load, out == swapped:
		case out == conflict:
			t.conflicts++
		default:
			t.unknown++
			if !met[in.new] {
				continue
			}
			t.applied++
		}
		short = append(short, op)
	}
	return short
}

// writer is one client. It knows one content and its revision, new or old.
type writer struct {
	client       int
	store        seal.Store
	random       *rand.Rand
	record       func(client int, began time.Time, in call, out answer)
	content, rev string
}

// call makes a call: loads now and then, and mostly swaps, with what it knows.
// Some swaps are given so little time that they may be cut off anywhere.
func (w *writer) call(ctx context.Context, n int) {
	if w.random.IntN(5) < 2 {
		w.load(ctx)
		return
	}
	if w.random.IntN(8) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(w.random.IntN(1500))*time.Microsecond)
		defer cancel()
	}
	w.swap(ctx, fmt.Sprintf("%d.%d", w.client, n))
}

func (w *writer) load(ctx context.Context) (ok bool) {
	began := time.Now()
	content, rev, err := w.store.Load(ctx)
	if err != nil && !errors.Is(err, seal.ErrNotFound) {
		return false
	}
	w.content, w.rev = string(content), rev
	w.record(w.client, began, call{load: true}, answer{content: string(content)})
	return true
}

func (w *writer) swap(ctx context.Context, content string) {
	in := call{old: w.content, new: content}
	began := time.Now()
	rev, err := w.store.Swap(ctx, []byte(content), w.rev)
	switch {
	case err == nil:
		w.record(w.client, began, in, answer{outcome: swapped})
		w.content, w.rev = content, rev
	case errors.Is(err, seal.ErrConflict):
		w.record(w.client, began, in, answer{outcome: conflict})
	default:
		w.record(w.client, began, in, answer{outcome: unknown})
	}
}

func describe(history []porcupine.Operation) string {
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "%d [%d, %d] %s\n", op.ClientId, op.Call, op.Return, register.DescribeOperation(op.Input, op.Output))
	}
	return b.String()
}

// The checker itself: histories that must and must not pass.
func TestRegister(t *testing.T) {
	op := func(from, to int64, in call, out answer) porcupine.Operation {
		return porcupine.Operation{Call: from, Return: to, Input: in, Output: out}
	}
	load := func(from, to int64, content string) porcupine.Operation {
		return op(from, to, call{load: true}, answer{content: content})
	}
	swap := func(from, to int64, old, new string, o outcome) porcupine.Operation {
		return op(from, to, call{old: old, new: new}, answer{outcome: o})
	}
	const never = math.MaxInt64
	tests := map[string]struct {
		history []porcupine.Operation
		want    porcupine.CheckResult
	}{
		"one after the other":      {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "a", "b", swapped), load(5, 6, "b")}, porcupine.Ok},
		"a stale writer wins":      {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "a", "b", swapped), swap(5, 6, "a", "c", swapped)}, porcupine.Illegal},
		"two creators win":         {[]porcupine.Operation{swap(1, 4, "", "a", swapped), swap(2, 3, "", "b", swapped)}, porcupine.Illegal},
		"a stale read":             {[]porcupine.Operation{swap(1, 2, "", "a", swapped), load(3, 4, "")}, porcupine.Illegal},
		"a conflict with nobody":   {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "a", "b", conflict)}, porcupine.Illegal},
		"a conflict that wrote":    {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "", "b", conflict), load(5, 6, "b")}, porcupine.Illegal},
		"a lost update":            {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "a", "b", swapped), load(5, 6, "a")}, porcupine.Illegal},
		"unknown, and done":        {[]porcupine.Operation{swap(1, never, "", "a", unknown), load(3, 4, "a")}, porcupine.Ok},
		"unknown, and not done":    {[]porcupine.Operation{swap(1, never, "", "a", unknown), load(3, 4, "")}, porcupine.Ok},
		"unknown, and done late":   {[]porcupine.Operation{swap(1, never, "", "a", unknown), load(3, 4, ""), load(5, 6, "a")}, porcupine.Ok},
		"unknown, and undone":      {[]porcupine.Operation{swap(1, never, "", "a", unknown), load(3, 4, "a"), load(5, 6, "")}, porcupine.Illegal},
		"unknown, and superseded":  {[]porcupine.Operation{swap(1, never, "", "a", unknown), swap(3, 4, "", "b", swapped), load(5, 6, "b")}, porcupine.Ok},
		"unknown, done over newer": {[]porcupine.Operation{swap(1, never, "", "a", unknown), swap(3, 4, "", "b", swapped), load(5, 6, "a")}, porcupine.Illegal},
	}
	for name, test := range tests {
		if got := porcupine.CheckOperationsTimeout(register, test.history, time.Minute); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
