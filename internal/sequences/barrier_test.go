package sequences_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

var slotNames = []string{"people", "auto", "more"}

var shapes = []shape{{n: 3, k: 2}, {n: 1, k: 1}, {kms: "a"}, {kms: "b"}, {kms: "a", n: 2, k: 2}, {kms: "b", n: 1, k: 1}}

// TestBarrier makes random sequences of everything that can be asked of a
// Barrier, on three replicas, while processes die, stores and keys go away, and
// two replicas change the record at once.
func TestBarrier(t *testing.T) {
	quick(t, "120", "60")
	var steps tally
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			w := newWorld(t, planted(), &steps)
			w.another(t)
			steps.sequences++
			t.Repeat(map[string]func(*rapid.T){"": w.check, "step": w.step})
			w.custodians(t)
		})
	})
	t.Logf("GUARANTEE 1 sequences: sequences=%d steps=%d refused=%d crashes=%d races=%d decrypted=%d opened_by_custodians=%d wrong=0",
		steps.sequences, steps.steps, steps.refused, steps.crashes, steps.races, steps.decrypted, steps.opened)
}

func planted() func(seal.Store) seal.Store {
	switch *plant {
	case "blind-put":
		return storetest.BlindPut
	case "forgetful":
		return func(s seal.Store) seal.Store { return &forgetful{Store: s} }
	}
	return func(s seal.Store) seal.Store { return s }
}

// A forgetful store loses every eighth record that it says it has stored.
type forgetful struct {
	seal.Store
	swaps int
}

func (f *forgetful) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if f.swaps++; f.swaps%8 == 0 {
		return old + "'", nil
	}
	return f.Store.Swap(ctx, rec, old)
}

// step makes one step that has something to do, more often than not.
func (w *world) step(t *rapid.T) {
	start := []func(*rapid.T){w.doInit, w.doInit, w.doInit, w.doUnseal, w.doQuorum, w.doQuorum, w.doSubmit}
	open := []func(*rapid.T){w.doUnseal, w.doUnseal, w.doQuorum, w.doQuorum, w.doSubmit, w.doKMS}
	outside := []func(*rapid.T){w.doSeal, w.doCrash, w.doStore, w.doKMS}
	work := []func(*rapid.T){
		w.doUnseal, w.doUnseal, w.doQuorum, w.doQuorum, w.doSubmit, w.doAdd, w.doAdd, w.doRekey, w.doReissue, w.doProve, w.doProve, w.doDrop,
		w.doRewrap, w.doRotate, w.doRotateRoot, w.doRetire, w.doEncrypt, w.doEncrypt, w.doEncrypt, w.doRefresh, w.doRefresh,
		w.doBegin, w.doCancel, w.doClaim, w.doMigrate, w.doMigrate, w.doAbort, w.doRestore, w.doRace, w.doRace, w.doRace, w.doRace,
	}
	steps := work
	switch {
	case one(t, 8, "outside"):
		steps = outside
	case one(t, 16, "anything"):
		steps = slices.Concat(start, outside, work)
	case w.now == nil || !w.now.proven():
		steps = start
	case !slices.ContainsFunc(w.procs, func(p *process) bool { return p.view != nil }):
		steps = open
	}
	pick(t, steps, "step")(t)
}

// pick draws one of list, each as likely: rapid's own draw favours the first.
func pick[T any](t *rapid.T, list []T, label string) T {
	return list[index(len(list)).Draw(t, label)]
}

func index(n int) *rapid.Generator[int] {
	return rapid.Custom(func(t *rapid.T) int {
		i := 0
		for range 8 {
			i <<= 1
			if rapid.Bool().Draw(t, "bit") {
				i |= 1
			}
		}
		return i % n
	})
}

// one is true once in n times.
func one(t *rapid.T, n int, label string) bool { return index(n).Draw(t, label) == 1 }

func (w *world) some(t *rapid.T) *process { return pick(t, w.procs, "replica") }

// opened draws a replica, more often than not one that is unsealed.
func (w *world) opened(t *rapid.T) *process {
	open := slices.DeleteFunc(slices.Clone(w.procs), func(p *process) bool { return p.view == nil })
	if len(open) == 0 || one(t, 8, "any replica") {
		return w.some(t)
	}
	return pick(t, open, "unsealed replica")
}

// by draws the operation that a call is a step of: the one in progress, or none.
func (w *world) by(t *rapid.T) seal.By {
	if w.now != nil && w.now.op != nil && (w.now.op.kind != "init" || one(t, 8, "within init")) && !one(t, 4, "outside the operation") {
		return seal.By{Operation: w.now.op.id}
	}
	return seal.By{}
}

func name(t *rapid.T) string { return pick(t, slotNames, "name") }

// present draws a name that a slot has, more often than not.
func (w *world) present(t *rapid.T) string {
	if w.now == nil || len(w.now.slots) == 0 || one(t, 8, "any name") {
		return name(t)
	}
	return pick(t, w.now.slots, "slot").name
}

func form(t *rapid.T) shape { return pick(t, shapes, "shape") }

// another makes a store whose shares are not this one's.
func (w *world) another(t *rapid.T) {
	b := w.open(t, seal.NewMemStore(), "another")
	defer b.Close()
	d, err := b.Init(context.Background(), map[string]seal.Spec{"people": seal.Shamir{Shares: 2, Threshold: 2}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	w.other = d.Sets[0].Shares
}

func (w *world) doInit(t *rapid.T) {
	p := w.some(t)
	want, specs := map[string]shape{}, map[string]seal.Spec{}
	for range rapid.IntRange(1, 3).Draw(t, "slots") {
		n, s := name(t), form(t)
		want[n], specs[n] = s, s.spec()
	}
	by := seal.By{Operation: seal.OperationID(rapid.SampledFrom([]string{"init-1", "init-2"}).Draw(t, "id"))}
	again := rapid.Bool().Draw(t, "again")
	var d seal.Delivery
	w.do(t, p, fmt.Sprintf("init %v as %s, again %t", want, by.Operation, again), 1, func() (err error) {
		if again {
			d, err = p.b.Admin().InitAgain(ctx, specs, by)
		} else {
			d, err = p.b.Init(ctx, specs, by)
		}
		return err
	}, func() error { return w.init(p.mind, want, by.Operation, again, d) })
}

var ctx = context.Background()

func (w *world) doUnseal(t *rapid.T) {
	p := w.some(t)
	w.do(t, p, "unseal", 1, func() error { return p.b.Unseal(ctx) }, func() error { return w.unseal(p.mind) })
}

// doSubmit gives any share that anybody ever had, to unseal or to the operation.
func (w *world) doSubmit(t *rapid.T) {
	shares := slices.Clone(w.other)
	for _, s := range w.sets {
		shares = append(shares, s.shares...)
	}
	w.give(t, w.some(t), pick(t, shares, "share"), w.by(t))
}

// doQuorum gives the shares of one slot, one after the other.
func (w *world) doQuorum(t *rapid.T) {
	if w.now == nil {
		t.Skip("no store")
	}
	var held []slot
	for _, s := range w.now.slots {
		if s.set != nil && s.set.shares != nil {
			held = append(held, s)
		}
	}
	if len(held) == 0 {
		t.Skip("no people")
	}
	p, by := w.some(t), w.by(t)
	if op := w.now.op; op != nil && by.Operation == op.id && !one(t, 4, "elsewhere") {
		p = w.procs[op.replica]
	}
	s := pick(t, held, "slot")
	first := rapid.IntRange(0, s.shape.n-s.shape.k).Draw(t, "first share")
	for i := range s.shape.k {
		w.give(t, p, s.set.shares[first+i], by)
	}
}

func (w *world) give(t *rapid.T, p *process, s seal.Share, by seal.By) {
	w.do(t, p, fmt.Sprintf("submit %s to %q", s, by.Operation), 2, func() error { _, err := p.b.Submit(ctx, s, by); return err }, func() error {
		if by.Operation == "" {
			return w.submitToUnseal(p.mind, s)
		}
		return w.submitTo(p.mind, s, by.Operation)
	})
}

func (w *world) doAdd(t *rapid.T) { w.addOrRekey(t, false) }

func (w *world) doRekey(t *rapid.T) { w.addOrRekey(t, true) }

func (w *world) addOrRekey(t *rapid.T, rekey bool) {
	p, n, s, by := w.opened(t), name(t), form(t), w.by(t)
	if rekey {
		n = w.present(t)
	}
	var d seal.Delivery
	w.do(t, p, fmt.Sprintf("add %s %v, rekey %t, in %q", n, s, rekey, by.Operation), 1, func() (err error) {
		if rekey {
			d, err = p.b.Admin().Rekey(ctx, n, s.spec(), by)
		} else {
			d, err = p.b.Admin().Add(ctx, n, s.spec(), by)
		}
		return err
	}, func() error { return w.add(p.mind, n, s, by.Operation, rekey, d) })
}

func (w *world) doReissue(t *rapid.T) {
	p, n, s, by := w.opened(t), w.present(t), form(t), w.by(t)
	var d seal.Delivery
	w.do(t, p, fmt.Sprintf("reissue %s %v in %q", n, s, by.Operation), 1, func() (err error) {
		d, err = p.b.Admin().Reissue(ctx, n, s.spec(), by)
		return err
	}, func() error { return w.reissue(p.mind, n, s, by.Operation, d) })
}

func (w *world) doProve(t *rapid.T) {
	p, n, by := w.opened(t), w.present(t), w.by(t)
	var begun seal.OperationID
	w.do(t, p, fmt.Sprintf("prove %s in %q", n, by.Operation), 1, func() (err error) {
		begun, _, err = p.b.Admin().Prove(ctx, n, by)
		return err
	}, func() error { return w.proveByName(p.mind, n, by.Operation, begun) })
}

func (w *world) doDrop(t *rapid.T) {
	p, by := w.opened(t), w.by(t)
	names := []string{w.present(t)}
	if n := w.present(t); n != names[0] && one(t, 3, "two") {
		names = append(names, n)
	}
	var begun seal.OperationID
	w.do(t, p, fmt.Sprintf("drop %v in %q", names, by.Operation), 1, func() (err error) {
		begun, _, err = p.b.Admin().Drop(ctx, names, by)
		return err
	}, func() error { return w.dropByName(p.mind, names, by.Operation, begun) })
}

func (w *world) doRewrap(t *rapid.T) {
	p, n := w.opened(t), w.present(t)
	w.cloud.Rotate(rapid.SampledFrom(keyNames).Draw(t, "rotated key"))
	w.do(t, p, "renew "+n, 1, func() error { return p.b.Admin().Renew(ctx, n, seal.By{}) }, func() error { return w.renew(p.mind, n) })
}

func (w *world) doRotate(t *rapid.T) {
	p := w.opened(t)
	w.do(t, p, "rotate", 1, func() error { return p.b.Rotate(ctx, seal.By{}) }, func() error { return w.rotate(p.mind) })
}

func (w *world) doRotateRoot(t *rapid.T) {
	p := w.opened(t)
	w.do(t, p, "rotate root", 1, func() error { return p.b.Admin().RotateRoot(ctx, seal.By{}) }, func() error { return w.rotateRoot(p.mind) })
}

func (w *world) doRetire(t *rapid.T) {
	if w.now == nil {
		t.Skip("no store")
	}
	p, term := w.opened(t), uint32(index(40).Draw(t, "term"))
	if !one(t, 8, "any term") {
		term = pick(t, slices.Sorted(maps.Keys(w.now.terms)), "term")
	}
	w.do(t, p, fmt.Sprint("retire ", term), 1, func() error { return p.b.Admin().RetireUncounted(ctx, term, seal.By{}) }, func() error { return w.retire(p.mind, term) })
}

func (w *world) doEncrypt(t *rapid.T) {
	p := w.opened(t)
	if p.view == nil {
		t.Skip("sealed")
	}
	text := fmt.Sprint("value ", len(w.values))
	sealed, err := p.b.Keyring().Encrypt(nil, []byte(text), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w.values = append(w.values, value{p.view.active, text, sealed})
}
