package aead_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, aead.KeySize) }

func newAEAD(t testing.TB, key []byte) *aead.AEAD {
	t.Helper()
	a, err := aead.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRoundTrip(t *testing.T) {
	a := newAEAD(t, key(1))
	for _, size := range []int{0, 1, 15, 16, 17, 1000, 1 << 16} {
		plaintext := bytes.Repeat([]byte{7}, size)
		sealed := a.Seal([]byte("head"), plaintext, []byte("aad"))
		if len(sealed) != 4+size+aead.Overhead || string(sealed[:4]) != "head" {
			t.Fatalf("size %d: sealed has %d bytes, head %q", size, len(sealed), sealed[:4])
		}
		got, err := a.Open([]byte("head"), sealed[4:], []byte("aad"))
		if err != nil || string(got[:4]) != "head" || !bytes.Equal(got[4:], plaintext) {
			t.Fatalf("size %d: opened %d bytes, %v", size, len(got), err)
		}
	}
}

func TestNewKeySize(t *testing.T) {
	for _, size := range []int{0, 16, 24, 31, 33, 64} {
		_, err := aead.New(make([]byte, size))
		if !errors.Is(err, aead.ErrKeySize) || err.Error() != "aead: key is not 32 bytes long" {
			t.Errorf("New with %d bytes: %v", size, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	a := newAEAD(t, key(1))
	sealed := a.Seal(nil, []byte("plaintext"), []byte("aad"))
	refused := func(name string, b, aad []byte) {
		t.Helper()
		if got, err := a.Open(nil, b, aad); !errors.Is(err, aead.ErrCorrupt) || got != nil {
			t.Errorf("%s: opened %x, %v", name, got, err)
		}
	}
	for i := range len(sealed) * 8 {
		b := bytes.Clone(sealed)
		b[i/8] ^= 1 << (i % 8)
		refused("bit flip", b, []byte("aad"))
	}
	for i := range sealed {
		refused("truncated", sealed[:i], []byte("aad"))
	}
	refused("extended", append(bytes.Clone(sealed), 0), []byte("aad"))
	refused("other associated data", sealed, []byte("aae"))
	refused("no associated data", sealed, nil)
	other := newAEAD(t, key(2))
	if _, err := other.Open(nil, sealed, []byte("aad")); !errors.Is(err, aead.ErrCorrupt) {
		t.Errorf("other key: %v", err)
	}
}

// TestOverlap slides source, destination and associated data over one array,
// and compares with what separate slices give.
func TestOverlap(t *testing.T) {
	a := newAEAD(t, key(1))
	const n, room = 40, 40 + aead.Overhead
	message := bytes.Repeat([]byte("abcdefgh"), n/8)
	for at := range 120 {
		for _, aadAt := range []int{0, 30, 60, 90, 150} {
			array := make([]byte, 256)
			dst, src, aad := array[50:50:50+room], array[at:at+n], array[aadAt:aadAt+5]
			copy(aad, "extra")
			copy(src, message)
			wantAAD := bytes.Clone(aad)
			sealed := a.Seal(dst, src, aad)
			if &sealed[0] != &array[50] {
				t.Fatalf("Seal left the array at %d", at)
			}
			got, err := a.Open(nil, bytes.Clone(sealed), wantAAD)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("Seal of %d, aad at %d: %q, %v", at, aadAt, got, err)
			}

			array = make([]byte, 256)
			dst, src, aad = array[50:50:50+n], array[at:at+room], array[aadAt:aadAt+5]
			if lo, hi := max(at, aadAt), min(at+room, aadAt+5); lo < hi {
				continue // the message cannot contain its own associated data
			}
			copy(aad, "extra")
			copy(src, a.Seal(nil, message, []byte("extra")))
			got, err = a.Open(dst, src, aad)
			if err != nil || !bytes.Equal(got, message) || &got[0] != &array[50] {
				t.Fatalf("Open of %d, aad at %d: %q, %v", at, aadAt, got, err)
			}
		}
	}
}

func TestOpenFailureReleasesNothing(t *testing.T) {
	a := newAEAD(t, key(1))
	sealed := a.Seal(nil, bytes.Repeat([]byte("secret"), 100), nil)
	sealed[len(sealed)-1] ^= 1
	dst := make([]byte, 0, 1000)
	if _, err := a.Open(dst, sealed, nil); !errors.Is(err, aead.ErrCorrupt) {
		t.Fatal(err)
	}
	if !bytes.Equal(dst[:1000], make([]byte, 1000)) {
		t.Error("plaintext of a forged message left in dst")
	}
}

func TestNoncesDiffer(t *testing.T) {
	a := newAEAD(t, key(1))
	seen := make(map[[12]byte]bool)
	for range 10000 {
		seen[[12]byte(a.Seal(nil, nil, nil))] = true
	}
	if len(seen) != 10000 {
		t.Errorf("%d nonces in 10000 messages", len(seen))
	}
}

func TestAllocations(t *testing.T) {
	a := newAEAD(t, key(1))
	plaintext, aad := make([]byte, 1024), []byte("aad")
	dst := make([]byte, 0, len(plaintext)+aead.Overhead)
	sealed := a.Seal(nil, plaintext, aad)
	for name, f := range map[string]func(){
		"Seal":          func() { a.Seal(dst, plaintext, aad) },
		"Open":          func() { a.Open(dst, sealed, aad) },
		"Seal in place": func() { a.Seal(dst[:0], dst[:1024], aad) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestDeriveIsHKDF(t *testing.T) {
	for _, keyLen := range []int{0, 16, 32, 63, 64, 65, 200} {
		for _, saltLen := range []int{0, 16, 64} {
			for _, info := range []string{"", "info", string(make([]byte, 300))} {
				for _, n := range []int{0, 1, 4, 32, 33, 48, 96, 255 * 32} {
					key, salt := bytes.Repeat([]byte{3}, keyLen), bytes.Repeat([]byte{4}, saltLen)
					prk, err := hkdf.Extract(sha256.New, append(key, make([]byte, 14)...), salt)
					if err != nil {
						t.Fatal(err)
					}
					want, err := hkdf.Expand(sha256.New, prk, info, n)
					if err != nil {
						t.Fatal(err)
					}
					got := aead.Derive(append(key, make([]byte, 14)...), salt, info, n)
					if !bytes.Equal(got, want) {
						t.Fatalf("key %d, salt %d, info %d, n %d: differs", keyLen, saltLen, len(info), n)
					}
				}
			}
		}
	}
}

func TestWipedPanics(t *testing.T) {
	a := newAEAD(t, key(1))
	a.Wipe()
	defer func() {
		if recover() == nil {
			t.Error("a wiped key sealed a message")
		}
	}()
	a.Seal(nil, []byte("x"), nil)
}
