package sequences_test

import (
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/sealwright/sealwright/seal"
)

// What happens to the processes, and what is done with operations.

func (w *world) doRefresh(t *rapid.T) {
	p := w.opened(t)
	w.do(t, p, "refresh", 1, func() error { return p.b.Admin().Refresh(ctx) }, func() error { return w.fetch(p.mind) })
}

func (w *world) doSeal(t *rapid.T) {
	p := w.some(t)
	w.do(t, p, "seal", 1, func() error { return p.b.Seal(seal.By{}) }, func() error { p.forget(); return nil })
}

func (w *world) doCrash(t *rapid.T) {
	p := w.some(t)
	t.Logf("crash of replica %d", p.n)
	w.start(t, p)
}

func (w *world) doStore(t *rapid.T) {
	p := w.some(t)
	if i := slices.IndexFunc(w.procs, func(p *process) bool { return p.away }); i >= 0 {
		p = w.procs[i] // it comes back
	}
	p.away = !p.away
	var outage error
	if p.away {
		outage = errors.New("no route to the store")
	}
	p.faulty.Outage(outage)
	t.Logf("the store of replica %d is away: %t", p.n, p.away)
}

func (w *world) doKMS(t *rapid.T) {
	key := pick(t, keyNames, "key")
	if i := slices.IndexFunc(keyNames, func(k string) bool { return !w.up[k] }); i >= 0 {
		key = keyNames[i] // it comes back
	}
	w.up[key] = !w.up[key]
	if w.up[key] {
		w.cloud.Enable(key)
	} else {
		w.cloud.Disable(key)
	}
	t.Logf("key %s is enabled: %t", key, w.up[key])
}

func (w *world) doBegin(t *rapid.T) {
	p, by := w.opened(t), w.by(t)
	var goals []seal.Goal
	for _, n := range slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.SampledFrom(slotNames), 1, 2, rapid.ID).Draw(t, "goals"))) {
		if rapid.Bool().Draw(t, "drop") {
			goals = append(goals, seal.Goal{Name: n, Drop: true})
		} else {
			goals = append(goals, seal.Goal{Name: n, Spec: form(t).spec()})
		}
	}
	var begun seal.OperationID
	w.do(t, p, fmt.Sprintf("begin migration %v in %q", goals, by.Operation), 1, func() (err error) {
		begun, err = p.b.Admin().BeginMigration(ctx, goals, by)
		return err
	}, func() error {
		return w.begin(p.mind, operation{kind: seal.OperationMigrate, goals: goals}, by.Operation, begun)
	})
}

func (w *world) doCancel(t *rapid.T) {
	p, by := w.opened(t), w.by(t)
	w.do(t, p, fmt.Sprintf("cancel %q", by.Operation), 1, func() error { return p.b.Admin().Cancel(ctx, by) }, func() error { return w.cancel(p.mind, by.Operation) })
}

func (w *world) doClaim(t *rapid.T) {
	p, by := w.opened(t), w.by(t)
	w.do(t, p, fmt.Sprintf("claim %q", by.Operation), 1, func() error { return p.b.Admin().Claim(ctx, by) }, func() error { return w.claim(p.mind, by.Operation) })
}

// doRestore puts an older record back, sees that it is refused, and goes on with
// it on purpose. The other processes are restarted, as OPERATIONS.md says.
func (w *world) doRestore(t *rapid.T) {
	p := w.opened(t)
	older := slices.DeleteFunc(slices.Clone(w.past), func(m moment) bool { return m.t == w.now || !m.t.proven() })
	if p.view == nil || p.view != w.now || p.away || len(older) == 0 {
		t.Skip("nothing to restore, or nobody to do it")
	}
	m, newest := pick(t, older, "record"), w.past[len(w.past)-1]
	w.put(t, m.stored)
	w.now = m.t
	if err := p.b.Admin().Refresh(ctx); !errors.Is(err, seal.ErrRolledBack) {
		t.Fatalf("an older record: %v", err)
	}
	p.plan = nil
	err := p.b.Admin().Restore(ctx, m.t.generation, seal.By{})
	want := w.restore(p.mind)
	if want != nil {
		w.put(t, newest.stored)
		w.now = newest.t
	} else {
		at := slices.IndexFunc(w.past, func(o moment) bool { return o.t == m.t })
		w.past = w.past[:at+1]
	}
	w.compare(t, p, fmt.Sprint("restore ", m.t.generation), err, want)
	if want != nil {
		return
	}
	for _, other := range w.procs {
		if other != p {
			w.start(t, other)
		}
	}
}

func (w *world) put(t *rapid.T, stored []byte) {
	_, rev, err := w.mem.Load(ctx)
	if err == nil {
		_, err = w.mem.Swap(ctx, stored, rev)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// doRace has another replica change the record between the load and the swap of
// this one.
func (w *world) doRace(t *rapid.T) {
	open := slices.DeleteFunc(slices.Clone(w.procs), func(p *process) bool { return p.view == nil })
	if len(open) < 2 {
		t.Skip("no two")
	}
	i := index(len(open)).Draw(t, "replica")
	p, q := open[i], open[(i+1)%len(open)]
	change := func(p *process, label string) (string, func() error, func() error) {
		n, by := w.present(t), w.by(t)
		switch index(5).Draw(t, label) {
		case 0:
			return "rotate", func() error { return p.b.Rotate(ctx, by) }, func() error { return w.rotate(p.mind) }
		case 1:
			return "rotate root", func() error { return p.b.Admin().RotateRoot(ctx, by) }, func() error { return w.rotateRoot(p.mind) }
		case 2:
			var d seal.Delivery
			s := form(t)
			return fmt.Sprintf("add %s %v", n, s), func() (err error) { d, err = p.b.Admin().Add(ctx, n, s.spec(), by); return err },
				func() error { return w.add(p.mind, n, s, by.Operation, false, d) }
		case 3:
			var begun seal.OperationID
			return "drop " + n, func() (err error) { begun, _, err = p.b.Admin().Drop(ctx, []string{n}, by); return err },
				func() error { return w.dropByName(p.mind, []string{n}, by.Operation, begun) }
		}
		term := w.now.active
		return fmt.Sprint("retire ", term), func() error { return p.b.Admin().RetireUncounted(ctx, term, by) }, func() error { return w.retire(p.mind, term) }
	}
	what, call, oracle := change(p, "change")
	whatQ, callQ, oracleQ := change(q, "the other's change")
	p.plan, q.plan = nil, nil
	p.door.between = func() {
		w.steps.races++
		w.fetch(p.mind)
		err := callQ()
		w.compare(t, q, whatQ+", in between,", err, oracleQ())
	}
	err := call()
	p.door.between = nil
	w.compare(t, p, what, err, oracle())
}
