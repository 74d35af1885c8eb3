// Package named is encryption as a service, inside a server: keys with names and
// versions that encrypt, sign and make MACs, and that never leave unless they may.
// It is what Vault's transit engine does, byte by byte: a key that is exported
// from there opens here what it encrypted there, and the reverse.
//
//	keys, err := named.New(named.Config{
//		Keyring: barrier.Keyring(),
//		Store:   store,
//		Keep:    func(s migrate.Source) { sources = append(sources, s) },
//	})
//	…
//	_, err = keys.Create(ctx, "orders", named.Spec{Type: named.AES256})
//	…
//	key, err := keys.Key(ctx, "orders")
//	text, err := key.Encrypt(named.Message{Plaintext: card, AAD: keyring.AAD("orders", customer)})
//
// Use it where others call for encryption by a key's name, or where keys of many
// types, of tenants or of imports are needed. A server's own columns are better
// off with the keyring itself, which is simpler, counts for itself, and commits to
// its keys: [keyring.Keyring], and seal's Box.
//
// # Keys
//
// A key is a document in the host's [Store], encrypted under the keyring and bound
// to its name. It has versions, numbered 1, 2, 3…: the latest encrypts, all from
// MinDecryptionVersion on decrypt. [Keys.Rotate] adds one; [Key.Rewrap] brings a
// ciphertext to the latest, without anybody seeing the plaintext; [Keys.Trim]
// removes what nothing needs. Every change is one compare-and-swap of the document.
//
// Ciphertexts are text, as Vault's; for columns of bytes there is
// [Key.EncryptBinary], which is as fast as the keyring.
//
// [Keys.Key] returns a key to work with. Its methods do no I/O: a batch is one
// Key, and [Batch] keeps the errors of its items apart.
//
// A derived key has another key for each context, such as a tenant. A convergent
// one gives equal ciphertexts for equal plaintexts of a context, so that they can
// be looked up, and so that who sees them can tell which are equal.
//
// # When the keyring rotates
//
// The keys are data of the keyring: retire none of its terms without them.
// [Config].Keep hands the source over to migrate's Keeper, Rewrap and Retire,
// which count and rewrap them as they do columns.
//
// # Sealed
//
// While the keyring is sealed every method that needs a key returns
// [keyring.ErrSealed]. What is decrypted stays in memory, so that a key is not
// loaded for each request, until it was not asked for in [Config.CacheFor] or the
// keyring is sealed: then it is wiped, before Seal returns or as soon as the last
// call that uses it does. What the standard library keeps inside of RSA and ECDSA
// keys, and a host's AEAD in itself, is left to the garbage collector.
//
// # FIPS 140-3
//
// In FIPS mode ChaCha20-Poly1305, convergent encryption and SHA-1 are refused with
// [ErrNotApproved]; keys that need them are listed, exported and deleted as ever.
//
// # Compatibility
//
// FORMAT.md, beside this file, describes every byte. What one version has stored
// or encrypted every later version reads.
package named
