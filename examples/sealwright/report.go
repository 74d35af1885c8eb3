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
	sharesFlags `embed:""`
	Open        bool     `help:"Open a copy of the record first, so that it is vouched for, and its data keys are listed."`
	Journal     []string `placeholder:"FILE" sep:"none" help:"The server's journal: proofs, drills and shares of the past. Of several replicas, repeat it."`
	Heads       []string `name:"head" placeholder:"HEAD" sep:"none" help:"A head of the one journal that was kept elsewhere."`
	Title       string   `help:"What people call the store."`
	HTML        string   `name:"html" placeholder:"FILE" help:"One page to print, in a new file, beside the text."`
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
	heads, err := parseHeads(c.Heads)
	switch {
	case err != nil:
		return nil, err
	case len(c.Journal) == 0 && len(heads) == 0:
		return nil, nil
	case len(heads) > 0 && len(c.Journal) != 1:
		return nil, errors.New("--head is of one journal: verify each by sealwright journal verify FILE --head, and leave it out here")
	}
	var sources []iter.Seq2[seal.Event, error]
	for i, path := range c.Journal {
		if slices.Contains(c.Journal[:i], path) {
			return nil, fmt.Errorf("--journal %s is named twice", path)
		}
		sources = append(sources, journal.Read(ctx, journal.File{Path: path}, heads...))
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

type journalVerifyCmd struct {
	Head []string `placeholder:"HEAD" sep:"none" help:"A head that was kept elsewhere: without one, whoever could write to the journal could have made it up."`
	File string   `arg:"" help:"The journal's file."`
}

func (journalVerifyCmd) Help() string {
	return `  sealwright journal verify /var/lib/server/journal --head "…"

Keep the head that it prints for the next time, where the server's machine cannot change it.`
}

// A verifyView is what --json prints of a journal.
type verifyView struct {
	Whole   bool      `json:"whole"`
	Error   string    `json:"error,omitempty"`
	Lines   uint64    `json:"lines"` // with an error, those before the fault
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Head    string    `json:"head,omitempty"`
	Crashes int64     `json:"crashes"` // processes that did not end in order, the one that writes now among them
	Torn    uint64    `json:"torn"`
	Lost    uint64    `json:"lost"`
	Vouched bool      `json:"vouched"` // by a head kept elsewhere
}

func (c *journalVerifyCmd) Run(ctx context.Context, a *app) error {
	heads, err := parseHeads(c.Head)
	if err != nil {
		return err
	}
	r, fault := journal.Verify(ctx, journal.File{Path: c.File}, heads...)
	v := verifyView{
		Whole: fault == nil, Lines: r.Lines, From: r.From, To: r.To, Crashes: int64(r.Opened) - int64(r.Closed), Torn: r.Torn, Lost: r.Lost,
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
		fmt.Fprintf(w, "whole: %d lines, from %s to %s; %d events lost, %d processes without a last line, of which one may be writing now\n", v.Lines, v.From.Format(time.RFC3339), v.To.Format(time.RFC3339), v.Lost, v.Crashes)
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

func parseHeads(texts []string) ([]journal.Head, error) {
	var out []journal.Head
	for _, text := range texts {
		h, err := journal.ParseHead(text)
		if err != nil {
			return nil, fmt.Errorf("--head: %w", err)
		}
		out = append(out, h)
	}
	return out, nil
}
