// Package migrate moves a store from the slots it has to the slots it should
// have, while the server runs: from people's shares to a cloud KMS, back, from
// one key to another of the same provider, to several at once.
//
// Do not use it to make a store ([seal.Barrier.Init] does) or for a single
// change of one slot, for which [seal.Admin] has a method each.
//
// # The way
//
// A migration adds each wanted slot, proves that it opens the stored record,
// and only then drops what is not wanted. Each move is one swap of the record.
// The goals stand in the record itself, and the next move is derived from what
// is there: a process that dies at any point is followed by any replica that
// calls [Reconcile] with the same plan. Until the drop, nothing was given up,
// and [Cancel] goes back.
//
// The old slots are kept unless [Plan.Drop] names them: after a move from
// people to a KMS the people's shares still open the store, as recovery shares
// that really recover. It also means that a quorum of them opens it without the
// KMS; name the slot in Drop where that is not wanted.
//
// A slot whose KMS has come to another key under the name in the configuration,
// as a static seal that was rotated or an alias that was moved, is wrapped with
// that key, as long as the old one still opens it.
//
// # People
//
// Shares that a migration makes are handed to [Options.Deliver]. They are
// proven by being given back, a threshold of them, to [seal.Barrier.Submit]
// with the migration's operation id; [Reconcile] returns with what it waits for
// and is called again.
//
// # The host's data
//
// A new term changes nothing that is stored: data under older terms stays
// readable, and is brought under the active one when there is time. Describe
// each place that holds ciphertexts as a [Source]; [Rewrap] goes through it
// while the server runs, [Count] tells what is under which term, and [Retire]
// removes a term when nothing is under it any more. A server that encrypted
// with one key from its environment before adopts the keyring with a [Legacy],
// in the same walk. Where several replicas are upgraded one after the other, first
// deploy the code that reads with the Legacy to all of them, still writing as
// before, and only then write with the keyring and adopt: the old code cannot read
// what a new replica writes or adopts. A Source that is a [Batcher] is rewrapped in batches, by as
// many workers as [RewrapOptions] says; package sqlsource has one for the columns
// of a SQL table. A [Keeper] does all of it by itself, and rotates.
package migrate
