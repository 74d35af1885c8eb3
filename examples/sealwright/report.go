package main

import (
	"context"
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
	Title       string   `help:"What people call the store."`
	HTML        string   `name:"html" placeholder:"FILE" help:"One page to print, in a new file, beside the text."`
}

func (reportCmd) Help() string {
	return `Which slots open the store, who holds them, when each was last shown to, and what is overdue.

  sealwright report --store … --journal /var/lib/server/journal --html report.html
  sealwright report --store … --journal web-0/journal --journal web-1/journal --head "…" --head "…"
  sealwright report --store … --journal archive/journal --journal web-0/journal --archived-up-to "the archive's last head"

Next: what stands under overdue.`
}

func (c *reportCmd) Run(ctx context.Context, a *app) error {
	in := report.Input{At: time.Now(), Title: c.Title}
	var err error
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

func (c *reportCmd) status(ctx context.Context, a *app) (seal.Status, error) {
	if c.Open {
		_, b, err := a.openCopy(ctx, &c.sharesFlags)
		if err != nil {
			return seal.Status{}, err
		}
		return b.Status(), nil
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
