// Shamir-to-kms moves an existing store from people's shares to a KMS key,
// while nothing restarts. Try it on what the quickstart leaves:
//
//	go run ./examples/quickstart -dir /some/dir
//	go run ./examples/shamir-to-kms -dir /some/dir -dry-run
//	go run ./examples/shamir-to-kms -dir /some/dir
//
// The shares are asked for without echo; -shares names a file with one on each
// line, or - for standard input. People's shares go on opening the store, as
// recovery shares, unless -drop is given.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/sealwright/sealwright/examples/internal/flags"
	"github.com/sealwright/sealwright/examples/internal/localstore"
	"github.com/sealwright/sealwright/examples/internal/terminal"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

func main() {
	dir := flag.String("dir", "", "the `directory` of the store")
	shares := flag.String("shares", "", "a `file` with a share on each line, or - (default: ask)")
	slot := flag.String("slot", "auto", "the `name` of the new slot")
	drop := flag.Bool("drop", false, "drop the people slots: their shares open nothing afterwards")
	dryRun := flag.Bool("dry-run", false, "tell what would be done, and change nothing")
	flags.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *shares, *slot, *drop, *dryRun); err != nil {
		fmt.Fprintln(os.Stderr, "shamir-to-kms:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, sharesFrom, slot string, drop, dryRun bool) error {
	b, err := localstore.Open(dir)
	if err != nil {
		return err
	}
	defer b.Close()
	err = localstore.Unseal(ctx, b, func() (*terminal.Source, error) { return terminal.Open(sharesFrom) })
	if err != nil {
		return err
	}
	if err := localstore.CreateKey(ctx, dir, b); err != nil {
		return err
	}
	plan := migrate.Plan{Slots: map[string]seal.Spec{slot: seal.KMS{Wrapper: localstore.KMS}}}
	for _, s := range b.Status().Slots {
		if drop && s.Name != slot && seal.HasPeople(s.Spec) {
			plan.Drop = append(plan.Drop, s.Name)
		}
	}
	report, err := migrate.Check(ctx, b, plan)
	if err == nil {
		err = terminal.Report(report)
	}
	if err != nil || dryRun {
		return err
	}
	r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{By: seal.By{Actor: "shamir-to-kms"}, Progress: terminal.Progress})
	if err != nil {
		return fmt.Errorf("%w\nNothing is lost: run the same command again to go on", err)
	}
	if !r.Done {
		return errors.New("the migration waits for something that this program does not know")
	}
	fmt.Println("migrated.")
	terminal.Summary(b.Status())
	return nil
}
