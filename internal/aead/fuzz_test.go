package aead_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
)

// FuzzOpen opens messages and boxes under the goldens' keys: what opens is a
// golden, and the input is as it was.
func FuzzOpen(f *testing.F) {
	text, err := os.ReadFile("testdata/v1.json")
	if err != nil {
		f.Fatal(err)
	}
	var goldens []golden
	if err := json.Unmarshal(text, &goldens); err != nil {
		f.Fatal(err)
	}
	sealed := map[string]bool{}
	for i, g := range goldens {
		sealed[string(unhex(f, g.Sealed))] = true
		f.Add(i, g.Info, unhex(f, g.Sealed), unhex(f, g.AAD))
	}
	f.Fuzz(func(t *testing.T, i int, info string, in, aad []byte) {
		g := goldens[uint(i)%uint(len(goldens))]
		before := bytes.Clone(in)
		box, boxErr := aead.OpenBox(unhex(t, g.Key), info, in, aad)
		message, err := newAEAD(t, unhex(t, g.Key)).Open(nil, in, aad)
		if boxErr != nil && !errors.Is(boxErr, aead.ErrCorrupt) && !errors.Is(boxErr, aead.ErrWrongKey) || err != nil && !errors.Is(err, aead.ErrCorrupt) {
			t.Errorf("a box: %v; a message: %v", boxErr, err)
		}
		if (boxErr == nil || err == nil) && !sealed[string(in)] {
			t.Errorf("forged: %x opens as %x, or as %x", in, box, message)
		}
		if !bytes.Equal(in, before) {
			t.Error("the input was changed")
		}
	})
}
