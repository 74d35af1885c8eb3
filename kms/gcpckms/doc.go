// Package gcpckms wraps keys with a symmetric key of Google Cloud KMS. Use it
// where a server has a Google identity, in Google's cloud or by federation, and
// should unseal by itself. It is not for data: the key wraps keys alone.
//
// # Configuration
//
// The fields of [Config], one a line:
//
//	KeyID             projects/P/locations/L/keyRings/R/cryptoKeys/K (required)
//	CredentialsFile   a credentials file of any kind below
//	Token             the host's own credentials: a function that returns tokens
//	AllowEnvironment  Application Default Credentials, and the proxy
//	Client            the host's own *kms.KeyManagementClient
//	Endpoint          a regional or private endpoint, or that of another universe
//	TLS               the host's roots, or a client certificate
//	Timeout           the time of a call whose context has no deadline
//	Stale             told of blobs whose version is no longer the primary one
//
// A credentials file holds a service account's key ("service_account"), a
// workload identity federation ("external_account"), the impersonation of a
// service account ("impersonated_service_account"), or what gcloud writes for a
// user ("authorized_user"). It is read on every call, so a mounted secret may be
// replaced, also through the ..data link of a Kubernetes volume. New reads no
// file and makes no request. file:///path is the path, env://NAME the variable
// that has it; a credential in place of its path is refused unseen, in
// GOOGLE_APPLICATION_CREDENTIALS too.
//
// With AllowEnvironment and neither file nor Token, the credentials are those
// of the file that GOOGLE_APPLICATION_CREDENTIALS names, else those that gcloud
// left in the home directory, else the metadata server's: the machine's, or the
// pod's in GKE.
//
// # Permissions
//
//	cloudkms.cryptoKeyVersions.useToEncrypt   to wrap
//	cloudkms.cryptoKeyVersions.useToDecrypt   to unwrap
//	cloudkms.cryptoKeys.get                   to probe; nothing else needs it
//
// The first two are roles/cloudkms.cryptoKeyEncrypterDecrypter, the third is in
// roles/cloudkms.viewer. They are granted on the key; there are none on a
// version.
//
// # Limits
//
// The key's purpose must be ENCRYPT_DECRYPT. The binding is the additional
// authenticated data; an HSM key takes 8 KiB of it. Checksums (CRC32C) of
// everything sent and received are demanded both ways.
//
// When it unwraps, the KMS finds the version in its own ciphertext: nobody can
// ask for one, and the answer says no more than whether it was the primary one.
// So a version must not be destroyed while a blob names it, and Probe, which
// looks at the primary one, does not show that an older one is in danger. Stale
// says which blobs to wrap again after a rotation.
//
// A call is one request, over a connection of its own: nothing needs closing,
// and no back-off of gRPC delays the first call after an outage. Keys pass
// through buffers of gRPC and TLS that nobody wipes. Google's libraries read
// switches of their own (GRPC_GO_LOG_SEVERITY_LEVEL,
// GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED), whatever AllowEnvironment says.
//
// # Errors
//
// All are [*kms.Error]; status.FromError of google.golang.org/grpc finds what
// the KMS answered, and errors.As the *apierror.APIError of a Client.
//
//	ErrUnavailable      network, DNS, TLS, timeouts, codes such as Unavailable; a checksum that differs;
//	                      an external key manager (Cloud EKM) that does not answer
//	ErrThrottled        ResourceExhausted
//	ErrUnauthenticated  Unauthenticated; credentials that are missing, malformed or refused
//	ErrClockSkew        the same, with a clock that is more than three minutes off
//	ErrDenied           PermissionDenied, also of a key that does not exist
//	ErrKeyDisabled      a version that is not enabled
//	ErrKeyGone          a version that is, or will be, destroyed, here or outside; NotFound
//	ErrWrongKey         a blob of another key; an answer of another key
//	ErrCorrupt          "Decryption failed"; a blob that is malformed; an unwrapped key of no possible length
//	ErrMisconfigured    the Config; a key of the wrong kind; a service that is not enabled
//
// The KMS tells a disabled version from a destroyed one, and an altered blob
// from another key's, in words alone; so those words are read.
//
// # Concurrency
//
// A [Wrapper] is safe for concurrent use.
//
// # Compatibility
//
// The ciphertext of a blob is the version in decimal, a colon, and what the KMS
// returned, which gcloud kms decrypt opens too. Every release opens the blobs of
// every earlier one.
package gcpckms
