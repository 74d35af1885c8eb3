package localkms_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
)

// FuzzUnwrap gives the key file of the goldens blobs from anywhere.
func FuzzUnwrap(f *testing.F) {
	path := filepath.Join(f.TempDir(), "key")
	key, err := os.ReadFile(filepath.Join("testdata", "v1.key"))
	if err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "v1.json"))
	if err != nil {
		f.Fatal(err)
	}
	var goldens []*kms.Blob
	if err := json.Unmarshal(text, &goldens); err != nil {
		f.Fatal(err)
	}
	for _, b := range goldens {
		f.Add(b.Type, b.KeyID, b.Version, b.Ciphertext)
	}
	f.Add("localkms", goldens[0].KeyID, "+1", goldens[0].Ciphertext)
	f.Add("localkms", goldens[0].KeyID, "18446744073709551617", []byte{})
	w := open(f, path)
	f.Fuzz(func(t *testing.T, typ, id, version string, ciphertext []byte) {
		blob := &kms.Blob{Type: typ, KeyID: id, Version: version, Ciphertext: ciphertext}
		got, err := w.Unwrap(t.Context(), blob, kms.Binding{Store: "golden", Slot: "file", Path: "1"})
		if err != nil {
			if e, ok := errors.AsType[*kms.Error](err); !ok || e.Kind == nil || got != nil || len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%x, %q", got, err)
			}
			return
		}
		for i, b := range goldens {
			if typ == b.Type && id == b.KeyID && version == b.Version && bytes.Equal(ciphertext, b.Ciphertext) &&
				bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 32)) {
				return
			}
		}
		t.Errorf("forged: %+v opens", blob)
	})
}
