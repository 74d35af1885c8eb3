package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/agerecipient"
	"github.com/sealwright/sealwright/seal/operator/pgp"
	"github.com/sealwright/sealwright/seal/paper"
)

var errDelivery = errors.New("the delivery of shares")

// deliverFlags say who gets new shares, and how.
type deliverFlags struct {
	To      []string `placeholder:"[NAME=]FILE" sep:"none" help:"Who gets a share, once for each: a file with an age recipient, an SSH or OpenPGP key; or NAME=paper, a card to print; or NAME=terminal, shown here, one at a time."`
	OutDir  string   `placeholder:"DIR" help:"The directory for encrypted shares and cards; made if need be."`
	About   string   `placeholder:"TEXT" help:"What the store is, on cards."`
	Contact string   `placeholder:"TEXT" help:"Whom to call, on cards."`
	Plugin  []string `placeholder:"NAME" help:"An age plugin that may be run: yubikey for age-plugin-yubikey."`
}

// The ways of a share.
const (
	byKey      = "key"
	byPaper    = "paper"
	byTerminal = "terminal"
)

// A custodian is who gets a share.
type custodian struct {
	seal.Custodian
	way string
}

// A post brings the shares of one delivery to their custodians.
type post struct {
	flags *deliverFlags
	to    []custodian
}

// A deliveredView is what --json prints of a share that was delivered.
type deliveredView struct {
	Slot      string `json:"slot"`
	Set       uint32 `json:"set"`
	Number    int    `json:"number"`
	Custodian string `json:"custodian"`
	Way       string `json:"way"`
	File      string `json:"file,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

// prepare reads the keys, puts the custodians into the shape, and sees that nothing is
// missing that delivering needs. It changes nothing.
func (f *deliverFlags) prepare(a *app, spec seal.Spec) (*post, seal.Spec, error) {
	p := &post{flags: f}
	for _, to := range f.To {
		c, err := f.custodian(to)
		if err != nil {
			return nil, nil, fmt.Errorf("--to %s: %w", to, err)
		}
		for _, other := range p.to {
			if other.Name == c.Name {
				return nil, nil, fmt.Errorf("%w: --to %s: %s has a share already: each is for a holder of its own", errDelivery, to, c.Name)
			}
		}
		p.to = append(p.to, c)
	}
	rest := p.to
	spec, err := address(spec, &rest)
	if err != nil {
		return nil, nil, err
	}
	if len(rest) > 0 {
		return nil, nil, fmt.Errorf("%w: %d of the %d --to are too many: %s", errDelivery, len(rest), len(p.to), spec)
	}
	return p, spec, p.asked(a)
}

// address gives the first custodians to the shares of a shape.
func address(spec seal.Spec, rest *[]custodian) (seal.Spec, error) {
	switch s := spec.(type) {
	case seal.Shamir:
		if len(*rest) < s.Shares {
			return nil, fmt.Errorf("%w: %s, and %d --to are left: say for each share who gets it: --to alice=alice.pub, --to bob=paper, --to carol=terminal", errDelivery, s, len(*rest))
		}
		for _, c := range (*rest)[:s.Shares] {
			s.Custodians = append(s.Custodians, c.Custodian)
		}
		*rest = (*rest)[s.Shares:]
		return s, nil
	case seal.Threshold:
		s.Of = append([]seal.Spec{}, s.Of...)
		for i := range s.Of {
			var err error
			if s.Of[i], err = address(s.Of[i], rest); err != nil {
				return nil, err
			}
		}
		return s, nil
	}
	return spec, nil
}

const maxKey = 1 << 20

func (f *deliverFlags) custodian(to string) (custodian, error) {
	name, path, ok := strings.Cut(to, "=")
	if !ok {
		name, path = "", to
	}
	switch {
	case path == byPaper || path == byTerminal:
		if name == "" {
			return custodian{}, fmt.Errorf("%w: name the holder: NAME=%s", errDelivery, path)
		}
		return custodian{seal.Custodian{Name: name}, path}, nil
	case path == "":
		return custodian{}, fmt.Errorf("%w: it names no file", errDelivery)
	}
	info, err := os.Stat(path)
	if err != nil {
		return custodian{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKey {
		return custodian{}, fmt.Errorf("%w: it is no file of a key", errDelivery)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return custodian{}, err
	}
	text := string(key)
	if bytes.ContainsFunc(key, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }) { // an OpenPGP key in its binary form
		text = base64.StdEncoding.EncodeToString(key)
	}
	recipient, known, err := agerecipient.Config{Plugins: f.Plugin, Else: pgp.Parse}.Parse(text)
	if err != nil {
		return custodian{}, err
	}
	if name == "" {
		name = known
	}
	return custodian{seal.Custodian{Name: name, Recipient: recipient}, byKey}, nil
}

// asked reports what is missing on the command line, or around it.
func (p *post) asked(a *app) error {
	if p.any(byPaper) {
		if err := cardTexts(p.flags.About, p.flags.Contact); err != nil {
			return err
		}
	}
	if p.any(byTerminal) {
		if _, err := a.terminal(); err != nil {
			return fmt.Errorf("%w: %w: give the shares to keys or to paper", errDelivery, err)
		}
	}
	if p.any(byPaper, byKey) && p.flags.OutDir == "" {
		return fmt.Errorf("%w: give --out-dir DIR for the files", errDelivery)
	}
	return nil
}

// any reports whether a share goes one of these ways.
func (p *post) any(ways ...string) bool {
	return slices.ContainsFunc(p.to, func(c custodian) bool { return slices.Contains(ways, c.way) })
}

// ready finds out, before anything is changed, that files can be written.
func (p *post) ready() error {
	if !p.any(byPaper, byKey) {
		return nil
	}
	if err := os.Mkdir(p.flags.OutDir, 0o700); err == nil {
		return syncDir(filepath.Dir(filepath.Clean(p.flags.OutDir)))
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	probe, err := os.CreateTemp(p.flags.OutDir, ".probe")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// deliver brings each share to its custodian: what is a file is durable before
// anything is shown, and before this returns. It wipes the shares.
func (p *post) deliver(ctx context.Context, a *app, d seal.Delivery) ([]deliveredView, error) {
	defer d.Wipe()
	var out []deliveredView
	var show []func(*tty) error
	next := 0
	for _, set := range d.Sets {
		for i := range set.Shares {
			c := p.to[next]
			next++
			v := deliveredView{Slot: set.Slot, Set: set.Set, Number: i + 1, Custodian: set.Custodians[i], Way: c.way, Hint: set.Hints[i]}
			if c.way == byTerminal {
				share, number := set.Shares[i], len(set.Shares)
				show = append(show, func(t *tty) error { return t.show(ctx, share, v, number) })
				out = append(out, v)
				continue
			}
			content, ending, err := p.content(set, i, c)
			if err != nil {
				return out, err
			}
			v.File = filepath.Join(p.flags.OutDir, fmt.Sprintf("%s-set%d-share%d-%s%s", fileName(set.Slot), set.Set, i+1, fileName(c.Name), ending))
			err = writeDurably(v.File, content)
			clear(content)
			if err != nil {
				return out, err
			}
			out = append(out, v)
		}
	}
	if len(show) == 0 {
		return out, nil
	}
	t, err := a.terminal()
	if err != nil {
		return out, err
	}
	defer t.loud()
	for _, f := range show {
		if err := f(t); err != nil {
			return out, err
		}
	}
	return out, nil
}

// content is what is written of a share.
func (p *post) content(set seal.ShareSet, i int, c custodian) (content []byte, ending string, err error) {
	if c.way == byKey {
		switch sealed := set.Encrypted[i]; {
		case bytes.HasPrefix(sealed, []byte("-----BEGIN AGE")):
			return sealed, ".age", nil
		case bytes.HasPrefix(sealed, []byte("-----BEGIN PGP")):
			return sealed, ".asc", nil
		default:
			return sealed, ".gpg", nil
		}
	}
	card := paper.Card{
		About: paper.About{Store: p.flags.About, Contact: p.flags.Contact, Check: cardCheck},
		Slot:  set.Slot, Set: set.Set, Number: i + 1, Shares: len(set.Shares), Threshold: set.Threshold, Custodian: set.Custodians[i], Share: set.Shares[i],
	}
	var b bytes.Buffer
	err = paper.Write(&b, card)
	return b.Bytes(), ".html", err
}

// writeDurably makes a new file that its owner alone may read.
func writeDurably(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w", name, errThere)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// fileName is a name of which a file's can be made.
func fileName(name string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	return clean[:min(len(clean), 40)]
}

func toldDelivery(slot string, delivered []deliveredView) string {
	var b strings.Builder
	fmt.Fprintf(&b, "slot %s is made, and pending until it is proven\n", slot)
	for _, v := range delivered {
		fmt.Fprintf(&b, "  share %d of set %d to %s: %s", v.Number, v.Set, v.Custodian, v.Way)
		if v.File != "" {
			fmt.Fprintf(&b, " %s", v.File)
		}
		if v.Hint != "" {
			fmt.Fprintf(&b, " (%s)", v.Hint)
		}
		fmt.Fprintln(&b)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
