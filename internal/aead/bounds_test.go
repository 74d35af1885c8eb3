package aead

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// Buffers that are too short are moved by append, and leave a copy of the key
// behind where no wipe finds it: one allocation more shows it.
func TestDeriveNeverMovesItsBuffers(t *testing.T) {
	allocations := func(key, info, n int) float64 {
		k, salt, text := make([]byte, key), make([]byte, 16), strings.Repeat("i", info)
		return testing.AllocsPerRun(10, func() { Derive(k, salt, text, n) })
	}
	want := allocations(32, 0, 100)
	step := 1
	if testing.Short() {
		step = 7
	}
	for _, key := range []int{1, 32, 64, 65, 200} {
		for info := 0; info < 200; info += step {
			if got := allocations(key, info, 100); got != want {
				t.Errorf("a key of %d bytes, an info of %d: %v allocations, want %v", key, info, got, want)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	for name, derive := range map[string]func(){
		"expanded: too much":      func() { Expand(make([]byte, 64), "", 255*32+1) },
		"expanded: a long key":    func() { Expand(make([]byte, 65), "", 32) },
		"expanded: both too long": func() { Expand(make([]byte, 65), "", 255*32+1) },

		"too much":      func() { Derive(make([]byte, 32), make([]byte, 64), "", 255*32+1) },
		"a long salt":   func() { Derive(make([]byte, 32), make([]byte, 65), "", 32) },
		"both too long": func() { Derive(make([]byte, 32), make([]byte, 65), "", 255*32+1) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != "aead: derived key or salt too long" && got != "aead: derived key or its key too long" {
					t.Errorf("%s: %s", name, got)
				}
			}()
			derive()
		}()
	}
	if got := Derive(make([]byte, 32), make([]byte, 64), "", 255*32); len(got) != 255*32 {
		t.Errorf("%d bytes", len(got))
	}
	if MaxPlaintext != 1<<36-32 { // 2^39 - 256 bits, SP 800-38D section 5.2.1.1
		t.Errorf("MaxPlaintext is %d", MaxPlaintext)
	}
}

// TestExpand compares with the standard library's.
func TestExpand(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 64)
	for _, n := range []int{1, 31, 32, 33, 64, 100, 255 * 32} {
		for size := 32; size <= 64; size += 16 {
			want, err := hkdf.Expand(sha256.New, key[:size], "info", n)
			if got := Expand(key[:size], "info", n); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes from %d: %x, want %x, %v", n, size, got, want, err)
			}
		}
	}
	expand := func(info int) float64 {
		text := strings.Repeat("i", info)
		return testing.AllocsPerRun(10, func() { Expand(key[:32], text, 100) })
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for info := 0; info < 200; info += step {
		if got, want := expand(info), expand(0); got != want {
			t.Errorf("an info of %d bytes: %v allocations, want %v", info, got, want)
		}
	}
}

func TestLongBox(t *testing.T) {
	key, plaintext := make([]byte, KeySize), bytes.Repeat([]byte("long "), 1000)
	box, err := SealBox(key, "", plaintext, nil)
	if err != nil || cap(box) < len(plaintext)+BoxOverhead {
		t.Fatalf("%d of %d bytes, %v", len(box), cap(box), err)
	}
	if got, err := OpenBox(key, "", box, nil); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestOverlap compares every two slices of an array with the definition.
func TestOverlap(t *testing.T) {
	array := make([]byte, 7)
	for i := range len(array) + 1 {
		for j := i; j <= len(array); j++ {
			for k := range len(array) + 1 {
				for l := k; l <= len(array); l++ {
					a, b := array[i:j], array[k:l]
					want := false
					for n := i; n < j; n++ {
						want = want || k <= n && n < l
					}
					if Overlap(a, b) != want {
						t.Errorf("[%d:%d] and [%d:%d]: %t, want %t", i, j, k, l, !want, want)
					}
				}
			}
		}
	}
	if Overlap(nil, nil) || Overlap(array, nil) || Overlap(nil, array) {
		t.Error("nothing overlaps")
	}
}

// TestPlain goes through every kind there is.
func TestPlain(t *testing.T) {
	for _, v := range []any{
		false, int(0), int8(0), int16(0), int32(0), int64(0), uint(0), uint8(0), uint16(0), uint32(0), uint64(0), uintptr(0),
		float32(0), float64(0), complex64(0), complex128(0), [2]int{}, struct{ a, b complex128 }{}, struct{}{},
	} {
		if !plain(reflect.TypeOf(v)) {
			t.Errorf("%T holds no pointer", v)
		}
	}
	for _, v := range []any{
		make(chan int), func() {}, map[int]int{}, new(int), []int{}, "", unsafe.Pointer(nil), [2]string{}, struct {
			a int
			b any
		}{},
	} {
		if plain(reflect.TypeOf(v)) {
			t.Errorf("%T holds a pointer", v)
		}
	}
}
