// Kms-to-shamir moves an existing store from a KMS key to people's shares,
// while nothing restarts:
//
//	go run ./examples/kms-to-shamir -dir /some/dir -n 5 -t 3 -out shares.txt
//
// The new shares are printed, or written to -out, one on each line, readable by
// you alone. Then a threshold of them is asked for, without echo, to prove that
// they arrived; -shares names a file or - instead. Only after that the KMS key's
// slot is dropped, and only with -drop.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/sealwright/sealwright/examples/internal/flags"
	"github.com/sealwright/sealwright/examples/internal/localstore"
	"github.com/sealwright/sealwright/examples/internal/terminal"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

type options struct {
	dir, shares, out, slot string
	n, t                   int
	drop, dryRun, reissue  bool
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "the `directory` of the store")
	flag.IntVar(&o.n, "n", 5, "how many shares to make")
	flag.IntVar(&o.t, "t", 3, "how many of them open the store")
	flag.StringVar(&o.slot, "slot", "people", "the `name` of the new slot")
	flag.StringVar(&o.out, "out", "", "a new `file` for the new shares (default: print them)")
	flag.StringVar(&o.shares, "shares", "", "a `file` with the shares to prove, or - (default: ask)")
	flag.BoolVar(&o.drop, "drop", false, "drop the KMS slots when the people have proven theirs")
	flag.BoolVar(&o.dryRun, "dry-run", false, "tell what would be done, and change nothing")
	flag.BoolVar(&o.reissue, "reissue", false, "make the new shares again: the ones made before are lost")
	flags.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "kms-to-shamir:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	b, err := localstore.Open(o.dir)
	if err != nil {
		return err
	}
	defer b.Close()
	source := func() (*terminal.Source, error) { return terminal.Open(o.shares) }
	if err := localstore.Unseal(ctx, b, source); err != nil {
		return err
	}
	plan := migrate.Plan{Slots: map[string]seal.Spec{o.slot: seal.Shamir{Shares: o.n, Threshold: o.t}}}
	for _, s := range b.Status().Slots {
		if o.drop && s.Name != o.slot && !seal.HasPeople(s.Spec) {
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
	opt := migrate.Options{By: seal.By{Actor: "kms-to-shamir"}, Progress: terminal.Progress, Deliver: o.deliver, Reissue: o.reissue}
	r, err := migrate.Reconcile(ctx, b, plan, opt)
	for err == nil && !r.Done {
		fmt.Printf("Now %v: the new shares are to be given back.\n", r.Waiting)
		if err = o.prove(ctx, b, r, source); err == nil {
			opt.Reissue = false
			r, err = migrate.Reconcile(ctx, b, plan, opt)
		}
	}
	if err != nil {
		return fmt.Errorf("%w\nNothing is lost, the old slots open the store: run the same command again to go on, with -reissue if the new shares are lost", err)
	}
	fmt.Println("migrated.")
	terminal.Summary(b.Status())
	return nil
}

// deliver gives the new shares to whoever runs this program, who takes them to
// their custodians.
func (o options) deliver(d seal.Delivery) error {
	var text strings.Builder
	for _, s := range d.Sets[0].Shares {
		fmt.Fprintln(&text, s.Reveal())
	}
	if o.out == "" {
		fmt.Printf("\n%s\n", text.String())
		return nil
	}
	f, err := os.OpenFile(o.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text.String()); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// prove gives the new shares to the migration until they suffice.
func (o options) prove(ctx context.Context, b *seal.Barrier, r migrate.Result, source func() (*terminal.Source, error)) error {
	shares, err := source()
	if err != nil {
		return err
	}
	defer shares.Close()
	by := seal.By{Actor: "kms-to-shamir", Operation: r.Operation}
	return shares.Submit(func(s seal.Share) (bool, error) {
		return b.Submit(ctx, s, by)
	})
}
