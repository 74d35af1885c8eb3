// Package flags reads a program's flags.
package flags

import (
	"flag"
	"fmt"
	"os"
)

// Parse is flag.Parse, and ends the program where something is no flag: a dash
// that was forgotten must not make a migration of a dry run.
func Parse() {
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(flag.CommandLine.Output(), "%q is no flag: is its dash missing?\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
}
