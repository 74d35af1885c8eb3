package named

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/rand"

	"github.com/sealwright/sealwright/internal/aead"
)

// A cipherBox seals with a random nonce in front, under one key of one of the
// symmetric types.
type cipherBox struct {
	own    *aead.AEAD // AES-256: in locked memory, and wiped
	other  cipher.AEAD
	nonce  int  // bytes in front
	random bool // whether other draws and carries the nonce itself
}

const tagSize = 16 // of every AEAD here

// newCipher expands a key, and keeps no reference to it.
func (c *Config) newCipher(t Type, key []byte) (*cipherBox, error) {
	switch t {
	case AES256:
		own, err := aead.New(key)
		if err != nil {
			return nil, err
		}
		return &cipherBox{own: own, nonce: 12}, nil
	case AES128:
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		defer aead.WipeState(block) // GCM works on its own copy of the key schedule
		b := &cipherBox{nonce: 12, random: fips140.Enabled()}
		if b.random {
			b.other, err = cipher.NewGCMWithRandomNonce(block)
		} else {
			b.other, err = cipher.NewGCM(block)
		}
		return b, err
	}
	other, err := c.otherAEAD(t, key)
	if err != nil {
		return nil, err
	}
	return &cipherBox{other: other, nonce: other.NonceSize()}, nil
}

// otherAEAD returns the host's AEAD for a key.
func (c *Config) otherAEAD(t Type, key []byte) (cipher.AEAD, error) {
	if err := c.check(t); err != nil {
		return nil, err
	}
	a, err := c.AEADs[t](key)
	if err != nil {
		return nil, because(ErrConfig, "Config.AEADs: %s takes no key of %d bytes", t, len(key))
	}
	want := map[Type]int{ChaCha20Poly1305: 12, XChaCha20Poly1305: 24}[t]
	if a.NonceSize() != want || a.Overhead() != tagSize {
		return nil, because(ErrConfig, "Config.AEADs: %s has nonces of %d bytes, want %d: is it another AEAD?", t, a.NonceSize(), want)
	}
	return a, nil
}

// box returns the version's cipher, expanded when it is first needed. The caller
// is inside the state.
func (v *version) box(c *Config, t Type) (*cipherBox, error) {
	if b := v.cipher.Load(); b != nil {
		return b, nil
	}
	b, err := c.newCipher(t, v.Key)
	if err != nil {
		return nil, err
	}
	if !v.cipher.CompareAndSwap(nil, b) {
		b.wipe()
		b = v.cipher.Load()
	}
	return b, nil
}

func (b *cipherBox) overhead() int { return b.nonce + tagSize }

// seal fills out, which has exactly the size, with nonce, ciphertext and tag.
func (b *cipherBox) seal(out, plaintext, aad []byte) {
	switch {
	case b.own != nil:
		b.own.Seal(out[:0], plaintext, aad)
	case b.random:
		b.other.Seal(out[:0], nil, plaintext, aad)
	default:
		nonce := out[:b.nonce]
		rand.Read(nonce)
		b.other.Seal(nonce, nonce, plaintext, aad)
	}
}

// open decrypts where the sealed message lies, and returns the plaintext.
func (b *cipherBox) open(sealed, aad []byte) (plaintext []byte, err error) {
	if len(sealed) < b.overhead() {
		return nil, because(ErrShort, "the ciphertext is too short")
	}
	switch {
	case b.own != nil:
		plaintext, err = b.own.Open(sealed[b.nonce:b.nonce], sealed, aad)
	case b.random:
		plaintext, err = b.other.Open(nil, nil, sealed, aad)
	default:
		plaintext, err = b.other.Open(sealed[b.nonce:b.nonce], sealed[:b.nonce], sealed[b.nonce:], aad)
	}
	if err != nil {
		return nil, ErrCorrupt
	}
	return plaintext, nil
}

// wipe clears the expanded key, where this process can. Nobody is inside.
func (b *cipherBox) wipe() {
	if b.own != nil {
		b.own.Wipe()
		return
	}
	aead.WipeState(b.other)
}
