package seal_test

import (
	"math/bits"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// BenchmarkEncryptLatency is how long Encrypt of 1 KiB takes, as percentiles,
// while nothing else happens and while the data key is rotated every second,
// each time as a change of the stored record. The clock is read around each call,
// which is a part of the figure.
//
//	go test ./seal -run '^$' -bench EncryptLatency -benchtime 20s
func BenchmarkEncryptLatency(b *testing.B) {
	for _, rotating := range []bool{false, true} {
		name := "still"
		if rotating {
			name = "rotating"
		}
		b.Run(name, func(b *testing.B) { encryptLatency(b, rotating) })
	}
}

func encryptLatency(b *testing.B, rotating bool) {
	ctx := b.Context()
	barrier, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	must(b, err)
	defer barrier.Close()
	d, err := barrier.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	must(b, err)
	must(b, second(barrier.Submit(ctx, d.Sets[0].Shares[0], seal.By{})))
	end, ended, rotations := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for rotating {
			select {
			case <-tick.C:
				must(b, barrier.Rotate(ctx, seal.By{}))
				rotations++
			case <-end:
				return
			}
		}
	}()
	var h histogram
	keys, plaintext := barrier.Keyring(), make([]byte, 1<<10)
	out := make([]byte, 0, 2<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(plaintext)))
	for b.Loop() {
		begun := time.Now()
		out, err = keys.Encrypt(out[:0], plaintext, nil)
		h.add(time.Since(begun))
		if err != nil {
			b.Fatal(err)
		}
	}
	close(end)
	<-ended
	b.ReportMetric(h.quantile(0.5), "p50-ns")
	b.ReportMetric(h.quantile(0.99), "p99-ns")
	b.ReportMetric(h.quantile(0.999), "p99.9-ns")
	b.ReportMetric(float64(h.max), "max-ns")
	b.ReportMetric(float64(rotations), "rotations")
}

// A histogram counts durations in buckets of a 32nd of their size.
type histogram struct {
	counts [64 * 32]int
	total  int
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

func bucket(ns uint64) int {
	if ns < 64 {
		return int(ns)
	}
	shift := bits.Len64(ns) - 6
	return 32*shift + int(ns>>shift)
}

// quantile returns the nanoseconds below which the part q of the durations is.
func (h *histogram) quantile(q float64) float64 {
	below := 0
	for i, n := range h.counts {
		if below += n; float64(below) >= q*float64(h.total) {
			if i < 64 {
				return float64(i)
			}
			shift := i/32 - 1
			return float64(uint64(i%32+32) << shift)
		}
	}
	return float64(h.max)
}
