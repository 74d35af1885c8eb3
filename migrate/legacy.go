package migrate

import (
	"errors"
	"fmt"

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
)

// LegacyConfig says what legacy values look like. Cipher is required, and Valid
// for the ciphers that authenticate nothing.
type LegacyConfig struct {
	Cipher   LegacyCipher
	KeyForm  KeyForm  // zero: RawKey
	Encoding Encoding // zero: Binary; otherwise values are text, and become text

	// AAD, if set, returns the associated data that the legacy code used with
	// AESGCM, from those of the keyring. Nil: none were used.
	AAD func(aad []byte) []byte

	// Valid reports whether a plaintext can be one, such as by its prefix, or by
	// parsing it; its length says too little. It is all that recognises a wrong
	// key, another row's value, or damage under AESCBC and AESCFB: under a wrong
	// key every CFB value and one in 256 of CBC decode to noise. It keeps nothing.
	Valid func(plaintext []byte) bool
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
// A value is the keyring's if it begins with the format's version byte, or as
// text with "sw1."; a legacy value cannot begin with the latter if it is stored
// as hex or base64. One binary legacy value in 256 begins with that byte. It is
// told by its term and key id, 64 bits, which are not the keyring's; what has
// them is never read as a legacy value.
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
	decode func(stored, aad []byte) ([]byte, error) // a closure, so that nothing prints the key
}

// NewLegacy returns a Legacy over the keyring and the legacy key, of which it
// keeps no reference. The error is [seal.ErrConfig].
func NewLegacy(kr *keyring.Keyring, key []byte, cfg LegacyConfig) (*Legacy, error) {
	decode, err := newDecoder(key, cfg)
	if err != nil {
		return nil, fmt.Errorf("migrate: legacy: %w: %w", seal.ErrConfig, err)
	}
	return &Legacy{kr, cfg.Encoding != Binary, decode}, nil
}

// Decrypt appends the plaintext of a stored value to dst and returns the longer
// slice: the keyring's decryption, or the legacy one.
//
// The errors are those of [keyring.Keyring.Decrypt], and [ErrLegacy].
func (l *Legacy) Decrypt(dst, stored, aad []byte) ([]byte, error) {
	plaintext, err := openOurs(l.kr, stored, aad)
	if err != nil && notOurs(err) {
		plaintext, err = l.open(stored, aad, err)
	}
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	return append(dst, plaintext...), nil
}

// DecryptString is Decrypt for a text column.
func (l *Legacy) DecryptString(text string, aad []byte) (string, error) {
	plaintext, err := l.Decrypt(nil, []byte(text), aad)
	if err != nil {
		return "", err
	}
	defer clear(plaintext)
	return string(plaintext), nil
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
	if len(stored) < len(textPrefix) || string(stored[:len(textPrefix)]) != string(textPrefix) {
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
