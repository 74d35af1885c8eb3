package gcpckms_test

import (
	"bytes"
	"errors"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
)

var _ kms.Foreign = (*gcpckms.Wrapper)(nil)

// TestForeignCiphertext: what another program encrypted with the key, without
// associated data, opens by the key alone, and by no other one.
func TestForeignCiphertext(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	key := bytes.Repeat([]byte{7}, 48)
	out, err := native(t, server).Encrypt(t.Context(), &kmspb.EncryptRequest{Name: server.KeyID("a"), Plaintext: key})
	if err != nil {
		t.Fatal(err)
	}
	server.Rotate("a")
	got, err := w.UnwrapForeign(t.Context(), out.Ciphertext, out.Name)
	if err != nil || !bytes.Equal(got, key) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := newWrapper(t, server.Config("b")).UnwrapForeign(t.Context(), out.Ciphertext, out.Name); err == nil {
		t.Error("another key opens it")
	}
	if _, err := w.UnwrapForeign(t.Context(), nil, ""); !errors.Is(err, kms.ErrCorrupt) {
		t.Error(err)
	}
	blob, err := w.Wrap(t.Context(), key, kms.Binding{Slot: "cloud"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.UnwrapForeign(t.Context(), blob.Ciphertext[2:], ""); err == nil {
		t.Error("what is bound opens without its binding")
	}
}
