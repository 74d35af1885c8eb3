// Package measure times functions beside each other, so that what it says of
// them is a ratio. On Unix time is that of the processors, of all threads of this
// process: what else runs on the machine changes the ratios little, and garbage
// counts with all that its collection takes. The commands internal/interop/ratios
// and internal/interop/peers are made of it.
package measure

import (
	"fmt"
	"runtime"
	"slices"
	"time"
)

const (
	// span is how long one measurement should take, of minCalls at least, so
	// that memory once used is used again.
	span     = 15 * time.Millisecond
	minCalls = 3

	// slow is how long a call takes that is made only once in a measurement,
	// and only in one of slowPasses passes.
	slow       = 100 * time.Millisecond
	slowPasses = 4

	// heap is how many bytes the process holds meanwhile, as a server does. In
	// an empty one, which is collected after every 4 MiB, collecting would
	// cost more than all else.
	heap = 128 << 20
)

// A Benchmark is an operation of Sealwright, and others to compare it with.
type Benchmark struct {
	Name   string      // "split/3of5/32B"
	Bytes  int         // that one operation goes through; 0 where that says little
	Ours   func(n int) // does it n times
	Others []Other

	// Wall has the clock on the wall count, where one operation is spread over
	// several processors.
	Wall bool
}

// An Other is what a benchmark is compared with.
type Other struct {
	Name  string // "vault"
	Floor bool   // not a peer, but part of what ours does as well
	Run   func(n int)
}

// A Result is a benchmark with its medians.
type Result struct {
	Name   string
	Bytes  int
	Ours   Cost
	Others []OtherResult
}

// An OtherResult is what it was compared with. The ratio says how many times as
// long as ours a peer takes, or how many times as long as a floor ours takes.
type OtherResult struct {
	Name string
	Cost
	Ratio float64
}

// A Cost is what one operation takes.
type Cost struct {
	Time   time.Duration
	Allocs uint64
}

// A Size is a number of bytes. It prints as "64B", "4KiB", "1MiB".
type Size int

func (s Size) String() string {
	switch {
	case s >= 1<<20 && s%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", int(s>>20))
	case s >= 1<<10 && s%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", int(s>>10))
	}
	return fmt.Sprintf("%dB", int(s))
}

// A side is one function to measure, and the times of one call in each pass;
// 0 where it was left out.
type side struct {
	run    func(n int)
	clock  func() time.Duration
	n      int // calls in a measurement
	every  int // passes between two measurements
	times  []time.Duration
	allocs uint64 // by one call, in the last measurement
}

// Run runs everything, passes times over. Within a pass what is compared
// follows directly on each other, and it is compared before the medians are
// taken, so that what slows down the machine slows down both.
func Run(benchmarks []Benchmark, passes int) []Result {
	return run(benchmarks, passes, processorTime)
}

func run(benchmarks []Benchmark, passes int, clock func() time.Duration) []Result {
	held := make([]byte, heap) // its pages are never touched
	defer runtime.KeepAlive(held)
	sides := make([][]*side, len(benchmarks)) // ours, others…
	for i, b := range benchmarks {
		clock := clock
		if b.Wall {
			clock = wallTime
		}
		sides[i] = []*side{calibrate(b.Ours, clock)}
		for _, o := range b.Others {
			sides[i] = append(sides[i], calibrate(o.Run, clock))
		}
	}
	for pass := range passes {
		for _, of := range sides {
			for _, s := range of {
				s.measure(pass)
			}
		}
	}

	results := make([]Result, len(benchmarks))
	for i, b := range benchmarks {
		ours := sides[i][0]
		results[i] = Result{Name: b.Name, Bytes: b.Bytes, Ours: ours.cost()}
		for j, o := range b.Others {
			theirs := sides[i][j+1]
			var ratios []float64
			for pass, mine := range ours.times {
				ratio := float64(theirs.times[pass]) / float64(mine)
				if o.Floor {
					ratio = float64(mine) / float64(theirs.times[pass])
				}
				if mine > 0 && theirs.times[pass] > 0 {
					ratios = append(ratios, ratio)
				}
			}
			results[i].Others = append(results[i].Others, OtherResult{o.Name, theirs.cost(), median(ratios)})
		}
	}
	return results
}

// calibrate finds how many calls take about a span. The calls that it makes
// warm up caches as well.
func calibrate(run func(n int), clock func() time.Duration) *side {
	s := &side{run: run, clock: clock, n: 1, every: 1}
	for {
		took := s.time()
		if took >= span/2 {
			if took >= slow {
				s.every = slowPasses
				return s
			}
			s.n = max(minCalls, int(float64(s.n)*float64(span)/float64(took)))
			return s
		}
		s.n *= 2
	}
}

func (s *side) measure(pass int) {
	took := time.Duration(0)
	if pass%s.every == 0 {
		took = s.time() / time.Duration(s.n)
	}
	s.times = append(s.times, took)
}

// time returns how long n calls take. What they leave to collect is collected
// on their time, what others left is not.
func (s *side) time() time.Duration {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := s.clock()
	s.run(s.n)
	took := s.clock() - start
	runtime.ReadMemStats(&after)
	s.allocs = (after.Mallocs - before.Mallocs) / uint64(s.n)
	return took
}

// began is where wallTime counts from.
var began = time.Now()

func wallTime() time.Duration { return time.Since(began) }

func (s *side) cost() Cost { return Cost{median(s.times), s.allocs} }

// median returns the middle one of the values that are not 0.
func median[T float64 | time.Duration](values []T) T {
	values = slices.DeleteFunc(slices.Clone(values), func(v T) bool { return v == 0 })
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}
