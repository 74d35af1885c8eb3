package kms_test

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms"
)

func TestBindingMap(t *testing.T) {
	for name, test := range map[string]struct {
		binding kms.Binding
		want    map[string]string
	}{
		"zero": {want: map[string]string{"sealwright": "1"}},
		"no path": {
			kms.Binding{Store: "s", Slot: "cloud"},
			map[string]string{"sealwright": "1", "sealwright-store": "s", "sealwright-slot": "cloud"},
		},
		"all": {
			kms.Binding{Store: "s", Slot: "cloud", Path: "2.1"},
			map[string]string{"sealwright": "1", "sealwright-store": "s", "sealwright-slot": "cloud", "sealwright-path": "2.1"},
		},
	} {
		if diff := cmp.Diff(test.want, test.binding.Map()); diff != "" {
			t.Errorf("%s: Map (-want +got):\n%s", name, diff)
		}
	}
}

// TestBindingBytes holds the bytes of released blobs' associated data: they
// never change.
func TestBindingBytes(t *testing.T) {
	const want = "7365616c7772696768742f6b6d732f7631" + // "sealwright/kms/v1"
		"00000001" + "73" + "00000005" + "636c6f7564" + "00000003" + "322e31"
	if got := hex.EncodeToString(kms.Binding{Store: "s", Slot: "cloud", Path: "2.1"}.Bytes()); got != want {
		t.Errorf("Bytes() = %s, want %s", got, want)
	}
	seen := make(map[string]kms.Binding)
	for _, b := range []kms.Binding{
		{}, {Store: "ab"}, {Slot: "ab"}, {Path: "ab"}, {Store: "a", Slot: "b"}, {Store: "a", Path: "b"}, {Slot: "a", Path: "b"},
		{Store: "a\x00\x00\x00\x01b"}, {Store: "a", Slot: "b", Path: "\x00\x00\x00\x00"},
	} {
		if other, ok := seen[string(b.Bytes())]; ok {
			t.Errorf("%+v and %+v have the same bytes", b, other)
		}
		seen[string(b.Bytes())] = b
	}
}
