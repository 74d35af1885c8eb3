package keyring_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
)

var sizes = []int{64, 1 << 10, 4 << 10, 64 << 10, 1 << 20}

// raw is the floor: AES-256-GCM with its key expanded, appending to a buffer
// with room, with 12 bytes of crypto/rand for each message.
type raw struct{ cipher.AEAD }

func newRaw(b *testing.B) raw {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	newGCM := cipher.NewGCM
	if fips140.Enabled() {
		newGCM = cipher.NewGCMWithRandomNonce
	}
	a, err := newGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	return raw{a}
}

func (r raw) encrypt(dst, plaintext, aad []byte) []byte {
	nonce := dst[:r.NonceSize()]
	rand.Read(nonce)
	return r.Seal(nonce, nonce, plaintext, aad)
}

func (r raw) decrypt(dst, ciphertext, aad []byte) ([]byte, error) {
	return r.Open(dst, ciphertext[:r.NonceSize()], ciphertext[r.NonceSize():], aad)
}

// BenchmarkEncrypt has the floor beside each figure; compare within one run.
func BenchmarkEncrypt(b *testing.B) {
	aad := []byte("users/7f3a9c/token")
	for _, size := range sizes {
		plaintext := make([]byte, size)
		r, k := newRaw(b), newOwner(b, terms(1, 1)).Keyring()
		b.Run(fmt.Sprintf("%d/raw", size), func(b *testing.B) {
			dst := make([]byte, 0, size+keyring.Overhead)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r.encrypt(dst, plaintext, aad)
			}
		})
		b.Run(fmt.Sprintf("%d/keyring", size), func(b *testing.B) {
			dst := make([]byte, 0, size+keyring.Overhead)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				k.Encrypt(dst, plaintext, aad)
			}
		})
	}
}

func BenchmarkDecrypt(b *testing.B) {
	aad := []byte("users/7f3a9c/token")
	for _, size := range sizes {
		plaintext := make([]byte, size)
		r, k := newRaw(b), newOwner(b, terms(1, 1)).Keyring()
		b.Run(fmt.Sprintf("%d/raw", size), func(b *testing.B) {
			ciphertext := r.encrypt(make([]byte, 0, size+28), plaintext, aad)
			dst := make([]byte, 0, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r.decrypt(dst, ciphertext, aad)
			}
		})
		b.Run(fmt.Sprintf("%d/keyring", size), func(b *testing.B) {
			ciphertext, err := k.Encrypt(nil, plaintext, aad)
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, 0, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				k.Decrypt(dst, ciphertext, aad)
			}
		})
	}
}

// BenchmarkParallel tells how Encrypt scales: run it with -cpu 1,2.
func BenchmarkParallel(b *testing.B) {
	for _, size := range []int{64, 1 << 10} {
		k := newOwner(b, terms(1, 1)).Keyring()
		ciphertext, err := k.Encrypt(nil, make([]byte, size), nil)
		if err != nil {
			b.Fatal(err)
		}
		r := newRaw(b)
		for name, f := range map[string]func(dst, plaintext []byte){
			"raw":     func(dst, plaintext []byte) { r.encrypt(dst, plaintext, nil) },
			"encrypt": func(dst, plaintext []byte) { k.Encrypt(dst, plaintext, nil) },
			"decrypt": func(dst, _ []byte) { k.Decrypt(dst, ciphertext, nil) },
		} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.RunParallel(func(pb *testing.PB) {
					plaintext, dst := make([]byte, size), make([]byte, 0, size+keyring.Overhead)
					for pb.Next() {
						f(dst, plaintext)
					}
				})
			})
		}
	}
}

// BenchmarkMiss is the cost of reading an epoch that is not in the cache.
func BenchmarkMiss(b *testing.B) {
	k := newOwner(b, terms(1, 1)).Keyring()
	var ciphertexts [][]byte
	for range 8 * keyring.CacheSize {
		ciphertexts = append(ciphertexts, encrypt(b, newOwner(b, terms(1, 1)).Keyring(), "", ""))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := k.Decrypt(nil, ciphertexts[i%len(ciphertexts)], nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRatio compares with the floor in turns of some microseconds, so
// that what else the machine does meets both alike. Its figure is the ratio of
// the medians.
func BenchmarkRatio(b *testing.B) {
	aad := []byte("users/7f3a9c/token")
	for _, size := range sizes {
		r, k := newRaw(b), newOwner(b, terms(1, 1)).Keyring()
		plaintext := make([]byte, size)
		dst := make([]byte, 0, size+keyring.Overhead)
		rawText := r.encrypt(make([]byte, 0, size+28), plaintext, aad)
		ciphertext, err := k.Encrypt(nil, plaintext, aad)
		if err != nil {
			b.Fatal(err)
		}
		for name, f := range map[string][2]func(){
			"encrypt": {func() { r.encrypt(dst, plaintext, aad) }, func() { k.Encrypt(dst, plaintext, aad) }},
			"decrypt": {func() { r.decrypt(dst, rawText, aad) }, func() { k.Decrypt(dst, ciphertext, aad) }},
		} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				var times [2][]time.Duration
				for b.Loop() {
					for i := range f {
						begin := time.Now()
						for range 1 + 50_000/(size+500) {
							f[i]()
						}
						times[i] = append(times[i], time.Since(begin))
					}
				}
				slices.Sort(times[0])
				slices.Sort(times[1])
				middle := len(times[0]) / 2
				b.ReportMetric(float64(times[1][middle])/float64(times[0][middle]), "x-of-raw")
			})
		}
	}
}

// BenchmarkForgery is the cost of refusing a header that names no epoch.
func BenchmarkForgery(b *testing.B) {
	k := newOwner(b, terms(1, 1)).Keyring()
	forged := encrypt(b, k, "", "")
	forged[10]++
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Decrypt(nil, forged, nil); err == nil {
			b.Fatal("decrypted")
		}
	}
}
