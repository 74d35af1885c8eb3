// Sealwright opens what a server's seal protects when the server is gone. It needs
// the record, and people's shares or a KMS; no server, and no network but the KMS's.
//
//	go install github.com/sealwright/sealwright/examples/sealwright@latest
//
//	sealwright inspect --store /var/lib/server/seal/record     what opens it, and whom to call
//	sealwright open --store …                                  asks for shares, and proves that they suffice
//	age -d share.age | sealwright open --store …               takes them from standard input
//	sealwright export sql --store … --db … --table tokens --columns secret --out tokens.jsonl
//
// A store is a file of package filestore, a bbolt file as examples/server has it, a
// SQLite file, postgres://…, mysql://…, or a bare record, which can be read alone.
// What reads works on a copy of the record in memory, and writes nothing: open,
// decrypt, export, check-share, drill. What changes the store is one compare-and-swap
// of the library's own operations after another, so that a process that is killed
// leaves the record before or after.
//
// Shares are asked for without echo, or come from files or standard input. They are
// never taken as arguments or from variables, which others on the machine can read.
//
// It exits with 0 where the store opened, or what was asked is done; with 2 where the
// store stays sealed by what was given; with 1 for any other error. With --json it
// prints one object, whose shape stands in docs/OPERATIONS.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	hardenProcess()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), stdio{os.Stdin, os.Stdout, os.Stderr, openTTY}))
}

// A stdio is what a run reads and writes: standard input, output and error, and the
// terminal.
type stdio struct {
	in       *os.File
	out, err io.Writer
	openTTY  func() (*tty, error)
}

// The codes are those of `vault status`.
const (
	exitDone   = 0
	exitError  = 1
	exitSealed = 2
)

// An exit is how kong ends the program, after --help.
type exit int

func run(ctx context.Context, args, env []string, std stdio) (code int) {
	defer func() {
		if p := recover(); p != nil {
			c, ok := p.(exit)
			if !ok {
				panic(p)
			}
			code = int(c)
		}
	}()
	if err := guard(args, env); err != nil {
		fmt.Fprintln(std.err, "sealwright:", err)
		return exitError
	}
	var c cli
	a := &app{cli: &c, proved: map[string]bool{}, read: map[string]bool{}, stdio: std}
	parser, err := kong.New(&c,
		kong.Name("sealwright"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Vars{"table": defaultTable, "name": defaultName, "bucket": defaultBucket},
		kong.Bind(a),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // the grammar is ours
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err == nil {
		err = once(parsed)
	}
	if err != nil {
		fmt.Fprintf(std.err, "sealwright: %v\n", err)
		fmt.Fprintln(std.err, "next: sealwright --help")
		return exitError
	}
	defer a.close()
	return a.finish(parsed.Run())
}

// once refuses a flag given twice that takes one value: kong has the last one count,
// and who meant both, or forgot the first, is not told.
func once(parsed *kong.Context) error {
	seen := map[*kong.Flag]bool{}
	for _, p := range parsed.Path {
		f := p.Flag
		if f == nil || f.IsBool() || f.IsCumulative() {
			continue
		}
		if seen[f] {
			return fmt.Errorf("--%s is given twice, and takes one value", f.Name)
		}
		seen[f] = true
	}
	return nil
}

// finish tells of an error, and returns the code that it has.
func (a *app) finish(err error) int {
	if err == nil {
		return exitDone
	}
	code := exitError
	if errors.Is(err, errStaysSealed) {
		code = exitSealed
	}
	if errors.Is(err, errTold) {
		return code
	}
	a.fail(err)
	return code
}
