package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/measure"
)

// measured are made-up results: everything takes 1 ns a byte, and what is
// compared with twice that.
func measured(sizes ...int) (results []measure.Result) {
	for _, n := range sizes {
		results = append(results, measure.Result{
			Name: fmt.Sprintf("encrypt/%v", measure.Size(n)), Bytes: n, Ours: measure.Cost{Time: time.Duration(n)},
			Others: []measure.OtherResult{{Name: "a<b", Cost: measure.Cost{Time: time.Duration(2 * n)}}},
		})
	}
	// Another process measured ours a second time.
	results = append(results, measure.Result{Name: "encrypt/64B", Bytes: 64, Ours: measure.Cost{Time: 1}})
	return append(results, measure.Result{Name: "split/3of5/32B", Ours: measure.Cost{Time: 1}})
}

func TestPlot(t *testing.T) {
	svg, err := plot("encrypt", measured(64, 1<<10, 1<<20), "some -- conditions")
	if err != nil {
		t.Fatal(err)
	}
	// The slower one comes first, to be drawn below: 0.5 GB/s, where the ladder
	// begins; it ends with 1. Of the sizes the second is at 4/14 of the width.
	want := []string{
		"70.0,388.0 248.9,388.0 696.0,388.0",
		"70.0,56.0 248.9,56.0 696.0,56.0",
	}
	var got []string
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			for _, a := range e.Attr {
				if a.Name.Local == "points" {
					got = append(got, strings.TrimSpace(a.Value))
				}
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if _, err := plot("encrypt", measured(64), ""); err == nil {
		t.Error("plotted a single size")
	}
}

func TestLadder(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      string
	}{
		{0.06, 6, "[0.05 0.1 0.2 0.5 1 2 5 10]"},
		{0.5, 1, "[0.5 1]"},
		{1, 1, "[1 2]"},
		{3, 4, "[2 5]"},
	} {
		if got := fmt.Sprintf("%.3g", ladder(test.low, test.high)); got != test.want {
			t.Errorf("ladder(%v, %v) = %s, want %s", test.low, test.high, got, test.want)
		}
	}
}
