package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sealwright/sealwright/seal/journal"
)

type journalCmd struct {
	Verify journalVerifyCmd `cmd:"" help:"Is the journal whole? A line that was edited, taken out, put in or cut off is noticed."`
}

type journalVerifyCmd struct {
	File     string   `arg:"" help:"The journal's file."`
	Head     []string `placeholder:"HEAD" sep:"none" help:"A head of the journal that was kept elsewhere, whose line must be there: without one, whoever could write to the journal could have made it up."`
	Archived string   `name:"archived-up-to" placeholder:"HEAD" help:"The journal's beginning was archived: the head of the last line that was, as verifying the archive prints it. Without, it begins with line 1."`
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
	heads, err := parseHeads("--head", c.Head...)
	if err != nil {
		return err
	}
	place := journal.File{Path: c.File}
	if c.Archived != "" {
		after, err := parseHeads("--archived-up-to", c.Archived)
		if err != nil {
			return err
		}
		place.After = after[0]
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

func parseHeads(flag string, texts ...string) (heads []journal.Head, err error) {
	for _, text := range texts {
		h, err := journal.ParseHead(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		heads = append(heads, h)
	}
	return heads, nil
}
