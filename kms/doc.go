// Package kms defines what Sealwright asks of a KMS: wrap a key, unwrap it
// again, and say truthfully why not. Use it to write a provider, to pass one to
// package seal, or to tell what an error of one means. It does not encrypt
// data: that is package keyring's, and no KMS is called for it.
//
// # Providers
//
// A provider is a package with a Config and a New that returns a [Wrapper]:
//
//	kms/localkms        a key in a file
//	kms/transit         the transit engine of Vault and OpenBao
//	kms/azurekeyvault   Azure Key Vault and Managed HSM   (a module of its own)
//	kms/gcpckms         Google Cloud KMS                  (a module of its own)
//	kms/awskms          AWS KMS                           (a module of its own)
//
// New makes no request and reads no environment unless its Config says so: a
// KMS that is down when the process starts must not keep it from starting. One
// Wrapper is one key; two keys of one provider are two Wrappers.
//
// To write another, implement [Wrapper], map the KMS's errors to this package's
// in one table, by type and code, never by text where a code exists, switch off
// the retries of its SDK, and run kmstest.Conformance. Package kms/provider has
// what they share: fields that name a file, and words of others in errors.
//
// # Concurrency
//
// Every method of a Wrapper may be called from several goroutines at once, and
// returns soon after its context ends.
//
// # Errors
//
// A provider returns an [*Error]. What the caller decides on is its Kind, one of
// the sentinels, found with [errors.Is]; the SDK's own error is found with
// [errors.As]:
//
//	ErrUnavailable      try again                         Temporary
//	ErrThrottled        try again, later                  Temporary
//	ErrUnauthenticated  repair or renew the credentials
//	ErrClockSkew        set this machine's clock
//	ErrDenied           grant the permission
//	ErrKeyDisabled      enable the key
//	ErrKeyGone          restore the key, or open another slot
//	ErrWrongKey         configure the key that the blob names
//	ErrCorrupt          restore the blob, or open another slot
//	ErrMisconfigured    change the configuration
//
// No error holds a key. A context that ends is an ErrUnavailable whose cause is
// the context's error.
//
// # Compatibility
//
// A [Blob] that any released version wrapped is unwrapped by every later one.
package kms
