package measure

import (
	"flag"
	"os"
	"regexp"
	"slices"
)

// Options are the flags of a command that measures.
type Options struct {
	Match  *regexp.Regexp // the names of the benchmarks to run
	Passes int
}

// ParseOptions parses the command line, with these flags and those that the
// command defined before. It ends the process if the line is wrong.
func ParseOptions() Options {
	run := flag.String("run", "", "only the benchmarks whose names match this regular expression")
	passes := flag.Int("passes", 150, "how often to measure everything; the lowest tenth counts")
	flag.Parse()
	match, err := regexp.Compile(*run)
	if err != nil || flag.NArg() > 0 || *passes < 1 {
		flag.Usage()
		os.Exit(2)
	}
	return Options{match, *passes}
}

// Run runs what the options choose.
func (o Options) Run(benchmarks []Benchmark) []Result {
	return Run(slices.DeleteFunc(benchmarks, func(b Benchmark) bool { return !o.Match.MatchString(b.Name) }), o.Passes)
}
