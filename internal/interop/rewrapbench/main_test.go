//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A small run, of everything: what is measured is what it says.
func TestRun(t *testing.T) {
	b := &bench{rows: 300}
	defer b.close()
	all, err := b.comparisons(t.Context(), regexp.MustCompile("sqlite|count|floor"), 2000)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := compare(t.Context(), &out, all, 2); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if !strings.Contains(out.String(), "RATIO "+c.name+" ") {
			t.Errorf("no line for %s:\n%s", c.name, out.String())
		}
	}
}

func TestCompare(t *testing.T) {
	rates := func(values ...float64) func(context.Context) (float64, error) {
		return func(context.Context) (float64, error) {
			v := values[0]
			values = values[1:]
			return v, nil
		}
	}
	for _, tt := range []struct {
		best        bool
		line, ratio string
	}{
		{false, "x  420     10          40     42           40      10 to 42  ≥ 40", "RATIO x 40\n"},
		{true, "x  420     10          42     42           40      10 to 42  ≥ 40", "RATIO x 42\n"},
	} {
		var out bytes.Buffer
		c := comparison{name: "x", target: 40, ours: rates(100, 420, 200), theirs: rates(10, 10, 5), best: tt.best}
		err := compare(t.Context(), &out, []comparison{c}, 3)
		if err != nil || !strings.Contains(out.String(), tt.line) || !strings.Contains(out.String(), tt.ratio) {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
	// Of twenty the best two count.
	var twenty []float64
	for i := range 20 {
		twenty = append(twenty, float64(i*7%20))
	}
	if got := bestTenth(twenty); got != 18.5 {
		t.Errorf("the best tenth is %v, want 18.5", got)
	}
}

// What a child of this process spends counts.
func TestProcessors(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip(err)
	}
	before := processors()
	if out, err := exec.Command("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if spent := processors() - before; spent < 2*tick || spent > time.Minute {
		t.Errorf("a child has spent %v", spent)
	}
}

func TestPlot(t *testing.T) {
	svg := plot([]line{{"a", [][2]float64{{1, 100}, {10, 900}, {100, 5000}}}, {"b", [][2]float64{{1, 500}, {10, 700}, {100, 800}}}}, "conditions")
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if percentile([]time.Duration{5, 1, 3}, .99) != 5 || percentile([]time.Duration{5, 1, 3}, 0) != 1 {
		t.Error("a percentile is wrong")
	}
}
