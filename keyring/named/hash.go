package named

import (
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // what Vault's names stand for
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
)

// noHash is the algorithm of what is signed as it is.
const noHash = "none"

// hashOf returns the hash of a name, as Vault has them; "" is sha2-256.
func hashOf(name string) (crypto.Hash, error) {
	h, ok := map[string]crypto.Hash{
		"": crypto.SHA256, "sha1": crypto.SHA1,
		"sha2-224": crypto.SHA224, "sha2-256": crypto.SHA256, "sha2-384": crypto.SHA384, "sha2-512": crypto.SHA512,
		"sha3-224": crypto.SHA3_224, "sha3-256": crypto.SHA3_256, "sha3-384": crypto.SHA3_384, "sha3-512": crypto.SHA3_512,
	}[name]
	if !ok {
		return 0, because(ErrInput, "unknown hash algorithm: want sha2-256, or another of sha2 and sha3, or sha1")
	}
	if h == crypto.SHA1 && inFIPS() {
		return 0, because(ErrNotApproved, "SHA-1: choose sha2-256")
	}
	return h, nil
}

func sum(h crypto.Hash, data []byte) []byte {
	in := h.New()
	in.Write(data)
	return in.Sum(nil)
}

// Hash returns the hash of data: by "sha1", "sha2-224", "sha2-256", "sha2-384",
// "sha2-512", and "sha3-" the same four; "" is sha2-256. The errors are
// [ErrInput], [ErrLimit] and [ErrNotApproved].
func Hash(algorithm string, data []byte) ([]byte, error) {
	h, err := hashOf(algorithm)
	if err == nil && len(data) > MaxMessage {
		err = because(ErrLimit, "more than %d bytes", MaxMessage)
	}
	if err != nil {
		return nil, wrap("hash", "", err)
	}
	return sum(h, data), nil
}

// Random returns n random bytes, from 1 to [MaxRandom]: [ErrInput] or [ErrLimit]
// otherwise.
func Random(n int) ([]byte, error) {
	switch {
	case n < 1:
		return nil, wrap("random", "", because(ErrInput, "the number of bytes is below 1"))
	case n > MaxRandom:
		return nil, wrap("random", "", because(ErrLimit, "more than %d bytes", MaxRandom))
	}
	b := make([]byte, n)
	rand.Read(b)
	return b, nil
}

// A Result is what became of one item of a [Batch].
type Result[Out any] struct {
	Value Out
	Err   error
}

// Batch calls f for each of the items, and keeps their errors apart:
//
//	results, err := named.Batch(messages, key.Encrypt)
//
// The error is [ErrLimit] for more than [MaxBatch] items; then f was not called.
func Batch[In, Out any](items []In, f func(In) (Out, error)) ([]Result[Out], error) {
	if len(items) > MaxBatch {
		return nil, wrap("batch", "", because(ErrLimit, "%d items, at most %d: split the batch", len(items), MaxBatch))
	}
	results := make([]Result[Out], len(items))
	for i, item := range items {
		results[i].Value, results[i].Err = f(item)
	}
	return results, nil
}
