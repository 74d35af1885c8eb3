package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// A Report is what a migration would do, and what stands in its way.
type Report struct {
	Moves    []Move   // in order; empty if the store is there already
	Problems []error  // what must be mended first; nil if nothing
	Opens    []string // what will open the store afterwards, in words
	Warnings []string // what the plan means, in words
}

// OK reports whether nothing stands in the way.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Check tells what [Reconcile] would do with the plan. It loads the record
// anew, has every KMS that the plan wants wrap and unwrap a random key, and
// tries whether the KMS slots that stay still open the store: a slot of a name
// that the configuration now gives to another key does not. It changes nothing.
// The error is about Check itself; what stands in the plan's way is in the
// Report.
func Check(ctx context.Context, b *seal.Barrier, plan Plan) (Report, error) {
	if err := plan.check(); err != nil {
		return Report{}, err
	}
	if err := b.Admin().Refresh(ctx); err != nil {
		return Report{}, fmt.Errorf("migrate: check: %w", err)
	}
	c := &checking{b: b, plan: plan, s: b.Status(), refused: map[string]bool{}}
	for _, look := range []func(*checking, context.Context){
		(*checking).keys, (*checking).staying, (*checking).moves, (*checking).start, (*checking).missing, (*checking).busy, (*checking).remaining,
	} {
		look(c, ctx)
	}
	return c.r, nil
}

// A checking is what the steps of a Check know.
type checking struct {
	b       *seal.Barrier
	plan    Plan
	s       seal.Status
	refused map[string]bool // wanted slots that this process could not make, or open
	r       Report
}

// keys has every KMS that the plan wants wrap and unwrap.
func (c *checking) keys(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(c.plan.Slots)) {
		if err := c.b.Admin().DrillSpec(ctx, c.plan.Slots[name]); err != nil {
			c.refused[name] = true
			c.problem(fmt.Errorf("slot %q: %w", name, err))
		}
	}
}

// staying tries whether the KMS slots that stay still open the store.
func (c *checking) staying(ctx context.Context) {
	stay := c.plan.staying(c.s)
	if len(stay) == 0 {
		return
	}
	_ = c.b.Admin().Drill(ctx, stay...) // each outcome stands in Status
	c.s = c.b.Status()
	for _, name := range stay {
		slot := opening(c.s, name)
		if slot == nil {
			continue
		}
		_, wanted := c.plan.Slots[name]
		for _, note := range slot.Notes {
			if !slot.Moved || !wanted { // what is to be renewed stands among the moves
				c.warn("slot %q: %s", name, note)
			}
		}
		switch {
		case slot.DrillError == nil || c.refused[name] || errors.Is(slot.DrillError, seal.ErrUnpinned), errors.Is(slot.DrillError, seal.ErrUnexpected):
		case wanted:
			c.problem(notOpening(slot))
		default:
			c.warn("%v", notOpening(slot))
		}
	}
}

func (c *checking) moves(context.Context) { c.r.Moves = c.plan.Moves(c.s) }

func (c *checking) start(ctx context.Context) { c.plan.checkStart(ctx, c.b, c.s, c.refused, &c.r) }

// missing looks for what the plan drops.
func (c *checking) missing(context.Context) {
	for _, name := range c.plan.Drop {
		if !slices.ContainsFunc(c.s.Slots, func(o seal.SlotStatus) bool { return o.Name == name }) {
			c.warn("slot %q, which the plan drops, is not there", name)
		}
	}
}

// busy looks for another operation.
func (c *checking) busy(context.Context) {
	if op := c.s.Operation; op != nil && !samePlan(op, c.plan) {
		c.problem(fmt.Errorf("%w: %s %s: finish or cancel it", seal.ErrInProgress, op.Kind, op.ID))
	}
}

// remaining says what opens the store when the plan is carried out.
func (c *checking) remaining(context.Context) {
	people := false
	for _, slot := range c.s.Slots {
		_, wanted := c.plan.Slots[slot.Name]
		if wanted || slot.State == seal.SlotPending || slices.Contains(c.plan.Drop, slot.Name) {
			continue
		}
		c.r.Opens = append(c.r.Opens, fmt.Sprintf("%s: %s", slot.Name, slot.Spec))
		people = people || seal.NeedsPeople(slot.Spec)
	}
	for _, name := range slices.Sorted(maps.Keys(c.plan.Slots)) {
		c.r.Opens = append(c.r.Opens, fmt.Sprintf("%s: %s", name, c.plan.Slots[name]))
	}
	slices.Sort(c.r.Opens)
	if people {
		c.warn("the people's shares go on opening the store, without any KMS: name their slot in Drop if they must not")
	}
	if len(c.r.Opens) == 1 {
		c.warn("a single slot will open the store: whoever loses it loses everything")
	}
	if slices.ContainsFunc(c.r.Moves, func(m Move) bool { return m.Kind == MoveDrop }) {
		c.warn("after the drop, going back to the old configuration will not unseal")
	}
}

func (c *checking) problem(err error) { c.r.Problems = append(c.r.Problems, err) }

func (c *checking) warn(format string, args ...any) {
	c.r.Warnings = append(c.r.Warnings, fmt.Sprintf(format, args...))
}

func samePlan(op *seal.OperationStatus, plan Plan) bool {
	other, err := PlanOf(op)
	if err != nil {
		return false
	}
	return slices.EqualFunc(other.Goals(), plan.Goals(), func(a, b seal.Goal) bool {
		return a.Name == b.Name && a.Drop == b.Drop && (a.Drop || same(a.Spec, b.Spec))
	})
}

// staying returns the slots that KMS keys are a part of, now and when the plan is
// carried out.
func (p Plan) staying(s seal.Status) (names []string) {
	for _, slot := range s.Slots {
		want, wanted := p.Slots[slot.Name]
		replaced := wanted && (!same(slot.Spec, want) || find(s, slot.Name, seal.SlotPending) != nil)
		if slot.State == seal.SlotPending || !hasKMS(slot.Spec) || slices.Contains(p.Drop, slot.Name) || replaced {
			continue
		}
		names = append(names, slot.Name)
	}
	return names
}

// wrongKeyTimeout bounds the wait for a KMS that does not answer, which says
// nothing of its keys.
const wrongKeyTimeout = 10 * time.Second

// wrongKey returns an error for a wanted slot that is there and of another key
// than the one that the configuration has under its name. That is not the slot
// that is wanted, and to replace it would lock out whoever has the old
// configuration.
func (p Plan) wrongKey(ctx context.Context, b *seal.Barrier) error {
	names := slices.DeleteFunc(p.staying(b.Status()), func(name string) bool { return p.Slots[name] == nil })
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wrongKeyTimeout)
	defer cancel()
	_ = b.Admin().Drill(ctx, names...) // each outcome stands in Status
	s := b.Status()
	for _, name := range names {
		if slot := opening(s, name); slot != nil && errors.Is(slot.DrillError, kms.ErrWrongKey) {
			return notOpening(slot)
		}
	}
	return nil
}

func hasKMS(spec seal.Spec) bool {
	switch spec := spec.(type) {
	case seal.KMS:
		return true
	case seal.Threshold:
		return slices.ContainsFunc(spec.Of, hasKMS)
	}
	return false
}

func opening(s seal.Status, name string) *seal.SlotStatus {
	if slot := find(s, name, seal.SlotActive); slot != nil {
		return slot
	}
	return find(s, name, seal.SlotInitial)
}

func notOpening(slot *seal.SlotStatus) error {
	if errors.Is(slot.DrillError, kms.ErrWrongKey) {
		return fmt.Errorf("slot %q of the store is of another key than the configuration has under that name: give the new key a name of its own, and drop this slot when that one is proven: %w", slot.Name, slot.DrillError)
	}
	return fmt.Errorf("slot %q does not open the store now: %w", slot.Name, slot.DrillError)
}

var errStuck = errors.New("migrate: no further move")
