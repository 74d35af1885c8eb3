package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/internal/prefix"
	"github.com/sealwright/sealwright/keyring"
)

// A Box encrypts and decrypts the values of one place in the host's data, such as
// a column of a table. [Barrier.Box] makes one. A ciphertext is bound to the place
// and to the id of its value, by [keyring.AAD] of the parts of both, so that nobody
// who can write to the database can move it to another row or column. These are
// the associated data under which [migrate/sqlsource] rewraps a column.
//
//	tokens := b.Box("tokens", "secret")
//	stored, err := tokens.EncryptString(ctx, token, strconv.FormatInt(id, 10))
//	token, err := tokens.DecryptString(ctx, stored, strconv.FormatInt(id, 10))
//
// An id is what finds the value and never changes: the primary key, in as many
// parts as that has columns. Integers are in decimal, UUIDs in lower case with
// hyphens, bytes in lower-case hex. Where the database makes the key, insert the
// row without the value, and set it in the same transaction.
//
// A place of no part, or with one that is empty, and an id of nothing but empty
// parts are [ErrConfig], as both are over 64 KiB: a value would be bound to less
// than its place, as where a key is not known yet. While the Barrier is sealed
// the methods return [ErrSealed].
//
// The methods are safe for concurrent use. They keep no argument; what they
// return is the caller's.
type Box struct {
	// Legacy, if set, reads the values that were stored before the Box was used:
	// those of other code, whose decryption it calls, or values in clear, which it
	// returns. It gets what is stored, and the associated data: Open of a Legacy of
	// package migrate is such a function. Set it before the Box is used, and take it out
	// when everything is rewrapped. Its error can be asked for with [errors.Is], and
	// is not shown: it may speak of the value.
	//
	// It never gets a value that begins as the keyring's do, in text or with a
	// version and a term that there is or soon may be, also if that does not
	// decrypt: it may be under a term that was retired, damaged, or another
	// row's, and what would be read in its place is a ciphertext as a plaintext.
	// But who can write to the database can put a value there that only Legacy
	// reads, at any place, as before; that ends when Legacy goes.
	Legacy func(stored, aad []byte) (plaintext []byte, err error)

	b     *Barrier
	place []string
}

// maxPlace bounds what a value is bound to: an id may come with a request.
const maxPlace = 64 << 10

// Box returns the Box of a place, such as a table and its column. Place and id are
// joined as one list: let the places of a server have the same number of parts, so
// that no place and id read as another place and a longer id.
func (b *Barrier) Box(place ...string) *Box { return &Box{b: b, place: slices.Clone(place)} }

// AAD returns the associated data of an id, which is not checked here: for code
// that is given associated data, as a source of package migrate is.
func (x *Box) AAD(id ...string) []byte {
	return keyring.AAD(slices.Concat(x.place, id)...)
}

// Encrypt returns the encrypted plaintext. The context is not looked at: nothing
// is waited for. The errors are those of [keyring.Keyring.Encrypt], and [ErrConfig].
func (x *Box) Encrypt(_ context.Context, plaintext []byte, id ...string) ([]byte, error) {
	aad, err := x.bind("encrypt", id)
	if err != nil {
		return nil, err
	}
	return x.b.Keyring().Encrypt(nil, plaintext, aad)
}

// EncryptString is Encrypt for a column of text: see [keyring.Keyring.EncryptString].
func (x *Box) EncryptString(_ context.Context, text string, id ...string) (string, error) {
	aad, err := x.bind("encrypt", id)
	if err != nil {
		return "", err
	}
	return x.b.Keyring().EncryptString(text, aad)
}

// Decrypt returns the plaintext of what Encrypt returned, or EncryptString, which
// some drivers return as bytes. Where another replica has rotated it looks once at
// the store, within ctx. A value that is none of the keyring's is Legacy's.
//
// The errors are those of [keyring.Keyring.Decrypt] and [Admin.Refresh],
// [ErrRolledBack], and [ErrConfig]; of Legacy, its own, which are
// [keyring.ErrFormat] as well.
func (x *Box) Decrypt(ctx context.Context, ciphertext []byte, id ...string) ([]byte, error) {
	aad, err := x.bind("decrypt", id)
	if err != nil {
		return nil, err
	}
	if x.isLegacy(ciphertext) {
		return x.openLegacy(ciphertext, aad)
	}
	return caughtUp(ctx, x.b, func() ([]byte, error) {
		if bytes.HasPrefix(ciphertext, []byte(prefix.Text)) {
			text, err := x.b.Keyring().DecryptString(string(ciphertext), aad)
			if err != nil {
				return nil, err
			}
			return []byte(text), nil
		}
		return x.b.Keyring().Decrypt(nil, ciphertext, aad)
	})
}

// DecryptString is Decrypt for a column of text.
func (x *Box) DecryptString(ctx context.Context, text string, id ...string) (string, error) {
	aad, err := x.bind("decrypt", id)
	if err != nil {
		return "", err
	}
	if stored := []byte(text); x.isLegacy(stored) {
		plaintext, err := x.openLegacy(stored, aad)
		defer clear(plaintext)
		return string(plaintext), err
	}
	return caughtUp(ctx, x.b, func() (string, error) { return x.b.Keyring().DecryptString(text, aad) })
}

// bind returns the associated data of an id that can be one.
func (x *Box) bind(op string, id []string) ([]byte, error) {
	refuse := func(what string) ([]byte, error) {
		return nil, wrapError(op, "", fmt.Errorf("%w: box: %s", ErrConfig, what))
	}
	switch {
	case x.b == nil:
		return refuse("make it with Barrier.Box")
	case len(x.place) == 0 || slices.Contains(x.place, ""):
		return refuse("its place has no part, or an empty one: name a table and a column")
	case strings.Join(id, "") == "":
		return refuse("the id is empty: give the key of the row, which is known after the insert")
	}
	aad := x.AAD(id...)
	if len(aad) > maxPlace {
		return refuse(fmt.Sprintf("place and id have %d bytes: 64 KiB at most", len(aad)))
	}
	return aad, nil
}

// isLegacy reports whether a value is given to Legacy.
func (x *Box) isLegacy(stored []byte) bool {
	return x.Legacy != nil && !prefix.Ours(x.b.Keyring(), stored)
}

// openLegacy has Legacy read a value. A sealed server gives out nothing, whatever
// keys that has.
func (x *Box) openLegacy(stored, aad []byte) (plaintext []byte, err error) {
	if _, err := x.b.Keyring().Active(); err != nil {
		return nil, err
	}
	err = bounded.Guard(func() (err error) {
		plaintext, err = x.Legacy(bytes.Clone(stored), aad) // what the host's code does to it is its own affair
		return err
	})
	if err != nil {
		clear(plaintext)
		return nil, wrapError("decrypt", "", &legacyError{err})
	}
	return plaintext, nil
}

// A legacyError keeps to itself what Legacy said.
type legacyError struct{ err error }

func (e *legacyError) Error() string {
	if errors.Is(e.err, bounded.ErrPanic) {
		return "the value is none of the keyring's, and Box.Legacy panicked: mend that function"
	}
	return "the value is none of the keyring's, and Box.Legacy could not read it: ask for its error with errors.Is, and have it read values of this form, or put back the value from a backup"
}

func (e *legacyError) Unwrap() []error { return []error{keyring.ErrFormat, e.err} }
