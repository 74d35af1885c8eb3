package vaultstore

import "errors"

// What a caller decides by. All errors of this package are one of these, by
// [errors.Is], or come from the operating system, from the context, or from a
// [Seal]. None holds a share, a key, or a plaintext.
var (
	// ErrNoStore: the path holds no storage of Vault or OpenBao.
	ErrNoStore = errors.New("vaultstore: there is no storage of Vault or OpenBao")

	// ErrNotInitialized: the storage is there, and was never initialized, or not
	// to the end.
	ErrNotInitialized = errors.New("vaultstore: the store was not initialized")

	// ErrShares: no set of the shares opens the store, or there are too few.
	ErrShares = errors.New("vaultstore: the shares do not open the store")

	// ErrSeal: none of the seals given opens the store, or none was given.
	ErrSeal = errors.New("vaultstore: no seal that was given opens the store")

	// ErrRootKey: a root key was found, and the keyring is encrypted under
	// another. [Diagnose] says how that may have come.
	ErrRootKey = errors.New("vaultstore: the keyring is under another root key")

	// ErrUnknownTerm: an entry is encrypted with a data key that the keyring does
	// not hold.
	ErrUnknownTerm = errors.New("vaultstore: the keyring has no such term")

	// ErrDamaged: something is cut, altered, or none of what it should be.
	ErrDamaged = errors.New("vaultstore: damaged")

	// ErrTooLarge: something is larger than this package reads. A hostile file
	// says such sizes, and no server writes them.
	ErrTooLarge = errors.New("vaultstore: too large")

	// ErrNotFound: there is no such entry.
	ErrNotFound = errors.New("vaultstore: there is no such entry")

	// ErrChanged: the file was written to while it was read.
	ErrChanged = errors.New("vaultstore: the storage changes while it is read: stop the server, or read a copy or a snapshot")

	// ErrExists: the target of a copy is there already.
	ErrExists = errors.New("vaultstore: the target exists: name a new one")

	// ErrNoRepair: what is there does not suffice for a repaired copy.
	ErrNoRepair = errors.New("vaultstore: it cannot be repaired with the keys that were given")
)
