// Package pgp encrypts shares to OpenPGP keys, for the flags -pgp-keys,
// -recovery-pgp-keys and -root-token-pgp-key of the bao and vault command
// lines. Give [Parse] to the operator handler:
//
//	h, err := operator.New(operator.Config{…, ParseRecipient: pgp.Parse})
//
// Whoever runs init or rekey then sees no share, and a holder opens theirs
// with
//
//	base64 -d | gpg -d
//
// or sq decrypt in place of gpg -d, which prints the 89 characters to type into unseal. Do not use it where the
// shares are handed out by a page of your own to people who have no OpenPGP
// key: without Config.ParseRecipient, requests with keys are refused.
//
// # Keys
//
// A key is one public key in base64 of its binary form, as the tools send it;
// armored text is read too, bare or in base64. It must encrypt, be in force,
// and be signed by itself with SHA-2 or better: RSA of 2048 to 8192 bits,
// elliptic curves, and what OpenPGP has beside them that go-crypto does not
// count as weak. DSA, ElGamal, secp256k1 and signatures with SHA-1 or MD5 are
// refused, and so is a key that was called back, also by whom its owner named
// to do that. Who the key belongs to is for the sender to know: user names, of
// which there may be none, pictures and the signatures of others are left out.
// The fingerprint is what the tools show, 40 lower-case hexadecimal digits; 64
// for a key of version 6.
//
// A key is read when an operation begins, and serves until it ends, even if it
// expires meanwhile. The store keeps the fingerprint alone, as the name of the
// share's custodian: no key can stop a server from starting.
//
// # Messages
//
// A message is for one holder, and unsigned. It is encrypted to each subkey of
// theirs that is in force, with AES-256: to a key of version 4 with the
// modification detection that every gpg since 2000 reads, whatever its features
// say, since gpg reads no other; to one of version 6 with OCB, by RFC 9580. Where
// a holder's tool is not any (gpg reads no key of version 6 and no Curve448, sq as
// Debian has it no Brainpool curve) the message is armored, and says in its
// comment which one opens it.
//
// # Errors
//
// Every error of Parse wraps one of the sentinels of this package, except in
// FIPS mode. None shows anything but what is public in a key.
//
// # Limits
//
// The text of a share is a Go string, which cannot be wiped, nor can the
// buffers of go-crypto; what this package copies is. Under
// GODEBUG=fips140=only no key is accepted, with [errors.ErrUnsupported]:
// OpenPGP needs algorithms that are refused there, SHA-1 for the fingerprint
// and CFB mode among them.
package pgp
