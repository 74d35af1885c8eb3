// Ratios measures Sealwright beside other implementations of the same thing,
// and beside what it cannot do without, in one run: each speaks of a ratio, so
// the machine and what else runs on it matter little.
//
//	go run ./internal/interop/ratios [-run regexp] [-passes n] [-svg file]
//
// It prints a table of the time and the allocations of one operation and of the
// ratios, and one line for each ratio that scripts can read:
//
//	RATIO split/3of5/32B/vault 21.7
//
// Against a peer the value says how many times as long as Sealwright it takes:
// higher is better. Against a floor it says how many times as long as the
// floor Sealwright takes: lower is better, and 1 is the end. With -svg, the
// throughput of the encrypt benchmarks becomes a diagram.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A benchmark is an operation of Sealwright, and others to compare it with.
type benchmark struct {
	name   string      // "split/3of5/32B"
	bytes  int         // that one operation goes through; 0 where that says little
	ours   func(n int) // does it n times
	others []other
}

// An other is what a benchmark is compared with.
type other struct {
	name  string // "vault"
	floor bool   // not a peer, but part of what ours does as well
	run   func(n int)
}

func benchmarks() []benchmark {
	return slices.Concat(splitBenchmarks(), combineBenchmarks(), encryptBenchmarks(), decryptBenchmarks())
}

func main() {
	log.SetFlags(0)
	run := flag.String("run", "", "only the benchmarks whose names match this regular expression")
	passes := flag.Int("passes", 11, "how often to measure everything; the medians count")
	svg := flag.String("svg", "", "write a diagram of the encrypt benchmarks to this file")
	flag.Parse()
	match, err := regexp.Compile(*run)
	if err != nil || flag.NArg() > 0 || *passes < 1 {
		flag.Usage()
		os.Exit(2)
	}
	chosen := slices.DeleteFunc(benchmarks(), func(b benchmark) bool { return !match.MatchString(b.name) })

	start := time.Now()
	conditions := fmt.Sprintf("%s %s/%s, %d processors%s, %d passes, medians",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), processor(), *passes)
	fmt.Printf("%s\n\n", conditions)
	results := measure(chosen, *passes)

	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range results {
		fmt.Fprintf(table, "%s\tsealwright\t%v\t%d allocs\n", r.name, round(r.ours.time), r.ours.allocs)
		for _, o := range r.others {
			fmt.Fprintf(table, "\t%s\t%v\t%d allocs\t%.3g\n", o.name, round(o.time), o.allocs, o.ratio)
		}
	}
	table.Flush()
	fmt.Println()
	for _, r := range results {
		for _, o := range r.others {
			fmt.Printf("RATIO %s/%s %.4g\n", r.name, o.name, o.ratio)
		}
	}
	fmt.Printf("\n%.0f s\n", time.Since(start).Seconds())

	if *svg != "" {
		diagram, err := plot("encrypt", results, conditions)
		if err == nil {
			err = os.WriteFile(*svg, diagram, 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// processor returns ", " and what Linux says that the processor is.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, found := strings.CutPrefix(line, "model name"); found {
			return ", " + strings.Trim(name, "\t\n :")
		}
	}
	return ""
}

// round leaves three digits of d, or so.
func round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
