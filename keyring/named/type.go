package named

import (
	"crypto/fips140"
	"slices"
)

// A Type is what a key is for: the algorithm, by the name that Vault has for it.
type Type string

// The types. The two ChaCha20 ones need an AEAD of the host, see [Config].
const (
	AES128            Type = "aes128-gcm96"
	AES256            Type = "aes256-gcm96"
	ChaCha20Poly1305  Type = "chacha20-poly1305"
	XChaCha20Poly1305 Type = "xchacha20-poly1305"
	Ed25519           Type = "ed25519"
	ECDSAP256         Type = "ecdsa-p256"
	ECDSAP384         Type = "ecdsa-p384"
	ECDSAP521         Type = "ecdsa-p521"
	RSA2048           Type = "rsa-2048"
	RSA3072           Type = "rsa-3072"
	RSA4096           Type = "rsa-4096"
	HMAC              Type = "hmac"
)

// Types returns every type there is, in a fixed order.
func Types() []Type {
	return []Type{AES128, AES256, ChaCha20Poly1305, XChaCha20Poly1305, Ed25519, ECDSAP256, ECDSAP384, ECDSAP521, RSA2048, RSA3072, RSA4096, HMAC}
}

// Encrypts reports whether keys of the type encrypt and decrypt.
func (t Type) Encrypts() bool { return t.symmetric() || t.rsaBits() > 0 }

// Signs reports whether keys of the type sign and verify. Every key makes and
// verifies MACs.
func (t Type) Signs() bool { return t == Ed25519 || t.curve() != nil || t.rsaBits() > 0 }

// Derives reports whether keys of the type can be derived by a context.
func (t Type) Derives() bool { return t.symmetric() || t == Ed25519 }

// TakesAAD reports whether keys of the type take associated data.
func (t Type) TakesAAD() bool { return t.symmetric() }

// hashes reports whether what is signed is hashed first.
func (t Type) hashes() bool { return t.Signs() && t != Ed25519 }

// symmetric reports whether the type is an AEAD.
func (t Type) symmetric() bool { return t.aeadKeySize() > 0 }

// public reports whether keys of the type have a public half.
func (t Type) public() bool { return t.Signs() }

func (t Type) aeadKeySize() int {
	switch t {
	case AES128:
		return 16
	case AES256, ChaCha20Poly1305, XChaCha20Poly1305:
		return 32
	}
	return 0
}

func (t Type) rsaBits() int {
	switch t {
	case RSA2048:
		return 2048
	case RSA3072:
		return 3072
	case RSA4096:
		return 4096
	}
	return 0
}

// check refuses a type that this process can't serve.
func (c *Config) check(t Type) error {
	if !slices.Contains(Types(), t) {
		return because(ErrInput, "unknown key type %q", string(t))
	}
	if t == ChaCha20Poly1305 || t == XChaCha20Poly1305 {
		if fips140.Enabled() {
			return because(ErrNotApproved, "%s: choose %s", t, AES256)
		}
		if c.AEADs[t] == nil {
			return because(ErrConfig, "Config.AEADs has no %s, which the standard library does not offer: hand in chacha20poly1305.New or NewX of golang.org/x/crypto", t)
		}
	}
	return nil
}
