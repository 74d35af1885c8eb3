// Package azurekeyvault wraps keys with a key of Azure Key Vault or of Azure
// Managed HSM. Use it where a server has an identity in Microsoft Entra ID and
// should unseal by itself. It is not for data: the key wraps keys alone.
//
// # Configuration
//
// The fields of [Config], one a line:
//
//	KeyName              the key's name in the vault (required)
//	VaultURL             https://prod.vault.azure.net, or in its place
//	VaultName              the vault's name alone, with
//	Environment            AZUREPUBLICCLOUD, AZURECHINACLOUD, AZUREUSGOVERNMENT, and
//	Resource               the domain of the vaults, where it is another
//	Algorithm            RSA-OAEP-256; A256KW or A256GCM of a Managed HSM
//	Auth                 how to authenticate, where the fields below leave it open
//	TenantID, ClientID   the application
//	ClientSecret         its secret, or
//	ClientSecretFile       a file with it
//	CertificateFile      its certificate and private key: PEM, or PKCS#12 with
//	CertificatePassword    a password
//	TokenFile            a service account's token: workload identity; with
//	                       AllowEnvironment also by an AKS identity binding
//	                       (AZURE_KUBERNETES_TOKEN_PROXY, …_CA_FILE, …_CA_DATA, …_SNI_NAME)
//	IdentityResourceID   the managed identity, where ClientID does not name it
//	Credential           the host's own azcore.TokenCredential
//	ClientOptions        the host's transport, proxy, policies, tracing; a private cloud
//	AllowEnvironment     read what is not set from variables; Auth "default"
//	Timeout              the time of a call whose context has no deadline
//
// The files are read anew for every token, so a mounted secret may be replaced,
// also through the ..data link of a Kubernetes volume; one that is missing is an
// error of the call, which names field and file. New reads no file and makes no
// request. file:///path on a field with a path is the path, env://NAME the
// variable that has it; a secret in place of a path is refused unseen.
//
// # Permissions
//
// Give the identity the role Key Vault Crypto Service Encryption User on the
// key, which has these data actions:
//
//	Microsoft.KeyVault/vaults/keys/wrap/action     to wrap
//	Microsoft.KeyVault/vaults/keys/unwrap/action   to unwrap
//	Microsoft.KeyVault/vaults/keys/read            to probe; nothing else needs it
//
// In a vault with access policies they are the key permissions wrapKey,
// unwrapKey and get. In a Managed HSM they are the local role Managed HSM
// Crypto User, or, of Microsoft.KeyVault/managedHsm, keys/wrap/action and
// keys/unwrap/action, or keys/encrypt/action and keys/decrypt/action for
// A256GCM, and keys/read/action.
//
// # Limits
//
// RSA-OAEP authenticates nobody: whoever has the public key can make a blob,
// and [Wrapper.Authenticates] says so of its blobs. A process that starts
// believes such a slot only when its fingerprint is in seal.Config.Pins: take it
// from the Pins of the seal.Delivery that Init or Add returned, or of the
// migrate.Result; nothing that opens the store for such a process is dropped
// before it is there. RSA-OAEP has no
// associated data either. With A256GCM the binding is the associated data; with A256KW there is none.
//
// A vault takes about 4000 operations with an RSA-2048 key in 10 seconds, 1000
// with RSA-3072, 500 with RSA-4096; half of that with keys in hardware.
//
// A disabled key still wraps, and only refuses to unwrap; an expired one still
// unwraps, and only refuses to wrap. So only a true unwrap shows that a key
// works. Probe tells when a key expires, and calls one that has expired, or is
// not valid yet, not enabled. Where a key was deleted and another has its name now, its blobs name
// a version that is gone: they end with ErrKeyGone.
//
// A call is one request. The first of a Wrapper asks twice, since the vault
// tells whom to authenticate with in its refusal. Retries of the SDK are off. A
// call returns when its context ends, even where the SDK waits for the token
// that another call is asking for; that work then ends in the background with
// its own context.
//
// Keys pass through buffers of the SDK and of net/http that nobody wipes. The
// SDK reads AZURE_REGIONAL_AUTHORITY_NAME, and for a managed identity the
// variables of its platform, whatever AllowEnvironment says. It cannot read
// PKCS#12 whose MAC is not SHA-1: use PEM.
//
// # Errors
//
// All are [*kms.Error]. [errors.As] finds the SDK's own *azcore.ResponseError or
// *azidentity.AuthenticationFailedError, without the request that caused it,
// which held the token and the key.
//
//	ErrUnavailable      network, DNS, TLS, timeouts, 5xx, an answer that is not Key Vault's
//	ErrThrottled        429, of the vault or of Entra ID
//	ErrUnauthenticated  401; a secret, certificate, token or identity that Entra ID refuses
//	ErrClockSkew        the same, with a clock that is visibly off
//	ErrDenied           403: no role, no policy, a firewall, an operation that the key does not permit
//	ErrKeyDisabled      403 KeyDisabled, KeyExpired or KeyNotYetValid
//	ErrKeyGone          404, also of a deleted key that could be recovered
//	ErrWrongKey         a blob of another key; an answer of another key or version
//	ErrCorrupt          400 of an unwrap; a blob that is malformed; an unwrapped key of no possible length
//	ErrMisconfigured    the Config; a key of the wrong kind; a vault of another tenant or domain
//
// # Compatibility
//
// The ciphertext of a blob begins with a byte for the algorithm. Every release
// opens the blobs of every earlier one.
//
//	1  RSA-OAEP-256  the KMS's result: 256, 384 or 512 bytes
//	2  A256KW        the KMS's result: the key's length and 8
//	3  A256GCM       iv (12) ‖ tag (16) ‖ the KMS's result, as long as the key
package azurekeyvault
