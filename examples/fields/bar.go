package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/sealwright/sealwright/migrate"
)

// A bar shows how far a rewrap is: one line drawn again on a terminal, a plain
// line at every quarter elsewhere.
type bar struct {
	name     string
	done     int64 // by runs before
	total    int64
	terminal bool
	quarter  int64
}

func newBar(name string, done, total int64) *bar {
	return &bar{name: name, done: done, total: max(1, total), terminal: term.IsTerminal(int(os.Stdout.Fd())), quarter: done * 4 / max(1, total)}
}

const barWidth = 30

func (b *bar) show(p migrate.Progress) {
	items := min(b.done+p.Items, b.total)
	text := fmt.Sprintf("%3d %%  %d of %d items, %d rewrapped", items*100/b.total, items, b.total, p.Rewrapped)
	switch quarter := items * 4 / b.total; {
	case b.terminal:
		full := int(items * barWidth / b.total)
		fmt.Printf("\r   %-9s %s%s %s", b.name, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), text)
	case quarter > b.quarter:
		b.quarter = quarter
		say("%-9s %s", b.name, text)
	}
}

// end leaves the line.
func (b *bar) end() {
	if b.terminal {
		fmt.Println()
	}
}
