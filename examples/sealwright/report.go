package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

type reportCmd struct {
	sharesFlags `embed:""`
	Open        bool     `help:"Open a copy of the record first, so that it is vouched for, and its data keys are listed."`
	Journal     []string `placeholder:"FILE" sep:"none" help:"The server's journal: proofs, drills and shares of the past. Of several replicas, repeat it."`
	Head        []string `placeholder:"HEAD" sep:"none" help:"A head of a journal that was kept elsewhere, whose line must be there; repeat it."`
	Archived    []string `name:"archived-up-to" placeholder:"HEAD" sep:"none" help:"A journal's beginning was archived: the head of the last line that was; repeat it. The archive may be another --journal."`
	Drill       string   `placeholder:"SLOT" help:"A custody drill: who of this slot's people has had the share checked since --since."`
	Since       string   `placeholder:"DAY" help:"The day on which they were asked, as 2026-11-01, or a time, as 2026-11-01T12:00:00Z."`
	Until       string   `placeholder:"DAY" help:"The day on which the drill is over. Default: when all have confirmed."`
	Title       string   `help:"What people call the store."`
	HTML        string   `name:"html" placeholder:"FILE" help:"One page to print, in a new file, beside the text."`
}

func (reportCmd) Help() string {
	return `Which slots open the store, who holds them, when each was last shown to, and what is overdue.

  sealwright report --store … --journal /var/lib/server/journal --html report.html
  sealwright report --store … --journal web-0/journal --journal web-1/journal --head "…" --head "…"
  sealwright report --store … --journal /var/lib/server/journal --drill people --since 2026-11-01
  sealwright report --store … --journal archive/journal --journal web-0/journal --archived-up-to "the archive's last head"

Next: what stands under overdue.`
}

func (c *reportCmd) Run(ctx context.Context, a *app) error {
	in := report.Input{At: time.Now(), Title: c.Title}
	var err error
	if in.Campaigns, err = c.campaigns(); err != nil {
		return err
	}
	if in.Status, err = c.status(ctx, a); err != nil {
		return err
	}
	if in.Events, err = events(ctx, c.Journal, c.Head, c.Archived); err != nil {
		return err
	}
	r, err := report.New(in)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		page, err := createFile(c.HTML)
		if err != nil {
			return err
		}
		if err := r.WriteHTML(page); err != nil {
			return page.keep(err)
		}
		if err := page.finish(); err != nil {
			return err
		}
	}
	if a.cli.JSON {
		return r.WriteJSON(a.out)
	}
	return r.WriteText(a.out)
}

// campaigns is the custody drill that is asked about, if there is one.
func (c *reportCmd) campaigns() ([]report.Campaign, error) {
	switch {
	case c.Drill == "" && c.Since+c.Until == "":
		return nil, nil
	case c.Drill == "":
		return nil, errors.New("--since and --until are of a custody drill: name its slot by --drill SLOT")
	case c.Since == "":
		return nil, errors.New("a custody drill goes on since a day: --since 2026-11-01")
	}
	drill := report.Campaign{Slot: c.Drill}
	var err error
	if drill.Began, err = dayOf("--since", c.Since); err == nil && c.Until != "" {
		drill.Until, err = dayOf("--until", c.Until)
	}
	return []report.Campaign{drill}, err
}

func dayOf(flag, text string) (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is a day, as 2026-11-01, or a time, as 2026-11-01T12:00:00Z", flag)
}

func (c *reportCmd) status(ctx context.Context, a *app) (seal.Status, error) {
	if c.Open {
		stored, b, err := a.openCopy(ctx, &c.sharesFlags)
		if err != nil {
			return seal.Status{}, err
		}
		return asStored(b.Status(), stored), nil
	}
	_, _, store, err := a.snapshot(ctx)
	if err != nil {
		return seal.Status{}, err
	}
	b, err := a.barrier(ctx, store, nil)
	if err != nil {
		return seal.Status{}, err
	}
	return b.Admin().Inspect(ctx)
}
