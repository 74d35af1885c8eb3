package named

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/sealwright/sealwright/internal/aead"
)

// derive returns n bytes of the version's key in a context, for the caller to
// wipe, as Vault derives them. The caller is inside the state.
func (d *document) derive(v *version, context []byte, n int) ([]byte, error) {
	if len(context) == 0 {
		return nil, because(ErrContext, "the context is missing: the key is derived, and has another key for each")
	}
	if d.KDF == kdfHKDF {
		return aead.Derive(v.Key, nil, string(context), n), nil
	}
	// NIST SP 800-108 in counter mode with HMAC-SHA256, of 256 bits and no more:
	// one block, which is counted from 0.
	if n > sha256.Size {
		return nil, because(ErrType, "a key of an old Vault derives %d bytes at most", sha256.Size)
	}
	in := append(binary.BigEndian.AppendUint32(nil, 0), context...)
	return macOf(crypto.SHA256, v.Key, binary.BigEndian.AppendUint32(in, 256))[:n], nil
}

// derivePair returns the key pair of a context.
func (d *document) derivePair(v *version, context []byte) (ed25519.PrivateKey, error) {
	seed, err := d.derive(v, context, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed), nil
}

// checkContext refuses what a key has no use for: a caller who gives a context
// to a key that is not derived believes to have a key of its own.
func (d *document) checkContext(context, nonce []byte) error {
	switch {
	case len(context) > MaxContext:
		return because(ErrLimit, "the context has more than %d bytes", MaxContext)
	case len(context) > 0 && !d.Derived:
		return because(ErrInput, "a context is given, and the key is not derived: it would change nothing")
	case len(nonce) > 0 && !slices.ContainsFunc(d.Versions, func(v versionDoc) bool { return v.Convergent == 1 }):
		return because(ErrInput, "a nonce is given, and the key takes none: it draws or derives its own")
	}
	return nil
}
