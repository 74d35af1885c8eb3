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
	s := b.Status()
	var r Report
	refused := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(plan.Slots)) {
		if err := b.Admin().DrillSpec(ctx, plan.Slots[name]); err != nil {
			refused[name] = true
			r.Problems = append(r.Problems, fmt.Errorf("slot %q: %w", name, err))
		}
	}
	if stay := plan.staying(s); len(stay) > 0 {
		_ = b.Admin().Drill(ctx, stay...) // each outcome stands in Status
		s = b.Status()
		for _, name := range stay {
			slot := opening(s, name)
			if slot == nil {
				continue
			}
			_, wanted := plan.Slots[name]
			for _, note := range slot.Notes {
				if !slot.Moved || !wanted { // what is to be renewed stands among the moves
					r.Warnings = append(r.Warnings, fmt.Sprintf("slot %q: %s", name, note))
				}
			}
			if slot.DrillError == nil || refused[name] || errors.Is(slot.DrillError, seal.ErrUnpinned) {
				continue
			}
			if wanted {
				r.Problems = append(r.Problems, notOpening(slot))
			} else {
				r.Warnings = append(r.Warnings, notOpening(slot).Error())
			}
		}
	}
	r.Moves = plan.Moves(s)
	plan.checkPins(ctx, b, s, refused, &r)
	for _, name := range plan.Drop {
		if find(s, name, seal.SlotActive) == nil && find(s, name, seal.SlotInitial) == nil && find(s, name, seal.SlotPending) == nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("slot %q, which the plan drops, is not there", name))
		}
	}
	if op := s.Operation; op != nil && !samePlan(op, plan) {
		r.Problems = append(r.Problems, fmt.Errorf("%w: %s %s: finish or cancel it", seal.ErrInProgress, op.Kind, op.ID))
	}
	people := false
	for _, slot := range s.Slots {
		_, wanted := plan.Slots[slot.Name]
		if wanted || slot.State == seal.SlotPending || slices.Contains(plan.Drop, slot.Name) {
			continue
		}
		r.Opens = append(r.Opens, fmt.Sprintf("%s: %s", slot.Name, slot.Spec))
		people = people || seal.NeedsPeople(slot.Spec)
	}
	for _, name := range slices.Sorted(maps.Keys(plan.Slots)) {
		r.Opens = append(r.Opens, fmt.Sprintf("%s: %s", name, plan.Slots[name]))
	}
	slices.Sort(r.Opens)
	if people {
		r.Warnings = append(r.Warnings, "the people's shares go on opening the store, without any KMS: name their slot in Drop if they must not")
	}
	if len(r.Opens) == 1 {
		r.Warnings = append(r.Warnings, "a single slot will open the store: whoever loses it loses everything")
	}
	if slices.ContainsFunc(r.Moves, func(m Move) bool { return m.Kind == MoveDrop }) {
		r.Warnings = append(r.Warnings, "after the drop, going back to the old configuration will not unseal")
	}
	return r, nil
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

// foreignTimeout bounds the wait for a KMS that does not answer, which says
// nothing of its keys.
const foreignTimeout = 10 * time.Second

// foreign returns an error for a wanted slot that is there and of another key
// than the one that the configuration has under its name. That is not the slot
// that is wanted, and to replace it would lock out whoever has the old
// configuration.
func (p Plan) foreign(ctx context.Context, b *seal.Barrier) error {
	names := slices.DeleteFunc(p.staying(b.Status()), func(name string) bool { return p.Slots[name] == nil })
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, foreignTimeout)
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
