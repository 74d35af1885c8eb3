package measure_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/measure"
)

// takes returns a function whose calls take that long, in virtual time.
func takes(d time.Duration) func(n int) {
	return func(n int) { time.Sleep(time.Duration(n) * d) }
}

// steady is the cost of what always takes as long.
func steady(d time.Duration) measure.Cost { return measure.Cost{Time: d, Least: d, Median: d} }

func TestRun(t *testing.T) {
	unit, passes := time.Nanosecond, 20
	if testing.Short() { // each measurement collects garbage first
		unit, passes = 10*time.Microsecond, 5
	}
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		results := measure.RunBy([]measure.Benchmark{
			{Name: "quick", Bytes: 64, Ours: takes(100 * unit), Others: []measure.Other{
				{Name: "peer", Run: takes(250 * unit)},
				{Name: "floor", Floor: true, Run: takes(50 * unit)},
			}},
			// It is called once in a measurement, and in few passes alone.
			{Name: "slow", Ours: takes(time.Millisecond), Others: []measure.Other{
				{Name: "peer", Run: func(n int) { calls += n; takes(time.Second)(n) }},
			}},
		}, passes, measure.WallTime)
		for i := range results {
			results[i].Ours.Allocs = 0 // of the clock in the bubble
			for j := range results[i].Others {
				results[i].Others[j].Allocs = 0
			}
		}
		want := []measure.Result{
			{Name: "quick", Bytes: 64, Ours: steady(100 * unit), Others: []measure.OtherResult{
				{Name: "peer", Cost: steady(250 * unit), Ratio: 2.5, LeastRatio: 2.5},
				{Name: "floor", Cost: steady(50 * unit), Ratio: 2, LeastRatio: 2},
			}},
			{Name: "slow", Ours: steady(time.Millisecond), Others: []measure.OtherResult{
				{Name: "peer", Cost: steady(time.Second), Ratio: 1000, LeastRatio: 1000},
			}},
		}
		if diff := cmp.Diff(want, results); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		if calls != 6 { // to calibrate, and in each tenth pass
			t.Errorf("the slow one was called %d times, want 6", calls)
		}
	})
}

// A machine that is slower in most passes, and not to both alike, changes no ratio:
// the lowest tenth counts. The medians would say otherwise.
func TestRunDisturbed(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: hundreds of measurements, each of which collects garbage first")
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		disturbed := func(d time.Duration) func(n int) {
			return func(n int) {
				if time.Since(start)/(7*time.Millisecond)%4 > 0 {
					n += int(3 * time.Microsecond / d * time.Duration(n))
				}
				takes(d)(n)
			}
		}
		r := measure.RunBy([]measure.Benchmark{
			{Name: "x", Ours: disturbed(time.Microsecond), Others: []measure.Other{{Name: "peer", Run: disturbed(3 * time.Microsecond)}}},
		}, 51, measure.WallTime)
		o := r[0].Others[0]
		if medians := float64(o.Median) / float64(r[0].Ours.Median); o.Ratio != 3 || o.LeastRatio != 3 || medians > 2 {
			t.Errorf("ratio %v, of the least %v, want 3; of the medians %v", o.Ratio, o.LeastRatio, medians)
		}
	})
}

// Where work is spread over several processors the wall's clock counts.
func TestWall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func() time.Duration { t.Error("another clock was asked"); return 0 }
		r := measure.RunBy([]measure.Benchmark{
			{Name: "x", Wall: true, Ours: takes(time.Millisecond), Others: []measure.Other{{Name: "peer", Run: takes(2 * time.Millisecond)}}},
		}, 3, never)
		if got := r[0].Others[0].Ratio; got != 2 {
			t.Errorf("ratio %v, want 2", got)
		}
	})
}

// The processors' clock goes on with work, and with nothing else.
func TestProcessorTime(t *testing.T) {
	start := measure.ProcessorTime()
	for n := 0; measure.ProcessorTime() == start; n++ {
		_ = results[n%len(results)]
	}
	if measure.ProcessorTime() < start {
		t.Error("it went back")
	}
}

var results = []measure.Result{
	{Name: "encrypt/64B", Bytes: 64, Ours: measure.Cost{Time: 123, Least: 121, Median: 150}, Others: []measure.OtherResult{
		{Name: "raw", Cost: measure.Cost{Time: 111, Least: 110, Median: 112, Allocs: 1}, Ratio: 1.10811, LeastRatio: 1.1},
		{Name: "tink", Cost: measure.Cost{Time: 1234567, Least: 1234567, Median: 1234567, Allocs: 2}, Ratio: 10037.1, LeastRatio: 10202},
	}},
	{Name: "alone", Ours: measure.Cost{Time: 5 * time.Second, Least: 5 * time.Second, Median: 5 * time.Second}},
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	if err := errors.Join(measure.PrintTable(&b, results), measure.PrintRatios(&b, results)); err != nil {
		t.Fatal(err)
	}
	const want = `encrypt/64B  sealwright  123ns   least 121ns   +22%  0 allocs
             raw         111ns   least 110ns   +1%   1 allocs  1.11   least 1.1
             tink        1.23ms  least 1.23ms  +0%   2 allocs  1e+04  least 1.02e+04
alone        sealwright  5s      least 5s      +0%   0 allocs
RATIO encrypt/64B/raw 1.108
RATIO encrypt/64B/tink 1.004e+04
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

// Results go from one process to another.
func TestResultsAsJSON(t *testing.T) {
	text, err := json.Marshal(results)
	if err != nil {
		t.Fatal(err)
	}
	var got []measure.Result
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(results, got); diff != "" {
		t.Errorf("after JSON (-want +got):\n%s", diff)
	}
}

func TestSize(t *testing.T) {
	for size, want := range map[measure.Size]string{0: "0B", 64: "64B", 1000: "1000B", 1 << 10: "1KiB", 1025: "1025B", 64 << 10: "64KiB", 1 << 20: "1MiB", 3 << 19: "1536KiB"} {
		if got := size.String(); got != want {
			t.Errorf("Size(%d) = %q, want %q", int(size), got, want)
		}
	}
}

// The encryptions that are compared do encrypt.
func TestEncryptions(t *testing.T) {
	e := measure.Sealwright()
	for _, b := range append(measure.Encrypt([]measure.Encryption{e}), measure.Decrypt([]measure.Encryption{e})...) {
		b.Ours(2)
		b.Others[0].Run(2)
	}
}
