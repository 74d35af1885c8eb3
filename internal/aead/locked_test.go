//go:build !goexperiment.boringcrypto

package aead

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"reflect"
	"runtime"
	"testing"

	"github.com/sealwright/sealwright/internal/secret"
)

// TestGCMCanBeMoved fails when a new version of Go lays its GCM out in a way
// that leaves it on the heap: no harm, but less than is promised.
func TestGCMCanBeMoved(t *testing.T) {
	if !ownGCM() && !fips140.Enabled() {
		t.Error("the state of crypto/cipher's GCM is not one that can be moved: has its layout changed?")
	}
	a, err := New(make([]byte, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	place := a.place
	if p := secret.Memory(); p.Undumpable && !fips140.Enabled() && place == nil {
		t.Errorf("not in locked memory, which is %+v", p)
	}
	a.Wipe()
	if a.gcm != nil || a.place != nil || !bytes.Equal(place, make([]byte, len(place))) {
		t.Error("something is left of a wiped key")
	}
	p := Memory()
	if (p.Locked && p.Undumpable) != (p.Reason == "") || fips140.Enabled() && p.Undumpable || runtime.GOOS != "linux" && p.Locked {
		t.Errorf("%+v", p)
	}
}

// TestRelocate compares a state that was moved with one that was not.
func TestRelocate(t *testing.T) {
	newGCM := func() cipher.AEAD {
		block, err := aes.NewCipher(bytes.Repeat([]byte{5}, KeySize))
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Skip(err) // in FIPS mode
		}
		return gcm
	}
	origin, other := newGCM(), newGCM()
	moved, place := relocate(origin)
	if place == nil {
		t.Skip("no locked memory")
	}
	defer secret.Free(place)
	if !reflect.ValueOf(origin).Elem().IsZero() {
		t.Error("the state is still where it was")
	}
	if reflect.TypeOf(moved) != reflect.TypeOf(other) || !reflect.DeepEqual(moved, other) {
		t.Error("the moved state is another")
	}
	nonce, text, aad := make([]byte, nonceSize), []byte("plaintext"), []byte("aad")
	sealed := moved.Seal(nil, nonce, text, aad)
	if !bytes.Equal(sealed, other.Seal(nil, nonce, text, aad)) {
		t.Error("the moved state seals otherwise")
	}
	if got, err := moved.Open(nil, nonce, sealed, aad); err != nil || !bytes.Equal(got, text) {
		t.Errorf("opens as %q, %v", got, err)
	}
}

type pointing struct {
	cipher.AEAD
	key []byte
}

type large struct {
	fakeAEAD
	_ [secret.MaxLocked + 1]byte
}

type fakeAEAD struct{}

func (fakeAEAD) NonceSize() int                             { return 0 }
func (fakeAEAD) Overhead() int                              { return 0 }
func (fakeAEAD) Seal(_, _, _, _ []byte) []byte              { return nil }
func (fakeAEAD) Open(_, _, _, _ []byte) (_ []byte, _ error) { return nil, nil }

func TestRelocateIsCareful(t *testing.T) {
	p := &pointing{key: []byte{1}}
	for name, state := range map[string]cipher.AEAD{
		"none": nil, "nil": (*large)(nil), "with pointers": p, "too large": new(large), "no pointer": fakeAEAD{}, "a wrapper": struct{ *large }{},
	} {
		if got, place := relocate(state); place != nil || !reflect.DeepEqual(got, state) {
			t.Errorf("%s: moved", name)
		}
	}
	if p.key[0] != 1 {
		t.Error("a state with pointers was cleared")
	}
}

// TestNoPlaceLeft works on the heap when locked memory is full.
func TestNoPlaceLeft(t *testing.T) {
	var all [][]byte
	defer func() {
		for _, b := range all {
			secret.Free(b)
		}
	}()
	for {
		b := secret.Alloc(secret.MaxLocked)
		if b == nil {
			break
		}
		all = append(all, b)
	}
	a, err := New(make([]byte, KeySize))
	if err != nil || a.place != nil {
		t.Fatal(a.place, err)
	}
	sealed := a.Seal(nil, []byte("plaintext"), nil)
	if got, err := a.Open(nil, sealed, nil); err != nil || string(got) != "plaintext" {
		t.Errorf("%q, %v", got, err)
	}
	a.Wipe()
	if p := Memory(); p.Locked || p.Undumpable || p.Reason == "" {
		t.Errorf("%+v", p)
	}
}
