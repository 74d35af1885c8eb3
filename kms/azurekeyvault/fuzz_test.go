package azurekeyvault_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
)

// FuzzUnwrap gives a Wrapper blobs from anywhere, before a Managed HSM that
// answers.
func FuzzUnwrap(f *testing.F) {
	w := open(f, start(f).HSMConfig("golden"))
	text, err := os.ReadFile(filepath.Join("testdata", "v1-a256gcm.json"))
	if err != nil {
		f.Fatal(err)
	}
	var good kms.Blob
	if err := json.Unmarshal(text, &good); err != nil {
		f.Fatal(err)
	}
	if _, err := w.Unwrap(f.Context(), &good, place); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Type, good.KeyID, good.Version, good.Ciphertext)
	f.Add(good.Type, good.KeyID+"/", good.Version, good.Ciphertext)
	f.Add(good.Type, good.KeyID, "../x", good.Ciphertext)
	f.Add(good.Type, good.KeyID, good.Version, append([]byte{1}, make([]byte, 256)...))
	f.Add("awskms", "https://", "\r\n", []byte{})
	f.Fuzz(func(t *testing.T, typ, id, version string, ciphertext []byte) {
		blob := &kms.Blob{Type: typ, KeyID: id, Version: version, Ciphertext: ciphertext}
		got, err := w.Unwrap(t.Context(), blob, place)
		if err != nil {
			if e, ok := errors.AsType[*kms.Error](err); !ok || e.Kind == nil || got != nil || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%d bytes, %q", len(got), err)
			}
			return
		}
		// Azure's names mean the same in any case.
		if typ != good.Type || !strings.EqualFold(id, good.KeyID) || !strings.EqualFold(version, good.Version) || string(ciphertext) != string(good.Ciphertext) {
			t.Errorf("forged: %+v opens", blob)
		}
	})
}
