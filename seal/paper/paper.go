// Package paper prints shares as cards: one page for each custodian, to be kept in
// a safe. The page is HTML without scripts and without anything fetched, which any
// browser prints on A4 or Letter:
//
//	cards := paper.Cards(delivery, paper.About{Store: "payments, production", Contact: "on call: +1 555 0100"})
//	err := paper.Write(w, cards...)
//
// Do not use it where the shares can be encrypted to their holders (package
// agerecipient, or operator/pgp): a card is the share, for whoever has it in hand.
//
// # A card
//
// It says what the share is for (the store, the slot, the set), which of how many
// it is, how many open, for whom, of when, whom to call, and how to check it; and
// the share itself, in groups of five characters to be read aloud, and as a QR code.
// Upper case is a share as well (see seal/SHARES.md); in it no character is taken
// for another: there is no letter I, O or B, and the third character is the only 1.
// The code has error correction of level Q: a quarter of it may be damaged.
//
// A [Card] without a share is a blank form, for whoever writes it down by hand.
//
// There is no card of words: the lists with well-kept code carry no 50 bytes with
// a checksum like bech32m's, which finds any four wrong characters. BIP 39 has 8
// bits of checksum over at most 32 bytes, and SLIP 39 words are shares of another
// scheme, which a holder would take to a tool that combines them wrongly.
//
// # Secrets
//
// The page holds shares in clear. Write it to what prints it, or to a memory file
// system; a browser that shows it may keep it in its history and its cache, and a
// printer in its memory. The strings that are made of a share cannot be wiped.
package paper

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/sealwright/sealwright/seal"
)

// ErrCard means that a card cannot be printed as it is.
var ErrCard = errors.New("paper: not a card")

// About is what all cards of a delivery have in common.
type About struct {
	Store   string    // what the store is, as its custodians call it; required
	Contact string    // whom to call, and how; required: nobody remembers it at night
	Made    time.Time // the day; zero: today, and open on a blank form
	Check   string    // how its holder checks it; "": a sentence that fits the operator API
}

// A Card is one page.
type Card struct {
	About
	Slot      string
	Set       uint32
	Number    int    // which of the shares it is, from 1; 0 on a blank form where it is open
	Shares    int    // how many there are
	Threshold int    // how many open
	Custodian string // whose it is; "" leaves a line to write on
	Share     seal.Share
}

// Cards returns a card for each share of a delivery that left in clear; those that
// were encrypted to their custodians need none.
func Cards(d seal.Delivery, about About) []Card {
	var out []Card
	for _, set := range d.Sets {
		for i, s := range set.Shares {
			if i < len(set.Encrypted) && set.Encrypted[i] != nil {
				continue
			}
			c := Card{About: about, Slot: set.Slot, Set: set.Set, Number: int(s.X()), Shares: len(set.Shares), Threshold: set.Threshold, Share: s}
			if i < len(set.Custodians) {
				c.Custodian = set.Custodians[i]
			}
			out = append(out, c)
		}
	}
	return out
}

const (
	textLen  = 89 // of a share, by SHARES.md
	groupLen = 5
	rowLen   = 4 // groups
	maxText  = 200
)

// Write writes the page of the cards. The error is [ErrCard] for one that lacks
// what must stand on it, or w's.
func Write(w io.Writer, cards ...Card) error {
	if len(cards) == 0 {
		return fmt.Errorf("%w: there are none: were the shares encrypted?", ErrCard)
	}
	pages := make([]page, len(cards))
	for i, c := range cards {
		var err error
		if pages[i], err = pageOf(c); err != nil {
			return fmt.Errorf("card %d of %d: %w", i+1, len(cards), err)
		}
	}
	return sheet.Execute(w, pages)
}

// A page is what the template shows.
type page struct {
	Card
	Date  string
	Blank bool
	Rows  []row
	Code  template.HTML
}

type row struct {
	Number int
	Groups []group
}

// A group is characters, each of which is "" where it is to be written.
type group struct{ Characters []string }

func pageOf(c Card) (page, error) {
	for _, f := range []struct{ name, text string }{{"Store", c.Store}, {"Contact", c.Contact}} {
		if strings.TrimSpace(f.text) == "" {
			return page{}, fmt.Errorf("%w: About.%s is empty", ErrCard, f.name)
		}
	}
	for _, text := range []string{c.Store, c.Contact, c.Check, c.Slot, c.Custodian} {
		if len(text) > maxText {
			return page{}, fmt.Errorf("%w: a text of %d bytes, where %d have room", ErrCard, len(text), maxText)
		}
	}
	text := c.Share.Reveal()
	blank := text == ""
	if c.Made.IsZero() && !blank {
		c.Made = time.Now()
	}
	if c.Check == "" {
		c.Check = "Give it to the server's page or command for checking a share, over TLS. It answers whether the share is still right, and opens nothing. Do it once a year, and after each message that shares were replaced."
	}
	p := page{Card: c, Blank: blank}
	if !c.Made.IsZero() {
		p.Date = c.Made.Format("2 January 2006")
	}
	if blank {
		text = strings.Repeat(" ", textLen)
	}
	if len(text) != textLen {
		return page{}, fmt.Errorf("%w: a bare share of Vault's, which has no checksum: a mistake in reading it would not be noticed", ErrCard)
	}
	text = strings.ToUpper(text)
	for i := 0; i < len(text); i += groupLen * rowLen {
		r := row{Number: i/(groupLen*rowLen) + 1}
		for j := i; j < min(i+groupLen*rowLen, len(text)); j += groupLen {
			var g group
			for _, c := range text[j:min(j+groupLen, len(text))] {
				g.Characters = append(g.Characters, strings.TrimSpace(string(c)))
			}
			r.Groups = append(r.Groups, g)
		}
		p.Rows = append(p.Rows, r)
	}
	if !p.Blank {
		var err error
		if p.Code, err = codeOf(text); err != nil {
			return page{}, fmt.Errorf("%w: its QR code could not be made", ErrCard)
		}
	}
	return p, nil
}

// codeOf draws a QR code, with the quiet zone of four modules that scanners need.
func codeOf(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.Q)
	if err != nil {
		return "", err
	}
	const quiet = 4
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if n := x - from; n > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, n, n)
			}
		}
	}
	size := code.Size + 2*quiet
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %d %d" role="img" aria-label="the share as a QR code" shape-rendering="crispEdges"><rect width="%d" height="%d" fill="#fff"/><path d="%s" fill="#000"/></svg>`,
		size, size, size, size, path.String())), nil
}
