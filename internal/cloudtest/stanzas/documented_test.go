package stanzas_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awsseal"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azureseal"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpseal"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// The stanzas as the documentation of Vault, and of OpenBao for static, has
// them, inside of a server's whole configuration.
const documented = `
ui            = true
api_addr      = "https://127.0.0.1:8200"
cluster_addr  = "https://127.0.0.1:8201"

storage "raft" {
  path    = "/opt/vault/data"
  node_id = "raft_node_1"
  retry_join {
    leader_api_addr = "http://127.0.0.2:8200"
  }
}

listener "tcp" {
  address     = "127.0.0.1:8200"
  tls_disable = "true" // only here
}

seal "awskms" {
  region     = "us-east-1"
  access_key = "AKIAIOSFODNN7EXAMPLE"
  secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
  kms_key_id = "19ec80b0-dfdd-4d97-8164-c6examplekey"
  endpoint   = "https://vpce-0e1bb1852241f8cc6-pzi0do8n.kms.us-east-1.vpce.amazonaws.com"
}

seal "azurekeyvault" {
  tenant_id      = "46646709-b63e-4747-be42-516edeaf1e14"
  client_id      = "03dc33fc-16d9-4b77-8152-3ec568f8af6e"
  client_secret  = "DUJDS3..."
  vault_name     = "hc-vault"
  key_name       = "vault_key"
}

seal "gcpckms" {
  credentials = "/usr/vault/vault-project-user-creds.json"
  project     = "vault-project"
  region      = "global"
  key_ring    = "vault-keyring"
  crypto_key  = "vault-key"
}

seal "transit" {
  address            = "https://vault:8200"
  token              = "s.Qf1s5zigZ4OX6akYjQXJC1jY"
  disable_renewal    = "false"

  // Key configuration
  key_name           = "transit_key_name"
  mount_path         = "transit/"
  namespace          = "ns1/"

  // TLS Configuration
  tls_ca_cert        = "/etc/vault/ca_cert.pem"
  tls_client_cert    = "/etc/vault/client_cert.pem"
  tls_client_key     = "/etc/vault/ca_cert.pem"
  tls_server_name    = "vault"
  tls_skip_verify    = "false"
}

seal "static" {
  current_key_id = "20250606-1"
  current_key = "file:///openbao/unseal-20250606-1.key"
}
`

// configs keeps what the providers were asked to make.
type configs struct {
	azure []azurekeyvault.Config
	aws   []awskms.Config
	gcp   []gcpckms.Config
}

func (c *configs) providers() []sealconf.Provider {
	return []sealconf.Provider{
		azureseal.Provider(func(cfg *azurekeyvault.Config) { c.azure = append(c.azure, *cfg) }),
		awsseal.Provider(func(cfg *awskms.Config) { c.aws = append(c.aws, *cfg) }),
		gcpseal.Provider(func(cfg *gcpckms.Config) { c.gcp = append(c.gcp, *cfg) }),
	}
}

func TestDocumentedStanzas(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "static.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("5a", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stanzas, err := sealconf.Parse([]byte(documented), "vault.hcl")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, s := range stanzas {
		types = append(types, s.Type)
	}
	if diff := cmp.Diff([]string{"awskms", "azurekeyvault", "gcpckms", "transit", "static"}, types); diff != "" {
		t.Fatal(diff)
	}
	// The files that it names are elsewhere here.
	here := strings.NewReplacer("file:///openbao/unseal-20250606-1.key", "file://"+filepath.ToSlash(key),
		"/etc/vault/ca_cert.pem", authority(t, dir),
		"vault_key", "vault-key", // Azure has no key whose name has an underscore
	).Replace(documented)
	var made configs
	setup := build(t, here, sealconf.Options{Providers: made.providers()})
	want := map[string]seal.Spec{}
	for _, name := range types {
		want[name] = seal.KMS{Wrapper: name}
		if setup.KMS[name] == nil {
			t.Errorf("no wrapper %s", name)
		}
	}
	if diff := cmp.Diff(want, setup.Slots); diff != "" {
		t.Error(diff)
	}
	if len(setup.Run) != 1 {
		t.Errorf("%d to run, of the token's renewal", len(setup.Run))
	}
	az, aw, gc := made.azure[0], made.aws[0], made.gcp[0]
	secret, err := az.ClientSecret()
	got := []string{az.VaultName, az.KeyName, az.TenantID, az.ClientID, secret, string(az.Auth)}
	if diff := cmp.Diff([]string{"hc-vault", "vault-key", "46646709-b63e-4747-be42-516edeaf1e14",
		"03dc33fc-16d9-4b77-8152-3ec568f8af6e", "DUJDS3...", "client_secret"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got = []string{aw.Region, aw.AccessKeyID, aw.SecretAccessKey, aw.KeyID, aw.Endpoint}
	if diff := cmp.Diff([]string{"us-east-1", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		"19ec80b0-dfdd-4d97-8164-c6examplekey", "https://vpce-0e1bb1852241f8cc6-pzi0do8n.kms.us-east-1.vpce.amazonaws.com"}, got); diff != "" {
		t.Error(diff)
	}
	got = []string{gc.KeyID, gc.CredentialsFile}
	if diff := cmp.Diff([]string{"projects/vault-project/locations/global/keyRings/vault-keyring/cryptoKeys/vault-key",
		"/usr/vault/vault-project-user-creds.json"}, got); diff != "" {
		t.Error(diff)
	}
	if az.AllowEnvironment || aw.AllowEnvironment || gc.AllowEnvironment {
		t.Error("the environment is read")
	}
}

// What the documented stanzas name and cannot be there is an error that names it.
func TestDocumentedNames(t *testing.T) {
	stanzas, err := sealconf.Parse([]byte(documented), "vault.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ typ, words string }{
		{"azurekeyvault", `"vault_key" must be`},
	} {
		i := slices.IndexFunc(stanzas, func(s sealconf.Stanza) bool { return s.Type == c.typ })
		_, err := sealconf.Build(stanzas[i:i+1], sealconf.Options{Providers: (&configs{}).providers()})
		failed(t, err, c.words, "vault.hcl:")
	}
}

func build(t *testing.T, text string, o sealconf.Options) *sealconf.Setup {
	t.Helper()
	setup, err := try(text, o)
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

func try(text string, o sealconf.Options) (*sealconf.Setup, error) {
	stanzas, err := sealconf.Parse([]byte(text), "seal.hcl")
	if err != nil {
		return nil, err
	}
	return sealconf.Build(stanzas, o)
}

// failed checks that err is of this package, and says all that it should.
func failed(t *testing.T, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, sealconf.ErrConfig) {
		t.Errorf("%v, not ErrConfig", err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}
