package main

import (
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
)

// A result is a benchmark with its medians.
type result struct {
	name   string
	bytes  int
	ours   cost
	others []otherResult
}

type otherResult struct {
	name string
	cost
	ratio float64
}

// A cost is what one operation takes.
type cost struct {
	time   time.Duration
	allocs uint64
}

// A side is one function to measure, and the times of one call in each pass;
// 0 where it was left out.
type side struct {
	run    func(n int)
	n      int // calls in a measurement
	every  int // passes between two measurements
	times  []time.Duration
	allocs uint64 // by one call, in the last measurement
}

// measure runs everything, passes times over. Within a pass what is compared
// follows directly on each other, and it is compared before the medians are
// taken, so that what slows down the machine slows down both.
func measure(benchmarks []benchmark, passes int) []result {
	sides := make([][]*side, len(benchmarks)) // ours, others…
	for i, b := range benchmarks {
		sides[i] = []*side{calibrate(b.ours)}
		for _, o := range b.others {
			sides[i] = append(sides[i], calibrate(o.run))
		}
	}
	for pass := range passes {
		for _, of := range sides {
			for _, s := range of {
				s.measure(pass)
			}
		}
	}

	results := make([]result, len(benchmarks))
	for i, b := range benchmarks {
		ours := sides[i][0]
		results[i] = result{name: b.name, bytes: b.bytes, ours: ours.cost()}
		for j, o := range b.others {
			theirs := sides[i][j+1]
			var ratios []float64
			for pass, mine := range ours.times {
				ratio := float64(theirs.times[pass]) / float64(mine)
				if o.floor {
					ratio = float64(mine) / float64(theirs.times[pass])
				}
				if mine > 0 && theirs.times[pass] > 0 {
					ratios = append(ratios, ratio)
				}
			}
			results[i].others = append(results[i].others, otherResult{o.name, theirs.cost(), median(ratios)})
		}
	}
	return results
}

// calibrate finds how many calls take about a span. The calls that it makes
// warm up caches as well.
func calibrate(run func(n int)) *side {
	s := &side{run: run, n: 1, every: 1}
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
	start := time.Now()
	s.run(s.n)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	s.allocs = (after.Mallocs - before.Mallocs) / uint64(s.n)
	return took
}

func (s *side) cost() cost { return cost{median(s.times), s.allocs} }

// median returns the middle one of the values that are not 0.
func median[T float64 | time.Duration](values []T) T {
	values = slices.DeleteFunc(slices.Clone(values), func(v T) bool { return v == 0 })
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}
