// Package seal gives a server the seal that HashiCorp Vault has: its data is
// encrypted by a keyring, the keyring by a root key, and the root key is
// protected by slots, each of which opens it alone: shares held by people, keys
// in a KMS, or trees of both. The server starts sealed, unseals through a KMS
// or with people's shares, rotates its keys, and moves from one protection to
// another while it runs.
//
// Do not use it to encrypt a file that nobody has to unseal, nor for secrets
// that are themselves kept in a Vault. It does not protect against whoever
// controls the unsealed process.
//
//	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
//	go b.Run(ctx)            // unseals by itself, and keeps it so
//	err = b.Wait(ctx)        // until it is unsealed
//	ct, err := b.Keyring().Encrypt(nil, plaintext, aad)
//
// # One record
//
// Everything that protects the keys is one small document in a [Store]. Every
// change of it (init, a new slot, a rekey, a rotation, each move of a
// migration) is exactly one compare-and-swap, so there is no half-done state to
// repair: a process that dies at any point leaves the record before or after.
// FORMAT.md describes the record byte by byte, STATES.md every transition.
//
// # Slots
//
// A slot is the recipient of the root key, as in an age file or a LUKS header:
// a key pair whose seed people hold in shares, or a KMS protects, or a tree of
// both yields ([Spec]). Since its public key stands in the record, the root key
// can be replaced with no custodian present. Any slot that is not pending opens
// the store; a people slot beside a KMS slot is recovery shares that really
// recover.
//
// # Add, prove, drop
//
// A new slot is pending until it has shown that it opens the stored record
// ([Admin.Prove]); the old one stays valid until then. [Admin.Drop] removes
// a slot only while another one opens the stored record, now, and replaces root
// key and data key with it. A rekey and every migration are these three moves;
// package migrate strings them together.
//
// # People
//
// A [Share] is 89 characters with a checksum, or Vault's 33 bytes. The record
// holds a commitment to every share, so that [Barrier.Submit] names a wrong one
// before anything is combined and keeps the progress made so far.
//
// # Sealed and unsealed
//
// [Open] touches nothing, so that a server comes up and says why it is sealed
// ([Barrier.Status]). Once unsealed, neither a KMS nor the store is needed to
// encrypt and decrypt; an outage never seals. [Barrier.Seal] does, and wipes
// the keys when what [Barrier.While] runs has returned and the last operation in
// flight has ended. Until then they are, on Linux, in memory that is neither
// swapped out nor dumped: [Status.Memory].
//
// # Several processes
//
// Processes that share a Store see each other's changes through Run, or
// [Admin.Refresh]. Set [Config.Propagation] so that every one of them can
// read a new term before any writes under it, and use a [Box], which
// looks for a term that this process has not seen yet. A process that cannot
// take in a change, since the root key was replaced and no KMS slot opens the new
// record, says so in [Status.Behind] and goes on with the keys it has; shares
// given to it open the new record without a Seal.
//
// # A KMS that is away
//
// What one KMS does concerns it alone: no other slot, no other member of a tree
// and no operation that does not need it waits for it. Its wish to be left alone
// is remembered, and Run tries each slot by a clock of its own.
//
// # Forged stores
//
// Who can write to the store knows every public key and could put a record of
// their own there. What custodians hold names a secret that only the true
// record has, so such a record is refused ([ErrForged]), with two exceptions
// that need a pin in the configuration ([Config.Pins]): KMS keys whose wrap
// anybody can make with a public key, and shares in Vault's bare form. Who also
// has shares, or a KMS key, that the server takes for custodians, can make a
// whole store of their own: against that stand pins, [Config.Shapes] and
// [Config.Anchor].
//
// # Errors
//
// Each error is, by [errors.Is], one of this package's, of package kms's, or a
// [*ShareError], and says what to do. "The store cannot be reached" is never
// "not initialized". No error, event or log line holds a key, a share or a
// plaintext.
//
// # Compatibility
//
// A record of a released version opens for ever. New code writes the old format
// until it is told otherwise; old code that meets a newer one says so
// ([ErrNewerFormat]).
package seal
