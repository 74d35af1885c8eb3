package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/sealwright/sealwright/examples/sealwright/internal/sharetext"
	"github.com/sealwright/sealwright/seal"
)

// A taker takes one share, and says whether they suffice now.
type taker func(seal.Share) (enough bool, err error)

// unseal opens a Barrier: by the KMS of the configuration, and where that does not
// do, by people's shares.
func (a *app) unseal(ctx context.Context, b *seal.Barrier, f *sharesFlags) error {
	setup, err := a.seals(ctx)
	if err != nil {
		return err
	}
	stored, err := b.Admin().Inspect(ctx)
	if err != nil {
		return err
	}
	people := slices.ContainsFunc(stored.Slots, func(s seal.SlotStatus) bool { return seal.HasPeople(s.Spec) })
	switch {
	case setup != nil && len(setup.KMS) > 0 && !f.byPeople:
		asking, cancel := context.WithTimeout(ctx, f.Wait)
		err := b.Unseal(asking)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return errInterrupted
		case !people:
			return fmt.Errorf("%w: %w", errStaysSealed, err)
		}
		a.say("by KMS: %s", trim(err))
	case !people:
		return needsKMS(stored)
	}
	err = a.gather(ctx, f, func() string { return missing(ctx, b) }, func(s seal.Share) (bool, error) {
		return b.Submit(ctx, s, a.by())
	})
	if errors.Is(err, errNoMore) {
		return fmt.Errorf("%w: %s", errStaysSealed, missing(ctx, b))
	}
	return err
}

// needsKMS says why nothing can be asked of people.
func needsKMS(s seal.Status) error {
	var names []string
	for _, slot := range s.Slots {
		names = append(names, fmt.Sprintf("%s (%s)", slot.Name, slot.Spec))
	}
	return fmt.Errorf("%w: no slot is held by people: %s: give --config with the KMS' stanza", errStaysSealed, strings.Join(names, ", "))
}

// missing says what the people slots still need.
func missing(ctx context.Context, b *seal.Barrier) string {
	s, err := b.Admin().Inspect(ctx)
	if err != nil || len(s.Progress) == 0 {
		return ""
	}
	return progress(s.Progress)
}

func progress(sets []seal.SetProgress) string {
	var parts []string
	for _, p := range sets {
		name := p.Slot
		if p.Path != "" {
			name += " " + p.Path
		}
		parts = append(parts, fmt.Sprintf("slot %s has %d of the %d shares it takes", name, p.Given, p.Threshold))
	}
	return strings.Join(parts, "; ")
}

// gather gives shares to take until they suffice: those that are left over, from
// the files, from standard input where it is no terminal, and then from the
// terminal. A share that is not right is told, and the others go on; what is not
// needed is kept for what is asked next. The error is errNoMore where they end.
func (a *app) gather(ctx context.Context, f *sharesFlags, how func() string, take taker) error {
	left := a.spare
	a.spare = nil
	sources := f.Shares
	if len(sources) == 0 && a.inputIsPipe() {
		sources = []string{"-"}
	}
	for _, path := range sources {
		if a.read[path] {
			continue
		}
		a.read[path] = true
		found, err := a.readShares(path)
		if err != nil {
			return err
		}
		left = append(left, found...)
	}
	for i, g := range left {
		if ctx.Err() != nil {
			return errInterrupted
		}
		enough, err := a.give(g, take)
		if err != nil || enough {
			a.spare = append(a.spare, left[i+1:]...)
			return err
		}
	}
	for _, g := range a.spare {
		if g.why != "" {
			a.say("%s: %s: %s", g.from, g.share, g.why)
		}
	}
	return a.ask(ctx, how, take)
}

// inputIsPipe reports whether standard input is there for shares: no terminal, and
// nothing that was read already.
func (a *app) inputIsPipe() bool { return a.inputIs == "" && !term.IsTerminal(int(a.in.Fd())) }

// gaveEarly reports whether right shares were given of a slot that opens nothing yet.
func (a *app) gaveEarly() bool {
	return slices.ContainsFunc(a.spare, func(g given) bool { return g.why != "" })
}

func wipeAll(shares []given) {
	for _, g := range shares {
		g.share.Wipe()
	}
}

// give gives one share. What is wrong with it alone is told and is no error. One
// that may count for what is asked next is kept.
func (a *app) give(g given, take taker) (enough bool, err error) {
	if err = g.err; err == nil {
		enough, err = take(g.share)
	}
	switch {
	case err == nil && a.changes:
		g.why = ""
		a.spare = append(a.spare, given{share: g.share, from: g.from, used: true})
		return enough, nil
	case errors.Is(err, seal.ErrNoOperation):
		if !g.used {
			g.why = trim(err)
		}
		a.spare = append(a.spare, g)
		return false, nil
	}
	g.share.Wipe()
	if err != nil && shareFault(err) {
		a.say("%s: %s: %s", g.from, g.share, trim(err))
		return false, nil
	}
	return enough, err
}

// shareFault reports whether an error is about one share, so that others may do.
func shareFault(err error) bool {
	var wrong *seal.ShareError
	return errors.As(err, &wrong) || errors.Is(err, seal.ErrNoOperation)
}

// ask asks for shares on the terminal.
func (a *app) ask(ctx context.Context, how func() string, take taker) error {
	t, err := a.terminal()
	if err != nil {
		return errNoMore
	}
	defer t.loud()
	for {
		if text := how(); text != "" {
			t.printf("%s\n", text)
		}
		share, err := t.share(ctx, "Share (not shown; Enter alone ends): ")
		if err != nil {
			return err
		}
		enough, err := take(share)
		if err == nil && a.changes {
			a.spare = append(a.spare, given{share: share, from: "terminal", used: true})
		} else {
			share.Wipe()
		}
		switch {
		case err != nil && shareFault(err):
			t.printf("  %s\n", trim(err))
		case err != nil:
			return err
		case enough:
			return nil
		}
	}
}

// share asks for one share. One pasted in several lines goes on until it is whole;
// an empty line ends it.
func (t *tty) share(ctx context.Context, prompt string) (seal.Share, error) {
	for {
		var whole [1024]byte
		text := whole[:0]
		for ask := prompt; ; ask = fmt.Sprintf("  %d of %d characters; the rest: ", len(text), sharetext.Len) {
			line, err := t.line(ctx, ask)
			if err != nil {
				clear(whole[:])
				return seal.Share{}, err
			}
			n := len(text)
			for _, c := range line {
				if c != ' ' && c != '\t' && len(text) < cap(text) {
					text = append(text, c)
				}
			}
			clear(line)
			if len(text) == n || sharetext.Index(text) != 0 || len(text) >= sharetext.Len {
				break
			}
		}
		if len(text) == 0 {
			return seal.Share{}, errNoMore
		}
		s, err := sharetext.Parse(text)
		clear(whole[:])
		if err == nil {
			return s, nil
		}
		t.printf("  %s\n", trim(err))
	}
}

func trim(err error) string { return strings.TrimPrefix(err.Error(), "seal: ") }

// openCopy returns an unsealed Barrier over a copy of the record: nothing is
// written to the store.
func (a *app) openCopy(ctx context.Context, f *sharesFlags) (stored seal.Status, b *seal.Barrier, err error) {
	_, _, store, err := a.snapshot(ctx)
	if err != nil {
		return stored, nil, err
	}
	if b, err = a.barrier(ctx, store, nil); err != nil {
		return stored, nil, err
	}
	if stored, err = b.Admin().Inspect(ctx); err != nil {
		return stored, nil, err
	}
	return stored, b, a.unseal(ctx, b, f)
}

// asStored is the status of an opened copy without what the opening wrote into that:
// the record has no such proof.
func asStored(opened, stored seal.Status) seal.Status {
	opened.Generation = stored.Generation
	for i := range opened.Slots {
		s := &opened.Slots[i]
		for _, o := range stored.Slots {
			if o.Fingerprint == s.Fingerprint {
				s.State, s.Proven, s.ProvenTo = o.State, o.Proven, o.ProvenTo
			}
		}
	}
	return opened
}
