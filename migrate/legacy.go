package migrate

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/prefix"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

// A LegacyCipher is how a server encrypted before it had a keyring.
type LegacyCipher int

// The ciphers, with what is stored. Only the first is authenticated.
const (
	AESGCM LegacyCipher = iota + 1 // nonce (12 bytes) ‖ ciphertext ‖ tag (16)
	AESCBC                         // IV (16 bytes) ‖ ciphertext, PKCS #7 padding
	AESCFB                         // IV (16 bytes) ‖ ciphertext, full-block CFB

	// Clear is none: values are stored as they are, and become encrypted. It has
	// no key, and needs Valid, which says what a clear value looks like.
	Clear
)

// A KeyForm is how the text of a key, as an environment variable holds it,
// makes the 16, 24 or 32 bytes of an AES key.
type KeyForm int

// The forms. Space around hex and base64 is ignored, and base64 is of any kind.
const (
	RawKey    KeyForm = iota // its bytes
	HexKey                   // decoded
	Base64Key                // decoded
	SHA256Key                // the SHA-256 of a passphrase's bytes
)

// An Encoding is how legacy values are stored.
type Encoding int

// The encodings. Base64 is of any kind, padded or not.
const (
	Binary Encoding = iota
	Hex
	Base64
	Text // as it is, such as for Clear and Decrypt
)

// LegacyConfig says what legacy values look like. Cipher or Decrypt is required,
// and Valid for what authenticates nothing.
type LegacyConfig struct {
	Cipher   LegacyCipher
	KeyForm  KeyForm  // zero: RawKey
	Encoding Encoding // zero: Binary; otherwise values are text, and become text

	// Inner is how the plaintext itself is encoded: some servers encrypt the
	// base64 of what they mean. Zero: not at all.
	Inner Encoding

	// Decrypt, if set, reads a value in place of Cipher, as the server's old code
	// does: it gets what is stored, without its Encoding, and the associated data
	// of the keyring, and returns the plaintext as the server means it. The key
	// that is given to NewLegacy is nil. It may take anything, as code does that had
	// values in clear before: what begins as the keyring's values do never reaches it.
	// Decrypt keeps nothing, and its error is never shown: it may speak of the value.
	Decrypt func(stored, aad []byte) (plaintext []byte, err error)

	// Sample is one value that is stored, and what the server reads from it.
	// NewLegacy refuses a configuration that reads anything else, and [Rewrap]
	// takes a configuration with Cipher only if it has one, or if it asks
	// [RewrapOptions.Confirm]. Without either a value that is encoded once more
	// than the configuration says would become its own encoding, for ever.
	Sample *LegacySample

	// AAD, if set, returns the associated data that the legacy code used with
	// AESGCM, from those of the keyring. Nil: none were used.
	AAD func(aad []byte) []byte

	// Valid reports whether a plaintext can be one, such as by its prefix, or by
	// parsing it; its length says too little. It is all that recognises a wrong
	// key, another row's value, or damage under AESCBC and AESCFB: under a wrong
	// key every CFB value and one in 256 of CBC decode to noise. It keeps nothing.
	Valid func(plaintext []byte) bool
}

// A LegacySample is a legacy value whose plaintext is known.
type LegacySample struct {
	Stored    []byte
	AAD       []byte // those of the keyring for its place
	Plaintext []byte
}

// ErrLegacy means that a value is none of the legacy ciphertexts: the key is
// wrong, or the value was altered, cut, or encrypted in another way. It does
// not tell which.
var ErrLegacy = errors.New("migrate: not a legacy value: another key or cipher, or it was altered")

// A Legacy reads values that a server encrypted with AES and one key from its
// environment, beside those of a keyring, so that it can adopt the keyring
// while it runs: read everything with a Legacy, write with the [keyring.Keyring]
// alone, have [Rewrap] convert what is stored, and when [Count] finds no more
// legacy values take the Legacy out and the key away.
//
// A value that begins as the keyring's do is never read as a legacy one, by any
// cipher nor by Decrypt: as text with "sw1.", or with the format's version and a
// term from 1 to 1,024 beyond the newest. Where the keyring cannot decrypt it, the
// error is the keyring's, and [Rewrap] leaves it as it is: it may be under a term
// that was retired or that another replica has just made, of another store, or
// damaged, and old code that takes anything would make of the ciphertext a
// plaintext. Of binary legacy values one in 128 begins with a version, and of
// those hardly one in four million with such a term too: it fails like that.
//
// # What is checked before anything is written
//
// A value may decrypt and still not be what the server means: one known server
// encrypts the base64 of its secrets. What Rewrap makes of it is authentic and
// the old key goes away, so it adopts only what is shown to be right: by a
// [LegacySample], by [RewrapOptions.Confirm], or by a [LegacyConfig.Decrypt] that
// is the server's own code.
//
// # What is not protected before everything is rewrapped
//
// AES-CBC and AES-CFB authenticate nothing. Who can write to the table can
// change bits of a plaintext at will, and needs no key for it; [LegacyConfig.Valid]
// limits that to plaintexts that pass. Who can also see whether a value is
// accepted, or how long it takes, can decrypt CBC values with some thousand
// attempts a block (a padding oracle): keep [ErrLegacy] from callers. No legacy
// value is bound to its row, unless AESGCM was used with associated data, so it
// can be moved to another or put back when it is old, also over a value
// of the keyring's. Rewrap cannot tell: what it finds becomes authentic. So
// rewrap soon after adopting, and take the Legacy out soon after that. Whether
// somebody altered values before cannot be told by anybody.
//
// A Legacy keeps the expanded key until it is collected, also while the keyring
// is sealed; nothing is decrypted then. It is safe for concurrent use.
type Legacy struct {
	kr     *keyring.Keyring
	text   bool
	proven bool                                     // it reads what the server means: its own function, or a sample, says so
	decode func(stored, aad []byte) ([]byte, error) // a closure, so that nothing prints the key
}

// NewLegacy returns a Legacy over the keyring and the legacy key, of which it
// keeps no reference. The error is [seal.ErrConfig].
func NewLegacy(kr *keyring.Keyring, key []byte, cfg LegacyConfig) (*Legacy, error) {
	decode, err := newDecoder(key, cfg)
	if err == nil && cfg.Sample != nil {
		err = checkSample(kr, decode, cfg.Sample)
	}
	if err != nil {
		return nil, fmt.Errorf("migrate: legacy: %w: %w", seal.ErrConfig, err)
	}
	return &Legacy{
		kr:     kr,
		text:   cfg.Encoding != Binary,
		proven: cfg.Decrypt != nil || cfg.Sample != nil,
		decode: decode,
	}, nil
}

// Decrypt appends the plaintext of a stored value to dst and returns the longer
// slice: the keyring's decryption, or the legacy one.
//
// The errors are those of [keyring.Keyring.Decrypt], alone for what begins as the
// keyring's values do, and [ErrLegacy].
func (l *Legacy) Decrypt(dst, stored, aad []byte) ([]byte, error) {
	plaintext, err := openOurs(l.kr, stored, aad)
	if err != nil {
		if _, sealed := l.kr.Active(); sealed != nil {
			return nil, sealed // also of text that is none: it can be asked again
		}
	}
	if err != nil && l.takes(stored, err) {
		plaintext, err = l.open(stored, aad, err)
	}
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	return append(dst, plaintext...), nil
}

// Open is Decrypt without a destination, to be the Legacy of a [seal.Box].
func (l *Legacy) Open(stored, aad []byte) ([]byte, error) { return l.Decrypt(nil, stored, aad) }

// DecryptString is Decrypt for a text column.
func (l *Legacy) DecryptString(text string, aad []byte) (string, error) {
	plaintext, err := l.Decrypt(nil, []byte(text), aad)
	if err != nil {
		return "", err
	}
	defer clear(plaintext)
	return string(plaintext), nil
}

// takes reports whether a value, of which the keyring said err, is tried as a
// legacy one. Every way to read or adopt one asks here.
func (l *Legacy) takes(stored []byte, err error) bool {
	return notOurs(err) && !prefix.Ours(l.kr, stored)
}

// open decrypts a value that is not the keyring's, of which the keyring says
// ours.
func (l *Legacy) open(stored, aad []byte, ours error) ([]byte, error) {
	// A sealed server gives out nothing, whatever key it holds.
	if _, err := l.kr.Active(); err != nil {
		return nil, err
	}
	plaintext, err := l.decode(stored, aad)
	if err == nil || errors.Is(ours, keyring.ErrFormat) {
		return plaintext, err
	}
	return nil, fmt.Errorf("%w; %w", ours, err)
}

// legacy returns the plaintext of a value if it is a legacy one.
func (l *Legacy) legacy(stored, aad []byte) ([]byte, bool) {
	if len(stored) == 0 {
		return nil, false
	}
	ours, err := openOurs(l.kr, stored, aad)
	clear(ours)
	if err == nil || !l.takes(stored, err) {
		return nil, false
	}
	plaintext, err := l.open(stored, aad, err)
	return plaintext, err == nil
}

// adopt encrypts a value that is not the keyring's with it.
func (l *Legacy) adopt(dst, stored, aad []byte, ours error) ([]byte, error) {
	plaintext, err := l.open(stored, aad, ours)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	if !l.text {
		return l.kr.Encrypt(dst, plaintext, aad)
	}
	text, err := l.kr.EncryptString(string(plaintext), aad)
	return append(dst, text...), err
}

func openOurs(kr *keyring.Keyring, stored, aad []byte) ([]byte, error) {
	if !bytes.HasPrefix(stored, textPrefix) {
		return kr.Decrypt(nil, stored, aad)
	}
	text, err := kr.DecryptString(string(stored), aad)
	return []byte(text), err
}

// notOurs reports whether the keyring said of a value that it is none of its
// own: it names no term of the keyring, by number and key id.
func notOurs(err error) bool {
	var e *keyring.Error
	if !errors.As(err, &e) {
		return false
	}
	switch {
	case errors.Is(err, keyring.ErrFormat), errors.Is(err, keyring.ErrUnknownTerm), errors.Is(err, keyring.ErrWrongKey):
		return true
	case errors.Is(err, keyring.ErrCorrupt):
		return e.Term == 0 // too short to name one
	}
	return false
}
