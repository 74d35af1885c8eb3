//go:build unix

// Rewrapbench measures how fast a column is rewrapped, beside a row at a time and
// beside the same statements without cryptography, over databases that it starts
// itself, with durable commits.
//
//	cd internal/interop/rewrapbench && GOWORK=off go run . [-run regexp] [-rows n] [-passes n] [-svg file] [-memory] [-live]
//
// Everything that is compared runs interleaved, pass after pass. Beside a row at a
// time the ratio is the median of the passes' own ratios: how long a disk takes to
// sync changes from minute to minute, on a shared machine by ten times and more, and
// both sides of a pass meet the same. Beside the floor, which is measured page by
// page on the same table, and of the census, which is measured by the time that the
// processors spend on this program and on the database, it is that of the best tenth
// of each side. Both stand in the table, and the spread. One line for each ratio is
// for scripts:
//
//	RATIO rewrap/postgres/rowbyrow 48.1
//
// The census by the clock is there as well, which needs processors that nobody else
// uses, and beside what no census can be faster than, count(*) over the table.
//
// With -memory it rewraps five million rows and looks at what the process holds;
// with -live it measures what writers notice.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/go-sql-driver/mysql"
)

// A comparison is two ways to do the same, each of which says how many rows a
// second it did, of the clock or of the processors.
type comparison struct {
	name         string
	target       float64 // 0 for none
	ours, theirs func(ctx context.Context) (rate float64, err error)

	// times is how often both are measured in each pass, by turns; 0 is once.
	times int

	// best has the ratio be that of the best tenth of each side, where what
	// disturbs only ever slows one down: short measurements, or such of the
	// processors' time. Otherwise it is the median of the passes' own ratios.
	best bool
}

func main() {
	log.SetFlags(0)
	match := flag.String("run", "", "only the comparisons whose names match this regular expression")
	rows := flag.Int("rows", 20_000, "how many rows the tables have")
	counted := flag.Int("counted", 1_000_000, "how many rows the census has")
	passes := flag.Int("passes", 15, "how often to measure everything")
	svg := flag.String("svg", "", "measure sizes of pages too, and draw them in this file")
	memory := flag.Bool("memory", false, "rewrap five million rows, and measure memory")
	live := flag.Bool("live", false, "measure the latency of live writes beside a rewrap")
	flag.Parse()
	wanted, err := regexp.Compile(*match)
	if err != nil || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	mysql.SetLogger(&mysql.NopLogger{})
	if err := run(context.Background(), wanted, *rows, *counted, *passes, *svg, *memory, *live); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, wanted *regexp.Regexp, rows, counted, passes int, svg string, memory, live bool) error {
	b := &bench{rows: rows}
	defer b.close()
	conditions := fmt.Sprintf("%s %s/%s, %d processors, %s, %d rows, %d passes", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.GOMAXPROCS(0), time.Now().UTC().Format("2006-01-02 15:04 MST"), rows, passes)
	fmt.Println(conditions)
	comparisons, err := b.comparisons(ctx, wanted, counted)
	if err != nil {
		return err
	}
	if err := compare(ctx, os.Stdout, comparisons, passes); err != nil {
		return err
	}
	if svg != "" {
		if err := b.sizes(ctx, passes, svg, conditions); err != nil {
			return err
		}
	}
	if memory {
		if err := b.memory(ctx, 5_000_000); err != nil {
			return err
		}
	}
	if live {
		return b.live(ctx)
	}
	return nil
}

// compare runs all, pass after pass, and prints a table and the ratios.
func compare(ctx context.Context, w io.Writer, all []comparison, passes int) error {
	ours, theirs := make([][]float64, len(all)), make([][]float64, len(all))
	for range passes {
		for i, c := range all {
			for range max(1, c.times) {
				rate, err := c.ours(ctx)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				ours[i] = append(ours[i], rate)
				if rate, err = c.theirs(ctx); err != nil {
					return fmt.Errorf("%s, the other side: %w", c.name, err)
				}
				theirs[i] = append(theirs[i], rate)
			}
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\trows/s\tother side\tratio\tof the best\tmedian\tspread\ttarget")
	var lines []string
	for i, c := range all {
		var ratios []float64
		for k := range ours[i] {
			ratios = append(ratios, ours[i][k]/theirs[i][k])
		}
		slices.Sort(ratios)
		mine, other, target := bestTenth(ours[i]), bestTenth(theirs[i]), "–"
		ratio, median := ratios[len(ratios)/2], ratios[len(ratios)/2]
		if c.best {
			ratio = mine / other
		}
		if c.target > 0 {
			target = fmt.Sprintf("≥ %g", c.target)
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.3g\t%.3g\t%.3g\t%.3g to %.3g\t%s\n", c.name, mine, other, ratio,
			mine/other, median, ratios[0], ratios[len(ratios)-1], target)
		lines = append(lines, fmt.Sprintf("RATIO %s %.4g", c.name, ratio))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	return nil
}

// bestTenth is the mean of the best tenth of some rates, or the best one.
func bestTenth(rates []float64) (mean float64) {
	rates = slices.Sorted(slices.Values(rates))
	best := rates[len(rates)-max(1, len(rates)/10):]
	for _, rate := range best {
		mean += rate / float64(len(best))
	}
	return mean
}

// sizes measures each size of a page over each database, interleaved.
func (b *bench) sizes(ctx context.Context, passes int, path, conditions string) error {
	pages := []int{1, 3, 10, 30, 100, 300, 1000, 3000}
	best := map[string]map[int]float64{}
	for range passes {
		for _, n := range pages {
			for _, t := range b.tables() {
				rate, err := t.rewrap(ctx, n, min(b.rows, 200*n+100))
				if err != nil {
					return fmt.Errorf("%s, pages of %d: %w", t.name, n, err)
				}
				if best[t.name] == nil {
					best[t.name] = map[int]float64{}
				}
				best[t.name][n] = max(best[t.name][n], rate)
			}
		}
	}
	var lines []line
	for _, t := range b.tables() {
		l := line{name: t.name}
		for _, n := range pages {
			fmt.Printf("PAGE %s %d %.0f\n", t.name, n, best[t.name][n])
			l.points = append(l.points, [2]float64{float64(n), best[t.name][n]})
		}
		lines = append(lines, l)
	}
	return os.WriteFile(path, plot(lines, conditions), 0o644)
}

func percentile(values []time.Duration, p float64) time.Duration {
	values = slices.Clone(values)
	slices.SortFunc(values, cmp.Compare[time.Duration])
	return values[min(len(values)-1, int(float64(len(values))*p))]
}
