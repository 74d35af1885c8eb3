package main

import (
	"context"
	"io"
	"os"
)

// Run is a run of the program in the process of its test, without a terminal.
func Run(ctx context.Context, args, env []string, in *os.File, out, err io.Writer) (code int) {
	return run(ctx, args, env, stdio{in, out, err, func() (*tty, error) { return nil, errNoTerminal }})
}

// Main is the program, in a process of its own.
func Main() { main() }
