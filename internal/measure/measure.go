// Package measure times functions beside each other, so that what it says of
// them is a ratio. On Unix time is that of the processors, of all threads of this
// process: what else runs on the machine changes the ratios little, and garbage
// counts with all that its collection takes. What does change them, a cache that
// somebody else has emptied or a slower clock, makes a pass slower and never
// faster. So many short passes are made, and the lowest tenth of them counts; the
// least stands beside it, and how far the median is above, which says how much
// there was to disregard. The commands internal/interop/ratios
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
	span     = 2 * time.Millisecond
	minCalls = 3

	// slow is how long a call takes that is made only once in a measurement.
	slow = 100 * time.Millisecond

	// whole is how long all measurements of one side may take together: what
	// takes longer is measured in some of the passes only, in fewest at least.
	whole  = 1500 * time.Millisecond
	fewest = 5

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

// A Result is a benchmark with what it takes.
type Result struct {
	Name   string
	Bytes  int
	Ours   Cost
	Others []OtherResult
}

// An OtherResult is what it was compared with. The ratio says how many times as
// long as ours a peer takes, or how many times as long as a floor ours takes, by
// the lowest tenths, and by the least.
type OtherResult struct {
	Name string
	Cost
	Ratio      float64
	LeastRatio float64
}

// A Cost is what one operation takes: the mean of the lowest tenth of the passes,
// the least, and the median.
type Cost struct {
	Time          time.Duration
	Least, Median time.Duration
	Allocs        uint64
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

// Run runs everything, passes times over. Within a pass what is compared follows
// directly on each other, so that a machine that is slow for a while is so to both,
// and another begins each time.
func Run(benchmarks []Benchmark, passes int) []Result {
	held := make([]byte, heap) // its pages are never touched
	defer runtime.KeepAlive(held)
	return run(benchmarks, passes, processorTime)
}

func run(benchmarks []Benchmark, passes int, clock func() time.Duration) []Result {
	sides := make([][]*side, len(benchmarks)) // ours, others…
	for i, b := range benchmarks {
		clock := clock
		if b.Wall {
			clock = wallTime
		}
		sides[i] = []*side{calibrate(b.Ours, clock, passes)}
		for _, o := range b.Others {
			sides[i] = append(sides[i], calibrate(o.Run, clock, passes))
		}
	}
	for pass := range passes {
		for _, of := range sides {
			for i := range of {
				// Each comes behind each other in turn: some leave more behind
				// than others, in caches and to be freed.
				of[(pass+i)%len(of)].measure(pass)
			}
		}
	}

	results := make([]Result, len(benchmarks))
	for i, b := range benchmarks {
		ours := sides[i][0].cost()
		results[i] = Result{Name: b.Name, Bytes: b.Bytes, Ours: ours}
		for j, o := range b.Others {
			theirs := sides[i][j+1].cost()
			r := OtherResult{o.Name, theirs, ratio(theirs.Time, ours.Time), ratio(theirs.Least, ours.Least)}
			if o.Floor {
				r.Ratio, r.LeastRatio = ratio(ours.Time, theirs.Time), ratio(ours.Least, theirs.Least)
			}
			results[i].Others = append(results[i].Others, r)
		}
	}
	return results
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// calibrate finds how many calls take about a span. The calls that it makes
// warm up caches as well.
func calibrate(run func(n int), clock func() time.Duration, passes int) *side {
	s := &side{run: run, clock: clock, n: 1, every: 1}
	for {
		took := s.time()
		if took >= span/2 {
			each := took / time.Duration(s.n)
			if took < slow {
				s.n = max(minCalls, int(float64(s.n)*float64(span)/float64(took)))
			}
			most := max(fewest, int(whole/(each*time.Duration(s.n))))
			s.every = max(1, passes/most)
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

func (s *side) cost() Cost {
	times := slices.DeleteFunc(slices.Clone(s.times), func(t time.Duration) bool { return t == 0 })
	if len(times) == 0 {
		return Cost{Allocs: s.allocs}
	}
	slices.Sort(times)
	tenth := times[:max(1, len(times)/10)]
	sum := time.Duration(0)
	for _, t := range tenth {
		sum += t
	}
	return Cost{sum / time.Duration(len(tenth)), times[0], times[len(times)/2], s.allocs}
}
