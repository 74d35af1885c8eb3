package keyring

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds of failure: one for each thing that a caller does about it. Every
// error of this package is one of them by [errors.Is], except those of the
// io.Writer and io.Reader under a stream.
var (
	// ErrSealed means that the keyring holds no keys: its owner has sealed it,
	// or not opened it yet.
	ErrSealed = errors.New("keyring: sealed: unseal the server first")

	// ErrUnknownTerm means that the ciphertext's term is not in the keyring: it
	// is younger than what this process loaded, or was retired. Refresh the
	// keyring, and restore its record if that does not help.
	ErrUnknownTerm = errors.New("keyring: unknown term: it was retired, or the keyring is older than the data")

	// ErrWrongKey means that the ciphertext was made with another key than the
	// keyring's of the same number: it comes from another store, or from a
	// fork of this one.
	ErrWrongKey = errors.New("keyring: wrong key: the data is another store's, or a fork's")

	// ErrCorrupt means that the ciphertext does not authenticate: it was
	// altered or cut, or belongs to other associated data.
	ErrCorrupt = errors.New("keyring: corrupt: the data was altered, or its associated data is other")

	// ErrFormat means that the input is no ciphertext of a format this version
	// reads.
	ErrFormat = errors.New("keyring: unknown format: not encrypted, or by a newer version")

	// ErrExhausted means that this process has encrypted under the active term
	// as much as is safe. Rotate; [Owner.Usage] tells in time.
	ErrExhausted = errors.New("keyring: the term is used up: rotate to a new one")

	// ErrLength means that a message, a stream or a derived key would be
	// longer than is safe or possible.
	ErrLength = errors.New("keyring: length out of range")

	// ErrTerms means that [Owner.Install] was given terms that make no keyring.
	ErrTerms = errors.New("keyring: the terms make no keyring")
)

// An Error says what failed and for which term. Its text holds neither keys
// nor data:
//
//	keyring: decrypt: term 7: wrong key: the data is another store's, or a fork's
type Error struct {
	Op   string // what was called for: "encrypt", "decrypt", "rewrap", "derive", "stream", "install", …
	Term uint32 // the number of the term; 0 where none is known
	Err  error  // one of this package's sentinels, perhaps with details
}

// Error returns the whole on one line, prefixed with "keyring: ".
func (e *Error) Error() string {
	text := strings.TrimPrefix(e.Err.Error(), "keyring: ")
	if e.Term == 0 {
		return fmt.Sprintf("keyring: %s: %s", e.Op, text)
	}
	return fmt.Sprintf("keyring: %s: term %d: %s", e.Op, e.Term, text)
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }
