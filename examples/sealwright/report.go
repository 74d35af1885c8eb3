package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/report"
)

type reportCmd struct {
	sharesFlags  `embed:""`
	journalFlags `embed:""`
	Open         bool     `help:"Open a copy of the record first, so that it is vouched for, and its data keys are listed."`
	Journal      []string `placeholder:"FILE" sep:"none" help:"The server's journal: proofs, drills and shares of the past. Of several replicas, repeat it."`
	Title        string   `help:"What people call the store."`
	HTML         string   `name:"html" placeholder:"FILE" help:"One page to print, in a new file, beside the text."`
}

func (reportCmd) Help() string {
	return `Which slots open the store, who holds them, when each was last shown to, and what is overdue.

  sealwright report --store … --journal /var/lib/server/journal --html report.html
  sealwright report --store … --journal web-0/journal --journal web-1/journal

Next: what stands under overdue.`
}

func (c *reportCmd) Run(ctx context.Context, a *app) error {
	in := report.Input{At: time.Now(), Title: c.Title}
	var err error
	if in.Status, err = c.status(ctx, a); err != nil {
		return err
	}
	if in.Events, err = c.events(ctx); err != nil {
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

// events are those of the journals, by their times; nil where there is none.
func (c *reportCmd) events(ctx context.Context) (iter.Seq2[seal.Event, error], error) {
	known := len(c.Head) > 0 || c.Archived != ""
	switch {
	case len(c.Journal) == 0 && !known:
		return nil, nil
	case len(c.Journal) != 1 && known:
		return nil, errors.New("--head and --archived-up-to are of one journal: verify each by sealwright journal verify FILE --head, and leave them out here")
	}
	var sources []iter.Seq2[seal.Event, error]
	for i, path := range c.Journal {
		if slices.Contains(c.Journal[:i], path) {
			return nil, fmt.Errorf("--journal %s is named twice", path)
		}
		place, heads, err := c.journal(path)
		if err != nil {
			return nil, err
		}
		sources = append(sources, journal.Read(ctx, place, heads...))
	}
	return report.Merge(sources...), nil
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

type journalCmd struct {
	Verify journalVerifyCmd `cmd:"" help:"Is the journal whole? A line that was edited, taken out, put in or cut off is noticed."`
}

// journalFlags say what is known of a journal.
type journalFlags struct {
	Head     []string `placeholder:"HEAD" sep:"none" help:"A head of the journal that was kept elsewhere, whose line must be there: without one, whoever could write to the journal could have made it up."`
	Archived string   `name:"archived-up-to" placeholder:"HEAD" help:"The journal's beginning was archived: the head of the last line that was, as verifying the archive prints it. Without, it begins with line 1."`
}

func (f journalFlags) journal(path string) (place journal.File, heads []journal.Head, err error) {
	place.Path = path
	if f.Archived != "" {
		if place.After, err = journal.ParseHead(f.Archived); err != nil {
			return place, nil, fmt.Errorf("--archived-up-to: %w", err)
		}
	}
	for _, text := range f.Head {
		h, err := journal.ParseHead(text)
		if err != nil {
			return place, nil, fmt.Errorf("--head: %w", err)
		}
		heads = append(heads, h)
	}
	return place, heads, nil
}

type journalVerifyCmd struct {
	journalFlags `embed:""`
	File         string `arg:"" help:"The journal's file."`
}

func (journalVerifyCmd) Help() string {
	return `  sealwright journal verify /var/lib/server/journal --head "…"

Keep the head that it prints for the next time, where the server's machine cannot change it. Of old files that were archived:

  sealwright journal verify /archive/journal --head "…"
  sealwright journal verify /var/lib/server/journal --head "…" --archived-up-to "the head that this printed"`
}

// A verifyView is what --json prints of a journal.
type verifyView struct {
	Whole   bool      `json:"whole"`
	Error   string    `json:"error,omitempty"`
	Lines   uint64    `json:"lines"`  // with an error, those before the fault
	Begins  uint64    `json:"begins"` // with which line: 1, unless what is before was archived; 0 of none
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Head    string    `json:"head,omitempty"`
	Crashes uint64    `json:"crashes"` // processes that had not ended in order when the next one began
	Unended bool      `json:"unended"` // the last one has no end yet: it may still be running
	Torn    uint64    `json:"torn"`
	Lost    uint64    `json:"lost"`
	Vouched bool      `json:"vouched"` // by a head kept elsewhere
}

func (c *journalVerifyCmd) Run(ctx context.Context, a *app) error {
	place, heads, err := c.journal(c.File)
	if err != nil {
		return err
	}
	r, fault := journal.Verify(ctx, place, heads...)
	v := verifyView{
		Whole: fault == nil, Lines: r.Lines, Begins: r.First.Seq, From: r.From, To: r.To, Crashes: r.Crashed, Unended: r.Unended, Torn: r.Torn, Lost: r.Lost,
		Vouched: fault == nil && len(heads) > 0,
	}
	if r.Lines > 0 {
		v.Head = r.Last.String()
	}
	if fault != nil {
		v.Error = fault.Error()
	}
	err = a.answer(v, func(w io.Writer) {
		switch {
		case fault != nil:
			fmt.Fprintf(w, "NOT WHOLE after %d lines: %v\n", v.Lines, fault)
			return
		case v.Lines == 0:
			fmt.Fprintln(w, "empty")
			return
		}
		fmt.Fprintf(w, "whole: %d lines, from %s to %s; events lost: %d, crashes: %d\n", v.Lines, v.From.Format(time.RFC3339), v.To.Format(time.RFC3339), v.Lost, v.Crashes)
		if v.Begins > 1 {
			fmt.Fprintf(w, "begins at line %d: those before it were archived, as you say, and are not looked at here\n", v.Begins)
		}
		if v.Unended {
			fmt.Fprintln(w, "one run has no end yet, the last: it may still be running")
		}
		if !v.Vouched {
			fmt.Fprintln(w, "nothing vouches for it: give a head that was kept elsewhere")
		}
		fmt.Fprintf(w, "next: keep this head elsewhere: %s\n", v.Head)
	})
	if err == nil && fault != nil {
		return errTold
	}
	return err
}
