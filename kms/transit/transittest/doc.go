// Package transittest is the transit engine of a Vault in memory: it speaks the
// HTTP of encrypt, decrypt, keys and the renewal of tokens, so that a test can
// use a [transit.Wrapper], or any other client, without a server. It is not for
// production: its root token is public.
//
// The zero [Server] works. [Server.Config] is all that a Wrapper needs; its
// requests then reach the Server without a network, also in a bubble of
// [testing/synctest]. For clients of another kind, and for TLS, a Server is an
// [http.Handler] as well.
//
// # Configuration
//
// Keys are made by Config, or by Create. The fields Mount and Namespace say
// where the engine is. What an administrator would do to a key, methods do.
//
// # Permissions
//
// [RootToken] may do everything and never ends; IssueToken makes others. A token
// may use keys and not make them, so that encrypting with a key that is not
// there is denied, as with the capability "update" alone.
//
// # Limits
//
// Keys say that they are of the type aes256-gcm96, and encrypt without
// randomness: the same calls give the same answers. There are no batches, no
// derived keys, and no policies.
//
// # Errors
//
// They have the status and words of Vault 1.21, or with the field OpenBao those of
// OpenBao 2.6, as both were recorded. The faults are those of package kmstest, with these differences: ClockSkew does not exist, and
// is an invalid token; BadCRC cuts the answer short, which no checksum but the
// JSON shows; Disabled is a version below min_decryption_version; Recreated and
// AliasMoved encrypt or decrypt with the key of another life, which the engine
// cannot tell from a damaged ciphertext, so that an unwrap fails with
// [kms.ErrCorrupt]; WrongKeyID names another version in the answer to encrypt,
// and leaves decrypt alone, which names none.
//
// # Concurrency
//
// A Server is safe for concurrent use.
package transittest
