package kms_test

import (
	"bytes"
	"maps"
	"testing"

	"github.com/sealwright/sealwright/kms"
)

// FuzzBinding: no two places read the same, whatever their names hold.
func FuzzBinding(f *testing.F) {
	f.Add("store", "slot", "", "store", "slo", "t")
	f.Add("s", "\x00\x00\x00\x01", "1", "s", "", "\x00\x00\x00\x011")
	f.Add("", "a", "", "", "", "a")
	f.Fuzz(func(t *testing.T, store, slot, path, store2, slot2, path2 string) {
		a := kms.Binding{Store: store, Slot: slot, Path: path}
		b := kms.Binding{Store: store2, Slot: slot2, Path: path2}
		if bytes.Equal(a.Bytes(), b.Bytes()) != (a == b) || maps.Equal(a.Map(), b.Map()) != (a == b) {
			t.Errorf("%q and %q", a, b)
		}
	})
}
