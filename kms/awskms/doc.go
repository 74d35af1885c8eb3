// Package awskms wraps keys with a symmetric key of AWS KMS. Use it where a
// server runs with an AWS identity and should unseal by itself. It is not for
// asymmetric or HMAC keys, and not for data: a KMS key wraps keys alone.
//
// # Configuration
//
// The fields of [Config], one a line; only KeyID is always required:
//
//	KeyID                 the key: its ARN, its id, an alias ARN or "alias/name"
//	Region                the key's region, unless its ARN names it
//	Endpoint              another address of KMS: a FIPS or VPC endpoint
//	AccessKeyID           an access key, with
//	SecretAccessKey         its secret, and
//	SessionToken            the token of temporary ones
//	Credentials           the host's own source of access keys, asked for each request
//	CredentialsFile       a credentials file, read anew on every call
//	Profile               the profile in it
//	WebIdentityTokenFile  a service account's token (IRSA), with RoleARN
//	RoleARN               the role to assume
//	RoleSessionName       the session's name in the role
//	AllowEnvironment      the SDK's own chain: variables, profiles, IRSA, EKS
//	                        Pod Identity, ECS, SSO, the instance's role
//	AWS                   the host's aws.Config
//	Client                the host's own KMS client
//	HTTPClient            the host's proxy, CA and transport
//	Timeout               the time of a call whose context has no deadline
//
// Credentials come from exactly one place: an access key, Credentials, a file, a web
// identity, the environment, AWS or Client. RoleARN is the role of the web
// identity, or one that an access key, a file or the environment's identity
// assumes. New makes no request.
//
// What stands in files is read when it is needed, and again when it was replaced:
// credentials, tokens, the SDK's own files, the CA of AWS_CA_BUNDLE or of a
// profile's ca_bundle. One that is missing is an error of the call, which names
// the field and the file, and not of New. file:///path on a field with a path is
// the path, env://NAME the variable that has it; a secret in place of a path is
// refused unseen.
//
// A custom Endpoint beside AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT,
// and an HTTPClient beside a CA of the environment, are errors of New.
//
// What is refused is not kept: after an answer that the credentials are unknown
// or expired, the next call starts from the files, the variables and STS again.
//
// # Which key
//
// A blob names the ARN of the key that wrapped it, never an alias, and Unwrap
// always names that key to KMS and compares the answer with it; without that,
// KMS would open the blob with any key that the identity may use.
//
//   - Configured by ARN or id, a Wrapper opens the blobs of that key alone. An id
//     stands for a key of the identity's own account.
//   - Configured by an alias, Wrap uses the key that the alias names at that
//     moment. Unwrap asks the key in the blob, whatever the alias names by now,
//     so that moving an alias locks nobody out. It refuses a blob of another
//     region, or of another account where the alias's ARN names one. An identity
//     whose permission hangs on the alias (kms:ResourceAliases) loses the old key
//     with the move. Probe reports the key that the alias names now: where that
//     is not the blob's, wrap again.
//     And since a blob then has a say in which key opens it, whoever can write to
//     the store could bring one that a key of his own made, of an account that
//     lets this identity decrypt. So a blob proves nothing ([Wrapper.Authenticates]),
//     and package seal demands a pin of the slot.
//   - The replicas of a multi-Region key are one key. A blob that one of them
//     wrapped is opened by the replica in this Wrapper's region.
//
// KMS keeps the older key material of a rotated key, and opens with it what it
// wrapped. It does not say which material Encrypt used, so blobs have no
// version; Probe reports the present one. A blob that names a version is opened
// by that key material or not at all.
//
// # Permissions
//
//	kms:Encrypt      to wrap
//	kms:Decrypt      to unwrap
//	kms:DescribeKey  to probe; nothing else needs it
//	sts:AssumeRole, sts:AssumeRoleWithWebIdentity  in the trust policy of RoleARN
//
// The binding is the encryption context, so a policy can narrow them to one
// store with the condition kms:EncryptionContext:sealwright-store. It appears
// in CloudTrail in the clear; so do the names of stores and slots.
//
// # Limits
//
// The account's quota for symmetric operations in a region is some thousands a
// second, shared by all its services. A call here is one request to KMS, and one
// to STS where a role's credentials are due: the SDK's retries are off, and its
// correction of the clock too, so that a wrong clock is reported and not hidden.
// The SDK's logging of requests is off, as it would print keys. Keys pass through
// buffers of the SDK and of net/http, which nobody wipes.
//
// # Concurrency
//
// A [Wrapper] is safe for concurrent use.
//
// # Errors
//
// All are [*kms.Error]; the SDK's own is found with [errors.As].
//
//	ErrUnavailable      network, DNS, TLS, timeouts, 5xx, KMSInternalException, …; an external key store that does not answer
//	ErrThrottled        ThrottlingException, 429; an external key store with too many requests
//	ErrUnauthenticated  no, expired, or unknown credentials; a role that cannot be assumed
//	ErrClockSkew        the clock is more than about five minutes off
//	ErrDenied           AccessDeniedException, 403
//	ErrKeyDisabled      DisabledException, key material to import, a disconnected key store
//	ErrKeyGone          NotFoundException, a key that waits for its deletion
//	ErrWrongKey         IncorrectKeyException, a blob of another key, another key in the answer
//	ErrCorrupt          InvalidCiphertextException: altered, or bound to another place
//	ErrMisconfigured    the Config, a malformed name, a key of the wrong kind; a CA or a profile that is missing
//
// For a key in an external key store, KMS says KMSInvalidStateException whatever
// happened; its words tell, and so those words are read.
//
// # Compatibility
//
// The ciphertext of a blob is what KMS returned, as it is. Every release opens
// the blobs of every earlier one.
package awskms
