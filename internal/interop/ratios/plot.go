package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/measure"
)

// The page, in pixels, and the margins around the plot.
const (
	width, height            = 720, 440
	left, right, top, bottom = 70, 24, 56, 52

	legend = 450 // where the legend begins: the lines leave the lower right free
)

// A series is the throughput of one implementation: GB/s by bytes.
type series struct {
	name   string
	points [][2]float64
}

// looks are the strokes of what is known by name; what is not is thin and grey.
var looks = map[string]string{
	"sealwright": `stroke="#0a7d55" stroke-width="4"`,
	"raw":        `stroke="#222222" stroke-width="1.5" stroke-dasharray="5 4"`,
	"tink":       `stroke="#c1121f" stroke-width="2"`,
	"tink-xaes":  `stroke="#e08e00" stroke-width="2"`,
	"secretbox":  `stroke="#3a6fb0" stroke-width="2"`,
	"wrapping":   `stroke="#8a4fbf" stroke-width="2"`,
	"gocloud":    `stroke="#3a6fb0" stroke-width="1.5" stroke-dasharray="2 3"`,
}

// captions say in the legend what a name means.
var captions = map[string]string{
	"sealwright": "sealwright: Keyring.Encrypt",
	"raw":        "raw AES-256-GCM, cached key",
	"tink":       "tink-go AES256-GCM",
	"tink-xaes":  "tink-go XAES-256-GCM",
	"secretbox":  "NaCl secretbox",
	"wrapping":   "go-kms-wrapping aead",
	"gocloud":    "Go Cloud localsecrets",
}

// plot draws the throughput of the benchmarks of that kind, "encrypt", as an
// SVG with two logarithmic axes. The conditions stand in a comment within it.
func plot(kind string, results []measure.Result, conditions string) ([]byte, error) {
	lines := seriesOf(kind, results)
	if len(lines) == 0 || len(lines[0].points) < 2 {
		return nil, errors.New("plot: fewer than two sizes of " + kind + " were measured")
	}
	var xs, ys []float64
	for _, l := range lines {
		for _, p := range l.points {
			xs, ys = append(xs, p[0]), append(ys, p[1])
		}
	}
	rungs := ladder(slices.Min(ys), slices.Max(ys))
	x := scale(slices.Min(xs), slices.Max(xs), left, width-right)
	y := scale(rungs[0], rungs[len(rungs)-1], height-bottom, top)

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#222222">`+"\n", width, height)
	fmt.Fprintf(&b, "<!-- cd internal/interop && GOWORK=off go run ./ratios -run ^%s/ -svg ../../docs/throughput.svg\n     %s -->\n", kind, strings.ReplaceAll(conditions, "--", "- -"))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="28" font-size="17" font-weight="bold">Throughput of %s by size of the message, one goroutine</text>`+"\n", left, kind)
	fmt.Fprintf(&b, `<text x="%d" y="46">GB/s</text>`+"\n", left)
	for _, rung := range rungs {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#dddddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			left, y(rung), width-right, left-8, y(rung)+4, rung)
	}
	for _, p := range lines[0].points {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(p[0]), height-bottom+22, spaced(measure.Size(p[0])))
	}
	for i, l := range slices.Backward(lines) { // the fastest on top
		look := looks[l.name]
		if look == "" {
			look = `stroke="#999999"`
		}
		fmt.Fprintf(&b, `<polyline fill="none" %s points="`, look)
		for _, p := range l.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(p[0]), y(p[1]))
		}
		at := height - bottom - 20*(len(lines)-i)
		fmt.Fprintf(&b, `"/><path d="M%d %dh28" %s/><text x="%d" y="%d">%s</text>`+"\n",
			legend, at-4, look, legend+36, at, html.EscapeString(cmp.Or(captions[l.name], l.name)))
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

// seriesOf returns what was measured of a kind, the fastest first, as it is at
// the first size.
func seriesOf(kind string, results []measure.Result) (lines []series) {
	add := func(name string, bytes int, c measure.Cost) {
		i := slices.IndexFunc(lines, func(s series) bool { return s.name == name })
		if i < 0 {
			i = len(lines)
			lines = append(lines, series{name: name})
		}
		if slices.ContainsFunc(lines[i].points, func(p [2]float64) bool { return p[0] == float64(bytes) }) {
			return // as measured by another process; the first one counts
		}
		lines[i].points = append(lines[i].points, [2]float64{float64(bytes), float64(bytes) / float64(c.Time.Nanoseconds())})
	}
	for _, r := range results {
		if strings.HasPrefix(r.Name, kind+"/") && r.Bytes > 0 {
			add("sealwright", r.Bytes, r.Ours)
			for _, o := range r.Others {
				add(o.Name, r.Bytes, o.Cost)
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b series) int {
		return cmp.Compare(b.points[0][1], a.points[0][1])
	})
	return lines
}

// scale returns the logarithmic map of low…high to from…to.
func scale(low, high float64, from, to int) func(float64) float64 {
	return func(v float64) float64 {
		return float64(from) + float64(to-from)*math.Log(v/low)/math.Log(high/low)
	}
}

// ladder returns the numbers 1, 2 and 5 times a power of ten, from one that is
// not above low to one that is not below high.
func ladder(low, high float64) (rungs []float64) {
	for e := math.Floor(math.Log10(low)); ; e++ {
		for _, digit := range []float64{1, 2, 5} {
			rung := digit * math.Pow(10, e)
			if rung <= low {
				rungs = rungs[:0]
			}
			rungs = append(rungs, rung)
			if rung >= high && len(rungs) > 1 {
				return rungs
			}
		}
	}
}

// spaced puts a space between number and unit.
func spaced(s measure.Size) string {
	text := s.String()
	unit := strings.IndexFunc(text, func(r rune) bool { return r > '9' })
	return text[:unit] + " " + text[unit:]
}
