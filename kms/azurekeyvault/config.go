package azurekeyvault

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/sealwright/sealwright/kms/provider"
)

// Type is the [kms.Blob.Type] of this package's blobs.
const Type = "azurekeyvault"

// An Algorithm is how the key wraps.
type Algorithm string

// The algorithms. The names are Azure's.
const (
	// RSAOAEP256 needs an RSA key of 2048, 3072 or 4096 bits, of a vault or of
	// a Managed HSM. Anybody with the public key can wrap.
	RSAOAEP256 Algorithm = "RSA-OAEP-256"
	// A256KW is the AES key wrap of RFC 3394, under a 256-bit key of a Managed
	// HSM.
	A256KW Algorithm = "A256KW"
	// A256GCM is AES-GCM under such a key, with the binding as its associated
	// data.
	A256GCM Algorithm = "A256GCM"
)

// An Auth is a way to authenticate to Microsoft Entra ID.
type Auth string

// The ways to authenticate. The names are those of OpenBao's auth_method.
const (
	AuthClientSecret     Auth = "client_secret"     // ClientSecret or ClientSecretFile
	AuthCertificate      Auth = "certificate"       // CertificateFile
	AuthWorkloadIdentity Auth = "workload_identity" // TokenFile
	AuthManagedIdentity  Auth = "managed_identity"  // the machine's identity; ClientID or IdentityResourceID picks one
	AuthDefault          Auth = "default"           // the SDK's own chain; needs AllowEnvironment
)

// Config says which key to use, and as whom. It prints and encodes no secret.
type Config struct {
	// KeyName is the key's name in the vault, without a version. Required.
	KeyName string

	// VaultURL is the vault or Managed HSM: "https://prod.vault.azure.net".
	// Required, unless VaultName is set.
	VaultURL string

	// VaultName is the name of the vault or Managed HSM: the first part of its
	// URL. Environment and Resource supply the rest.
	VaultName string

	// Environment is the cloud, by the name that other tools have for it:
	// AZUREPUBLICCLOUD (or AzureCloud), AZURECHINACLOUD, AZUREUSGOVERNMENT (or
	// AzureUSGovernmentCloud), in any case. "" means that of VaultURL, else the
	// public one.
	Environment string

	// Resource is the domain of the vaults, beside VaultName. "" means
	// vault.azure.net or managedhsm.azure.net, whichever goes with Algorithm,
	// or their counterparts in Environment.
	Resource string

	// Algorithm is how the key wraps. "" means [RSAOAEP256]. Blobs are
	// unwrapped by the algorithm that they name, but a Wrapper configured for
	// A256KW or A256GCM refuses those of RSA-OAEP, which anybody may have made.
	Algorithm Algorithm

	// Auth is how to authenticate. "" means what the fields below say, of which
	// then one kind must be set.
	Auth Auth

	// TenantID and ClientID are the application: needed beside a secret, a
	// certificate, or a token. A ClientID also picks one of several managed
	// identities, and a TenantID is the default one of the SDK's chain.
	TenantID string
	ClientID string

	// ClientSecret returns the application's secret. It is a function so that
	// no printer shows the secret; it is called for every token, and may return
	// another one each time.
	ClientSecret func() (string, error)

	// ClientSecretFile is the path of a file with the secret. White space around
	// it does not count. As in every field with a path, file:///path is the same,
	// and env://NAME, with AllowEnvironment, a variable that has it. The secret
	// itself, in place of a path, is refused without being shown.
	ClientSecretFile string

	// CertificateFile is a file with the application's certificate and its
	// private key: PEM, or PKCS#12.
	CertificateFile string

	// CertificatePassword returns the password of a PKCS#12 file; nil means
	// that it has none. It is called as ClientSecret is.
	CertificatePassword func() (string, error)

	// TokenFile is a file with a token that Entra ID exchanges for the
	// application's, such as AKS mounts for a service account. With
	// AllowEnvironment the proxy of an AKS identity binding exchanges it, where
	// AZURE_KUBERNETES_TOKEN_PROXY names one; the host's Transport is not used for
	// that.
	TokenFile string

	// IdentityResourceID is the Azure resource id of a managed identity, where
	// no ClientID names it. Without both it is the machine's own.
	IdentityResourceID string

	// Credential is the host's own, in place of all fields from Auth on. Its
	// retries are its own too.
	Credential azcore.TokenCredential

	// ClientOptions are the host's transport, policies and tracing, for the
	// vault and for Entra ID alike. A nil Transport means one with Go's
	// defaults, that follows no redirect. Retry must be zero: retries belong to
	// the caller. Bodies are never logged, since they hold keys. A Cloud is for
	// private clouds, in place of Environment. An APIVersion is that of the vault.
	ClientOptions azcore.ClientOptions

	// Timeout bounds a call whose context has no deadline. 0 means 10 seconds.
	Timeout time.Duration

	// AllowEnvironment lets New read what is not set here from the variables
	// that Vault, OpenBao and the SDK read, and lets the default transport use
	// a proxy. A field that is set wins over AZURE_… variables; one that
	// VAULT_AZUREKEYVAULT_… or AZUREKEYVAULT_WRAPPER_… contradicts is an error
	// that names both.
	AllowEnvironment bool
}

var (
	keyName    = regexp.MustCompile(`^[0-9A-Za-z-]+$`)
	vaultName  = regexp.MustCompile(`^[0-9A-Za-z](-?[0-9A-Za-z])*$`)
	tenantName = regexp.MustCompile(`^[0-9A-Za-z.-]+$`)
)

// matches is of a name of limited length: a limit in an expression is what most of
// its compilation costs, at the start of every program.
func matches(e *regexp.Regexp, name string, limit int) bool {
	return len(name) <= limit && e.MatchString(name)
}

// resolve returns the configuration with the environment in it, and what is
// wrong with it. Its Auth is "" only where there is a Credential.
func (c Config) resolve() (Config, error) {
	var err error
	if c.Auth, err = c.auth(); err != nil {
		return c, err
	}
	if c, err = c.paths(); err != nil {
		return c, err
	}
	if c.AllowEnvironment {
		if c, err = c.fromEnvironment(); err != nil {
			return c, err
		}
		if c.Auth, err = c.auth(); err != nil {
			return c, err
		}
	}
	if c, err = c.paths(); err != nil { // what the environment has
		return c, err
	}
	if c.Algorithm == "" {
		c.Algorithm = RSAOAEP256
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	switch {
	case !matches(keyName, c.KeyName, 127):
		return c, fmt.Errorf("KeyName %.130q must be 1 to 127 letters, digits and dashes, without a version", c.KeyName)
	case c.Algorithm.code() == 0:
		return c, fmt.Errorf("Algorithm %.40q must be %s, %s or %s", c.Algorithm, RSAOAEP256, A256KW, A256GCM)
	case c.Timeout < 0:
		return c, errors.New("Timeout is negative")
	case !reflect.ValueOf(c.ClientOptions.Retry).IsZero():
		return c, errors.New("ClientOptions.Retry is set: a call is one request, and retries belong to the caller")
	}
	if err := c.checkAuth(); err != nil {
		return c, err
	}
	return c, c.checkPlatform()
}

// paths returns c with the paths that its fields mean, and refuses the content
// of a file in place of its path.
func (c Config) paths() (Config, error) {
	for _, f := range []struct {
		name  string
		value *string
	}{
		{"ClientSecretFile", &c.ClientSecretFile},
		{"CertificateFile", &c.CertificateFile},
		{"TokenFile", &c.TokenFile},
	} {
		path, err := provider.Path(f.name, *f.value, c.AllowEnvironment)
		if err != nil {
			return c, err
		}
		*f.value = path
	}
	return c, nil
}

// auth returns how to authenticate, as far as the fields say it.
func (c Config) auth() (Auth, error) {
	set := []struct {
		field string
		auth  Auth
		isSet bool
	}{
		{"ClientSecret", AuthClientSecret, c.ClientSecret != nil},
		{"ClientSecretFile", AuthClientSecret, c.ClientSecretFile != ""},
		{"CertificateFile", AuthCertificate, c.CertificateFile != ""},
		{"CertificatePassword", AuthCertificate, c.CertificatePassword != nil},
		{"TokenFile", AuthWorkloadIdentity, c.TokenFile != ""},
		{"IdentityResourceID", AuthManagedIdentity, c.IdentityResourceID != ""},
	}
	auth, from := c.Auth, "Auth"
	for _, s := range set {
		switch {
		case !s.isSet:
		case auth == "":
			auth, from = s.auth, s.field
		case s.auth != auth:
			return "", fmt.Errorf("%s is set, and %s asks for %s: leave one out", s.field, from, auth)
		}
	}
	if c.Credential != nil {
		if auth != "" || c.TenantID != "" || c.ClientID != "" {
			return "", errors.New("Credential is set: leave Auth, TenantID, ClientID, and whatever else authenticates, out")
		}
		return "", nil
	}
	return auth, nil
}

// checkAuth returns what is missing to authenticate, or is too much.
func (c Config) checkAuth() (err error) {
	need := func(field string, set bool) {
		if !set && err == nil {
			err = fmt.Errorf("%s is missing: Auth %s needs it", field, c.Auth)
		}
	}
	switch c.Auth {
	case AuthClientSecret, AuthCertificate, AuthWorkloadIdentity:
		need("TenantID", c.TenantID != "")
		need("ClientID", c.ClientID != "")
	}
	switch {
	case err != nil:
	case c.TenantID != "" && !matches(tenantName, c.TenantID, 253):
		return fmt.Errorf("TenantID %.300q must be a GUID or a domain", c.TenantID)
	case c.Credential != nil, c.Auth == AuthManagedIdentity:
		if c.ClientID != "" && c.IdentityResourceID != "" {
			return errors.New("ClientID and IdentityResourceID both name the managed identity: leave one out")
		}
	case c.Auth == "":
		return errors.New("no credentials: set Auth, ClientSecret, ClientSecretFile, CertificateFile, TokenFile or Credential")
	case c.Auth == AuthClientSecret:
		if c.ClientSecret != nil && c.ClientSecretFile != "" {
			return errors.New("ClientSecret and ClientSecretFile are both set: leave one out")
		}
		need("ClientSecret", c.ClientSecret != nil || c.ClientSecretFile != "")
	case c.Auth == AuthCertificate:
		need("CertificateFile", c.CertificateFile != "")
	case c.Auth == AuthWorkloadIdentity:
		need("TokenFile", c.TokenFile != "")
	case c.Auth == AuthDefault:
		if !c.AllowEnvironment {
			return errors.New("Auth default reads the environment: set AllowEnvironment, or choose another Auth")
		}
		if c.ClientID != "" {
			return errors.New("Auth default takes no ClientID but AZURE_CLIENT_ID: choose another Auth, or leave it out")
		}
	default:
		return fmt.Errorf("Auth %.40q must be %s, %s, %s, %s or %s", c.Auth,
			AuthClientSecret, AuthCertificate, AuthWorkloadIdentity, AuthManagedIdentity, AuthDefault)
	}
	return err
}
