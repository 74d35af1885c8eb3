//go:build unix

package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// A line is the speed over one database: rows a second by the size of a page.
type line struct {
	name   string
	points [][2]float64
}

const (
	width, height            = 720, 440
	left, right, top, bottom = 78, 24, 56, 60
)

var strokes = []string{"#0a7d55", "#3a6fb0", "#e08e00", "#8a4fbf"}

// plot draws the lines with two logarithmic axes.
func plot(lines []line, conditions string) []byte {
	low, high, most := math.Inf(1), 0.0, 1.0
	for _, l := range lines {
		for _, p := range l.points {
			low, high, most = min(low, max(1, p[1])), max(high, p[1], 10), max(most, p[0])
		}
	}
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	x := func(v float64) float64 { return left + math.Log(v)/math.Log(most)*(width-left-right) }
	y := func(v float64) float64 {
		return height - bottom - math.Log(v/low)/math.Log(high/low)*(height-top-bottom)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#222222">`+"\n", width, height)
	fmt.Fprintf(&b, "<!-- cd internal/interop/rewrapbench && GOWORK=off go run . -svg ../../../docs/rewrap.svg\n     %s -->\n", strings.ReplaceAll(conditions, "--", "- -"))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="28" font-size="17" font-weight="bold">Rewrapping a column, by rows in a batch, durable commits</text>`+"\n<text x=\"%d\" y=\"46\">rows a second</text>\n", left, left)
	for v := low; v <= high*1.001; v *= 10 {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#dddddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n", left, y(v), width-right, left-8, y(v)+4, v)
	}
	for _, p := range lines[0].points {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%.0f</text>`+"\n", x(p[0]), height-bottom+20, p[0])
	}
	for i, l := range lines {
		stroke := strokes[i%len(strokes)]
		var path strings.Builder
		for k, p := range l.points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(k, 1)], x(p[0]), y(p[1]))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="3"/>`+"\n", path.String(), stroke)
		fmt.Fprintf(&b, `<path d="M%d %dh28" stroke="%s" stroke-width="3"/><text x="%d" y="%d">%s</text>`+"\n",
			width-right-180, height-bottom-20-18*(len(lines)-1-i)-4, stroke, width-right-144, height-bottom-20-18*(len(lines)-1-i), l.name)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">rows in a batch</text>`+"\n</svg>\n", (left+width-right)/2, height-16)
	return b.Bytes()
}
