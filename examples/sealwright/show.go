package main

import (
	"context"
	"crypto/subtle"
	"errors"

	"github.com/sealwright/sealwright/seal"
)

// The screen of its own, without a history, that a terminal has for editors.
const (
	screenOn  = "\x1b[?1049h\x1b[2J\x1b[H"
	screenOff = "\x1b[2J\x1b[3J\x1b[H\x1b[?1049l"
)

const tailLen = 6

// show shows a share to its custodian, until they have shown that they wrote it
// down, and clears the screen.
func (t *tty) show(ctx context.Context, share seal.Share, v deliveredView, shares int) error {
	t.printf("Share %d of %d is for %s. Nobody else should see the screen.\n", v.Number, shares, v.Custodian)
	line, err := t.line(ctx, "Press Enter to show it: ")
	if err != nil {
		return noneShown(err)
	}
	clear(line)
	text := []byte(share.Reveal())
	defer clear(text)
	t.printf("%sShare %d of %d, set %d, slot %s, for %s:\n\n", screenOn, v.Number, shares, v.Set, v.Slot, v.Custodian)
	defer t.printf("%s", screenOff)
	for i := 0; i < len(text); i += 20 {
		for j := i; j < min(i+20, len(text)); j += 5 {
			t.out.Write(text[j:min(j+5, len(text))])
			t.printf(" ")
		}
		t.printf("\n")
	}
	prompt := "\nWrite it down. Then type its last 6 characters (not shown): "
	for {
		line, err := t.line(ctx, prompt)
		if err != nil {
			return noneShown(err)
		}
		for i, c := range line {
			if c >= 'A' && c <= 'Z' {
				line[i] |= 0x20
			}
		}
		right := subtle.ConstantTimeCompare(line, text[len(text)-tailLen:]) == 1
		clear(line)
		if right {
			return nil
		}
		prompt = "Those are not its last 6 characters. Compare, and type them again: "
	}
}

// noneShown makes of an end of the questions that a share did not arrive.
func noneShown(err error) error {
	if errors.Is(err, errNoMore) {
		return errInterrupted
	}
	return err
}
