package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

var errShape = errors.New("the shape of a slot")

// shapeFlags say what a slot is to be.
type shapeFlags struct {
	People string `placeholder:"T/N" help:"Held by N people, any T of whom open it: 2/3."`
	KMS    string `name:"kms" placeholder:"NAME" help:"Held by the key of this stanza of --config."`
	Stanza bool   `help:"As the stanza of this name in --config has it: also a tree."`
}

var peopleShape = regexp.MustCompile(`^([0-9]{1,3})(?:/|-of-| of )([0-9]{1,3})$`)

// spec reads the shape.
func (f *shapeFlags) spec(ctx context.Context, a *app, name string) (seal.Spec, error) {
	n := 0
	for _, said := range []bool{f.People != "", f.KMS != "", f.Stanza} {
		if said {
			n++
		}
	}
	if n != 1 {
		return nil, fmt.Errorf("%w: give one of --people T/N, --kms NAME, --stanza", errShape)
	}
	switch {
	case f.People != "":
		return parsePeople(f.People)
	case f.KMS != "":
		return seal.KMS{Wrapper: f.KMS}, nil
	}
	setup, err := a.seals(ctx)
	if err != nil {
		return nil, err
	}
	if setup == nil || setup.Slots[name] == nil {
		return nil, fmt.Errorf("%w: --config has no stanza that wants a slot %q", errShape, name)
	}
	return setup.Slots[name], nil
}

func parsePeople(text string) (seal.Spec, error) {
	m := peopleShape.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%w: --people is as 2/3: any 2 of 3", errShape)
	}
	t, _ := strconv.Atoi(m[1])
	n, _ := strconv.Atoi(m[2])
	if t > n || n == 0 || n > 255 || t < 1 || t == 1 && n > 1 {
		return nil, fmt.Errorf("%w: %s: at least 2 of at most 255, or 1/1", errShape, text)
	}
	return seal.Shamir{Shares: n, Threshold: t}, nil
}

type addSlotCmd struct {
	changeFlags  `embed:""`
	shapeFlags   `embed:""`
	deliverFlags `embed:""`
	Reissue      bool   `help:"The slot is there, pending, and its shares were lost: make it anew."`
	Name         string `arg:"" help:"The slot's name."`
}

func (addSlotCmd) Help() string {
	return `Makes one more way in. A KMS slot is proven at once. A people slot opens nothing until their shares have come back to prove: the old slots stay as they are.

  sealwright add-slot auto --kms auto --config server.hcl --store … --server-stopped
  sealwright add-slot ops --people 2/3 --to alice=alice.pub --to bob=bob.asc --to carol=paper --out-dir out --store … --server-stopped

Next, with people: sealwright prove NAME.`
}

func (c *addSlotCmd) Run(ctx context.Context, a *app) error {
	return a.makeSlot(ctx, c.Name, &c.changeFlags, &c.shapeFlags, &c.deliverFlags, c.Reissue, (*seal.Admin).Add)
}

type rekeyCmd struct {
	changeFlags  `embed:""`
	shapeFlags   `embed:""`
	deliverFlags `embed:""`
	Reissue      bool   `help:"The new shares were lost before they were proven: make them anew."`
	Name         string `arg:"" help:"The slot's name."`
}

func (rekeyCmd) Help() string {
	return `Makes new shares, or another shape, for a slot. The old shares stay valid until the new ones have come back to prove, and open nothing afterwards.

  sealwright rekey people --people 3/5 --to a.pub --to b.pub --to c.asc --to d.asc --to eve=paper --out-dir out --store … --server-stopped

Next: sealwright prove NAME.`
}

func (c *rekeyCmd) Run(ctx context.Context, a *app) error {
	return a.makeSlot(ctx, c.Name, &c.changeFlags, &c.shapeFlags, &c.deliverFlags, c.Reissue, (*seal.Admin).Rekey)
}

type maker func(*seal.Admin, context.Context, string, seal.Spec, seal.By) (seal.Delivery, error)

// makeSlot makes a slot, and delivers its shares. It is pending until then, and
// opens nothing, so that shares that are lost on the way lose nothing.
func (a *app) makeSlot(ctx context.Context, name string, f *changeFlags, shape *shapeFlags, to *deliverFlags, reissue bool, make maker) error {
	spec, err := shape.spec(ctx, a, name)
	if err != nil {
		return err
	}
	post, spec, err := to.prepare(a, spec)
	if err != nil {
		return err
	}
	b, err := a.openToChange(ctx, f)
	if err != nil {
		return err
	}
	if err := b.Admin().DrillSpec(ctx, spec); err != nil { // before anything is changed
		return err
	}
	if err := post.ready(); err != nil {
		return err
	}
	if reissue {
		make = (*seal.Admin).Reissue
	}
	d, err := make(b.Admin(), ctx, name, spec, a.by())
	switch {
	case errors.Is(err, seal.ErrSlotExists) && pending(b, name):
		return fmt.Errorf("%w: one that waits to be proven is made anew with --reissue, or goes by sealwright drop-slot %s --pending", err, name)
	case err != nil:
		return err
	}
	delivered, err := post.deliver(ctx, a, d)
	if err != nil {
		return fmt.Errorf("the shares were not all delivered: %w: slot %q is pending and opens nothing: run this again with --reissue, or sealwright drop-slot %s --pending", err, name, name)
	}
	if seal.NeedsPeople(spec) {
		next := fmt.Sprintf("bring each share to its holder, destroy what is left of it here, and with enough of the new shares, and of those that open the store now, run: sealwright prove %s", name)
		return a.tellChange(b, toldDelivery(name, delivered), changed{Done: true, Slots: []string{name}, Delivered: delivered, Next: next})
	}
	if _, _, err := b.Admin().Prove(ctx, name, a.by()); err != nil {
		return fmt.Errorf("slot %q was added and is pending: %w: mend that, and run: sealwright prove %s", name, err, name)
	}
	return a.tellChange(b, fmt.Sprintf("slot %s (%s) opens the store", name, spec), changed{Done: true, Slots: []string{name}, Delivered: delivered})
}

func pending(b *seal.Barrier, name string) bool {
	return slices.ContainsFunc(b.Status().Slots, func(s seal.SlotStatus) bool { return s.Name == name && s.State == seal.SlotPending })
}

type proveCmd struct {
	changeFlags `embed:""`
	Name        string `arg:"" help:"The slot's name."`
}

func (proveCmd) Help() string {
	return `Shows that a slot opens the stored record, and records it. A pending slot opens the store from then on; one made by rekey takes the old one's place, whose shares open nothing any more.

  sealwright prove ops --store … --server-stopped

It asks for what opens the store now, then for the slot's shares.`
}

func (c *proveCmd) Run(ctx context.Context, a *app) error {
	b, err := a.openToChange(ctx, &c.changeFlags)
	switch {
	case errors.Is(err, errStaysSealed) && a.gaveEarly():
		return fmt.Errorf("%w; what opens it now has to be given too: shares of a slot that waits to be proven do not open it yet", err)
	case err != nil:
		return err
	}
	if !a.proved[c.Name] { // with an operation in progress the new shares prove by unsealing
		op, done, err := b.Admin().Prove(ctx, c.Name, a.by())
		if err != nil {
			return err
		}
		if !done {
			if err := a.finishOperation(ctx, b, op, "now the shares of slot "+c.Name, &c.sharesFlags); err != nil {
				return err
			}
		}
	}
	return a.tellChange(b, fmt.Sprintf("slot %s is proven, and opens the store", c.Name), changed{Done: true, Slots: []string{c.Name}})
}

type dropSlotCmd struct {
	changeFlags `embed:""`
	Pending     bool     `help:"Only slots that wait to be proven."`
	Names       []string `arg:"" help:"The slots' names."`
}

func (dropSlotCmd) Help() string {
	return `Removes slots, and replaces root key and data key. Another slot has to open the stored record now: its KMS is asked, or else its people. The last one stays.

  sealwright drop-slot old --store … --server-stopped

Next: sealwright inspect.`
}

func (c *dropSlotCmd) Run(ctx context.Context, a *app) error {
	b, err := a.openToChange(ctx, &c.changeFlags)
	if err != nil {
		return err
	}
	var states []seal.SlotState
	if c.Pending {
		states = []seal.SlotState{seal.SlotPending}
	}
	op, done, err := b.Admin().Drop(ctx, c.Names, a.by(), states...)
	if err != nil {
		return err
	}
	if !done {
		if err := a.finishOperation(ctx, b, op, "now the shares of a slot that stays, for the proof that it opens the store", &c.sharesFlags); err != nil {
			return err
		}
	}
	return a.tellChange(b, "dropped: "+strings.Join(c.Names, ", "), changed{Done: true, Slots: c.Names})
}
