//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
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
	var out bytes.Buffer
	err := compare(t.Context(), &out, []comparison{{"x", 40, rates(100, 420, 200), rates(10, 10, 5)}}, 3)
	if err != nil || !strings.Contains(out.String(), "x  420     10          40     42           10 to 42  ≥ 40") || !strings.Contains(out.String(), "RATIO x 40\n") {
		t.Errorf("%v\n%s", err, out.String())
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
