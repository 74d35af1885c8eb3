package main

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/measure"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
)

// namedBenchmarks compare encrypting under a named key, into text, into bytes, and
// into text with the key looked up each time, with the keyring itself, the floor.
func namedBenchmarks() (benchmarks []measure.Benchmark) {
	ctx := context.Background()
	owner := keyring.New()
	if err := owner.Install("ratios", []keyring.Term{{Number: 1, Key: keyring.Key{1}, Active: true}}); err != nil {
		log.Fatal(err)
	}
	keys, err := named.New(named.Config{Keyring: owner.Keyring(), Store: named.NewMemStore(), Keep: func(migrate.Source) {}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := keys.Create(ctx, "ratios", named.Spec{}); err != nil {
		log.Fatal(err)
	}
	key, err := keys.Key(ctx, "ratios")
	if err != nil {
		log.Fatal(err)
	}
	e := measure.Sealwright()
	for _, size := range []measure.Size{64, 1 << 10, 4 << 10} {
		plaintext := make([]byte, size)
		message := named.Message{Plaintext: plaintext, AAD: place}
		floor := measure.Other{Name: "keyring", Floor: true, Run: encryptAll(e.Encrypt, size)}
		for kind, encrypt := range map[string]func(dst, _ []byte) ([]byte, error){
			"text":   func(dst, _ []byte) ([]byte, error) { return key.AppendEncrypt(dst, message) },
			"binary": func(dst, _ []byte) ([]byte, error) { return key.EncryptBinary(dst, message) },
			"looked-up": func(dst, _ []byte) ([]byte, error) {
				key, err := keys.Key(ctx, "ratios")
				if err != nil {
					return nil, err
				}
				return key.AppendEncrypt(dst, message)
			},
		} {
			benchmarks = append(benchmarks, measure.Benchmark{
				Name: fmt.Sprintf("named/%s/%v", kind, size), Bytes: int(size),
				Ours: encryptAll(encrypt, size), Others: []measure.Other{floor},
			})
		}
	}
	slices.SortFunc(benchmarks, func(a, b measure.Benchmark) int { return strings.Compare(a.Name, b.Name) })
	return benchmarks
}

// encryptAll encrypts n times into the same memory.
func encryptAll(encrypt func(dst, plaintext []byte) ([]byte, error), size measure.Size) func(n int) {
	plaintext, dst := make([]byte, size), make([]byte, 0, 2*size+128)
	return func(n int) {
		for range n {
			if _, err := encrypt(dst, plaintext); err != nil {
				log.Fatal(err)
			}
		}
	}
}
