// Ratios measures Sealwright beside other implementations of the same thing,
// and beside what it cannot do without, in one run: each speaks of a ratio of the
// processors' time, so the machine and what else runs on it matter little.
//
//	cd internal/interop && GOWORK=off go run ./ratios [-run regexp] [-passes n] [-svg file]
//
// It prints a table of the time and the allocations of one operation and of the
// ratios, and one line for each ratio that scripts can read:
//
//	RATIO split/3of5/32B/vault 21.7
//
// Against a peer the value says how many times as long as Sealwright it takes:
// higher is better. Against a floor it says how many times as long as the
// floor Sealwright takes: lower is better, and 1 is the end. The floors are raw,
// rand, hit, keyring and nothing. The ratios named parallel are of the clock on the wall, and need
// processors that nobody else uses. With -svg, the throughput of the encrypt
// benchmarks becomes a diagram.
//
// At its end it runs the module internal/interop/peers likewise, which stands
// outside of the workspace, for peers that require a lot. Where that cannot be
// built, for want of a network, it says so and goes on.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/measure"
)

func benchmarks() []measure.Benchmark {
	others := encryptions()
	return slices.Concat(splitBenchmarks(), combineBenchmarks(), measure.Encrypt(others), measure.Decrypt(others), parallelBenchmarks(), missBenchmarks(), namedBenchmarks(), transitBenchmarks())
}

func main() {
	log.SetFlags(0)
	svg := flag.String("svg", "", "write a diagram of the encrypt benchmarks to this file")
	options := measure.ParseOptions()

	start := time.Now()
	conditions := measure.Conditions(options.Passes)
	fmt.Printf("%s\n\n", conditions)
	results := options.Run(benchmarks())
	if err := measure.PrintTable(os.Stdout, results); err != nil {
		log.Fatal(err)
	}
	fmt.Println()
	more, err := peers(options)
	if err != nil {
		fmt.Printf("Without go-kms-wrapping and Go Cloud: %v\n\n", err)
	} else if len(more) > 0 {
		fmt.Print("In a process of their own:\n\n")
		if err := measure.PrintTable(os.Stdout, more); err != nil {
			log.Fatal(err)
		}
		fmt.Println()
	}
	results = append(results, more...)
	if err := measure.PrintRatios(os.Stdout, results); err != nil {
		log.Fatal(err)
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
