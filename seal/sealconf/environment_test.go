package sealconf_test

import (
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

// A variable that contradicts a field is an error that names both; one that
// agrees, also with what a reference refers to, is none.
func TestEnvironmentContradicts(t *testing.T) {
	for _, c := range []struct{ stanza, variable, value, field string }{
		{"seal \"azurekeyvault\" {\n vault_name = \"v\"\n key_name = \"k\"\n}", "VAULT_AZUREKEYVAULT_KEY_NAME", "other", "key_name"},
		{"seal \"azurekeyvault\" {\n vault_name = \"v\"\n key_name = \"k\"\n client_id = \"c\"\n tenant_id = \"t\"\n client_secret = \"s\"\n}", "AZURE_CLIENT_SECRET", "canary", "ClientSecret"},
		{"seal \"awskms\" {\n kms_key_id = \"alias/a\"\n access_key = \"a\"\n secret_key = \"s\"\n region = \"eu-west-1\"\n}", "VAULT_AWSKMS_SEAL_KEY_ID", "alias/b", "kms_key_id"},
		{"seal \"awskms\" {\n kms_key_id = \"alias/a\"\n access_key = \"a\"\n secret_key = \"s\"\n region = \"eu-west-1\"\n}", "AWS_REGION", "eu-west-2", "Region"},
		{"seal \"awskms\" {\n kms_key_id = \"alias/a\"\n access_key = \"a\"\n secret_key = \"s\"\n region = \"eu-west-1\"\n}", "AWS_ACCESS_KEY_ID", "other", "AccessKeyID"},
		{"seal \"gcpckms\" {\n project = \"p\"\n region = \"r\"\n key_ring = \"k\"\n crypto_key = \"c\"\n credentials = \"/a\"\n}", "GOOGLE_PROJECT", "q", "project"},
		{"seal \"gcpckms\" {\n project = \"p\"\n region = \"r\"\n key_ring = \"k\"\n crypto_key = \"c\"\n credentials = \"/a\"\n}", "GOOGLE_APPLICATION_CREDENTIALS", "/b", "CredentialsFile"},
		{"seal \"transit\" {\n address = \"https://a\"\n token = \"t\"\n key_name = \"k\"\n mount_path = \"m\"\n}", "VAULT_ADDR", "https://b", "address"},
		{"seal \"static\" {\n current_key_id = \"i\"\n current_key = \"env://SEALCONF_TEST_KEY\"\n}", "BAO_STATIC_SEAL_CURRENT_KEY", "canary", "current_key"},
	} {
		t.Run(c.variable, func(t *testing.T) {
			clearEnvironment(t)
			t.Setenv("SEALCONF_TEST_KEY", strings.Repeat("7", 64))
			o := sealconf.Options{Providers: (&configs{}).providers(), AllowEnvironment: true}
			if !strings.Contains(c.stanza, "vault_name = \"v\"\n key_name = \"k\"\n}") { // the chain is asked at once
				build(t, c.stanza, o)
			}
			t.Setenv(c.variable, c.value)
			_, err := try(c.stanza, o)
			failed(t, err, c.field, c.variable)
			if strings.Contains(err.Error(), "canary") {
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
	build(t, "seal \"static\" {\n current_key_id = \"i\"\n current_key = \"env://SEALCONF_TEST_KEY\"\n}", sealconf.Options{AllowEnvironment: true})
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
	failed(t, err, "ClientSecret", "CertificateFile")
}

// clearEnvironment unsets what the machine of the test may have.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST",
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS", "VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
}
