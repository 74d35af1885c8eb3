package main

import (
	"crypto/rand"
	"fmt"
	"log"

	vault "github.com/hashicorp/vault/shamir"

	"github.com/sealwright/sealwright/internal/measure"
	"github.com/sealwright/sealwright/shamir"
)

// A shamirSet is a number of shares and how many of them restore the secret.
type shamirSet struct{ threshold, shares int }

func (s shamirSet) String() string { return fmt.Sprintf("%dof%d", s.threshold, s.shares) }

var shamirSets = []shamirSet{{3, 5}, {10, 20}}

// splitBenchmarks compare with Vault's Split, and with drawing the random
// bytes that no split can do without.
func splitBenchmarks() (benchmarks []measure.Benchmark) {
	for _, set := range shamirSets {
		for _, size := range []measure.Size{32, 1 << 10, 64 << 10, 1 << 20} {
			secret := make([]byte, size)
			random := make([]byte, (set.threshold-1)*int(size))
			split := func(split func([]byte, int, int) ([][]byte, error)) func(n int) {
				return func(n int) {
					for range n {
						if _, err := split(secret, set.shares, set.threshold); err != nil {
							log.Fatal(err)
						}
					}
				}
			}
			benchmarks = append(benchmarks, measure.Benchmark{
				Name: fmt.Sprintf("split/%v/%v", set, size),
				Ours: split(shamir.Split),
				Others: []measure.Other{
					{Name: "vault", Run: split(vault.Split)},
					{Name: "rand", Floor: true, Run: func(n int) {
						for range n {
							rand.Read(random)
						}
					}},
				},
			})
		}
	}
	return benchmarks
}

// combineBenchmarks compare with Vault's Combine. The x of the shares are far
// apart, as those that Vault draws.
func combineBenchmarks() (benchmarks []measure.Benchmark) {
	for _, set := range shamirSets {
		for _, size := range []measure.Size{32, 1 << 10} {
			all, err := shamir.Split(make([]byte, size), shamir.MaxShares, set.threshold)
			if err != nil {
				log.Fatal(err)
			}
			var shares [][]byte
			for i := range set.threshold {
				shares = append(shares, all[(i*83+200)%len(all)])
			}
			combine := func(combine func([][]byte) ([]byte, error)) func(n int) {
				return func(n int) {
					for range n {
						if _, err := combine(shares); err != nil {
							log.Fatal(err)
						}
					}
				}
			}
			benchmarks = append(benchmarks, measure.Benchmark{
				Name:   fmt.Sprintf("combine/%v/%v", set, size),
				Ours:   combine(shamir.Combine),
				Others: []measure.Other{{Name: "vault", Run: combine(vault.Combine)}},
			})
		}
	}
	return benchmarks
}
