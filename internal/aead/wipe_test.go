package aead

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"testing"
)

// TestHMACWipe looks into every buffer that a derivation worked in.
func TestHMACWipe(t *testing.T) {
	h := newHMAC(100)
	h.sum(make([]byte, 0, 32), bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 100))
	used := func() (buffers int) {
		for _, b := range [][]byte{h.work[:cap(h.work)], h.state[:cap(h.state)]} {
			if !bytes.Equal(b, make([]byte, len(b))) {
				buffers++
			}
		}
		if !reflect.ValueOf(h.hash).Elem().IsZero() {
			buffers++
		}
		return buffers
	}
	if n := used(); n != 3 {
		t.Errorf("%d buffers were used", n)
	}
	if &h.work[:1][0] != &h.mask(nil, 0)[0] {
		t.Error("the work was moved to another buffer")
	}
	h.wipe()
	want := 0
	if !plain(reflect.TypeOf(h.hash).Elem()) {
		want = 1 // boringcrypto's, in memory that is not Go's
	}
	if n := used(); n != want {
		t.Errorf("%d buffers are not wiped", n)
	}
}

func TestWipeStateIsCareful(t *testing.T) {
	type plainState struct {
		a [4]uint32
		_ struct{ c bool }
	}
	type pointing struct {
		a int
		b *int
	}
	p, q, n := &plainState{a: [4]uint32{1}}, &pointing{1, new(int)}, 5
	for _, state := range []any{nil, 7, (*plainState)(nil), []byte{1}, q, *q, struct{ *pointing }{q}, &n, map[int]int{}} {
		wipeState(state)
	}
	wipeState(struct{ *plainState }{p})
	if *p != (plainState{}) || q.a != 1 || q.b == nil || n != 0 {
		t.Errorf("left %v, %v, %d", p, q, n)
	}
	if sum := sha256.New(); !plain(reflect.TypeOf(sum).Elem()) {
		t.Logf("%T is not plain: its state is not wiped", sum)
	}
}
