package measure

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Conditions says in one line what was measured on, and how.
func Conditions(passes int) string {
	return fmt.Sprintf("%s %s/%s, %d processors%s, %d passes, the lowest tenth of them",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), processor(), passes)
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

// PrintTable prints a table of one operation: its time, the least of it, by how
// much the median is above the time, its allocations; and the ratios of the times
// and of the least.
func PrintTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	cost := func(name, who string, c Cost) {
		spread := 0.0
		if c.Time > 0 {
			spread = 100 * (float64(c.Median)/float64(c.Time) - 1)
		}
		fmt.Fprintf(table, "%s\t%s\t%v\tleast %v\t+%.0f%%\t%d allocs", name, who, round(c.Time), round(c.Least), spread, c.Allocs)
	}
	for _, r := range results {
		cost(r.Name, "sealwright", r.Ours)
		fmt.Fprintln(table)
		for _, o := range r.Others {
			cost("", o.Name, o.Cost)
			fmt.Fprintf(table, "\t%.3g\tleast %.3g\n", o.Ratio, o.LeastRatio)
		}
	}
	return table.Flush()
}

// PrintRatios prints a line for each ratio, which scripts can read.
func PrintRatios(w io.Writer, results []Result) error {
	for _, r := range results {
		for _, o := range r.Others {
			if _, err := fmt.Fprintf(w, "RATIO %s/%s %.4g\n", r.Name, o.Name, o.Ratio); err != nil {
				return err
			}
		}
	}
	return nil
}

// round leaves three digits of d, or so.
func round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
