package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"log"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"golang.org/x/crypto/nacl/secretbox"

	"github.com/sealwright/sealwright/keyring"
)

var encryptSizes = []size{64, 1 << 10, 4 << 10, 64 << 10, 1 << 20}

// place is the associated data of every message.
var place = []byte("users/7f3a9c/token")

// An encryption is one way to encrypt. Its functions append to dst, which has
// room, unless theirs is an API that can't.
type encryption struct {
	name    string
	floor   bool
	encrypt func(dst, plaintext []byte) ([]byte, error)
	decrypt func(dst, ciphertext []byte) ([]byte, error)
}

// encryptBenchmarks compare Keyring.Encrypt, which makes its own nonces and
// commits to its key, with AES-256-GCM alone, and with what else a server
// might take.
func encryptBenchmarks() (benchmarks []benchmark) {
	ours, others := encryptions()
	for _, size := range encryptSizes {
		plaintext := make([]byte, size)
		dst := make([]byte, 0, size+keyring.Overhead)
		b := benchmark{
			name: fmt.Sprintf("encrypt/%v", size), bytes: int(size),
			ours: repeat(ours.encrypt, dst, plaintext),
		}
		for _, e := range others {
			b.others = append(b.others, other{e.name, e.floor, repeat(e.encrypt, dst, plaintext)})
		}
		benchmarks = append(benchmarks, b)
	}
	return benchmarks
}

// decryptBenchmarks compare Keyring.Decrypt likewise.
func decryptBenchmarks() (benchmarks []benchmark) {
	ours, others := encryptions()
	for _, size := range encryptSizes {
		plaintext := make([]byte, size)
		dst := make([]byte, 0, size)
		decrypt := func(e encryption) func(n int) {
			ciphertext, err := e.encrypt(make([]byte, 0, size+keyring.Overhead), plaintext)
			if err != nil {
				log.Fatal(err)
			}
			if got, err := e.decrypt(nil, ciphertext); err != nil || !bytes.Equal(got, plaintext) {
				log.Fatalf("%s does not decrypt what it encrypted: %v", e.name, err)
			}
			return repeat(e.decrypt, dst, ciphertext)
		}
		b := benchmark{name: fmt.Sprintf("decrypt/%v", size), bytes: int(size), ours: decrypt(ours)}
		for _, e := range others {
			b.others = append(b.others, other{e.name, e.floor, decrypt(e)})
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

func encryptions() (ours encryption, others []encryption) {
	return sealwrightEncryption(), []encryption{
		rawEncryption(),
		tinkEncryption("tink", aead.AES256GCMKeyTemplate()),
		tinkEncryption("tink-xaes", aead.XAES256GCM192BitNonceKeyTemplate()),
		secretboxEncryption(),
	}
}

func sealwrightEncryption() encryption {
	owner := keyring.New()
	term := keyring.Term{Number: 1, Active: true}
	rand.Read(term.Key[:])
	if err := owner.Install("ratios", []keyring.Term{term}); err != nil {
		log.Fatal(err)
	}
	k := owner.Keyring()
	return encryption{
		name:    "sealwright",
		encrypt: func(dst, plaintext []byte) ([]byte, error) { return k.Encrypt(dst, plaintext, place) },
		decrypt: func(dst, ciphertext []byte) ([]byte, error) { return k.Decrypt(dst, ciphertext, place) },
	}
}

// rawEncryption is the floor: AES-256-GCM with its key expanded beforehand, and
// 12 bytes of crypto/rand for each message.
func rawEncryption() encryption {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		log.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		log.Fatal(err)
	}
	return encryption{
		name:  "raw",
		floor: true,
		encrypt: func(dst, plaintext []byte) ([]byte, error) {
			nonce := dst[:gcm.NonceSize()]
			rand.Read(nonce)
			return gcm.Seal(nonce, nonce, plaintext, place), nil
		},
		decrypt: func(dst, ciphertext []byte) ([]byte, error) {
			nonce, sealed := ciphertext[:gcm.NonceSize()], ciphertext[gcm.NonceSize():]
			return gcm.Open(dst, nonce, sealed, place)
		},
	}
}

// tinkEncryption is Tink's AEAD with a keyset of one key. It allocates its
// output; there is no other way to call it.
func tinkEncryption(name string, template *tinkpb.KeyTemplate) encryption {
	handle, err := keyset.NewHandle(template)
	if err != nil {
		log.Fatal(err)
	}
	a, err := aead.New(handle)
	if err != nil {
		log.Fatal(err)
	}
	return encryption{
		name:    name,
		encrypt: func(_, plaintext []byte) ([]byte, error) { return a.Encrypt(plaintext, place) },
		decrypt: func(_, ciphertext []byte) ([]byte, error) { return a.Decrypt(ciphertext, place) },
	}
}

// secretboxEncryption is NaCl's secretbox, with a random nonce in front. It
// knows no associated data. It is what the local secrets of the Go Cloud
// Development Kit encrypt with; that module itself would more than double what
// this one requires.
func secretboxEncryption() encryption {
	var key [32]byte
	rand.Read(key[:])
	return encryption{
		name: "secretbox",
		encrypt: func(dst, plaintext []byte) ([]byte, error) {
			var nonce [24]byte
			rand.Read(nonce[:])
			return secretbox.Seal(append(dst, nonce[:]...), plaintext, &nonce, &key), nil
		},
		decrypt: func(dst, ciphertext []byte) ([]byte, error) {
			plaintext, ok := secretbox.Open(dst, ciphertext[24:], (*[24]byte)(ciphertext), &key)
			if !ok {
				return nil, errors.New("secretbox: does not open")
			}
			return plaintext, nil
		},
	}
}
