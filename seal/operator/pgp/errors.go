package pgp

import "errors"

// Why [Parse] refuses a key. Each is mended by another key, or by another
// export of the same.
var (
	// ErrMalformed: it is not one public key, signed by itself.
	ErrMalformed = errors.New("pgp: not a public key")
	// ErrTooLarge: more than 1 MiB of text, 64 KiB or 1000 packets of the key's own, 64 signatures by
	// itself, or RSA of 8192 bits.
	ErrTooLarge = errors.New("pgp: the key is too large")
	// ErrExpired: the key, or the part of it that encrypts, is not in force:
	// it expired, or is of tomorrow by this machine's clock.
	ErrExpired = errors.New("pgp: the key is not in force")
	// ErrRevoked: the key's owner called it back, or who was named to do that.
	ErrRevoked = errors.New("pgp: the key is revoked")
	// ErrWeak: an algorithm or a size that is no longer safe.
	ErrWeak = errors.New("pgp: the key is weak")
	// ErrNoEncryption: nothing in the key may be used to encrypt.
	ErrNoEncryption = errors.New("pgp: the key has no part to encrypt to")
)
