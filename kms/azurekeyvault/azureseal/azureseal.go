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
			{Name: "tenant_id", Ambient: []string{"AZURE_TENANT_ID"}},
			{Name: "client_id", Ambient: []string{"AZURE_CLIENT_ID"}},
			{Name: "client_secret", Own: []string{"AZURE_CLIENT_SECRET"}}, // the provider reads the variables of secrets by itself
			{Name: "environment", Ambient: []string{"AZURE_ENVIRONMENT"}},
			{Name: "resource", Ambient: []string{"AZURE_AD_RESOURCE"}},
			{Name: "auth_method", Env: []string{"VAULT_AZUREKEYVAULT_AUTH_METHOD"}},
			{Name: "cert_path", Env: []string{"VAULT_AZUREKEYVAULT_CERTIFICATE_PATH"}, Own: []string{"AZURE_CLIENT_CERTIFICATE_PATH"}},
			{Name: "cert_password", Env: []string{"VAULT_AZUREKEYVAULT_CERTIFICATE_PASSWORD"}, Own: []string{"AZURE_CLIENT_CERTIFICATE_PASSWORD"}},
			{Name: "managed_id_kind", Env: []string{"VAULT_AZUREKEYVAULT_MANAGED_IDENTITY_KIND"}},
			{Name: "resource_id", Env: []string{"VAULT_AZUREKEYVAULT_RESOURCE_ID"}},
			{Name: "token_file", Own: []string{"AZURE_FEDERATED_TOKEN_FILE"}},
			{Name: "algorithm"},
		},
		Ignored: []string{"subscription_id"},
		Renamed: map[string]string{
			"VaultName": "vault_name", "VaultURL": "vault_name", "KeyName": "key_name", "TenantID": "tenant_id", "ClientID": "client_id",
			"ClientSecret": "client_secret", "ClientSecretFile": "client_secret", "Environment": "environment", "Resource": "resource",
			"Auth": "auth_method", "CertificateFile": "cert_path", "CertificatePassword": "cert_password",
			"IdentityResourceID": "resource_id", "TokenFile": "token_file", "Algorithm": "algorithm",
		},
		Build: func(v sealconf.Values) (sealconf.Made, error) { return build(v, adjust) },
	}
}

func build(v sealconf.Values, adjust func(*azurekeyvault.Config)) (sealconf.Made, error) {
	t, err := v.Texts("vault_name", "key_name", "tenant_id", "client_id", "environment", "resource", "auth_method",
		"resource_id", "algorithm")
	if err != nil {
		return sealconf.Made{}, err
	}
	p, err := v.Paths("cert_path", "token_file")
	if err != nil {
		return sealconf.Made{}, err
	}
	cfg := azurekeyvault.Config{
		VaultName: t["vault_name"], KeyName: t["key_name"], TenantID: t["tenant_id"], ClientID: t["client_id"],
		Environment: t["environment"], Resource: t["resource"], CertificateFile: p["cert_path"],
		IdentityResourceID: t["resource_id"], TokenFile: p["token_file"], Algorithm: azurekeyvault.Algorithm(t["algorithm"]),
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
	if cfg.Auth == azurekeyvault.AuthDefault && cfg.ClientID == os.Getenv("AZURE_CLIENT_ID") {
		cfg.ClientID = "" // the chain reads it by itself
	}
	if adjust != nil {
		adjust(&cfg)
	}
	w, err := azurekeyvault.New(cfg)
	if err != nil {
		return sealconf.Made{}, err
	}
	rsa := cfg.Algorithm == "" || cfg.Algorithm == azurekeyvault.RSAOAEP256
	return sealconf.Made{Wrapper: w, Forgeable: rsa}, nil // the public key wraps
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
