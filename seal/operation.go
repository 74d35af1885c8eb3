package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// OperationKind says what an operation is for.
type OperationKind string

const (
	// OperationProve gathers shares that prove a slot, or drill it.
	OperationProve OperationKind = record.OpProve
	// OperationDrop gathers shares that let another slot go.
	OperationDrop OperationKind = record.OpDrop
	// OperationMigrate moves the store to other slots; see package migrate.
	OperationMigrate OperationKind = record.OpMigrate
)

// A Goal is a slot that a migration wants, or wants gone.
type Goal struct {
	Name string
	Spec Spec // what protects it; nil with Drop
	Drop bool
}

// BeginMigration records where the store is to get to, so that any replica can
// go on with it, and returns the operation's id. While it is in progress, slots
// are added, proven and dropped with that id only. It is joined where the same
// goals are in progress already. [Admin.Cancel] ends it. Package migrate
// walks the way.
func (a *Admin) BeginMigration(ctx context.Context, goals []Goal, by By) (OperationID, error) {
	if err := by.check(); err != nil {
		return "", err
	}
	op := record.Operation{Kind: record.OpMigrate}
	for _, g := range goals {
		goal := record.Goal{Name: g.Name, Drop: g.Drop}
		if err := record.CheckName(g.Name); err != nil {
			return "", wrapError("begin migration", "", fmt.Errorf("%w: %w", ErrConfig, err))
		}
		if g.Drop != (g.Spec == nil) {
			return "", wrapError("begin migration", g.Name, fmt.Errorf("%w: a goal has a Spec or is a Drop", ErrConfig))
		}
		if g.Spec != nil {
			spec, err := a.b.checkSpec(g.Spec)
			if err != nil {
				return "", wrapError("begin migration", g.Name, err)
			}
			goal.Spec = &spec
		}
		op.Desired = append(op.Desired, goal)
	}
	id, err := a.b.begin(ctx, op, by, nil)
	return id, wrapError("begin migration", "", err)
}

// begin records an operation and returns its id, unless check, if there is one,
// says of the stored record that nothing could come of it. Where the same is in
// progress already, it is joined.
func (b *Barrier) begin(ctx context.Context, op record.Operation, by By, check func(*record.State) error) (OperationID, error) {
	var joined string
	idle := false // there is nothing to begin
	inside := by.Operation
	if by.Operation == "" {
		by.Operation = newOperationID()
	}
	err := b.commit(ctx, EventBegin, by, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		if check != nil {
			if err := check(&o.State); err != nil {
				idle = true
				return record.State{}, nil, err
			}
		}
		cur := o.State.Operation
		if cur != nil && (cur.Same(&op) || cur.ID == string(inside) && cur.Covers(&op)) {
			joined = cur.ID
			return record.State{}, nil, errJoined
		}
		next, err := o.State.Begin(st, op)
		if cur != nil && errors.Is(err, ErrInProgress) {
			err = fmt.Errorf("%w: %s %s %s on replica %q: finish or cancel it", err, cur.Kind, cur.ID, cur.Slot, cur.Replica)
		}
		return next, nil, err
	})
	if errors.Is(err, errJoined) {
		return OperationID(joined), nil
	}
	if idle {
		return "", err
	}
	b.emit(EventBegin, by, op.Slot, op.Kind, err)
	if err != nil {
		return "", err
	}
	return by.Operation, nil
}

var errJoined = errors.New("seal: joined an operation in progress")

// Cancel ends the operation in progress. What it did so far stays: a pending
// slot it added, for one, goes by [Admin.Drop].
func (a *Admin) Cancel(ctx context.Context, by By) error {
	err := a.b.change(ctx, EventEnd, "cancel", by, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		next, err := o.State.End(st)
		return next, nil, err
	})
	if err == nil {
		a.b.endGather(by.Operation)
	}
	return err
}

// Claim makes this replica the one that gathers the operation's shares, when
// the one that did is gone. Shares given there are given again here.
func (a *Admin) Claim(ctx context.Context, by By) error {
	return a.b.change(ctx, EventClaim, "claim", by, func(_ context.Context, st record.Step, o *ledger.Opened) (record.State, []byte, error) {
		next, err := o.State.Claim(st)
		return next, nil, err
	})
}

// submitTo takes a share for the operation in progress, and does what the
// operation is for when a slot's shares suffice: done says that it did. It
// returns the slot's name.
func (b *Barrier) submitTo(ctx context.Context, s Share, by By) (n noted, _ string, done bool, err error) {
	o, err := b.fetch(ctx)
	if err != nil {
		return n, "", false, err
	}
	defer o.Wipe()
	op := o.State.Operation
	switch {
	case op == nil || op.ID != string(by.Operation):
		return n, "", false, ErrNoOperation
	case op.Replica != b.cfg.Replica:
		return n, op.Slot, false, fmt.Errorf("%w: by replica %q: send the share there, or claim the operation", ErrElsewhere, op.Replica)
	}
	n, slot, err := note(&o.State.Record, s)
	if err != nil {
		return n, op.Slot, false, err
	}
	if !wants(&o.State, slot) {
		return n, slot.Name, false, fmt.Errorf("%w: this %s does not ask for shares of slot %q", ErrNoOperation, op.Kind, slot.Name)
	}
	g := b.gathered(by.Operation)
	g.Sift(&o.State.Record)
	_, err = g.Add(&o.State.Record, s.part)
	err = shareError(err)
	if err != nil && !errors.Is(err, ErrShareDuplicate) {
		return n, slot.Name, false, err
	}
	// A share given twice may find a quorum that waited for its KMS.
	if !g.Suffices(&slot.Tree) || !g.Consented(&slot.Tree) {
		return n, slot.Name, false, err
	}
	release, ok := g.Claim(slot)
	if !ok {
		return n, slot.Name, false, err
	}
	defer release()
	if err := b.prove(ctx, slot.ID, by, g); err != nil {
		return n, slot.Name, false, err
	}
	defer b.endGather(by.Operation) // a proof is made once for each quorum
	if op.Kind == record.OpDrop {
		var names []string
		for _, g := range op.Desired {
			names = append(names, g.Name)
		}
		list := strings.Join(names, " ")
		err := b.drop(ctx, names, by, g)
		b.emit(EventDrop, by, list, b.leaves(err), err)
		return n, list, err == nil, err
	}
	return n, slot.Name, true, nil
}

// wants reports whether a share of the slot serves the operation.
func wants(s *record.State, slot *record.Slot) bool {
	switch op := s.Operation; op.Kind {
	case record.OpProve:
		return slot.ID == provable(s, op.Slot).ID
	case record.OpDrop:
		return slot.State == record.Active && !slices.ContainsFunc(op.Desired, func(g record.Goal) bool { return g.Name == slot.Name })
	}
	return true
}
