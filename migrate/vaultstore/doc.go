// Package vaultstore reads what HashiCorp Vault and OpenBao stored, without a
// server: to bring a company's secrets over, and to find out why a store does not
// open any more, and what can still be done.
//
// It is no storage backend, and writes nothing where it reads. Do not run it on
// what a server has open: stop that, or read a copy or a raft snapshot.
//
// # Opening
//
// [Open] reads a directory of storage "file", raft's vault.db, and a raft
// snapshot, of Vault since its first releases and of OpenBao. A [Store] is opened
// by a threshold of unseal shares, or by the KMS of its auto seal: recovery shares
// open nothing by themselves. A KMS is a [Seal]: [Static], or [KMS] with a Wrapper
// of this project.
//
// More shares than the threshold help: where one of them is wrong, the others are
// found by trying every set, and the wrong one is named ([Info]). Of just a
// threshold with a wrong one, nobody can tell which it is: Vault's shares carry
// no check.
//
// [Store.Mounts], [Store.Policies], [Store.Secrets] and [Store.TransitKeys] say
// what is in it, [Store.Get] returns any entry, and [Store.Export] writes it all as
// lines of JSON, in clear.
//
// Of raft, vault.db holds what was applied. What a server that crashed had still
// to apply stands in raft.db beside it, and is not read: let it start and stop once
// more, or take a snapshot. Entries that Vault Enterprise wraps by the seal once
// more (seal wrap) are not read either, and are reported as unreadable.
//
// # A store that does not open
//
// [Diagnose] tells wrong shares from shares of another set, a migration or a rekey
// that was interrupted, a keyring under another root key, and files that are cut or
// missing. [Repair] writes a copy that opens, where the key material is complete,
// and proves it by opening it. The source stays as it is.
//
// # Hostile files
//
// A backup may come from anywhere. Every length in it is checked against what is
// there before anything is allocated; gzip, LZW, snappy and LZ4 are bounded while
// they unpack; vault.db is read page by page, and not mapped, so that a file that
// is cut is an error. An entry has 64 MiB at most.
//
// # Secrets
//
// No error, and no finding, holds a share, a key or a plaintext. Keys are wiped by
// [Store.Close], as far as Go lets them. What Export writes is in clear.
package vaultstore
