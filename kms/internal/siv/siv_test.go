package siv_test

import (
	"bytes"
	"testing"

	"github.com/sealwright/sealwright/kms/internal/siv"
)

func TestSIV(t *testing.T) {
	key, aad := bytes.Repeat([]byte{1}, 32), []byte("aad")
	for _, size := range []int{0, 1, 31, 32, 33, 100} {
		plaintext := bytes.Repeat([]byte{7}, size)
		sealed := siv.Seal(key, plaintext, aad)
		if len(sealed) != size+siv.Overhead || !bytes.Equal(sealed, siv.Seal(key, plaintext, aad)) {
			t.Errorf("%d bytes: sealed has %d bytes, or differs each time", size, len(sealed))
		}
		if got, ok := siv.Open(key, sealed, aad); !ok || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes: opened %x, %v", size, got, ok)
		}
		for i := range sealed {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			if _, ok := siv.Open(key, bad, aad); ok {
				t.Errorf("%d bytes: a flip in byte %d is taken", size, i)
			}
			if _, ok := siv.Open(key, sealed[:i], aad); ok {
				t.Errorf("%d bytes: the first %d are taken", size, i)
			}
		}
		if _, ok := siv.Open(key, append(bytes.Clone(sealed), 0), aad); ok {
			t.Errorf("%d bytes: a tail is taken", size)
		}
		if _, ok := siv.Open(key, sealed, []byte("aae")); ok {
			t.Errorf("%d bytes: other associated data is taken", size)
		}
		if _, ok := siv.Open(bytes.Repeat([]byte{2}, 32), sealed, aad); ok {
			t.Errorf("%d bytes: another key is taken", size)
		}
	}
}
