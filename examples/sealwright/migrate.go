package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

type migrateCmd struct {
	changeFlags  `embed:""`
	deliverFlags `embed:""`
	Drop         []string `placeholder:"SLOT" help:"A slot to remove once the wanted ones are proven, beside the disabled stanzas."`
	DryRun       bool     `help:"Say what would be done, and whether anything stands in the way."`
	Reissue      bool     `help:"The new shares of an earlier run were lost: make them anew."`
}

func (migrateCmd) Help() string {
	return `Moves the store to the slots that the stanzas of --config want, and away from those that it disables. Each move is one change; a run that was ended goes on with the same command. Where people are to prove their new shares, it asks for them.

  sealwright migrate --config server.hcl --drop people --dry-run --store …
  sealwright migrate --config server.hcl --drop people --store … --server-stopped

Next: sealwright inspect, and the servers with that configuration.`
}

// A migrateView is what --json prints of a migration.
type migrateView struct {
	Done     bool              `json:"done"`
	Moves    []string          `json:"moves"` // made, or with --dry-run to be made
	Problems []string          `json:"problems,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
	Opens    []string          `json:"opens,omitempty"` // what will open the store
	Pins     map[string]string `json:"pins,omitempty"`

	Delivered []deliveredView `json:"delivered,omitempty"`
}

func (c *migrateCmd) Run(ctx context.Context, a *app) error {
	setup, err := a.seals(ctx)
	if err != nil {
		return err
	}
	if setup == nil || len(setup.Slots) == 0 {
		return errors.New("give --config with a stanza for each slot that the store should have")
	}
	plan := migrate.Plan{Slots: maps.Clone(setup.Slots), Drop: slices.Concat(setup.Disabled, c.Drop)}
	if c.DryRun {
		return c.check(ctx, a, plan)
	}
	post := &post{flags: &c.deliverFlags}
	if len(c.To) > 0 {
		if post, err = c.addressAll(a, plan); err != nil {
			return err
		}
	}
	b, err := a.openToChange(ctx, &c.changeFlags)
	if err != nil {
		return err
	}
	return c.migrate(ctx, a, b, plan, post)
}

// addressAll gives the custodians to the people slots, in the order of the slots'
// names.
func (c *migrateCmd) addressAll(a *app, plan migrate.Plan) (*post, error) {
	var names []string
	all := seal.Threshold{K: 1}
	for _, name := range slices.Sorted(maps.Keys(plan.Slots)) {
		if seal.HasPeople(plan.Slots[name]) {
			names = append(names, name)
			all.Of = append(all.Of, plan.Slots[name])
		}
	}
	p, addressed, err := c.prepare(a, all)
	if err != nil {
		return nil, err
	}
	for i, spec := range addressed.(seal.Threshold).Of {
		plan.Slots[names[i]] = spec
	}
	return p, nil
}

// check tells what would be done.
func (c *migrateCmd) check(ctx context.Context, a *app, plan migrate.Plan) error {
	_, b, err := a.openCopy(ctx, &c.sharesFlags)
	if err != nil {
		return err
	}
	r, err := migrate.Check(ctx, b, plan)
	if err != nil {
		return err
	}
	v := migrateView{Moves: []string{}, Warnings: r.Warnings, Opens: r.Opens}
	for _, m := range r.Moves {
		v.Moves = append(v.Moves, m.String())
	}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, trim(p))
	}
	err = a.answer(v, func(w io.Writer) {
		if len(v.Moves) == 0 {
			fmt.Fprintln(w, "nothing is to be done: the store is there already")
		}
		for _, m := range v.Moves {
			fmt.Fprintln(w, "would", m)
		}
		for _, text := range v.Warnings {
			fmt.Fprintln(w, "note:", text)
		}
		for _, text := range v.Opens {
			fmt.Fprintln(w, "would open the store then:", text)
		}
		for _, text := range v.Problems {
			fmt.Fprintln(w, "PROBLEM:", text)
		}
	})
	if err == nil && !r.OK() {
		return errTold
	}
	return err
}

func (c *migrateCmd) migrate(ctx context.Context, a *app, b *seal.Barrier, plan migrate.Plan, p *post) error {
	v := migrateView{Moves: []string{}}
	opt := migrate.Options{By: a.by(), Reissue: c.Reissue}
	opt.Progress = func(m migrate.Move, done bool, err error) {
		if done && err == nil {
			v.Moves = append(v.Moves, m.String())
			a.say("done: %s", m)
		}
	}
	opt.Deliver = func(d seal.Delivery) error {
		if len(c.To) == 0 {
			return fmt.Errorf("%w: say who gets the shares, with --to, and give --reissue", errDelivery)
		}
		delivered, err := p.deliver(ctx, a, d)
		v.Delivered = append(v.Delivered, delivered...)
		return err
	}
	if err := c.deliverable(b, plan, p); err != nil {
		return err
	}
	for {
		r, err := migrate.Reconcile(ctx, b, plan, opt)
		opt.Reissue = false // once
		v.Pins = r.Pins
		switch {
		case errors.Is(err, seal.ErrUnpinned):
			return fmt.Errorf("%w: put the pins into the servers' configuration, give them here with --pin, and run this again: %v", err, r.Pins)
		case err != nil:
			return err
		case r.Waiting != nil:
			what := fmt.Sprintf("now the shares of slot %s, to prove it", r.Waiting.Slots[0])
			if err := a.finishOperation(ctx, b, r.Operation, what, &c.sharesFlags); err != nil {
				return err
			}
			continue
		case r.Done:
		default:
			return errors.New("the migration came to no end: run it again")
		}
		break
	}
	v.Done = true
	return a.answer(v, func(w io.Writer) {
		for _, d := range v.Delivered {
			fmt.Fprintf(w, "share %d of set %d, slot %s, to %s: %s %s\n", d.Number, d.Set, d.Slot, d.Custodian, d.Way, d.File)
		}
		fmt.Fprintf(w, "done: the store is where the configuration wants it, after %d moves\n", len(v.Moves))
		for name, pin := range v.Pins {
			fmt.Fprintf(w, "pin of slot %s: %s\n", name, pin)
		}
		fmt.Fprintln(w, "next: start the servers with that configuration; sealwright inspect shows what opens the store")
	})
}

// deliverable finds out, before anything is changed, that new shares have somebody
// to go to.
func (c *migrateCmd) deliverable(b *seal.Barrier, plan migrate.Plan, p *post) error {
	makes := slices.ContainsFunc(plan.Moves(b.Status()), func(m migrate.Move) bool { return m.Kind == migrate.MoveAdd && seal.HasPeople(m.Spec) })
	if !makes && !c.Reissue {
		return nil
	}
	if len(c.To) == 0 {
		return fmt.Errorf("%w: the plan makes shares: say for each who gets it, with --to", errDelivery)
	}
	return p.ready()
}
