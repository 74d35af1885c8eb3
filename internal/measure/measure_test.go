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

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		results := measure.RunBy([]measure.Benchmark{
			{Name: "quick", Bytes: 64, Ours: takes(100 * time.Nanosecond), Others: []measure.Other{
				{Name: "peer", Run: takes(250 * time.Nanosecond)},
				{Name: "floor", Floor: true, Run: takes(50 * time.Nanosecond)},
			}},
			// It is called once in a measurement, and in each fourth pass alone.
			{Name: "slow", Ours: takes(time.Millisecond), Others: []measure.Other{
				{Name: "peer", Run: func(n int) { calls += n; takes(time.Second)(n) }},
			}},
		}, 5, measure.WallTime)
		for i := range results {
			results[i].Ours.Allocs = 0 // of the clock in the bubble
			for j := range results[i].Others {
				results[i].Others[j].Allocs = 0
			}
		}
		want := []measure.Result{
			{Name: "quick", Bytes: 64, Ours: measure.Cost{Time: 100}, Others: []measure.OtherResult{
				{Name: "peer", Cost: measure.Cost{Time: 250}, Ratio: 2.5},
				{Name: "floor", Cost: measure.Cost{Time: 50}, Ratio: 2},
			}},
			{Name: "slow", Ours: measure.Cost{Time: time.Millisecond}, Others: []measure.OtherResult{
				{Name: "peer", Cost: measure.Cost{Time: time.Second}, Ratio: 1000},
			}},
		}
		if diff := cmp.Diff(want, results); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		if calls != 3 { // to calibrate, in pass 0 and in pass 4
			t.Errorf("the slow one was called %d times, want 3", calls)
		}
	})
}

// A machine that is twice as slow in some passes changes no ratio: what is
// compared is compared within a pass.
func TestRunDisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		disturbed := func(d time.Duration) func(n int) {
			return func(n int) {
				if time.Since(start)/(100*time.Millisecond)%2 == 1 {
					n *= 2
				}
				takes(d)(n)
			}
		}
		r := measure.RunBy([]measure.Benchmark{
			{Name: "x", Ours: disturbed(time.Microsecond), Others: []measure.Other{{Name: "peer", Run: disturbed(3 * time.Microsecond)}}},
		}, 101, measure.WallTime)
		if got := r[0].Others[0].Ratio; got != 3 {
			t.Errorf("ratio %v, want 3", got)
		}
	})
}

// Where work is spread over several processors the wall's clock counts.
func TestWall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func() time.Duration { t.Error("another clock was asked"); return 0 }
		r := measure.RunBy([]measure.Benchmark{
			{Name: "x", Wall: true, Ours: takes(time.Microsecond), Others: []measure.Other{{Name: "peer", Run: takes(2 * time.Microsecond)}}},
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
	{Name: "encrypt/64B", Bytes: 64, Ours: measure.Cost{Time: 123}, Others: []measure.OtherResult{
		{Name: "raw", Cost: measure.Cost{Time: 111, Allocs: 1}, Ratio: 1.10811},
		{Name: "tink", Cost: measure.Cost{Time: 1234567, Allocs: 2}, Ratio: 10037.1},
	}},
	{Name: "alone", Ours: measure.Cost{Time: 5 * time.Second}},
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	if err := errors.Join(measure.PrintTable(&b, results), measure.PrintRatios(&b, results)); err != nil {
		t.Fatal(err)
	}
	const want = `encrypt/64B  sealwright  123ns   0 allocs
             raw         111ns   1 allocs  1.11
             tink        1.23ms  2 allocs  1e+04
alone        sealwright  5s      0 allocs
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
