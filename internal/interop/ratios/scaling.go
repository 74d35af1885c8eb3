package main

import (
	"crypto/rand"
	"fmt"
	"log"
	"runtime"
	"sync"

	"github.com/sealwright/sealwright/internal/measure"
	"github.com/sealwright/sealwright/keyring"
)

// parallelBenchmarks compare encrypting on all processors with encrypting on one.
// The value is how many times as fast they are together.
func parallelBenchmarks() (benchmarks []measure.Benchmark) {
	cores := runtime.GOMAXPROCS(0)
	e := measure.Sealwright()
	for _, size := range []measure.Size{64, 1 << 10, 4 << 10} {
		plaintext := make([]byte, size)
		encrypt := func(n int) {
			dst := make([]byte, 0, size+keyring.Overhead)
			for range n {
				if _, err := e.Encrypt(dst, plaintext); err != nil {
					log.Fatal(err)
				}
			}
		}
		benchmarks = append(benchmarks, measure.Benchmark{
			Name: fmt.Sprintf("parallel/%v", size), Bytes: int(size), Wall: true,
			Ours: func(n int) {
				var wg sync.WaitGroup
				for i := range cores {
					wg.Go(func() { encrypt((n + i) / cores) })
				}
				wg.Wait()
			},
			Others: []measure.Other{{Name: "one-core", Run: encrypt}},
		})
	}
	return benchmarks
}

// epochs are more than a keyring keeps the keys of.
const epochs = 4096

// missBenchmarks compare decrypting ciphertexts each of another epoch, whose key
// is derived each time, with decrypting those of one.
func missBenchmarks() (benchmarks []measure.Benchmark) {
	term := keyring.Term{Number: 1, Active: true}
	rand.Read(term.Key[:])
	open := func() *keyring.Keyring {
		owner := keyring.New()
		if err := owner.Install("ratios", []keyring.Term{term}); err != nil {
			log.Fatal(err)
		}
		return owner.Keyring()
	}
	reader := open()
	for _, size := range []measure.Size{64, 4 << 10} {
		var ciphertexts [][]byte
		for range epochs {
			ct, err := open().Encrypt(nil, make([]byte, size), nil)
			if err != nil {
				log.Fatal(err)
			}
			ciphertexts = append(ciphertexts, ct)
		}
		dst := make([]byte, 0, size)
		decrypt := func(of [][]byte) func(n int) {
			next := 0
			return func(n int) {
				for range n {
					if _, err := reader.Decrypt(dst, of[next%len(of)], nil); err != nil {
						log.Fatal(err)
					}
					next++
				}
			}
		}
		benchmarks = append(benchmarks, measure.Benchmark{
			Name: fmt.Sprintf("decrypt-miss/%v", size), Bytes: int(size),
			Ours:   decrypt(ciphertexts),
			Others: []measure.Other{{Name: "hit", Floor: true, Run: decrypt(ciphertexts[:1])}},
		})
	}
	return benchmarks
}
