// Fields shows how a server that keeps other people's secrets, encrypted with a
// key from its environment, adopts a keyring without a flag day: third-party
// tokens in a SQL table, and sessions in a bbolt file. What is stored is
// converted while others write to it, the key is rotated, and the old ones are
// taken away; nothing is lost.
//
//	go run ./examples/fields [-dir DIR] [-keep] [-rows N]
//
// It exits with 0 only if every step has verified itself. The tokens are a source of
// package sqlsource; bucket.go is made to be copied.
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
	dir := flag.String("dir", "", "an empty or new `directory` to work in (default: a temporary one)")
	keep := flag.Bool("keep", false, "keep the directory, to look at the files")
	rows := flag.Int("rows", 2000, "the `number` of tokens")
	flags.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *keep, *rows); err != nil {
		fmt.Fprintln(os.Stderr, "\nfields:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, keep bool, rows int) (err error) {
	if rows < 100 {
		return fmt.Errorf("-rows is %d: give at least 100", rows)
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "sealwright-fields-"); err != nil {
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
	s := newStory(dir, rows)
	defer s.close()
	for _, chapter := range []func(context.Context) error{
		s.before, s.adopt, s.rotate, s.refuse, s.rewrapAndStop, s.rewrapToTheEnd, s.retire, s.restart, s.keep,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	fmt.Println("\nEvery step verified itself: nothing was lost.")
	return nil
}
