package named

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/sha256"

	"github.com/sealwright/sealwright/internal/aead"
)

// converge encrypts so that equal plaintexts give equal ciphertexts in a context.
// The nonce is, by the version of the scheme:
//
//	3  HMAC-SHA256 of the plaintext under 32 derived bytes behind the key
//	2  HMAC-SHA256 of the plaintext under the context itself
//	1  the caller's, and not in the ciphertext
//
// Only 3 is made anew; the others are for keys that come out of an old Vault.
//
// Of 3 and 2 the key of that HMAC is one of the associated data itself, if there
// are any: the nonce of a plaintext must not be that of the same plaintext beside
// other associated data, as it is in Vault. Two tags under one nonce give the
// authentication key of the context away, and with it every ciphertext there can
// be altered, or be given other associated data.
func (c *Config) converge(dst []byte, d *document, v *version, m *Message, f form) ([]byte, error) {
	if fips140.Enabled() {
		return nil, because(ErrNotApproved, "convergent encryption derives its nonces")
	}
	size, more := d.Type.aeadKeySize(), 0
	if v.Convergent == currentConvergent {
		more = sha256.Size
	} else if err := d.checkContext(m.Context, m.Nonce); err != nil {
		return nil, err
	}
	key, err := d.derive(v, m.Context, size+more)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	a, err := c.fixedNonce(d.Type, key[:size])
	if err != nil {
		return nil, err
	}
	defer aead.WipeState(a)
	nonce, inFront := m.Nonce, 0
	if v.Convergent == 1 {
		if len(nonce) != a.NonceSize() {
			return nil, because(ErrInput, "the nonce has %d bytes, want %d, another for each plaintext", len(nonce), a.NonceSize())
		}
	} else {
		if len(nonce) > 0 {
			return nil, because(ErrInput, "a nonce is given, and version %d of the key derives its own", v.n)
		}
		under := m.Context
		if more > 0 {
			under = key[size:]
		}
		if len(m.AAD) > 0 {
			under = macOf(crypto.SHA256, under, m.AAD)
			defer clear(under)
		}
		nonce = macOf(crypto.SHA256, under, m.Plaintext)[:a.NonceSize()]
		inFront = len(nonce)
	}
	n := inFront + len(m.Plaintext) + a.Overhead()
	out, body, sealed := v.room(dst, n, f)
	copy(sealed[:inFront], nonce)
	a.Seal(sealed[:inFront], nonce, m.Plaintext, m.AAD)
	encode(body, n)
	return out, nil
}

// fixedNonce returns the AEAD itself, which takes the nonce it is given.
func (c *Config) fixedNonce(t Type, key []byte) (cipher.AEAD, error) {
	if t != AES128 && t != AES256 {
		return c.otherAEAD(t, key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	defer aead.WipeState(block)
	return cipher.NewGCM(block)
}
