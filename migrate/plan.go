package migrate

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

// A Plan is where a store should get to.
type Plan struct {
	// Slots are the slots that the store should have, by name. One that is
	// there with another shape is replaced under its name.
	Slots map[string]seal.Spec

	// Drop names the slots to remove when every one of Slots is proven. A slot
	// that neither Slots nor Drop names stays as it is.
	Drop []string
}

// A MoveKind names a move of a migration.
type MoveKind string

// The moves, in the order in which they are made.
const (
	MoveRenew   MoveKind = "renew"   // wrap it with the keys that the configuration has come to
	MoveAdd     MoveKind = "add"     // store a pending slot, and deliver its shares
	MoveProve   MoveKind = "prove"   // show that it opens the stored record
	MoveReplace MoveKind = "replace" // prove it, and let it take its predecessor's place
	MoveDrop    MoveKind = "drop"    // remove the slots not wanted, with root key and data key replaced
)

// A Move is one step of the way: one swap of the record.
type Move struct {
	Kind   MoveKind
	Slots  []string // one, but for Drop
	Spec   seal.Spec
	People bool // whether it waits for people's shares
}

func (m Move) String() string {
	s := string(m.Kind)
	for _, name := range m.Slots {
		s += fmt.Sprintf(" %q", name)
	}
	if m.Spec != nil {
		s += fmt.Sprintf(" (%s)", m.Spec)
	}
	return s
}

func (p Plan) check() error {
	if len(p.Slots) == 0 {
		return fmt.Errorf("migrate: %w: a plan names at least one slot to have", seal.ErrConfig)
	}
	for i, name := range p.Drop {
		if _, ok := p.Slots[name]; ok {
			return fmt.Errorf("migrate: %w: the plan both wants and drops slot %q", seal.ErrConfig, name)
		}
		if slices.Contains(p.Drop[:i], name) {
			return fmt.Errorf("migrate: %w: the plan drops slot %q twice", seal.ErrConfig, name)
		}
	}
	for name, spec := range p.Slots {
		if spec == nil {
			return fmt.Errorf("migrate: %w: slot %q has no Spec", seal.ErrConfig, name)
		}
	}
	return nil
}

// Goals is the plan as the record keeps it, in a fixed order.
func (p Plan) Goals() []seal.Goal {
	var out []seal.Goal
	for _, name := range slices.Sorted(maps.Keys(p.Slots)) {
		out = append(out, seal.Goal{Name: name, Spec: p.Slots[name]})
	}
	for _, name := range slices.Sorted(slices.Values(p.Drop)) {
		out = append(out, seal.Goal{Name: name, Drop: true})
	}
	return out
}

// PlanOf returns the plan of a migration in progress, as [seal.Status] shows
// it, so that a replica that does not know the plan can go on with it.
func PlanOf(op *seal.OperationStatus) (Plan, error) {
	if op == nil || op.Kind != seal.OperationMigrate {
		return Plan{}, errors.New("migrate: no migration is in progress")
	}
	p := Plan{Slots: map[string]seal.Spec{}}
	for _, g := range op.Goals {
		if g.Drop {
			p.Drop = append(p.Drop, g.Name)
		} else {
			p.Slots[g.Name] = g.Spec
		}
	}
	return p, nil
}

// Moves derives what remains to be done on a store that is as s says. Whether a
// slot is to be renewed is known after a [seal.Admin.Drill].
func (p Plan) Moves(s seal.Status) []Move {
	var renew, add, prove []Move
	for _, goal := range p.Goals() {
		if goal.Drop {
			continue
		}
		waiting := find(s, goal.Name, seal.SlotPending)
		present := find(s, goal.Name, seal.SlotActive)
		if present == nil {
			present = find(s, goal.Name, seal.SlotInitial)
		}
		if waiting == nil && present != nil && same(present.Spec, goal.Spec) {
			if present.State == seal.SlotInitial {
				prove = append(prove, Move{Kind: MoveProve, Slots: []string{goal.Name}, Spec: goal.Spec, People: seal.NeedsPeople(goal.Spec)})
			} else if present.Moved {
				renew = append(renew, Move{Kind: MoveRenew, Slots: []string{goal.Name}, Spec: goal.Spec})
			}
			continue
		}
		if waiting == nil || !same(waiting.Spec, goal.Spec) {
			add = append(add, Move{Kind: MoveAdd, Slots: []string{goal.Name}, Spec: goal.Spec})
		}
		kind := MoveProve
		if present != nil {
			kind = MoveReplace
		}
		prove = append(prove, Move{Kind: kind, Slots: []string{goal.Name}, Spec: goal.Spec, People: seal.NeedsPeople(goal.Spec)})
	}
	out := append(append(renew, add...), prove...)
	var drop []string
	for _, name := range p.Drop {
		if slices.ContainsFunc(s.Slots, func(o seal.SlotStatus) bool { return o.Name == name }) {
			drop = append(drop, name)
		}
	}
	if len(drop) > 0 {
		slices.Sort(drop)
		out = append(out, Move{Kind: MoveDrop, Slots: drop})
	}
	return out
}

func find(s seal.Status, name string, state seal.SlotState) *seal.SlotStatus {
	for i := range s.Slots {
		if s.Slots[i].Name == name && s.Slots[i].State == state {
			return &s.Slots[i]
		}
	}
	return nil
}

func same(a, b seal.Spec) bool { return a.String() == b.String() }
