package shamir_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/shamir"
)

var (
	sets  = []struct{ threshold, shares int }{{3, 5}, {10, 20}, {128, 255}}
	sizes = []int{32, 1 << 10, 64 << 10, 1 << 20}
)

func BenchmarkSplit(b *testing.B) {
	for _, set := range sets {
		for _, size := range sizes {
			secret := make([]byte, size)
			b.Run(fmt.Sprintf("%dof%d/%d", set.threshold, set.shares, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					shamir.Split(secret, set.shares, set.threshold)
				}
			})
		}
	}
}

func BenchmarkCombine(b *testing.B) {
	for _, set := range sets {
		for _, size := range sizes {
			shares, err := shamir.Split(make([]byte, size), set.shares, set.threshold)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%dof%d/%d", set.threshold, set.shares, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					shamir.Combine(shares[:set.threshold])
				}
			})
		}
	}
}

// BenchmarkRandom is the floor of Split: its threshold-1 random strings.
func BenchmarkRandom(b *testing.B) {
	for _, set := range sets {
		for _, size := range sizes {
			buf := make([]byte, (set.threshold-1)*size)
			b.Run(fmt.Sprintf("%dof%d/%d", set.threshold, set.shares, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					rand.Read(buf)
				}
			})
		}
	}
}
