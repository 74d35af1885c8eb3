package azurekeyvault_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
)

var _ kms.Foreign = (*azurekeyvault.Wrapper)(nil)

// TestForeignCiphertext: what another program had the key wrap opens by the
// version that wrapped it, also after a rotation.
func TestForeignCiphertext(t *testing.T) {
	s := start(t)
	s.Create("prod", azurekeyvaulttest.KeyOptions{RSA: rsaKey()})
	w := open(t, s.Config("prod"))
	key := bytes.Repeat([]byte{7}, 32)
	blob, err := w.Wrap(t.Context(), key, kms.Binding{}) // RSA-OAEP binds nothing
	if err != nil {
		t.Fatal(err)
	}
	theirs := blob.Ciphertext[1:]
	for _, name := range []string{blob.Version, "", blob.KeyID + "/" + blob.Version} {
		got, err := w.UnwrapForeign(t.Context(), theirs, name)
		if err != nil || !bytes.Equal(got, key) {
			t.Errorf("%q: %d bytes, %v", name, len(got), err)
		}
	}
	s.Rotate("prod")
	if got, err := w.UnwrapForeign(t.Context(), theirs, blob.Version); err != nil || !bytes.Equal(got, key) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for name, c := range map[string]struct {
		ciphertext []byte
		version    string
		kind       error
		words      string
	}{
		"of no size":        {theirs[:100], blob.Version, kms.ErrCorrupt, "makes no result of 100 bytes"},
		"of another key":    {theirs, "", nil, ""},
		"of no version":     {theirs, "../../secrets", kms.ErrCorrupt, "cannot be one"},
		"of another's data": {bytes.Repeat([]byte{1}, 256), blob.Version, kms.ErrCorrupt, ""},
	} {
		_, err := w.UnwrapForeign(t.Context(), c.ciphertext, c.version)
		if err == nil || c.kind != nil && !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := s.HSMConfig("hsm")
	cfg.Algorithm = azurekeyvault.A256GCM
	if _, err := open(t, cfg).UnwrapForeign(t.Context(), theirs, ""); !errors.Is(err, kms.ErrMisconfigured) {
		t.Error(err)
	}
}
