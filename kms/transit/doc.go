// Package transit wraps keys with the transit engine of a HashiCorp Vault or
// OpenBao server. Use it where such a server runs anyway. It is not for data,
// and a server must not unseal itself with its own transit engine.
//
// # Configuration
//
// The fields of [Config], one a line; Address, KeyName and one token are
// required:
//
//	Address         https://vault.example:8200
//	Token           a token, or
//	TokenFile       the file that an agent keeps it in, read anew on every call
//	Namespace       the namespace of mount and token
//	MountPath       where the engine is mounted; "transit" if empty
//	KeyName         the name of the key
//	KeyIDPrefix     stands in front of KeyID, to tell two servers apart
//	CACert          a PEM file of the CAs that the server's certificate may come from, read anew on every call
//	CAPath          a directory of such files
//	ClientCert      a PEM file, read anew for every connection, with
//	ClientKey         its key
//	ServerName      the name in the server's certificate, if not Address's
//	SkipVerify      do not verify the server: for tests alone
//	AllowPlainHTTP  allow an http Address that is not of this machine
//	HTTPClient      the host's client, in place of all TLS fields
//	DisableRenewal  do not renew the token in Run
//	Timeout         of a call whose context has no deadline; 10 seconds if zero
//
// New makes no request and reads no environment variable and no file. Token, CAs
// and client certificate are read when they are needed, and again for the next
// call: what is missing is an error of the call, and what is rotated counts at once.
// The key is made by an administrator, with a type that takes associated data:
//
//	vault write -f transit/keys/prod type=aes256-gcm96
//
// aes128-gcm96, chacha20-poly1305 and xchacha20-poly1305 do too. Derived and
// convergent keys are refused.
//
// # Permissions
//
// The token's policy needs these, under its namespace and mount:
//
//	path "transit/encrypt/prod" { capabilities = ["update"] }  # to wrap
//	path "transit/decrypt/prod" { capabilities = ["update"] }  # to unwrap
//	path "transit/keys/prod"    { capabilities = ["read"] }    # to probe
//
// The capability "create" on encrypt would let a misspelt KeyName make a new
// key. The token may look itself up, and for [Wrapper.Run] renew itself, if it is
// renewable; the policy "default" allows both.
//
// # Which key
//
// A blob's KeyID is KeyIDPrefix, Namespace, MountPath and KeyName, as in
// "transit/prod"; the version is transit's. The address is no part of it, so a
// server may move. A mount or key that gets another name is another key: wrap
// with it before the old name goes. Two servers that have a mount and key of one
// name must be told apart by KeyIDPrefix.
//
// A key that was deleted and made again under its name cannot be told from an
// altered blob: both are [kms.ErrCorrupt].
//
// # Limits
//
// The binding is associated data, which Vault knows since 1.13 and OpenBao
// always. An older Vault ignores it without a word; blobs then open under any
// binding of their store, and what package seal derives from it still holds.
// The engine's rewrap ignores associated data, so it is never used: wrap anew
// instead.
//
// A server that answers with a wrong key of a possible length is not noticed
// here. Package seal notices, as the key does not fit the record.
//
// A call is one request over one connection, which ends with it. Only a 403 that
// does not say whether the token or its policy is at fault is followed by another,
// in which the token looks itself up. Redirects are
// not followed, since the token would go along: configure an address that
// reaches the active server. The buffers of the HTTP and TLS packages that a key
// passed through are not wiped; this package's own are.
//
// # Errors
//
// All are [*kms.Error]. The server's words are kept, cut to one line, unless they
// repeat a secret. Where the status does not tell, the words do:
//
//	ErrUnavailable      no connection, no answer, 3xx, 408, 412, 5xx, a sealed or standby server; a CA file that cannot be read
//	ErrThrottled        429
//	ErrUnauthenticated  401; 403 "invalid token"; 403 of a token that may not look itself up; a TokenFile that cannot be used; a refused client certificate
//	ErrClockSkew        the server's certificate is not valid yet
//	ErrDenied           403 of a token that may look itself up; also a wrap with no such key
//	ErrKeyDisabled      400, the version is below min_decryption_version
//	ErrKeyGone          400 or 404, no such key, version or mount; a key deleted softly
//	ErrWrongKey         a blob of another key; an answer of another version
//	ErrCorrupt          400, the blob was altered, or is bound to another place
//	ErrMisconfigured    the Config, the key's type, TLS trust, any other 4xx
//
// # Concurrency
//
// A [Wrapper] is safe for concurrent use.
//
// # Compatibility
//
// The ciphertext of a blob is the engine's own text, "vault:v1:…", and opens
// with the stock command line, given the associated data. Every release opens
// the blobs of every earlier one.
package transit
