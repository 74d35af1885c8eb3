package named

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds of failure: one for each thing that a caller does about it. Every
// error of this package is one of them by [errors.Is], or what the keyring
// ([keyring.ErrSealed] above all), the Store or the context said.
var (
	// ErrNotFound means that there is no key of the name. A Store returns it too.
	ErrNotFound = errors.New("named: no such key: create it first")

	// ErrExists means that there is a key of the name already.
	ErrExists = errors.New("named: the key exists already: use it, or choose another name")

	// ErrConflict means that others changed the key each time that this was about
	// to. A [Store] returns it from Swap, for each time.
	ErrConflict = errors.New("named: changed by others meanwhile: try again")

	// ErrVersion means that the key has no such version: it is younger than what
	// the store holds, or was trimmed, or belongs to another key of the name.
	ErrVersion = errors.New("named: the key has no such version")

	// ErrType means that keys of this type do not do what was asked.
	ErrType = errors.New("named: the key's type does not do this")

	// ErrPolicy means that the key's settings forbid it: change them with
	// [Keys.Configure], or leave it.
	ErrPolicy = errors.New("named: the key's settings forbid it")

	// ErrInput means that the input is malformed, or something is missing in it.
	ErrInput = errors.New("named: malformed input")

	// ErrCorrupt means that a ciphertext, or a key that is stored, does not
	// authenticate: it was altered or cut, or belongs to another key, context or
	// associated data.
	ErrCorrupt = errors.New("named: does not authenticate: altered, or of another key, context or associated data")

	// ErrLimit means that something is larger, or more, than this package takes.
	ErrLimit = errors.New("named: more than the limit")

	// ErrNotApproved means that this process runs in FIPS 140-3 mode, in which
	// the algorithm is not approved.
	ErrNotApproved = errors.New("named: not approved in FIPS 140-3 mode")

	// ErrExhausted means that this process has encrypted under the version as
	// often as is safe with random nonces. Rotate the key.
	ErrExhausted = errors.New("named: the version is used up: rotate the key")

	// ErrFormat means that a stored key is in no format this version reads.
	ErrFormat = errors.New("named: the stored key is in an unknown format: written by a newer version")

	// ErrConfig means that the configuration can never work.
	ErrConfig = errors.New("named: bad configuration")
)

// Finer kinds, for who answers in words of its own: each is one of the kinds above
// as well, by [errors.Is], and reads as that.
var (
	// ErrMinEncryption is an [ErrPolicy]: the version asked for is below
	// min_encryption_version.
	ErrMinEncryption error = &finer{ErrPolicy}

	// ErrMinDecryption is an [ErrPolicy]: the version is below
	// min_decryption_version.
	ErrMinDecryption error = &finer{ErrPolicy}

	// ErrContext is an [ErrInput]: the key is derived, and the context is missing.
	ErrContext error = &finer{ErrInput}

	// ErrText is an [ErrInput]: a ciphertext, a signature or a MAC is not written
	// as one.
	ErrText error = &finer{ErrInput}

	// ErrShort is an [ErrInput]: a ciphertext is shorter than any.
	ErrShort error = &finer{ErrInput}

	// ErrDigest is an [ErrInput]: prehashed input is not as long as what the hash
	// algorithm gives.
	ErrDigest error = &finer{ErrInput}
)

// finer is a kind within a kind. It is a pointer, so that no two are the same.
type finer struct{ kind error }

func (f *finer) Error() string { return f.kind.Error() }
func (f *finer) Unwrap() error { return f.kind }

// An Error says what failed, and for which key. Its text holds neither keys nor
// data:
//
//	named: decrypt: key "orders": version 7: the key has no such version: the latest is 3
type Error struct {
	Op   string // what was called for: "create", "encrypt", "rotate", …
	Name string // of the key; empty where none is concerned
	Err  error
}

// Error returns the whole on one line, prefixed with "named: ".
func (e *Error) Error() string {
	text := strings.TrimPrefix(e.Err.Error(), "named: ")
	if e.Name == "" {
		return fmt.Sprintf("named: %s: %s", e.Op, text)
	}
	return fmt.Sprintf("named: %s: key %q: %s", e.Op, e.Name, text)
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// because returns an error of a kind with words of its own behind it.
func because(kind error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
}

// wrap says what failed, unless the error says so already.
func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if _, named := err.(*Error); named {
		return err
	}
	return &Error{op, name, err}
}
