// Package prefix tells by its first bytes a value that is the keyring's, or may be,
// from what other code stored. It owns the one rule of what never reaches a host's
// own decryption: what begins as a ciphertext does is a ciphertext, whatever is
// wrong with it. It must not decrypt, nor know what the other code does.
package prefix

import (
	"bytes"

	"github.com/sealwright/sealwright/keyring"
)

// Text is what every ciphertext in text begins with.
const Text = "sw1."

// MaxNewer is how many terms the data may be ahead of a record that was rolled
// back: a rotation a day for nearly three years. A term beyond that was never
// made: one flipped bit of a ciphertext is mostly such a one.
const MaxNewer = 1 << 10

// Ours reports whether a value begins as the keyring's do: as text, or with a
// version of the format and a term that there was, is, or soon may be. It may be
// under a term that was retired or that another replica made, another store's,
// altered or cut. Of values that are any bytes one in 128 begins with a version,
// and hardly one with such a term as well.
func Ours(kr *keyring.Keyring, stored []byte) bool {
	if bytes.HasPrefix(stored, []byte(Text)) {
		return true
	}
	head := make([]byte, keyring.Overhead) // also of a value that was cut
	if copy(head, stored) < 5 {
		return false
	}
	term, err := keyring.TermOf(head)
	if err != nil || term == 0 {
		return false
	}
	last := uint32(0)
	for _, t := range kr.Terms() {
		last = max(last, t.Number)
	}
	return term <= last || term-last <= MaxNewer
}
