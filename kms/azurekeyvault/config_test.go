package azurekeyvault_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
)

func good() azurekeyvault.Config {
	return azurekeyvault.Config{
		KeyName:      "prod",
		VaultURL:     "https://prod.vault.azure.net",
		TenantID:     azurekeyvaulttest.TenantID,
		ClientID:     azurekeyvaulttest.ClientID,
		ClientSecret: func() (string, error) { return "canary-secret", nil },
	}
}

// noEnvironment hides the variables of the machine from the test.
func noEnvironment(t *testing.T) {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.Contains(name, "AZURE") {
			t.Setenv(name, "") // restored when the test ends
			os.Unsetenv(name)
		}
	}
}

func TestNewErrors(t *testing.T) {
	noEnvironment(t)
	type change = func(*azurekeyvault.Config)
	auth := func(a azurekeyvault.Auth) change {
		return func(c *azurekeyvault.Config) {
			*c = azurekeyvault.Config{KeyName: c.KeyName, VaultURL: c.VaultURL, TenantID: c.TenantID, ClientID: c.ClientID, Auth: a}
		}
	}
	private := cloud.Configuration{ActiveDirectoryAuthorityHost: "https://login.private.example/"}
	for name, c := range map[string]struct {
		change change
		words  []string
	}{
		"no key":              {func(c *azurekeyvault.Config) { c.KeyName = "" }, []string{"KeyName"}},
		"key with a version":  {func(c *azurekeyvault.Config) { c.KeyName = "prod/0123" }, []string{"KeyName", "without a version"}},
		"key is a path":       {func(c *azurekeyvault.Config) { c.KeyName = ".." }, []string{"KeyName"}},
		"long key":            {func(c *azurekeyvault.Config) { c.KeyName = strings.Repeat("k", 128) }, []string{"KeyName"}},
		"long tenant":         {func(c *azurekeyvault.Config) { c.TenantID = strings.Repeat("t", 254) }, []string{"TenantID", "a GUID or a domain"}},
		"algorithm":           {func(c *azurekeyvault.Config) { c.Algorithm = "RSA1_5" }, []string{"Algorithm", "RSA1_5", "RSA-OAEP-256"}},
		"timeout":             {func(c *azurekeyvault.Config) { c.Timeout = -time.Second }, []string{"Timeout"}},
		"retries":             {func(c *azurekeyvault.Config) { c.ClientOptions.Retry.MaxRetries = 3 }, []string{"ClientOptions.Retry", "caller"}},
		"no vault":            {func(c *azurekeyvault.Config) { c.VaultURL = "" }, []string{"VaultURL or VaultName"}},
		"vault twice":         {func(c *azurekeyvault.Config) { c.VaultName = "prod" }, []string{"VaultURL is set", "VaultName"}},
		"resource beside URL": {func(c *azurekeyvault.Config) { c.Resource = "vault.azure.net" }, []string{"VaultURL is set", "Resource"}},
		"http":                {func(c *azurekeyvault.Config) { c.VaultURL = "http://prod.vault.azure.net" }, []string{"VaultURL must read https://"}},
		"URL with a path":     {func(c *azurekeyvault.Config) { c.VaultURL += "/keys/prod" }, []string{"nothing behind it"}},
		"URL with a query":    {func(c *azurekeyvault.Config) { c.VaultURL += "?a=canary-secret" }, []string{"nothing behind it"}},
		"URL with a user":     {func(c *azurekeyvault.Config) { c.VaultURL = "https://u:canary-secret@prod.vault.azure.net" }, []string{"VaultURL"}},
		"no URL":              {func(c *azurekeyvault.Config) { c.VaultURL = "https://%zz" }, []string{"VaultURL"}},
		"vault name is a URL": {func(c *azurekeyvault.Config) { c.VaultURL, c.VaultName = "", "prod.vault.azure.net" }, []string{"VaultName", "the name alone"}},
		"resource is a URL": {func(c *azurekeyvault.Config) {
			c.VaultURL, c.VaultName, c.Resource = "", "prod", "https://vault.azure.net"
		}, []string{"Resource", "the domain alone"}},

		"environment":            {func(c *azurekeyvault.Config) { c.Environment = "AZUREGERMANCLOUD" }, []string{"Environment", "AZUREGERMANCLOUD", "AZURECHINACLOUD"}},
		"vault of another cloud": {func(c *azurekeyvault.Config) { c.Environment = "AZURECHINACLOUD" }, []string{"prod.vault.azure.net is of the cloud AZUREPUBLICCLOUD", "Environment"}},
		"domain of another cloud": {func(c *azurekeyvault.Config) {
			c.VaultURL, c.VaultName, c.Resource, c.Environment = "", "prod", "vault.azure.cn", "AZUREPUBLICCLOUD"
		}, []string{"vault.azure.cn", "AZURECHINACLOUD"}},
		"unknown domain":           {func(c *azurekeyvault.Config) { c.VaultURL = "https://prod.vault.example" }, []string{"prod.vault.example", "Environment", "ClientOptions.Cloud"}},
		"two clouds":               {func(c *azurekeyvault.Config) { c.Environment, c.ClientOptions.Cloud = "AZUREPUBLICCLOUD", private }, []string{"Environment and ClientOptions.Cloud"}},
		"public vault, private":    {func(c *azurekeyvault.Config) { c.ClientOptions.Cloud = private }, []string{"prod.vault.azure.net", "ClientOptions.Cloud"}},
		"private without a domain": {func(c *azurekeyvault.Config) { c.VaultURL, c.VaultName, c.ClientOptions.Cloud = "", "prod", private }, []string{"private cloud needs VaultURL"}},
		"AES in a vault":           {func(c *azurekeyvault.Config) { c.Algorithm = azurekeyvault.A256GCM }, []string{"A256GCM needs a Managed HSM"}},

		"no credentials":       {auth(""), []string{"no credentials", "Auth", "Credential"}},
		"auth":                 {auth("password"), []string{"Auth", "password", "client_secret"}},
		"no secret":            {auth(azurekeyvault.AuthClientSecret), []string{"ClientSecret is missing", "client_secret"}},
		"no certificate":       {auth(azurekeyvault.AuthCertificate), []string{"CertificateFile is missing"}},
		"no token":             {auth(azurekeyvault.AuthWorkloadIdentity), []string{"TokenFile is missing"}},
		"default, no consent":  {auth(azurekeyvault.AuthDefault), []string{"AllowEnvironment"}},
		"no tenant":            {func(c *azurekeyvault.Config) { c.TenantID = "" }, []string{"TenantID is missing"}},
		"no client":            {func(c *azurekeyvault.Config) { c.ClientID = "" }, []string{"ClientID is missing"}},
		"tenant is a path":     {func(c *azurekeyvault.Config) { c.TenantID = "../common" }, []string{"TenantID", "a GUID or a domain"}},
		"two secrets":          {func(c *azurekeyvault.Config) { c.ClientSecretFile = "f" }, []string{"ClientSecret and ClientSecretFile"}},
		"secret and token":     {func(c *azurekeyvault.Config) { c.TokenFile = "f" }, []string{"TokenFile", "ClientSecret", "client_secret"}},
		"secret and identity":  {func(c *azurekeyvault.Config) { c.IdentityResourceID = "/x" }, []string{"IdentityResourceID", "ClientSecret"}},
		"auth against a field": {func(c *azurekeyvault.Config) { c.Auth = azurekeyvault.AuthManagedIdentity }, []string{"ClientSecret is set, and Auth asks for managed_identity"}},
		"password alone": {func(c *azurekeyvault.Config) {
			c.CertificatePassword, c.ClientSecret = c.ClientSecret, nil
		}, []string{"CertificateFile is missing"}},
		"two identities": {func(c *azurekeyvault.Config) { c.ClientSecret, c.IdentityResourceID = nil, "/x" }, []string{"ClientID and IdentityResourceID"}},
		"default and a client": {func(c *azurekeyvault.Config) {
			c.ClientSecret, c.Auth, c.AllowEnvironment = nil, azurekeyvault.AuthDefault, true
		}, []string{"AZURE_CLIENT_ID", "leave it out"}},
		"two credentials":       {func(c *azurekeyvault.Config) { c.Credential = hostCredential(nil) }, []string{"Credential is set", "leave Auth"}},
		"credential and client": {func(c *azurekeyvault.Config) { c.Credential, c.ClientSecret, c.TenantID = hostCredential(nil), nil, "" }, []string{"Credential is set", "ClientID"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good()
			c.change(&cfg)
			w, err := azurekeyvault.New(cfg)
			if w != nil {
				t.Error("a Wrapper came with the error")
			}
			refused(t, err, kms.ErrMisconfigured, append(c.words, "kms: configure azurekeyvault")...)
			if err != nil && strings.Contains(err.Error(), "canary-secret") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// TestClouds runs a call in every cloud, and sees whom it authenticates with.
func TestClouds(t *testing.T) {
	noEnvironment(t)
	type change = func(*azurekeyvault.Config)
	byName := func(environment, resource string) change {
		return func(c *azurekeyvault.Config) {
			c.VaultURL, c.VaultName, c.Environment, c.Resource = "", "Prod", environment, resource
		}
	}
	for name, c := range map[string]struct {
		host      string // of the key
		change    change
		authority string
	}{
		"URL":                 {"prod.vault.azure.net", nil, "login.microsoftonline.com"},
		"URL in capitals":     {"prod.vault.azure.net", func(c *azurekeyvault.Config) { c.VaultURL = "https://PROD.Vault.Azure.Net:443/" }, "login.microsoftonline.com"},
		"name":                {"prod.vault.azure.net", byName("", ""), "login.microsoftonline.com"},
		"name, public":        {"prod.vault.azure.net", byName("AZUREPUBLICCLOUD", ""), "login.microsoftonline.com"},
		"name, short public":  {"prod.vault.azure.net", byName("AzureCloud", "vault.azure.net"), "login.microsoftonline.com"},
		"name, China":         {"prod.vault.azure.cn", byName("AzureChinaCloud", ""), "login.chinacloudapi.cn"},
		"name, US":            {"prod.vault.usgovcloudapi.net", byName("AZUREUSGOVERNMENT", ""), "login.microsoftonline.us"},
		"name, US by the SDK": {"prod.vault.usgovcloudapi.net", byName("AzureUSGovernmentCloud", ""), "login.microsoftonline.us"},
		"resource, China":     {"prod.vault.azure.cn", byName("", "vault.azure.cn"), "login.chinacloudapi.cn"},
		"URL, China":          {"prod.vault.azure.cn", nil, "login.chinacloudapi.cn"},
		"URL, US":             {"prod.vault.usgovcloudapi.net", nil, "login.microsoftonline.us"},
		"HSM by name":         {"prod.managedhsm.azure.net", byName("", ""), "login.microsoftonline.com"},
		"HSM by name, US":     {"prod.managedhsm.usgovcloudapi.net", byName("AZUREUSGOVERNMENT", ""), "login.microsoftonline.us"},
		"HSM by URL, China":   {"prod.managedhsm.azure.cn", nil, "login.chinacloudapi.cn"},
		"private":             {"prod.vault.sealwright.example", nil, "login.sealwright.example"},
		"private by name":     {"prod.vault.sealwright.example", byName("", "vault.sealwright.example"), "login.sealwright.example"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			o := azurekeyvaulttest.KeyOptions{VaultURL: "https://" + c.host}
			if !strings.Contains(c.host, ".managedhsm.") {
				o.RSA = rsaKey()
			}
			s.Create("a", o)
			cfg := s.Config("a")
			if c.change != nil {
				c.change(&cfg)
			}
			w, blob := wrapped(t, cfg)
			opens(t, w, blob)
			if want := "https://" + c.host + "/keys/a"; blob.KeyID != want {
				t.Errorf("the key is %q, want %q", blob.KeyID, want)
			}
			for _, r := range s.Requests() {
				if r.Host != c.host && r.Host != c.authority {
					t.Errorf("a request went to %s", r.Host)
				}
			}
			if count(s, 0, c.authority) == 0 {
				t.Errorf("no request went to %s", c.authority)
			}
		})
	}
}

// TestNames checks that names differing in case are one key, as Azure has it.
func TestNames(t *testing.T) {
	s := start(t)
	s.Create("Prod-Key", azurekeyvaulttest.KeyOptions{RSA: rsaKey()})
	w, blob := wrapped(t, s.Config("Prod-Key"))
	if blob.KeyID != azurekeyvaulttest.VaultURL+"/keys/prod-key" {
		t.Errorf("the key is %q", blob.KeyID)
	}
	cfg := s.Config("Prod-Key")
	longest := cfg
	longest.KeyName, longest.TenantID = strings.Repeat("k", 127), strings.Repeat("t", 253)
	if _, err := azurekeyvault.New(longest); err != nil {
		t.Errorf("the longest names: %v", err)
	}
	cfg.KeyName = "prod-KEY"
	opens(t, open(t, cfg), blob)
	blob.KeyID, blob.Version = strings.ToUpper(blob.KeyID), strings.ToLower(blob.Version)
	opens(t, w, blob)
}

func TestEnvironment(t *testing.T) {
	type variables map[string]string
	application := variables{"AZURE_TENANT_ID": azurekeyvaulttest.TenantID, "AZURE_CLIENT_ID": azurekeyvaulttest.ClientID, "AZURE_CLIENT_SECRET": "canary-secret"}
	vault := variables{"VAULT_AZUREKEYVAULT_VAULT_NAME": "prod", "VAULT_AZUREKEYVAULT_KEY_NAME": "key"}
	empty := azurekeyvault.Config{AllowEnvironment: true}
	full := good()
	full.AllowEnvironment = true
	with := func(cfg azurekeyvault.Config, change func(*azurekeyvault.Config)) azurekeyvault.Config {
		change(&cfg)
		return cfg
	}
	for name, c := range map[string]struct {
		cfg   azurekeyvault.Config
		env   []variables
		words []string // nil: it is right
	}{
		"all of Vault's":        {empty, []variables{vault, application}, nil},
		"all of go-kms":         {empty, []variables{{"AZUREKEYVAULT_WRAPPER_VAULT_NAME": "prod", "AZUREKEYVAULT_WRAPPER_KEY_NAME": "key"}, application}, nil},
		"both agree":            {empty, []variables{vault, {"AZUREKEYVAULT_WRAPPER_VAULT_NAME": "prod"}, application}, nil},
		"both differ":           {empty, []variables{vault, {"AZUREKEYVAULT_WRAPPER_VAULT_NAME": "test"}, application}, []string{"VaultName", "AZUREKEYVAULT_WRAPPER_VAULT_NAME"}},
		"a secret that differs": {full, []variables{{"AZURE_CLIENT_SECRET": "of another program"}}, nil},
		"all of AKS's":          {full, []variables{{"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/f", "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/"}}, nil},
		"nothing":               {empty, nil, []string{"KeyName"}},
		"workload":              {empty, []variables{vault, {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/f", "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/"}}, nil},
		"certificate":           {empty, []variables{vault, {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_CERTIFICATE_PATH": "/f", "AZURE_CLIENT_CERTIFICATE_PASSWORD": "p"}}, nil},
		"managed":               {empty, []variables{vault, {"VAULT_AZUREKEYVAULT_AUTH_METHOD": "managed_identity", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "of another program"}}, nil},
		"managed by resource":   {empty, []variables{vault, {"VAULT_AZUREKEYVAULT_AUTH_METHOD": "managed_identity", "AZURE_CLIENT_ID": "c", "VAULT_AZUREKEYVAULT_RESOURCE_ID": "/x"}}, nil},
		"default":               {empty, []variables{vault, application, {"VAULT_AZUREKEYVAULT_AUTH_METHOD": "default"}}, nil},
		"two kinds":             {empty, []variables{vault, application, {"AZURE_FEDERATED_TOKEN_FILE": "/f"}}, nil},
		"client id alone":       {empty, []variables{vault, {"AZURE_CLIENT_ID": "c"}}, []string{"no credentials"}},
		"fields that agree":     {full, []variables{{"VAULT_AZUREKEYVAULT_VAULT_NAME": "prod", "VAULT_AZUREKEYVAULT_KEY_NAME": "prod", "AZURE_AD_RESOURCE": "vault.azure.net", "AZURE_TENANT_ID": azurekeyvaulttest.TenantID}}, nil},
		"another vault":         {full, []variables{{"VAULT_AZUREKEYVAULT_VAULT_NAME": "test"}}, []string{"VaultURL", `"prod"`, "VAULT_AZUREKEYVAULT_VAULT_NAME", `"test"`}},
		"another domain":        {full, []variables{{"AZURE_AD_RESOURCE": "managedhsm.azure.net"}}, nil},
		"another key":           {full, []variables{{"VAULT_AZUREKEYVAULT_KEY_NAME": "test"}}, []string{"KeyName", "VAULT_AZUREKEYVAULT_KEY_NAME"}},
		"another tenant":        {full, []variables{{"AZURE_TENANT_ID": "test"}}, nil},
		"another client":        {full, []variables{{"AZURE_CLIENT_ID": "test"}}, nil},
		"another cloud":         {full, []variables{{"AZURE_ENVIRONMENT": "AZURECHINACLOUD"}}, []string{"AZUREPUBLICCLOUD", "Environment"}},
		"another authority":     {full, []variables{{"AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/"}}, nil},
		"a second secret":       {full, []variables{{"AZURE_CLIENT_SECRET": "canary-secret"}}, nil},
		"a second secret file":  {with(full, func(c *azurekeyvault.Config) { c.ClientSecret, c.ClientSecretFile = nil, "/f" }), []variables{{"AZURE_CLIENT_SECRET": "canary-secret"}}, nil},
		"another kind":          {full, []variables{{"AZURE_FEDERATED_TOKEN_FILE": "/f", "AZURE_CLIENT_CERTIFICATE_PATH": "/c"}}, nil},
		"another auth":          {full, []variables{{"VAULT_AZUREKEYVAULT_AUTH_METHOD": "certificate"}}, []string{"Auth", "VAULT_AZUREKEYVAULT_AUTH_METHOD"}},
		"host's credential": {azurekeyvault.Config{KeyName: "key", VaultURL: "https://prod.vault.azure.net", Credential: hostCredential(nil), AllowEnvironment: true},
			[]variables{application, {"AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/", "VAULT_AZUREKEYVAULT_AUTH_METHOD": "certificate"}}, nil},
		"not allowed":         {with(full, func(c *azurekeyvault.Config) { c.AllowEnvironment = false }), []variables{{"VAULT_AZUREKEYVAULT_KEY_NAME": "test", "AZURE_TENANT_ID": "test", "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/"}}, nil},
		"not allowed, needed": {azurekeyvault.Config{}, []variables{vault, application}, []string{"KeyName"}},
	} {
		t.Run(name, func(t *testing.T) {
			noEnvironment(t)
			for _, vs := range c.env {
				for k, v := range vs {
					t.Setenv(k, v)
				}
			}
			w, err := azurekeyvault.New(c.cfg)
			if c.words == nil {
				if err != nil || w == nil {
					t.Errorf("New: %v", err)
				}
				return
			}
			refused(t, err, kms.ErrMisconfigured, c.words...)
			if err != nil && strings.Contains(err.Error(), "canary-secret") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// TestEnvironmentSecret checks that the secret of the environment is the one
// that is sent.
func TestEnvironmentSecret(t *testing.T) {
	noEnvironment(t)
	s := start(t)
	s.SetSecret("canary-secret")
	t.Setenv("AZURE_CLIENT_SECRET", "canary-secret")
	cfg := s.Config("a")
	cfg.ClientSecret, cfg.AllowEnvironment = nil, true
	w, blob := wrapped(t, cfg)
	opens(t, w, blob)
}

// TestHostOptions checks that the host's policies see the requests, and that its
// slices are left alone.
func TestHostOptions(t *testing.T) {
	s := start(t)
	cfg := s.Config("a")
	seen := 0
	cfg.ClientOptions.PerRetryPolicies = append(make([]policy.Policy, 0, 8), counter{&seen})
	w, blob := wrapped(t, cfg)
	opens(t, w, blob)
	if seen != len(s.Requests()) {
		t.Errorf("the host's policy saw %d of %d requests", seen, len(s.Requests()))
	}
	if got := cfg.ClientOptions.PerRetryPolicies[:2]; got[1] != nil {
		t.Error("the host's policies were written to")
	}
}

// counter is a policy of the host.
type counter struct{ n *int }

func (c counter) Do(r *policy.Request) (*http.Response, error) {
	*c.n++
	return r.Next()
}
