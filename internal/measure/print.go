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
	return fmt.Sprintf("%s %s/%s, %d processors%s, %d passes, medians",
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

// PrintTable prints a table of the time and the allocations of one operation, and
// of the ratios.
func PrintTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range results {
		fmt.Fprintf(table, "%s\tsealwright\t%v\t%d allocs\n", r.Name, round(r.Ours.Time), r.Ours.Allocs)
		for _, o := range r.Others {
			fmt.Fprintf(table, "\t%s\t%v\t%d allocs\t%.3g\n", o.Name, round(o.Time), o.Allocs, o.Ratio)
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
