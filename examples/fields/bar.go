package main

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sealwright/sealwright/migrate"
)

// A bar shows how far a rewrap is: a progress bar on a terminal, a plain line at
// every quarter elsewhere.
type bar struct {
	name    string
	bar     *progressbar.ProgressBar // nil elsewhere
	quarter int64
}

func newBar(name string) *bar {
	b := &bar{name: name}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		b.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetDescription("   "+name),
			progressbar.OptionSetWriter(os.Stdout),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("items"),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionFullWidth())
	}
	return b
}

// show takes the total as it is known, which is an estimate of the database's.
func (b *bar) show(p migrate.Progress) {
	done := p.Before + p.Items + p.Empty
	total := max(1, done+max(0, p.Left()))
	if b.bar != nil {
		b.bar.ChangeMax64(total)
		_ = b.bar.Set64(done) // a terminal that is gone shows nothing
		return
	}
	if quarter := done * 4 / total; quarter > b.quarter {
		b.quarter = quarter
		say("%-9s %3d %%  %d of %d items, %d rewrapped, %.0f a second", b.name, done*100/total, done, total, p.Rewrapped, p.Rate())
	}
}

// end leaves the line.
func (b *bar) end() {
	if b.bar != nil {
		_ = b.bar.Exit()
		say("")
	}
}
