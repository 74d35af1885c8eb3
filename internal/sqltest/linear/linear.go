// Package linear has writers race on a store and looks for an order that explains
// what all of them were told, with porcupine.
package linear

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sealwright/sealwright/seal"
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

// Check looks for an order that explains a history: [porcupine.Ok] says that there is
// one.
func Check(history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(register, history, time.Minute)
}

// Writers is how many race.
const Writers = 4

const calls = 12 // of each writer

// A Tally says what happened in histories.
type Tally struct {
	Swaps, Conflicts, Unknown int
	Applied                   int // unknown ones whose content was met
}

// Add adds what happened in others.
func (t *Tally) Add(o Tally) {
	t.Swaps += o.Swaps
	t.Conflicts += o.Conflicts
	t.Unknown += o.Unknown
	t.Applied += o.Applied
}

// Race makes one history: each writer uses a store of its own.
func Race(t testing.TB, stores []seal.Store, seed uint64, sum *Tally) []porcupine.Operation {
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
func (t *Tally) count(history []porcupine.Operation) (short []porcupine.Operation) {
	met := map[string]bool{}
	for _, op := range history {
		if in := op.Input.(call); in.load {
			met[op.Output.(answer).content] = true
		}
	}
	for _, op := range history {
		in, out := op.Input.(call), op.Output.(answer).outcome
		if !in.load {
			t.Swaps++
		}
		switch {
		case in.load, out == swapped:
		case out == conflict:
			t.Conflicts++
		default:
			t.Unknown++
			if !met[in.new] {
				continue
			}
			t.Applied++
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

// Describe returns a history as lines.
func Describe(history []porcupine.Operation) string {
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "%d [%d, %d] %s\n", op.ClientId, op.Call, op.Return, register.DescribeOperation(op.Input, op.Output))
	}
	return b.String()
}
