package azurekeyvault

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"

	"github.com/sealwright/sealwright/kms/provider"
)

// fromEnvironment returns the configuration with its empty fields filled from
// the variables of Vault, OpenBao and the SDK. Variables of another kind of
// authentication than the chosen one are not looked at. A field that is set wins
// over AZURE_… variables, which AKS puts into every pod, and contradicts those
// that mean this seal alone.
func (c Config) fromEnvironment() (_ Config, err error) {
	ambient := func(variable string, value *string) {
		*value = cmp.Or(*value, os.Getenv(variable))
	}
	take := func(variable, field string, value *string) {
		switch v := os.Getenv(variable); {
		case v == "" || v == *value || err != nil:
		case *value == "":
			*value = v
		default:
			err = fmt.Errorf("%s says %s, and the environment has %s=%s: unset one", field, provider.Show(*value), variable, provider.Show(v))
		}
	}
	for _, prefix := range []string{"VAULT_AZUREKEYVAULT_", "AZUREKEYVAULT_WRAPPER_"} {
		take(prefix+"KEY_NAME", "KeyName", &c.KeyName)
	}
	name, field := &c.VaultName, "VaultName"
	if c.VaultURL != "" {
		_, host, _ := strings.Cut(c.VaultURL, "://")
		label, _, _ := strings.Cut(strings.TrimSuffix(host, "/"), ".")
		name, field = &label, "VaultURL"
	}
	take("VAULT_AZUREKEYVAULT_VAULT_NAME", field, name)
	take("AZUREKEYVAULT_WRAPPER_VAULT_NAME", field, name)
	if c.VaultURL == "" {
		ambient("AZURE_AD_RESOURCE", &c.Resource)
	}
	ambient("AZURE_ENVIRONMENT", &c.Environment)
	if c.Credential != nil || err != nil {
		return c, err
	}

	auth := string(c.Auth)
	take("VAULT_AZUREKEYVAULT_AUTH_METHOD", "Auth", &auth)
	c.Auth = Auth(auth)
	may := func(a Auth) bool { return c.Auth == "" || c.Auth == a }
	if may(AuthClientSecret) || may(AuthCertificate) || may(AuthWorkloadIdentity) {
		ambient("AZURE_TENANT_ID", &c.TenantID)
		ambient("AZURE_CLIENT_ID", &c.ClientID)
	}
	hide := func(variable string, value *func() (string, error), isSet bool) {
		if v := os.Getenv(variable); v != "" && !isSet {
			*value = func() (string, error) { return v, nil }
		}
	}
	// Where several kinds are there, the first counts, in the SDK's own order.
	if may(AuthClientSecret) {
		hide("AZURE_CLIENT_SECRET", &c.ClientSecret, c.ClientSecret != nil || c.ClientSecretFile != "")
		if c.ClientSecret != nil {
			c.Auth = AuthClientSecret
		}
	}
	if may(AuthCertificate) {
		take("VAULT_AZUREKEYVAULT_CERTIFICATE_PATH", "CertificateFile", &c.CertificateFile)
		ambient("AZURE_CLIENT_CERTIFICATE_PATH", &c.CertificateFile)
		if c.CertificateFile != "" {
			c.Auth = AuthCertificate
			hide("VAULT_AZUREKEYVAULT_CERTIFICATE_PASSWORD", &c.CertificatePassword, c.CertificatePassword != nil)
			hide("AZURE_CLIENT_CERTIFICATE_PASSWORD", &c.CertificatePassword, c.CertificatePassword != nil)
		}
	}
	if may(AuthWorkloadIdentity) {
		ambient("AZURE_FEDERATED_TOKEN_FILE", &c.TokenFile)
	}
	if c.Auth == AuthManagedIdentity {
		take("VAULT_AZUREKEYVAULT_RESOURCE_ID", "IdentityResourceID", &c.IdentityResourceID)
		if c.IdentityResourceID == "" {
			ambient("AZURE_CLIENT_ID", &c.ClientID)
		}
	}
	return c, err
}

// An environment is one of Azure's clouds.
type environment struct {
	names      []string
	vault, hsm string // domains
	cloud      cloud.Configuration
}

func environments() []environment {
	return []environment{
		{[]string{"AZUREPUBLICCLOUD", "AZURECLOUD"}, "vault.azure.net", "managedhsm.azure.net", cloud.AzurePublic},
		{[]string{"AZURECHINACLOUD"}, "vault.azure.cn", "managedhsm.azure.cn", cloud.AzureChina},
		{[]string{"AZUREUSGOVERNMENT", "AZUREUSGOVERNMENTCLOUD"}, "vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net", cloud.AzureGovernment},
	}
}

// has reports whether the host is a vault or Managed HSM of the cloud.
func (e environment) has(host string) bool {
	return strings.HasSuffix(host, "."+e.vault) || strings.HasSuffix(host, "."+e.hsm)
}

// locate returns the host of the vault, and the cloud to authenticate in.
func (c Config) locate() (host string, where cloud.Configuration, err error) {
	var env *environment
	for _, e := range environments() {
		for _, name := range e.names {
			if strings.EqualFold(name, c.Environment) {
				env = &e
			}
		}
	}
	private := c.ClientOptions.Cloud.ActiveDirectoryAuthorityHost != ""
	switch {
	case c.Environment != "" && private:
		return "", where, fmt.Errorf("Environment and ClientOptions.Cloud are both set: leave one out")
	case c.Environment != "" && env == nil:
		return "", where, fmt.Errorf("Environment %.40q must be AZUREPUBLICCLOUD, AZURECHINACLOUD or AZUREUSGOVERNMENT; for a private cloud set ClientOptions.Cloud", c.Environment)
	}
	if host, err = c.host(env); err != nil {
		return "", where, err
	}
	for _, e := range environments() {
		switch {
		case !e.has(host):
		case c.Algorithm != RSAOAEP256 && strings.HasSuffix(host, "."+e.vault):
			return "", where, fmt.Errorf("Algorithm %s needs a Managed HSM, and %s is a vault", c.Algorithm, host)
		case env == nil && !private:
			env = &e
		case env == nil || env.vault != e.vault:
			return "", where, fmt.Errorf("%s is of the cloud %s, and Environment or ClientOptions.Cloud of another", host, e.names[0])
		}
	}
	switch {
	case private:
		where = c.ClientOptions.Cloud
	case env != nil:
		where = env.cloud
	case c.Credential == nil:
		return "", where, fmt.Errorf("%s is in no cloud that is known by its domain: set Environment, or ClientOptions.Cloud for a private one", host)
	}
	return host, where, nil
}

// host returns the vault's host in lower case, with its port if it has one.
func (c Config) host(env *environment) (string, error) {
	switch {
	case c.VaultURL != "" && (c.VaultName != "" || c.Resource != ""):
		return "", fmt.Errorf("VaultURL is set: leave VaultName and Resource out")
	case c.VaultURL != "":
		u, err := url.Parse(c.VaultURL)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "", fmt.Errorf("VaultURL must read https://NAME.vault.azure.net, with nothing behind it")
		}
		return strings.TrimSuffix(strings.ToLower(u.Host), ":443"), nil
	case c.VaultName == "":
		return "", fmt.Errorf("VaultURL or VaultName is missing")
	case !vaultName.MatchString(c.VaultName):
		return "", fmt.Errorf("VaultName %.130q must be the name alone: letters, digits and single dashes", c.VaultName)
	case c.Resource != "" && (!matches(tenantName, c.Resource, 253) || !strings.Contains(c.Resource, ".")):
		return "", fmt.Errorf("Resource %.130q must be the domain alone, as vault.azure.net", c.Resource)
	}
	domain := c.Resource
	if domain == "" {
		if env == nil {
			if c.ClientOptions.Cloud.ActiveDirectoryAuthorityHost != "" {
				return "", fmt.Errorf("a private cloud needs VaultURL, or Resource beside VaultName")
			}
			env = &environments()[0]
		}
		domain = env.vault
		if c.Algorithm != RSAOAEP256 {
			domain = env.hsm
		}
	}
	return strings.ToLower(c.VaultName + "." + domain), nil
}
