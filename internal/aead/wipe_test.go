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
		WipeState(state)
	}
	WipeState(struct{ *plainState }{p})
	if *p != (plainState{}) || q.a != 1 || q.b == nil || n != 0 {
		t.Errorf("left %v, %v, %d", p, q, n)
	}
	if sum := sha256.New(); !plain(reflect.TypeOf(sum).Elem()) {
		t.Logf("%T is not plain: its state is not wiped", sum)
	}
}

func TestWipeField(t *testing.T) {
	type inner struct{ d []byte }
	type outer struct {
		fips *inner
		none *inner
		n    int
		key  []byte
	}
	o := &outer{fips: &inner{[]byte{1}}, none: nil, n: 2, key: []byte{3}}
	for name, path := range map[string][]string{
		"no field": {"other"}, "no bytes": {"n"}, "nil": {"none", "d"}, "through a number": {"n", "d"}, "the end is a pointer": {"fips"}, "none": {},
	} {
		WipeField(o, path...)
		if o.fips.d[0] != 1 || o.n != 2 || o.key[0] != 3 {
			t.Errorf("%s: left %v, %v", name, *o, *o.fips)
		}
	}
	WipeField(nil, "key")
	WipeField(*o, "key")
	if o.key[0] != 3 {
		t.Error("a copy was entered")
	}
	WipeField(o, "key")
	WipeField(o, "fips", "d")
	if o.fips.d[0] != 0 || o.key[0] != 0 || o.n != 2 {
		t.Errorf("left %v, %v", *o, *o.fips)
	}
}
