package sequences_test

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// doMigrate reconciles the store with a plan; people are asked by other steps.
func (w *world) doMigrate(t *rapid.T) {
	p := w.opened(t)
	want := map[string]shape{}
	plan := migrate.Plan{Slots: map[string]seal.Spec{}}
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(slotNames), 1, 3, rapid.ID).Draw(t, "slots") {
		if len(plan.Slots) > 0 && rapid.Bool().Draw(t, "drop") {
			plan.Drop = append(plan.Drop, n)
			continue
		}
		want[n] = form(t)
		plan.Slots[n] = want[n].spec()
	}
	slices.Sort(plan.Drop)
	if w.now != nil && w.now.op != nil && w.now.op.kind == seal.OperationMigrate && rapid.Bool().Draw(t, "go on") {
		plan, want = migrate.Plan{Slots: map[string]seal.Spec{}}, map[string]shape{}
		for _, g := range w.now.op.goals {
			if g.Drop {
				plan.Drop = append(plan.Drop, g.Name)
				continue
			}
			plan.Slots[g.Name] = g.Spec
			want[g.Name] = shapes[slices.IndexFunc(shapes, func(s shape) bool { return s.spec().String() == g.Spec.String() })]
		}
		if len(plan.Slots) == 0 {
			t.Skip("the migration wants no slot")
		}
	}
	var delivered []seal.Delivery
	var r migrate.Result
	w.do(t, p, fmt.Sprintf("reconcile %v without %v", want, plan.Drop), 4, func() (err error) {
		r, err = migrate.Reconcile(ctx, p.b, plan, migrate.Options{Deliver: func(d seal.Delivery) error {
			d.Sets = slices.Clone(d.Sets)
			for i, set := range d.Sets { // Reconcile wipes what it has handed out
				d.Sets[i].Shares = nil
				for _, s := range set.Shares {
					kept, _ := seal.ParseShare(s.Reveal())
					d.Sets[i].Shares = append(d.Sets[i].Shares, kept)
				}
			}
			delivered = append(delivered, d)
			return nil
		}})
		return err
	}, func() error { return w.reconcile(p.mind, want, plan.Drop, r.Operation, delivered) })
}

// reconcile makes the moves towards the plan until one waits for people.
func (o *oracle) reconcile(m *mind, want map[string]shape, drop []string, begun seal.OperationID, delivered []seal.Delivery) error {
	if err := o.fetch(m); err != nil {
		return err
	}
	if m.view.op == nil && o.move(m, want, drop, nil) == nil {
		return nil
	}
	op := operation{kind: seal.OperationMigrate}
	for _, n := range slices.Sorted(maps.Keys(want)) {
		op.goals = append(op.goals, seal.Goal{Name: n, Spec: want[n].spec()})
	}
	for _, n := range drop {
		op.goals = append(op.goals, seal.Goal{Name: n, Drop: true})
	}
	if err := o.begin(m, op, "", begun); err != nil {
		return err
	}
	id := m.view.op.id
	if m.view.op.replica != m.n {
		if err := o.claim(m, id); err != nil {
			return err
		}
	}
	for {
		next := o.move(m, want, drop, &delivered)
		if next == nil {
			return o.cancel(m, id)
		}
		if done, err := next(id); done || err != nil {
			return err
		}
	}
}

// move returns the next move, or nil if the plan is met. It reports done where
// it waits for people.
func (o *oracle) move(m *mind, want map[string]shape, drop []string, delivered *[]seal.Delivery) func(seal.OperationID) (done bool, err error) {
	t := m.view
	standing := func(n string) *slot {
		if s := t.find(n, seal.SlotActive); s != nil {
			return s
		}
		return t.find(n, seal.SlotInitial)
	}
	var add, prove string
	for _, n := range slices.Sorted(maps.Keys(want)) {
		pending, present := t.find(n, seal.SlotPending), standing(n)
		switch {
		case pending == nil && present != nil && present.shape == want[n]:
			if present.state == seal.SlotInitial && prove == "" {
				prove = n
			}
			continue
		case (pending == nil || pending.shape != want[n]) && add == "":
			add = n
		}
		if prove == "" {
			prove = n
		}
	}
	switch {
	case add != "":
		return func(op seal.OperationID) (bool, error) {
			if t.find(add, seal.SlotPending) != nil {
				if err := o.dropByName(m, []string{add}, op, ""); err != nil {
					return true, err
				}
			}
			var d seal.Delivery
			people := want[add].k > 0
			if people && len(*delivered) > 0 {
				d = (*delivered)[0]
			}
			err := o.add(m, add, want[add], op, t.find(add, seal.SlotActive) != nil, d)
			if err == nil && people {
				*delivered = (*delivered)[1:]
			}
			return false, err
		}
	case prove != "":
		return func(op seal.OperationID) (bool, error) {
			if want[prove].k > 0 {
				return true, nil
			}
			return false, o.proveByName(m, prove, op, "")
		}
	}
	var gone []string
	for _, n := range drop {
		if slices.ContainsFunc(t.slots, func(s slot) bool { return s.name == n }) {
			gone = append(gone, n)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return func(op seal.OperationID) (bool, error) {
		err := o.drop(m, gone, op, nil)
		if err == seal.ErrNoProof && slices.ContainsFunc(m.view.slots, func(s slot) bool {
			return s.state == seal.SlotActive && s.shape.k > 0 && !slices.Contains(gone, s.name)
		}) {
			return true, nil // their shares are waited for
		}
		return false, err
	}
}

func (w *world) doAbort(t *rapid.T) {
	p := w.opened(t)
	w.do(t, p, "cancel the migration", 2, func() error { _, err := migrate.Cancel(ctx, p.b, seal.By{}); return err }, func() error { return w.cancelMigration(p.mind) })
}

func (o *oracle) cancelMigration(m *mind) error {
	if err := o.fetch(m); err != nil {
		return err
	}
	op := m.view.op
	if op == nil || op.kind != seal.OperationMigrate {
		return seal.ErrNoOperation
	}
	for _, g := range op.goals {
		if !g.Drop && m.view.find(g.Name, seal.SlotPending) != nil {
			if err := o.dropByName(m, []string{g.Name}, op.id, ""); err != nil {
				return err
			}
		}
	}
	return o.cancel(m, op.id)
}
