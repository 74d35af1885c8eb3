// Package secret holds secret bytes in a type that stays silent in formatted
// text, logs and encodings, wherever it is nested.
//
// Redaction methods on a []byte type do not suffice: fmt reads a value in
// another struct's unexported field without calling its methods, and so prints
// the bytes. Here the bytes are a variable of a closure, which reflection
// cannot enter.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
)

// Redacted is what a secret shows of itself, whatever the verb or handler.
const Redacted = "(redacted)"

// ErrMarshal is returned by every attempt to encode a secret. An encoder that
// wrote a placeholder instead would lose the secret without a word.
var ErrMarshal = errors.New("secret: a secret is not encoded implicitly: reveal it where it must leave")

// Bytes holds a secret. Copies of a Bytes share it: wiping one wipes all. The
// zero Bytes holds nothing. It is safe for concurrent use, and does not compile
// with ==: use [Bytes.Equal].
type Bytes struct {
	hold func(f func(held *[]byte))
}

// New returns a holder of b. It keeps b itself, so that no second copy lies
// about in memory: the caller must not touch b again.
func New(b []byte) Bytes {
	var mu sync.Mutex
	return Bytes{hold: func(f func(*[]byte)) {
		mu.Lock()
		defer mu.Unlock()
		f(&b)
	}}
}

// Reveal returns a copy of the secret, which the caller owns and clears. It is
// the only way out. It returns nil for the zero Bytes and after [Bytes.Wipe].
func (s Bytes) Reveal() []byte {
	var out []byte
	if s.hold != nil {
		s.hold(func(held *[]byte) { out = slices.Clone(*held) })
	}
	return out
}

// Equal reports, in a time that depends on the lengths alone, whether both
// hold the same bytes. A holder that holds nothing equals none, itself
// included, so that a wiped secret never vouches for another.
func (s Bytes) Equal(other Bytes) bool {
	a, b := s.Reveal(), other.Reveal()
	defer clear(a)
	defer clear(b)
	return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1
}

// Wipe clears the secret in memory. What [Bytes.Reveal] returned before is not
// reached.
func (s Bytes) Wipe() {
	if s.hold != nil {
		s.hold(func(held *[]byte) {
			clear(*held)
			*held = nil
		})
	}
}

// String returns [Redacted].
func (Bytes) String() string { return Redacted }

// Format writes [Redacted] for every verb.
func (Bytes) Format(f fmt.State, _ rune) { io.WriteString(f, Redacted) }

// LogValue returns [Redacted].
func (Bytes) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON returns [ErrMarshal].
func (Bytes) MarshalJSON() ([]byte, error) { return nil, ErrMarshal }

// MarshalText returns [ErrMarshal]; encoding/xml asks it too.
func (Bytes) MarshalText() ([]byte, error) { return nil, ErrMarshal }

// MarshalBinary returns [ErrMarshal].
func (Bytes) MarshalBinary() ([]byte, error) { return nil, ErrMarshal }

// GobEncode returns [ErrMarshal].
func (Bytes) GobEncode() ([]byte, error) { return nil, ErrMarshal }
