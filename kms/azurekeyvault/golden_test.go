package azurekeyvault_test

import (
	"crypto/rsa"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
)

var newGoldens = flag.Bool("new-goldens", false, "write the goldens of a new format; those of a release never change")

// TestGoldens opens the blobs of every release.
func TestGoldens(t *testing.T) {
	goldens := map[string]func(*testing.T, *azurekeyvaulttest.Server) azurekeyvault.Config{
		"v1-rsa-oaep-256.json": func(t *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			if fipsOnly() {
				t.Skip("the key is in PKCS#12")
			}
			file, err := os.ReadFile(filepath.Join("testdata", "app.pfx"))
			if err != nil {
				t.Fatal(err)
			}
			_, key, err := azidentity.ParseCertificates(file, []byte("open sesame"))
			if err != nil {
				t.Fatal(err)
			}
			s.Create("golden", azurekeyvaulttest.KeyOptions{RSA: key.(*rsa.PrivateKey)})
			return s.Config("golden")
		},
		"v1-a256kw.json": func(_ *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			cfg := s.HSMConfig("golden")
			cfg.Algorithm = azurekeyvault.A256KW
			return cfg
		},
		"v1-a256gcm.json": func(_ *testing.T, s *azurekeyvaulttest.Server) azurekeyvault.Config {
			return s.HSMConfig("golden")
		},
	}
	for name, config := range goldens {
		t.Run(name, func(t *testing.T) {
			w := open(t, config(t, start(t)))
			path := filepath.Join("testdata", name)
			if *newGoldens {
				blob, err := w.Wrap(t.Context(), secretKey(), place)
				if err != nil {
					t.Fatal(err)
				}
				text, err := json.MarshalIndent(blob, "", "\t")
				if err != nil {
					t.Fatal(err)
				}
				write(t, path, string(text)+"\n")
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			blob := new(kms.Blob)
			if err := json.Unmarshal(text, blob); err != nil {
				t.Fatal(err)
			}
			opens(t, w, blob)
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) != len(goldens) {
		t.Errorf("%d goldens, and %d of them are opened: %v", len(files), len(goldens), err)
	}
	t.Logf("GUARANTEE 10 azurekeyvault-goldens: files=%d", len(files))
}
