package sealconf_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// TestStaticOpensOpenBaos: what OpenBao 2.6.2 stored under its seal "static", of
// the fixture with that key.
func TestStaticOpensOpenBaos(t *testing.T) {
	const theirs = `seal "static" {
  current_key_id = "new"
  current_key = "7d5f8c5e2b0a4f1c9d3e6b7a8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3"
  previous_key_id = "20260101-1"
  previous_key = "2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfe"
}`
	sealed, err := hex.DecodeString("16cbeb1e0b23ddfbd2e6d4fe" + "5bb6b4d2053c79c3cacae17b7cf32ab8b9cc231a05165fa220ef1773710fdc34c23f71fa9f67706097a5b205e9f31dd7c62c30a7416b858978a8c00a7a853e55")
	if err != nil {
		t.Fatal(err)
	}
	w := build(t, theirs, sealconf.Options{}).KMS["static"].(kms.Foreign)
	for _, id := range []string{"20260101-1", ""} {
		key, err := w.UnwrapForeign(t.Context(), sealed, id)
		if err != nil || len(key) != 48 || !bytes.HasPrefix(key, []byte(`["`)) {
			t.Errorf("%q: %d bytes, %v", id, len(key), err)
		}
	}
	if _, err := w.UnwrapForeign(t.Context(), sealed, "new"); !errors.Is(err, kms.ErrCorrupt) {
		t.Error(err)
	}
	if _, err := w.UnwrapForeign(t.Context(), sealed, "other"); !errors.Is(err, kms.ErrWrongKey) {
		t.Error(err)
	}
	if _, err := w.UnwrapForeign(t.Context(), nil, ""); !errors.Is(err, kms.ErrCorrupt) {
		t.Error(err)
	}
}
