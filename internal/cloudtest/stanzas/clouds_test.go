package stanzas_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/awskms/awsseal"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azureseal"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpseal"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// A stanza for each cloud, and a tree of the three, init a store and unseal it
// again, through the clouds' own SDKs; with one cloud away the tree still does.
func TestCloudsUnseal(t *testing.T) {
	clearEnvironment(t)
	dir := t.TempDir()
	azure, aws, gcp := azurekeyvaulttest.NewServer(), awskmstest.NewServer(), gcpckmstest.NewServer()
	t.Cleanup(func() { azure.Close(); aws.Close(); gcp.Close() })
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.ToSlash(path)
	}
	secret, err := azure.Config("unseal").ClientSecret()
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Split(gcp.KeyID("unseal"), "/") // projects/P/locations/L/keyRings/R/cryptoKeys/K
	text := fmt.Sprintf(`
seal "azurekeyvault" {
  tenant_id     = %q
  client_id     = %q
  client_secret = "file://%s"
  vault_name    = "sealwright"
  key_name      = "unseal"
}
seal "awskms" {
  kms_key_id = %q
  access_key = %q
  secret_key = %q
  endpoint   = %q
}
seal "gcpckms" {
  project     = %q
  region      = %q
  key_ring    = %q
  crypto_key  = %q
  credentials = "%s"
  endpoint    = %q
}
`, azurekeyvaulttest.TenantID, azurekeyvaulttest.ClientID, write("azure", []byte(secret)),
		aws.CreateKey(), awskmstest.AccessKeyID, awskmstest.SecretAccessKey, aws.URL,
		key[1], key[3], key[5], key[7], write("gcp.json", gcp.ServiceAccount()), gcp.Endpoint())
	tree := text + "seal \"threshold\" {\n threshold = 2\n of = [\"azurekeyvault\", \"awskms\", \"gcpckms\"]\n}\n"
	o := sealconf.Options{Providers: []sealconf.Provider{
		azureseal.Provider(func(c *azurekeyvault.Config) { c.ClientOptions.Transport = azure.Client() }),
		awsseal.Provider(nil),
		gcpseal.Provider(func(c *gcpckms.Config) { c.TLS = gcp.TLS() }),
	}}
	for name, c := range map[string]struct {
		text string
		want map[string]seal.Spec
	}{
		"each": {text, map[string]seal.Spec{"azurekeyvault": seal.KMS{Wrapper: "azurekeyvault"}, "awskms": seal.KMS{Wrapper: "awskms"}, "gcpckms": seal.KMS{Wrapper: "gcpckms"}}},
		"tree": {tree, map[string]seal.Spec{"threshold": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "azurekeyvault"}, seal.KMS{Wrapper: "awskms"}, seal.KMS{Wrapper: "gcpckms"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			store := seal.NewMemStore()
			open := func() (*seal.Barrier, *sealconf.Setup) {
				setup := build(t, c.text, o)
				cfg := seal.Config{Store: store}
				setup.Apply(&cfg)
				b, err := seal.Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { b.Close() })
				return b, setup
			}
			b, setup := open()
			if diff := cmp.Diff(c.want, setup.Slots); diff != "" {
				t.Fatal(diff)
			}
			if _, err := b.Init(context.Background(), setup.Slots, seal.By{}); err != nil {
				t.Fatal(err)
			}
			ciphertext, err := b.Keyring().Encrypt(nil, []byte("a note"), nil)
			if err != nil {
				t.Fatal(err)
			}
			azure.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.ServerError}))
			defer azure.Script(nil)
			b, _ = open()
			if err := b.Unseal(context.Background()); err != nil {
				t.Fatal(err)
			}
			if note, err := b.Keyring().Decrypt(nil, ciphertext, nil); err != nil || string(note) != "a note" {
				t.Error(string(note), err)
			}
		})
	}
}

// AWS keys given by file:// were read once: a missing file ended the server, and
// keys that were rotated were never read again.
func TestAWSKeysInFilesAreReadAgain(t *testing.T) {
	clearEnvironment(t)
	s := awskmstest.NewServer()
	t.Cleanup(s.Close)
	dir := filepath.ToSlash(t.TempDir())
	w := build(t, fmt.Sprintf(`seal "awskms" {
  kms_key_id = %q
  endpoint   = %q
  access_key = "file://%s/id"
  secret_key = "file://%s/secret"
}`, s.CreateKey(), s.URL, dir, dir), sealconf.Options{Providers: []sealconf.Provider{awsseal.Provider(nil)}}).KMS["awskms"]
	wrap := func() error {
		_, err := w.Wrap(t.Context(), make([]byte, 32), kms.Binding{Store: "s"})
		return err
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := wrap(); !errors.Is(err, kms.ErrUnauthenticated) && !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), "access_key: file") {
		t.Error("missing:", err)
	}
	write("id", "AKIAOTHER")
	write("secret", "canary-of-another-key")
	if err := wrap(); !errors.Is(err, kms.ErrUnauthenticated) || strings.Contains(err.Error(), "canary") {
		t.Error("wrong:", err)
	}
	write("id", awskmstest.AccessKeyID)
	write("secret", awskmstest.SecretAccessKey)
	if err := wrap(); err != nil {
		t.Error("rotated:", err)
	}
}
