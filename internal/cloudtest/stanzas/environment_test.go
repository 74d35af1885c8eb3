package stanzas_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// Variables fill what is not set, where the host allows it, and nowhere else.
func TestEnvironmentFills(t *testing.T) {
	clearEnvironment(t)
	for name, value := range map[string]string{
		"VAULT_AZUREKEYVAULT_VAULT_NAME": "v", "AZUREKEYVAULT_WRAPPER_KEY_NAME": "k",
		"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "canary",
		"AWSKMS_WRAPPER_KEY_ID": "alias/a", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-2", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "canary",
		"GOOGLE_PROJECT": "p", "GOOGLE_REGION": "r", "VAULT_GCPCKMS_SEAL_KEY_RING": "ring", "GCPCKMS_WRAPPER_CRYPTO_KEY": "key", "GOOGLE_CREDENTIALS": "/run/gcp.json",
		"VAULT_ADDR": "https://vault:8200", "TRANSIT_WRAPPER_TOKEN": "t", "VAULT_TOKEN": "another", "TRANSIT_WRAPPER_KEY_NAME": "k", "VAULT_TRANSIT_SEAL_MOUNT_PATH": "transit",
		"BAO_STATIC_SEAL_CURRENT_KEY_ID": "id", "BAO_STATIC_SEAL_CURRENT_KEY": strings.Repeat("7", 64),
	} {
		t.Setenv(name, value)
	}
	types := []string{"azurekeyvault", "awskms", "gcpckms", "transit", "static"}
	var made configs
	for _, typ := range types {
		text := `seal "` + typ + `" {}`
		if _, err := try(text, sealconf.Options{Providers: made.providers()}); err == nil {
			t.Errorf("%s: the environment was read", typ)
		} else {
			failed(t, err, "is required")
		}
		build(t, text, sealconf.Options{Providers: made.providers(), AllowEnvironment: true})
	}
	az, aw, gc := made.azure[0], made.aws[0], made.gcp[0]
	got := []string{az.VaultName, az.KeyName, az.TenantID, az.ClientID, string(az.Auth), aw.KeyID, aw.Region, gc.KeyID, gc.CredentialsFile}
	want := []string{"v", "k", "tenant", "client", "", "alias/a", "", "projects/p/locations/r/keyRings/ring/cryptoKeys/key", "/run/gcp.json"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !az.AllowEnvironment || !aw.AllowEnvironment || !gc.AllowEnvironment {
		t.Error("the providers may not read the environment")
	}
}

// A variable that means the seal alone and contradicts a field is an error that
// names both; one that agrees, also with what a reference refers to, is none.
func TestSealVariablesContradict(t *testing.T) {
	const transit = "seal \"transit\" {\n address = \"https://a\"\n token = \"t\"\n key_name = \"k\"\n mount_path = \"m/\"\n}"
	for _, c := range []struct{ stanza, variable, value, field string }{
		{azureStanza, "VAULT_AZUREKEYVAULT_KEY_NAME", "other", "key_name"},
		{azureStanza, "AZUREKEYVAULT_WRAPPER_VAULT_NAME", "other", "vault_name"},
		{awsStanza, "VAULT_AWSKMS_SEAL_KEY_ID", "alias/b", "kms_key_id"},
		{gcpStanza, "VAULT_GCPCKMS_SEAL_KEY_RING", "other", "key_ring"},
		{transit, "VAULT_TRANSIT_SEAL_KEY_NAME", "other", "key_name"},
		{transit, "VAULT_TRANSIT_SEAL_ADDR", "https://b", "address"},
		{transit, "TRANSIT_WRAPPER_TOKEN", "canary", "token"},
		{"seal \"static\" {\n current_key_id = \"i\"\n current_key = \"env://SEALCONF_TEST_KEY\"\n}", "BAO_STATIC_SEAL_CURRENT_KEY", "canary", "current_key"},
	} {
		t.Run(c.variable, func(t *testing.T) {
			clearEnvironment(t)
			t.Setenv("SEALCONF_TEST_KEY", strings.Repeat("7", 64))
			o := sealconf.Options{Providers: (&configs{}).providers(), AllowEnvironment: true}
			build(t, c.stanza, o)
			t.Setenv(c.variable, c.value)
			_, err := try(c.stanza, o)
			failed(t, err, c.field, c.variable, "remove one")
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Error("shows a secret:", err)
			}
			o.AllowEnvironment = false
			if !strings.Contains(c.stanza, "env://") {
				build(t, c.stanza, o)
			}
		})
	}
	clearEnvironment(t)
	t.Setenv("SEALCONF_TEST_KEY", strings.Repeat("7", 64))
	t.Setenv("BAO_STATIC_SEAL_CURRENT_KEY", strings.Repeat("7", 64))
	t.Setenv("VAULT_TRANSIT_SEAL_MOUNT_PATH", "m")
	build(t, "seal \"static\" {\n current_key_id = \"i\"\n current_key = \"env://SEALCONF_TEST_KEY\"\n}\n"+transit, sealconf.Options{AllowEnvironment: true})
}

const (
	azureStanza = "seal \"azurekeyvault\" {\n vault_name = \"v\"\n key_name = \"k\"\n client_id = \"c\"\n tenant_id = \"t\"\n client_secret = \"s\"\n}"
	awsStanza   = "seal \"awskms\" {\n kms_key_id = \"alias/a\"\n access_key = \"a\"\n secret_key = \"s\"\n region = \"eu-west-1\"\n}"
	gcpStanza   = "seal \"gcpckms\" {\n project = \"p\"\n region = \"r\"\n key_ring = \"k\"\n crypto_key = \"c\"\n credentials = \"/a\"\n}"
)

// What a platform puts into every pod, or an agent into every shell, beside a
// stanza that says otherwise stopped the server. The stanza wins, with a note.
func TestAmbientVariablesGiveWay(t *testing.T) {
	dir := t.TempDir()
	transit := "seal \"transit\" {\n address = \"https://a\"\n token = \"t\"\n key_name = \"k\"\n mount_path = \"m\"\n tls_ca_cert = \"" + authority(t, dir) + "\"\n}"
	plain := "seal \"transit\" {\n address = \"https://a\"\n token = \"t\"\n key_name = \"k\"\n mount_path = \"m\"\n}"
	for _, c := range []struct{ stanza, variable, value, note string }{
		{azureStanza, "AZURE_CLIENT_ID", "other", "client_id is as it is written, and not as the variable AZURE_CLIENT_ID has it"},
		{azureStanza, "AZURE_TENANT_ID", "other", "tenant_id is as it is written"},
		{azureStanza, "AZURE_CLIENT_SECRET", "canary", "client_secret is as it is written"},
		{azureStanza, "AZURE_CLIENT_SECRET", "s", ""},
		{azureStanza, "AZURE_FEDERATED_TOKEN_FILE", "/canary", ""},
		{azureStanza, "AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/", ""},
		{awsStanza, "AWS_REGION", "eu-west-2", "region is as it is written, and not as the variable AWS_REGION has it"},
		{awsStanza, "AWS_REGION", "eu-west-1", ""},
		{awsStanza, "AWS_ACCESS_KEY_ID", "other", "access_key is as it is written"},
		{awsStanza, "AWS_SECRET_ACCESS_KEY", "canary", "secret_key is as it is written"},
		{gcpStanza, "GOOGLE_PROJECT", "q", "project is as it is written"},
		{gcpStanza, "GOOGLE_REGION", "q", "region is as it is written"},
		{gcpStanza, "GOOGLE_APPLICATION_CREDENTIALS", "/b", "credentials is as it is written"},
		{gcpStanza, "GOOGLE_CREDENTIALS", `{"private_key": "canary"}`, "credentials is as it is written"},
		{plain, "VAULT_ADDR", "https://127.0.0.1:8200", "address is as it is written, and not as the variable VAULT_ADDR has it"},
		{plain, "BAO_ADDR", "https://127.0.0.1:8200", "address is as it is written"},
		{plain, "VAULT_ADDR", "https://a/", ""},
		{plain, "VAULT_TOKEN", "canary", "token is as it is written"},
		{plain, "VAULT_NAMESPACE", "ns", "namespace is that of the variable VAULT_NAMESPACE"},
		{plain, "VAULT_SKIP_VERIFY", "true", "tls_skip_verify is that of the variable VAULT_SKIP_VERIFY"},
		{transit, "VAULT_CACERT", "/vault/tls/ca.pem", "tls_ca_cert is as it is written"},
		{transit, "VAULT_SKIP_VERIFY", "true", "tls_skip_verify is not set: the variable VAULT_SKIP_VERIFY does not count"},
		{transit, "VAULT_TLS_SERVER_NAME", "other", "tls_server_name is not set"},
	} {
		t.Run(c.variable+" "+c.value[:1], func(t *testing.T) {
			clearEnvironment(t)
			o := sealconf.Options{Providers: (&configs{}).providers(), AllowEnvironment: true}
			before := build(t, c.stanza, o).Notes
			t.Setenv(c.variable, c.value)
			setup := build(t, c.stanza, o)
			said := strings.Join(setup.Notes, "\n")
			if !strings.Contains(said, c.note) || (c.note == "") != (len(setup.Notes) == len(before)) {
				t.Errorf("notes: %q, want %q", setup.Notes, c.note)
			}
			if strings.Contains(said, "canary") {
				t.Error("shows a secret:", said)
			}
		})
	}
}

// VAULT_SEAL_TYPE stands for a stanza, as in Vault; there it also turns stanzas
// into others, which came up as another seal than was written.
func TestSealType(t *testing.T) {
	static := fmt.Sprintf(staticStanza, "static", "")
	for name, c := range map[string]struct {
		text, variable, value string
		types                 []string
		words                 string
	}{
		"without a stanza":          {"", "VAULT_SEAL_TYPE", "awskms", []string{"awskms"}, ""},
		"OpenBao's":                 {"ui = true", "BAO_SEAL_TYPE", "AWSKMS", []string{"awskms"}, ""},
		"unknown":                   {"", "VAULT_SEAL_TYPE", "pkcs11", nil, "the variable VAULT_SEAL_TYPE: seal \"pkcs11\": unknown seal type"},
		"shamir":                    {"", "VAULT_SEAL_TYPE", "shamir", nil, ""},
		"shamir, written":           {"seal \"shamir\" {}", "VAULT_SEAL_TYPE", "shamir", nil, ""},
		"as written":                {static, "VAULT_SEAL_TYPE", "static", []string{"static"}, ""},
		"another than written":      {static, "VAULT_SEAL_TYPE", "awskms", nil, "VAULT_SEAL_TYPE asks for a seal \"awskms\""},
		"shamir, and a KMS written": {static, "VAULT_SEAL_TYPE", "shamir", nil, "asks for a seal \"shamir\""},
		"to shamir, and back":       {fmt.Sprintf(staticStanza, "static", "disabled = true"), "VAULT_SEAL_TYPE", "static", nil, "asks for a seal \"static\""},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnvironment(t)
			for k, v := range map[string]string{"VAULT_AWSKMS_SEAL_KEY_ID": "alias/a", "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", c.variable: c.value} {
				t.Setenv(k, v)
			}
			setup, err := try(c.text, sealconf.Options{Providers: (&configs{}).providers(), AllowEnvironment: true})
			if c.words != "" {
				failed(t, err, c.words)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(maps.Keys(setup.KMS)); !slices.Equal(got, c.types) {
				t.Errorf("%q, not %q", got, c.types)
			}
			if _, err := try(c.text, sealconf.Options{Providers: (&configs{}).providers()}); err != nil {
				t.Error("without leave:", err)
			}
		})
	}
}

// The fields of an Azure stanza say how to authenticate, as in Vault.
func TestAzureMethods(t *testing.T) {
	for name, c := range map[string]struct {
		fields      string
		environment map[string]string
		want        azurekeyvault.Auth
	}{
		"nothing":               {"", nil, azurekeyvault.AuthManagedIdentity},
		"nothing, environment":  {"", map[string]string{"X": "1"}, azurekeyvault.AuthDefault},
		"a client id":           {`client_id = "c"`, nil, azurekeyvault.AuthManagedIdentity},
		"an identity":           {`managed_id_kind = "resource_id"` + "\n" + `resource_id = "/subscriptions/x"`, nil, azurekeyvault.AuthManagedIdentity},
		"a secret":              {"tenant_id = \"t\"\nclient_id = \"c\"\nclient_secret = \"s\"", nil, azurekeyvault.AuthClientSecret},
		"a secret, AKS":         {"tenant_id = \"t\"\nclient_id = \"c\"\nclient_secret = \"s\"", map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "/t"}, azurekeyvault.AuthClientSecret},
		"a certificate":         {"tenant_id = \"t\"\nclient_id = \"c\"\ncert_path = \"/c\"", nil, azurekeyvault.AuthCertificate},
		"a token":               {"tenant_id = \"t\"\nclient_id = \"c\"\ntoken_file = \"/t\"", nil, azurekeyvault.AuthWorkloadIdentity},
		"environment, by name":  {`auth_method = "environment"`, map[string]string{"X": "1"}, azurekeyvault.AuthDefault},
		"managed, with tenant":  {"auth_method = \"managed_identity\"\ntenant_id = \"t\"", nil, azurekeyvault.AuthManagedIdentity},
		"a tenant alone":        {`tenant_id = "t"`, nil, azurekeyvault.AuthManagedIdentity},
		"a tenant, environment": {`tenant_id = "t"`, map[string]string{"X": "1"}, azurekeyvault.AuthDefault},
		"empty, environment":    {"tenant_id = \"t\"\nclient_id = \"\"\nclient_secret = \"\"", map[string]string{"X": "1"}, azurekeyvault.AuthDefault},
		"empty":                 {"tenant_id = \"\"\nclient_id = \"\"\nclient_secret = \"\"", nil, azurekeyvault.AuthManagedIdentity},
		"secret in environment": {"", map[string]string{"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnvironment(t)
			for k, v := range c.environment {
				t.Setenv(k, v)
			}
			var made configs
			build(t, "seal \"azurekeyvault\" {\n vault_name = \"v\"\n key_name = \"k\"\n"+c.fields+"\n}",
				sealconf.Options{Providers: made.providers(), AllowEnvironment: c.environment != nil})
			if got := made.azure[0].Auth; got != c.want {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
	_, err := try("seal \"azurekeyvault\" {\n vault_name = \"v\"\n key_name = \"k\"\ntenant_id = \"t\"\nclient_id = \"c\"\nclient_secret = \"s\"\ncert_path = \"/c\"\n}",
		sealconf.Options{Providers: (&configs{}).providers()})
	failed(t, err, "client_secret", "cert_path")
}

// clearEnvironment unsets what the machine of the test may have.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		for _, prefix := range []string{"AZURE_", "AWS_", "GOOGLE_", "VAULT_", "BAO_", "TRANSIT_WRAPPER_"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "")
			}
		}
	}
	t.Setenv("HOME", t.TempDir())
}

const staticStanza = `
seal "static" {
  name           = "%s"
  current_key_id = "id"
  current_key    = "0123456789abcdef0123456789abcdef"
  %s
}
`
