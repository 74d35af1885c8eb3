// Package azureseal reads seal "azurekeyvault" stanzas: see packages sealconf,
// and azurekeyvault for permissions, limits and errors.
package azureseal

import (
	"os"
	"slices"

	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// Provider returns the provider for [sealconf.Options]. Adjust, if it is not
// nil, may change what a stanza says before it is used: to give it the host's
// transport, tracing or private cloud.
//
// Without auth_method, the fields say how to authenticate: a client_secret, a
// cert_path or a token_file; where the environment is allowed, its variables for
// these; a client_id alone, or a managed_id_kind, is a managed identity. Nothing
// of all that is the SDK's chain where the environment is allowed, and the
// machine's managed identity otherwise.
func Provider(adjust func(*azurekeyvault.Config)) sealconf.Provider {
	return sealconf.Provider{
		Type: azurekeyvault.Type,
		Fields: []sealconf.Field{
			{Name: "vault_name", Required: true, Env: []string{"AZUREKEYVAULT_WRAPPER_VAULT_NAME", "VAULT_AZUREKEYVAULT_VAULT_NAME"}},
			{Name: "key_name", Required: true, Env: []string{"AZUREKEYVAULT_WRAPPER_KEY_NAME", "VAULT_AZUREKEYVAULT_KEY_NAME"}},
			{Name: "tenant_id", Env: []string{"AZURE_TENANT_ID"}},
			{Name: "client_id", Env: []string{"AZURE_CLIENT_ID"}},
			{Name: "client_secret"}, // the provider reads the variables of secrets by itself
			{Name: "environment", Env: []string{"AZURE_ENVIRONMENT"}},
			{Name: "resource", Env: []string{"AZURE_AD_RESOURCE"}},
			{Name: "auth_method", Env: []string{"VAULT_AZUREKEYVAULT_AUTH_METHOD"}},
			{Name: "cert_path"},
			{Name: "cert_password"},
			{Name: "managed_id_kind", Env: []string{"VAULT_AZUREKEYVAULT_MANAGED_IDENTITY_KIND"}},
			{Name: "resource_id", Env: []string{"VAULT_AZUREKEYVAULT_RESOURCE_ID"}},
			{Name: "token_file"},
			{Name: "algorithm"},
		},
		Ignored: []string{"subscription_id"},
		Build:   func(v sealconf.Values) (sealconf.Made, error) { return build(v, adjust) },
	}
}

func build(v sealconf.Values, adjust func(*azurekeyvault.Config)) (sealconf.Made, error) {
	t, err := v.Texts("vault_name", "key_name", "tenant_id", "client_id", "environment", "resource", "auth_method",
		"cert_path", "resource_id", "token_file", "algorithm")
	if err != nil {
		return sealconf.Made{}, err
	}
	cfg := azurekeyvault.Config{
		VaultName: t["vault_name"], KeyName: t["key_name"], TenantID: t["tenant_id"], ClientID: t["client_id"],
		Environment: t["environment"], Resource: t["resource"], CertificateFile: t["cert_path"],
		IdentityResourceID: t["resource_id"], TokenFile: t["token_file"], Algorithm: azurekeyvault.Algorithm(t["algorithm"]),
		CertificatePassword: v.Secret("cert_password"), AllowEnvironment: v.EnvironmentAllowed(),
	}
	if path, ok := v.File("client_secret"); ok {
		cfg.ClientSecretFile = path
	} else {
		cfg.ClientSecret = v.Secret("client_secret")
	}
	cfg.Auth = method(t["auth_method"], cfg, v)
	if cfg.Auth == azurekeyvault.AuthManagedIdentity {
		cfg.TenantID = "" // the identity brings its own
	}
	if adjust != nil {
		adjust(&cfg)
	}
	w, err := azurekeyvault.New(cfg)
	if err != nil {
		return sealconf.Made{}, err
	}
	return sealconf.Made{Wrapper: w}, nil
}

// method returns how to authenticate, or "" where the provider finds out.
func method(written string, cfg azurekeyvault.Config, v sealconf.Values) azurekeyvault.Auth {
	var explicit []azurekeyvault.Auth
	if cfg.ClientSecret != nil || cfg.ClientSecretFile != "" {
		explicit = append(explicit, azurekeyvault.AuthClientSecret)
	}
	if cfg.CertificateFile != "" {
		explicit = append(explicit, azurekeyvault.AuthCertificate)
	}
	if cfg.TokenFile != "" {
		explicit = append(explicit, azurekeyvault.AuthWorkloadIdentity)
	}
	switch {
	case written == "environment": // OpenBao's name for the chain's first part
		return azurekeyvault.AuthDefault
	case written != "":
		return azurekeyvault.Auth(written)
	case len(explicit) == 1:
		return explicit[0]
	case len(explicit) > 1:
		return "" // the provider names the two
	case v.EnvironmentAllowed() && slices.ContainsFunc([]string{
		"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "VAULT_AZUREKEYVAULT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE",
	}, func(name string) bool { return os.Getenv(name) != "" }):
		return ""
	case cfg.ClientID != "", cfg.IdentityResourceID != "", v.Has("managed_id_kind"), !v.EnvironmentAllowed():
		return azurekeyvault.AuthManagedIdentity
	}
	return azurekeyvault.AuthDefault
}
