package measure

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log"

	"github.com/sealwright/sealwright/keyring"
)

var encryptSizes = []Size{64, 1 << 10, 4 << 10, 64 << 10, 1 << 20}

// Place is the associated data of every message.
const Place = "users/7f3a9c/token"

// An Encryption is one way to encrypt. Its functions append to dst, which has
// room, unless theirs is an API that can't.
type Encryption struct {
	Name    string
	Floor   bool // see Other
	Encrypt func(dst, plaintext []byte) ([]byte, error)
	Decrypt func(dst, ciphertext []byte) ([]byte, error)
}

// Encrypt compares Keyring.Encrypt, which makes its own nonces and commits to its
// key, with others.
func Encrypt(others []Encryption) (benchmarks []Benchmark) {
	ours := Sealwright()
	for _, size := range encryptSizes {
		plaintext := make([]byte, size)
		dst := make([]byte, 0, size+keyring.Overhead)
		b := Benchmark{
			Name: fmt.Sprintf("encrypt/%v", size), Bytes: int(size),
			Ours: repeat(ours.Encrypt, dst, plaintext),
		}
		for _, e := range others {
			b.Others = append(b.Others, Other{e.Name, e.Floor, repeat(e.Encrypt, dst, plaintext)})
		}
		benchmarks = append(benchmarks, b)
	}
	return benchmarks
}

// Decrypt compares Keyring.Decrypt likewise. Each has decrypted what it encrypted.
func Decrypt(others []Encryption) (benchmarks []Benchmark) {
	ours := Sealwright()
	for _, size := range encryptSizes {
		plaintext := make([]byte, size)
		dst := make([]byte, 0, size)
		decrypt := func(e Encryption) func(n int) {
			ciphertext, err := e.Encrypt(make([]byte, 0, size+keyring.Overhead), plaintext)
			if err != nil {
				log.Fatal(err)
			}
			if got, err := e.Decrypt(nil, ciphertext); err != nil || !bytes.Equal(got, plaintext) {
				log.Fatalf("%s does not decrypt what it encrypted: %v", e.Name, err)
			}
			return repeat(e.Decrypt, dst, ciphertext)
		}
		b := Benchmark{Name: fmt.Sprintf("decrypt/%v", size), Bytes: int(size), Ours: decrypt(ours)}
		for _, e := range others {
			b.Others = append(b.Others, Other{e.Name, e.Floor, decrypt(e)})
		}
		benchmarks = append(benchmarks, b)
	}
	return benchmarks
}

// repeat returns a function that calls f n times.
func repeat(f func(dst, in []byte) ([]byte, error), dst, in []byte) func(n int) {
	return func(n int) {
		for range n {
			if _, err := f(dst, in); err != nil {
				log.Fatal(err)
			}
		}
	}
}

// Sealwright returns a keyring of one term as an encryption.
func Sealwright() Encryption {
	place := []byte(Place)
	owner := keyring.New()
	term := keyring.Term{Number: 1, Active: true}
	rand.Read(term.Key[:])
	if err := owner.Install("ratios", []keyring.Term{term}); err != nil {
		log.Fatal(err)
	}
	k := owner.Keyring()
	return Encryption{
		Name:    "sealwright",
		Encrypt: func(dst, plaintext []byte) ([]byte, error) { return k.Encrypt(dst, plaintext, place) },
		Decrypt: func(dst, ciphertext []byte) ([]byte, error) { return k.Decrypt(dst, ciphertext, place) },
	}
}
