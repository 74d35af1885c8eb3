package seal

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/sealwright/sealwright/internal/bech32m"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/secret"
)

const (
	fingerprintLen = 12
	shareKeyLen    = custody.SeedSize // y: one byte for each byte of a slot's seed
	rawShareLen    = shareKeyLen + 1  // y ‖ x, as Vault has it
)

// A Share is one part of a people slot's key, as a custodian holds it. Its
// number and set are no secret; its key is, and shows in no formatted text,
// log or encoding: [Share.Reveal] and [Share.RevealRaw] are the ways out.
// Copies of a Share share the key: wiping one wipes all. The zero Share is
// none. A Share is safe for concurrent use.
//
// The text of a share is described in SHARES.md.
type Share struct {
	part custody.Share
}

// newShare returns the share x, 1 to 255, of a set, 1 or more, of the slot
// with the fingerprint. It copies y, of 32 bytes, which the caller wipes.
func newShare(fingerprint [fingerprintLen]byte, set uint32, x byte, y []byte) Share {
	if len(y) != shareKeyLen || x == 0 || set == 0 {
		panic("seal: newShare: not a share")
	}
	return Share{custody.Share{Fingerprint: fingerprint, Set: set, X: x, Y: secret.New(slices.Clone(y))}}
}

// RawShare returns the share in b, 33 bytes as Vault and OpenBao make them: y
// ‖ x. It carries no fingerprint and no set, so that it can be checked only
// against the commitments of an imported set. RawShare copies b, which the
// caller wipes. It fails with [ErrShareMalformed] for another length and for
// x = 0, which would be the key itself.
func RawShare(b []byte) (Share, error) {
	if len(b) != rawShareLen {
		return Share{}, malformed("%d bytes where a raw share has %d; the only share of a set of one is a bare key in Vault, and not a share here", len(b), rawShareLen)
	}
	x := b[shareKeyLen]
	if x == 0 {
		return Share{}, malformed("number 0, shares count from 1")
	}
	return Share{custody.Share{X: x, Y: secret.New(slices.Clone(b[:shareKeyLen]))}}, nil
}

// Reveal returns the share as the text for its custodian, which [ParseShare]
// reads: 89 characters beginning with sw1, or the 44 characters of Vault's
// base64 for a raw share. Whoever has the text has the share, and a string
// cannot be wiped. It returns "" for the zero Share and after [Share.Wipe].
func (s Share) Reveal() string {
	y := s.part.Y.Reveal()
	defer clear(y)
	if len(y) == 0 {
		return ""
	}
	if s.Raw() {
		raw := append(y, s.part.X)
		defer clear(raw)
		return base64.StdEncoding.EncodeToString(raw)
	}
	payload := make([]byte, 0, sharePayloadLen)
	defer clear(payload[:sharePayloadLen])
	payload = append(payload, shareVersion)
	payload = append(payload, s.part.Fingerprint[:]...)
	payload = binary.BigEndian.AppendUint32(payload, s.part.Set)
	payload = append(append(payload, s.part.X), y...)
	text, err := bech32m.Encode(sharePrefix, payload)
	if err != nil {
		panic("seal: " + err.Error()) // prefix and length are constants
	}
	return text
}

// RevealRaw returns the share as Vault's 33 bytes, y ‖ x, which the caller
// owns and wipes. It returns nil for the zero Share and after [Share.Wipe].
func (s Share) RevealRaw() []byte {
	y := s.part.Y.Reveal()
	defer clear(y)
	if len(y) == 0 {
		return nil
	}
	return append(append(make([]byte, 0, rawShareLen), y...), s.part.X)
}

// Fingerprint returns the first 12 bytes of the SHA-256 of the slot's identity
// secret; zeros for a raw share.
func (s Share) Fingerprint() [12]byte { return s.part.Fingerprint }

// Set returns the number of the set that the share is of, 1 or more; 0 for a
// raw share.
func (s Share) Set() uint32 { return s.part.Set }

// X returns the share's number in its set, 1 to 255; 0 for the zero Share.
func (s Share) X() byte { return s.part.X }

// Raw reports whether the share came without fingerprint and set.
func (s Share) Raw() bool { return s.part.Raw() }

// Wipe clears the key in memory. The share still knows its name.
func (s Share) Wipe() { s.part.Y.Wipe() }

// String names the share, such as "share 3 of set 2 (redacted)".
func (s Share) String() string {
	if s.part.X == 0 {
		return "no share"
	}
	return shareName(s.part.X, s.part.Set) + " " + secret.Redacted
}

// Format writes what [Share.String] returns, for every verb.
func (s Share) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue returns what [Share.String] returns.
func (s Share) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON returns an error: a share leaves by [Share.Reveal] alone.
func (s Share) MarshalJSON() ([]byte, error) { return s.part.Y.MarshalJSON() }

// MarshalText returns an error: a share leaves by [Share.Reveal] alone.
func (s Share) MarshalText() ([]byte, error) { return s.part.Y.MarshalText() }

// MarshalBinary returns an error: a share leaves by [Share.RevealRaw] alone.
func (s Share) MarshalBinary() ([]byte, error) { return s.part.Y.MarshalBinary() }

// GobEncode returns an error: a share leaves by [Share.RevealRaw] alone.
func (s Share) GobEncode() ([]byte, error) { return s.part.Y.GobEncode() }
