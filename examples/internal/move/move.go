// Package move is what the programs share that migrate a store from the slots
// it has to those that a configuration wants.
package move

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/examples/internal/cloudstore"
	"github.com/sealwright/sealwright/examples/internal/flags"
	"github.com/sealwright/sealwright/examples/internal/terminal"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// A Program is a migration of one kind.
type Program struct {
	Name string

	Wants string // the type of the stanza that this program migrates to
	Demo  Demo
}

// options are what the flags say.
type options struct {
	cloudstore.Place
	shares, out           string
	drop, dryRun, reissue bool
}

// Main runs the program by its flags, and ends the process if it fails.
func (p Program) Main() {
	var o options
	o.Flags(flag.CommandLine)
	flag.StringVar(&o.shares, "shares", "", "a `file` with a share on each line, or - (default: ask)")
	flag.StringVar(&o.out, "out", "", "a new `file` for new shares (default: print them)")
	flag.BoolVar(&o.drop, "drop", false, "drop the slots that the configuration does not want: they open nothing afterwards")
	flag.BoolVar(&o.dryRun, "dry-run", false, "tell what would be done, and change nothing")
	flag.BoolVar(&o.reissue, "reissue", false, "make new shares again: the ones made before are lost")
	demo := flag.Bool("demo", false, "show the whole with fake clouds in this process, in a temporary directory")
	flags.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return p.run(ctx, o) }
	if *demo {
		run = func() error { return p.demo(ctx) }
	}
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		os.Exit(1)
	}
}

func (p Program) run(ctx context.Context, o options) error {
	if err := p.suits(o); err != nil {
		return err
	}
	b, setup, err := o.Open(seal.Config{})
	if err != nil {
		return err
	}
	defer b.Close()
	for _, note := range setup.Notes {
		fmt.Println("note:", note)
	}
	if _, err := os.Stat(o.Record()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no store in %s: is -dir right, and its volume mounted?", o.Dir)
	}
	if err := o.unseal(ctx, b); err != nil {
		return err
	}
	plan := migrate.Plan{Slots: setup.Slots}
	if len(plan.Slots) == 0 {
		return fmt.Errorf("%s wants no slot: say shares and threshold in the seal \"shamir\" stanza", o.Config)
	}
	for _, s := range b.Status().Slots {
		if _, wanted := setup.Slots[s.Name]; o.drop && !wanted && !slices.Contains(plan.Drop, s.Name) {
			plan.Drop = append(plan.Drop, s.Name)
		}
	}
	report, err := migrate.Check(ctx, b, plan)
	if err == nil {
		err = terminal.Report(report)
	}
	if err == nil {
		err = terminal.NewFile(o.out, report, o.reissue)
	}
	if err != nil || o.dryRun {
		return err
	}
	if err := p.reconcile(ctx, b, plan, o); err != nil {
		return fmt.Errorf("%w\nNothing is lost, the old slots open the store: run the same command again to go on, with -reissue if new shares are lost", err)
	}
	fmt.Println("migrated.")
	terminal.Summary(b.Status())
	return nil
}

// suits checks that the configuration is one that the program migrates to.
func (p Program) suits(o options) error {
	stanzas, err := o.Stanzas()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(stanzas, func(s sealconf.Stanza) bool { return s.Type == p.Wants && !s.Disabled }) {
		var has []string
		for _, s := range stanzas {
			text := fmt.Sprintf("%q", s.Type)
			if s.Disabled {
				text += " (disabled)"
			}
			has = append(has, text)
		}
		return fmt.Errorf("%s has no seal %q stanza that is not disabled, so there is nothing to migrate to; it has: %s", o.Config, p.Wants, strings.Join(has, ", "))
	}
	return nil
}

// unseal opens the barrier through its KMS slots if it can, and with shares
// otherwise.
func (o options) unseal(ctx context.Context, b *seal.Barrier) error {
	err := b.Unseal(ctx)
	if err == nil {
		fmt.Println("Unsealed without people.")
		return nil
	}
	if !errors.Is(err, seal.ErrSealed) {
		return err
	}
	fmt.Println(b.Sealed())
	shares, err := terminal.Open(o.shares)
	if err != nil {
		return err
	}
	defer shares.Close()
	return shares.Submit(func(s seal.Share) (bool, error) {
		return b.Submit(ctx, s, seal.By{})
	})
}

// reconcile walks the way, and asks people where it needs them.
func (p Program) reconcile(ctx context.Context, b *seal.Barrier, plan migrate.Plan, o options) error {
	opt := migrate.Options{By: seal.By{Actor: p.Name}, Progress: terminal.Progress, Deliver: o.deliver, Reissue: o.reissue}
	r, err := migrate.Reconcile(ctx, b, plan, opt)
	for err == nil && !r.Done {
		fmt.Printf("Now %v: its shares are to be given.\n", *r.Waiting)
		if err = o.prove(ctx, b, r); err == nil {
			opt.Reissue = false
			r, err = migrate.Reconcile(ctx, b, plan, opt)
		}
	}
	return err
}

// deliver gives new shares to whoever runs this program, who takes them to their
// custodians.
func (o options) deliver(d seal.Delivery) error {
	var text strings.Builder
	for _, set := range d.Sets {
		for _, s := range set.Shares {
			fmt.Fprintln(&text, s.Reveal())
		}
	}
	if o.out == "" {
		fmt.Printf("\n%s\n", text.String())
		return nil
	}
	f, err := os.OpenFile(o.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text.String())
	return errors.Join(err, f.Sync(), f.Close())
}

// prove gives shares to the migration until it has what it waits for.
func (o options) prove(ctx context.Context, b *seal.Barrier, r migrate.Result) error {
	shares, err := terminal.Open(o.shares)
	if err != nil {
		return err
	}
	defer shares.Close()
	by := seal.By{Actor: "custodian", Operation: r.Operation}
	return shares.Submit(func(s seal.Share) (bool, error) {
		return b.Submit(ctx, s, by)
	})
}
