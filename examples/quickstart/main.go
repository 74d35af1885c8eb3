// Quickstart shows the life of a sealed store, on real files: it is made,
// unsealed by people, used, moved from people's shares to a KMS key and back
// while it runs, and killed in the middle of the move; nothing is lost.
//
//	go run ./examples/quickstart [-keep | -dir DIR]
//
// It exits with 0 only if every step has verified itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/sealwright/sealwright/examples/internal/flags"
)

func main() {
	dir := flag.String("dir", "", "an empty or new `directory` to work in, and to leave there (default: a temporary one)")
	keep := flag.Bool("keep", false, "keep the temporary directory, to look at the files")
	killAfter := flag.Int("kill-after", 0, "internal: migrate, and stop for ever after that many writes")
	flags.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *killAfter > 0 {
		if err := migrateAsChild(ctx, *dir, *killAfter); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, *dir, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "\nquickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, keep bool) (err error) {
	keep = keep || dir != ""
	if dir == "" {
		if dir, err = os.MkdirTemp("", "sealwright-quickstart-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	} else if entries, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: give a new directory", dir)
	}
	if keep {
		defer func() { fmt.Printf("\nThe files are in %s\n", dir) }()
	} else {
		defer os.RemoveAll(dir)
	}
	s, err := newStory(ctx, dir)
	if err != nil {
		return err
	}
	for _, chapter := range []func(context.Context) error{
		s.initialize, s.unsealByPeople, s.restart, s.checkTheMove, s.killInTheMiddle, s.moveToKMS, s.comeUpAlone, s.moveBack,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	fmt.Println("\nEvery step verified itself: nothing was lost.")
	return nil
}
