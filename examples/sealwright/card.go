package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/paper"
)

// cardCheck is what a card says of how it is checked.
const cardCheck = "sealwright check-share --store … asks for it, and says whether it is still right. Do it once a year."

type cardCmd struct {
	sharesFlags `embed:""`
	About       string `placeholder:"TEXT" help:"What the store is."`
	Contact     string `placeholder:"TEXT" help:"Whom to call."`
	For         string `placeholder:"NAME" help:"Who holds it. Default: who the record says, if --store is given."`
	People      string `placeholder:"T/N" help:"Without --store: that any T of N shares open the store."`
	Slot        string `default:"shamir" help:"Without --store: the slot's name, as inspect and the server have it."`
	Blank       bool   `help:"A form to write a share on by hand; nothing is read."`
	Out         string `required:"" placeholder:"FILE" help:"The new file, a page to print, 0600."`
}

func (cardCmd) Help() string {
	return `Prints a share for a holder who has neither an OpenPGP, nor an age, nor an SSH key: its characters in groups, and a QR code. With --store the share is looked up in the record first, and one that opens nothing gets no card. Without, say --people, as while a server has a bbolt file locked.

  age -d -i desk.key carol.age | sealwright card --people 3/5 --for carol --about "the tokens" --contact "the desk, 1234" --out carol.html
  sealwright card --blank --about "the tokens" --contact "the desk, 1234" --out form.html

Whoever has the file has the share: print it, and destroy the file.

Next: the holder checks it, with sealwright check-share, or on the server's page.`
}

// A cardView is what --json prints of a card.
type cardView struct {
	File      string `json:"file"`
	Blank     bool   `json:"blank,omitempty"`
	Slot      string `json:"slot,omitempty"`
	Set       uint32 `json:"set,omitempty"`
	Number    int    `json:"number,omitempty"`
	Custodian string `json:"custodian,omitempty"`
	Checked   bool   `json:"checked"` // against the record
}

func (c *cardCmd) Run(ctx context.Context, a *app) error {
	card := paper.Card{About: paper.About{Store: c.About, Contact: c.Contact, Check: cardCheck}, Custodian: c.For}
	if err := cardTexts(c.About, c.Contact); err != nil {
		return err
	}
	checked := false
	if !c.Blank {
		share, err := c.one(ctx, a)
		if err != nil {
			return err
		}
		defer share.Wipe()
		card.Share, card.Set, card.Number = share, share.Set(), int(share.X())
		if checked = a.cli.Store != ""; checked {
			err = a.describe(ctx, &card)
		} else {
			err = c.describe(&card)
		}
		if err != nil {
			return err
		}
	}
	var page bytes.Buffer
	if err := paper.Write(&page, card); err != nil {
		return err
	}
	defer clear(page.Bytes())
	if err := writeDurably(c.Out, page.Bytes()); err != nil {
		return err
	}
	v := cardView{c.Out, c.Blank, card.Slot, card.Set, card.Number, card.Custodian, checked}
	return a.answer(v, func(w io.Writer) {
		if c.Blank {
			fmt.Fprintf(w, "a blank form: %s\n", c.Out)
			return
		}
		fmt.Fprintf(w, "share %d of set %d, slot %s: %s\n", v.Number, v.Set, v.Slot, v.File)
		if !checked {
			fmt.Fprintln(w, "it was not compared with the record: its holder should, by check-share")
		}
		fmt.Fprintln(w, "next: print it, and destroy the file: whoever has it has the share")
	})
}

// cardTexts says what a card lacks.
func cardTexts(about, contact string) error {
	if strings.TrimSpace(about) == "" || strings.TrimSpace(contact) == "" {
		return fmt.Errorf("%w: a card says what it is for and whom to call: give --about and --contact", errDelivery)
	}
	return nil
}

// one reads the one share that goes on a card.
func (c *cardCmd) one(ctx context.Context, a *app) (share seal.Share, err error) {
	n := 0
	see := func(g given) {
		if n++; n > 1 || g.err != nil {
			err = errors.Join(err, g.err)
			g.share.Wipe()
			return
		}
		share = g.share
	}
	if all := a.everyShare(ctx, &c.sharesFlags, see); all != nil {
		err = all
	}
	switch {
	case err == nil && n == 0:
		err = errNoMore
	case err == nil && n > 1:
		err = fmt.Errorf("%w: %d were given, and a card is for one holder: one at a time", errDelivery, n)
	}
	if err != nil {
		share.Wipe()
	}
	return share, err
}

// describe takes what a card says of its share from the flags.
func (c *cardCmd) describe(card *paper.Card) error {
	if c.People == "" {
		return fmt.Errorf("%w: give --store, where the share is looked up, or say --people T/N", errDelivery)
	}
	spec, err := parsePeople(c.People)
	if err != nil {
		return err
	}
	of := spec.(seal.Shamir)
	if card.Slot, card.Shares, card.Threshold = c.Slot, of.Shares, of.Threshold; card.Number > card.Shares {
		return fmt.Errorf("%w: it is share %d, and --people says that there are %d", errDelivery, card.Number, card.Shares)
	}
	return nil
}

// describe looks a share up in the record. One of a slot that is not proven yet is
// right too.
func (a *app) describe(ctx context.Context, card *paper.Card) error {
	p, rec, store, err := a.snapshot(ctx)
	if errors.Is(err, errLive) {
		return fmt.Errorf("%w; or leave --store out (unset SEALWRIGHT_STORE), and say --people T/N", err)
	}
	if err != nil {
		return err
	}
	b, err := a.barrier(ctx, store, nil)
	if err != nil {
		return err
	}
	is, err := b.Admin().CheckShare(ctx, card.Share, a.by())
	if err != nil && !(errors.Is(err, seal.ErrNoOperation) && is.Slot != "") {
		return err
	}
	v, err := viewOf(p, rec)
	if err != nil {
		return err
	}
	for _, slot := range v.Slots {
		for _, set := range slot.Sets {
			if set.Set == is.Set {
				card.Slot, card.Shares, card.Threshold = slot.Name, set.Shares, set.Threshold
			}
		}
	}
	if card.Custodian == "" {
		card.Custodian = is.Custodian
	}
	return nil
}
