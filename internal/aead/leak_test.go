//go:build !goexperiment.boringcrypto

package aead

import (
	"testing"

	"github.com/sealwright/sealwright/internal/secret"
)

// These come before the tests of a full locked memory, which says so from then on.

// TestWipeGivesThePlaceBack expands more keys, one after the other, than there
// are places in locked memory.
func TestWipeGivesThePlaceBack(t *testing.T) {
	locked := false
	for i := range 5000 {
		a, err := New(make([]byte, KeySize))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			locked = a.place != nil
		}
		if (a.place != nil) != locked {
			t.Fatalf("key %d is in locked memory: %t, and the first one: %t", i, a.place != nil, locked)
		}
		a.Wipe()
	}
}

type largest struct {
	fakeAEAD
	_ [secret.MaxLocked]byte
}

func TestRelocateTheLargest(t *testing.T) {
	if !secret.Memory().Undumpable {
		t.Skip("no locked memory")
	}
	_, place := relocate(new(largest))
	if len(place) != secret.MaxLocked {
		t.Errorf("%d bytes are moved, want %d", len(place), secret.MaxLocked)
	}
	secret.Free(place)
}
