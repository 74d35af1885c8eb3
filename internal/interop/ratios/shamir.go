package main

import (
	"crypto/rand"
	"fmt"
	"log"

	vault "github.com/hashicorp/vault/shamir"

	"github.com/sealwright/sealwright/shamir"
)

// A shamirSet is a number of shares and how many of them restore the secret.
type shamirSet struct{ threshold, shares int }

func (s shamirSet) String() string { return fmt.Sprintf("%dof%d", s.threshold, s.shares) }

var shamirSets = []shamirSet{{3, 5}, {10, 20}}

type size int

func (s size) String() string {
	switch {
	case s >= 1<<20 && s%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", int(s>>20))
	case s >= 1<<10 && s%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", int(s>>10))
	}
	return fmt.Sprintf("%dB", int(s))
}

// splitBenchmarks compare with Vault's Split, and with drawing the random
// bytes that no split can do without.
func splitBenchmarks() (benchmarks []benchmark) {
	for _, set := range shamirSets {
		for _, size := range []size{32, 1 << 10, 64 << 10, 1 << 20} {
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
			benchmarks = append(benchmarks, benchmark{
				name: fmt.Sprintf("split/%v/%v", set, size),
				ours: split(shamir.Split),
				others: []other{
					{name: "vault", run: split(vault.Split)},
					{name: "rand", floor: true, run: func(n int) {
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
func combineBenchmarks() (benchmarks []benchmark) {
	for _, set := range shamirSets {
		for _, size := range []size{32, 1 << 10} {
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
			benchmarks = append(benchmarks, benchmark{
				name:   fmt.Sprintf("combine/%v/%v", set, size),
				ours:   combine(shamir.Combine),
				others: []other{{name: "vault", run: combine(vault.Combine)}},
			})
		}
	}
	return benchmarks
}
