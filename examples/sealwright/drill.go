package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/sealwright/sealwright/seal"
)

type drillCmd struct {
	sharesFlags `embed:""`
	People      bool     `help:"Open by people's shares although a KMS is there, which is the drill of their slot."`
	Slots       []string `arg:"" optional:"" help:"The slots to try. Default: all."`
}

func (drillCmd) Help() string {
	return `Tries whether each KMS slot still opens the store, by a true unwrap. The slot by which the store was opened is drilled by that. Nothing is written: prove records that a slot opens.

  sealwright drill --config server.hcl --store …
  sealwright drill --config server.hcl --people --store …

It exits with 1 where a slot that was tried does not open the store.`
}

// A drillView is what --json prints of a slot.
type drillView struct {
	Slot  string   `json:"slot"`
	Shape string   `json:"shape"`
	Opens *bool    `json:"opens"` // null: not tried, since it takes people
	Error string   `json:"error,omitempty"`
	Notes []string `json:"notes,omitempty"`
}

func (c *drillCmd) Run(ctx context.Context, a *app) error {
	c.byPeople = c.People
	_, b, err := a.openCopy(ctx, &c.sharesFlags)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	_ = b.Admin().Drill(asking, c.Slots...) // each outcome stands in Status
	out := struct {
		Slots []drillView `json:"slots"`
		OK    bool        `json:"ok"`
	}{Slots: []drillView{}, OK: true}
	for _, s := range b.Status().Slots {
		if s.State == seal.SlotPending || len(c.Slots) > 0 && !slices.Contains(c.Slots, s.Name) {
			continue
		}
		v := drillView{Slot: s.Name, Shape: s.Spec.String(), Notes: s.Notes}
		yes, no := true, false
		switch {
		case s.DrillError != nil:
			v.Opens, v.Error, out.OK = &no, trim(s.DrillError), false
		case s.Name == a.unsealed || !s.Drilled.IsZero() && !seal.NeedsPeople(s.Spec):
			v.Opens = &yes
		}
		out.Slots = append(out.Slots, v)
	}
	if len(out.Slots) < len(c.Slots) {
		return fmt.Errorf("%w: among %q", seal.ErrNoSlot, c.Slots)
	}
	err = a.answer(out, func(w io.Writer) {
		for _, v := range out.Slots {
			word := "not tried: it takes its people"
			if v.Opens != nil {
				word = map[bool]string{true: "opens the store", false: "DOES NOT OPEN: " + v.Error}[*v.Opens]
			}
			fmt.Fprintf(w, "slot %s (%s): %s\n", v.Slot, v.Shape, word)
			for _, n := range v.Notes {
				fmt.Fprintf(w, "  note: %s\n", n)
			}
		}
	})
	if err == nil && !out.OK {
		return errTold
	}
	return err
}
