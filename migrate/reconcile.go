package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/seal"
)

// Options are how a migration is carried out. The zero value moves to KMS
// slots; a plan that makes shares needs Deliver.
type Options struct {
	// By says who asks. Its Operation is the migration to go on with; empty,
	// the one in progress with the same plan, or a new one.
	By seal.By

	// Deliver is called with the new shares of a slot, stored but pending, and
	// returns nil when their custodians have them: the migration does not go
	// on before. Where it fails, or the process dies, call Reconcile again
	// with Reissue. When it has returned, or panicked, the shares are wiped, those
	// that it kept too: they reveal nothing any more. What was encrypted to
	// custodians stays as it is.
	Deliver func(seal.Delivery) error

	// Reissue replaces the shares of wanted slots that are still pending: the
	// ones delivered before are lost, or were never seen.
	Reissue bool

	// Observe, if set, is called when every wanted slot is proven and before
	// any is dropped. An error stops there: the migration can be gone on with,
	// or cancelled.
	Observe func(context.Context, seal.Status) error

	// Progress, if set, is called before and after each move; err is what came
	// of it.
	Progress func(m Move, done bool, err error)
}

// A Result is how far a migration got.
type Result struct {
	Operation seal.OperationID
	Done      bool
	// Waiting is the move that needs people: a threshold of the slot's shares
	// is to be given to [seal.Barrier.Submit] with Operation, on this replica.
	// Then call Reconcile again. Nil if it waits for nobody.
	Waiting *Move
	Moved   []Move // what this call did

	// Pins are the fingerprints, by name, of the wanted slots that a process
	// which starts will not believe before they stand in [seal.Config.Pins]; nil
	// where none needs one yet. Until then Reconcile drops nothing
	// ([seal.ErrUnpinned]).
	Pins map[string]string
}

// Reconcile makes the moves that lead to the plan, each one swap of the record,
// and returns when it is there or when it waits for people. Called again with
// the same plan, after an error, a crash, or on another replica, it goes on
// where it was. The Barrier is unsealed, and stays so.
//
// If a wanted slot exists, Reconcile checks that it opens the store. If Config.KMS
// has come to another key under that name, and still opens what the old key
// wrapped, the slot is wrapped with the new key. If it does not open that,
// Reconcile fails with kms.ErrWrongKey and leaves the slot alone: other replicas
// may still start by it.
func Reconcile(ctx context.Context, b *seal.Barrier, plan Plan, opt Options) (r Result, err error) {
	defer func() { r.Pins = plan.pinsOf(ctx, b) }()
	if err := plan.check(); err != nil {
		return r, err
	}
	if err := opt.reconcile(ctx, b, plan, &r); err != nil {
		return r, fmt.Errorf("migrate: %w", err)
	}
	return r, nil
}

func (opt Options) reconcile(ctx context.Context, b *seal.Barrier, plan Plan, r *Result) error {
	by, err := opt.join(ctx, b, plan, r)
	if err != nil || r.Done {
		return err
	}
	if err := opt.walk(ctx, b, plan, by, r, false); err != nil || r.Waiting != nil {
		return err
	}
	if len(plan.Moves(b.Status())) > 0 { // every wanted slot is proven, and some are to go
		if err := plan.mayDrop(ctx, b); err != nil {
			return err
		}
		if opt.Observe != nil {
			if err := opt.Observe(ctx, b.Status()); err != nil {
				return fmt.Errorf("stopped before the drop: %w", err)
			}
		}
		if err := opt.walk(ctx, b, plan, by, r, true); err != nil || r.Waiting != nil {
			return err
		}
	}
	if err := b.Admin().Cancel(ctx, by); err != nil && !errors.Is(err, seal.ErrNoOperation) {
		return fmt.Errorf("finish: %w", err)
	}
	r.Done = true
	return nil
}

// join begins the migration, or goes on with it, here. Where there is nothing to
// do it is done.
func (opt Options) join(ctx context.Context, b *seal.Barrier, plan Plan, r *Result) (by seal.By, err error) {
	by = opt.By
	if err := b.Admin().Refresh(ctx); err != nil {
		return by, err
	}
	if err := plan.wrongKey(ctx, b); err != nil {
		return by, err
	}
	if len(plan.Moves(b.Status())) == 0 && b.Status().Operation == nil {
		r.Done = true
		return by, nil
	}
	id, err := b.Admin().BeginMigration(ctx, plan.Goals(), by)
	if err != nil {
		return by, err
	}
	r.Operation, by.Operation = id, id
	if s := b.Status(); s.Operation != nil && s.Operation.Replica != s.Replica {
		if err := b.Admin().Claim(ctx, by); err != nil {
			return by, err
		}
	}
	if opt.Reissue {
		return by, opt.reissue(ctx, b, plan, by)
	}
	return by, nil
}

// walk makes the moves that are left, up to the drop or with it, or until one
// waits for people.
func (opt Options) walk(ctx context.Context, b *seal.Barrier, plan Plan, by seal.By, r *Result, drop bool) error {
	for {
		moves := plan.Moves(b.Status())
		if len(moves) == 0 || moves[0].Kind == MoveDrop && !drop {
			return nil
		}
		m := moves[0]
		if m.Kind == MoveDrop {
			if err := plan.mayDrop(ctx, b); err != nil {
				return err
			}
		}
		if m.People {
			r.Waiting = &m
			return nil
		}
		waiting, err := opt.move(ctx, b, m, by)
		if err != nil || waiting != nil {
			r.Waiting = waiting
			return err
		}
		r.Moved = append(r.Moved, m)
	}
}

// move makes one move. It returns a move that waits for people, where the drop
// needs their proof.
func (opt Options) move(ctx context.Context, b *seal.Barrier, m Move, by seal.By) (waiting *Move, err error) {
	if opt.Progress != nil {
		opt.Progress(m, false, nil)
		defer func() {
			if waiting == nil {
				opt.Progress(m, true, err)
			}
		}()
	}
	switch m.Kind {
	case MoveRenew:
		return nil, renew(ctx, b, m.Slots[0], by)
	case MoveAdd:
		return nil, opt.add(ctx, b, m, by)
	case MoveDrop:
		_, done, err := b.Admin().Drop(ctx, m.Slots, by)
		if err == nil && !done || errors.Is(err, seal.ErrNoProof) {
			if slot := peopleThatStay(b.Status(), m.Slots); slot != nil {
				return &Move{Kind: MoveProve, Slots: []string{slot.Name}, Spec: slot.Spec, People: true}, nil
			}
			err = causes.Join(err, errStuck)
		}
		return nil, err
	}
	_, done, err := b.Admin().Prove(ctx, m.Slots[0], by)
	if err == nil && !done {
		err = errStuck
	}
	return nil, err
}

// renew has a slot wrapped with the keys that the configuration has come to, and
// looks whether it was: where an alias was moved, the move may take its time.
func renew(ctx context.Context, b *seal.Barrier, name string, by seal.By) error {
	if err := b.Admin().Renew(ctx, name, by); err != nil {
		return err
	}
	if err := b.Admin().Drill(ctx, name); err != nil {
		return err
	}
	if slot := find(b.Status(), name, seal.SlotActive); slot != nil && slot.Moved {
		return fmt.Errorf("slot %q is still wrapped with the old key: the KMS does not wrap with the new one yet, try again later: %w", name, errStuck)
	}
	return nil
}

func (opt Options) add(ctx context.Context, b *seal.Barrier, m Move, by seal.By) error {
	if opt.Deliver == nil && seal.HasPeople(m.Spec) {
		return fmt.Errorf("%w: the plan makes shares for slot %q, and Options.Deliver is nil", seal.ErrConfig, m.Slots[0])
	}
	name := m.Slots[0]
	s := b.Status()
	if find(s, name, seal.SlotPending) != nil { // of another shape
		if _, _, err := b.Admin().Drop(ctx, []string{name}, by, seal.SlotPending); err != nil {
			return err
		}
	}
	add := b.Admin().Add
	if find(s, name, seal.SlotActive) != nil {
		add = b.Admin().Rekey
	}
	d, err := add(ctx, name, m.Spec, by)
	if err != nil {
		return err
	}
	return opt.deliver(name, d)
}

func peopleThatStay(s seal.Status, drop []string) *seal.SlotStatus {
	for i := range s.Slots {
		if o := &s.Slots[i]; o.State == seal.SlotActive && seal.HasPeople(o.Spec) && !slices.Contains(drop, o.Name) {
			return o
		}
	}
	return nil
}

// reissue makes the wanted people slots anew that are pending.
func (opt Options) reissue(ctx context.Context, b *seal.Barrier, plan Plan, by seal.By) error {
	for _, goal := range plan.Goals() {
		if goal.Drop || !seal.HasPeople(goal.Spec) || find(b.Status(), goal.Name, seal.SlotPending) == nil {
			continue
		}
		d, err := b.Admin().Reissue(ctx, goal.Name, goal.Spec, by)
		if err != nil {
			return err
		}
		if err := opt.deliver(goal.Name, d); err != nil {
			return err
		}
	}
	return nil
}

func (opt Options) deliver(name string, d seal.Delivery) error {
	defer d.Wipe()
	if len(d.Sets) == 0 {
		return nil
	}
	if opt.Deliver == nil {
		return fmt.Errorf("%w: the plan makes shares for slot %q, and Options.Deliver is nil", seal.ErrConfig, name)
	}
	if err := opt.Deliver(d); err != nil {
		return fmt.Errorf("deliver the shares of slot %q: call again with Reissue: %w", name, err)
	}
	return nil
}

// Cancel ends the migration in progress and removes what it added and did not
// prove. Slots that it proved open the store, and stay; they are returned, and
// [seal.Admin.Drop] removes them. Slots that it dropped do not come back.
func Cancel(ctx context.Context, b *seal.Barrier, by seal.By) (stay []string, err error) {
	if err := b.Admin().Refresh(ctx); err != nil {
		return nil, fmt.Errorf("migrate: cancel: %w", err)
	}
	s := b.Status()
	plan, err := PlanOf(s.Operation)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, seal.ErrNoOperation)
	}
	by.Operation = s.Operation.ID
	for _, goal := range plan.Goals() {
		if goal.Drop {
			continue
		}
		if find(b.Status(), goal.Name, seal.SlotPending) != nil {
			_, _, err := b.Admin().Drop(ctx, []string{goal.Name}, by, seal.SlotPending)
			if err == nil {
				continue
			}
			if !errors.Is(err, seal.ErrNoSlot) { // else another replica has just proven it
				return stay, fmt.Errorf("migrate: cancel: %w", err)
			}
		}
		if find(b.Status(), goal.Name, seal.SlotActive) != nil {
			stay = append(stay, goal.Name)
		}
	}
	if err := b.Admin().Cancel(ctx, by); err != nil {
		return stay, fmt.Errorf("migrate: cancel: %w", err)
	}
	return stay, nil
}
