package pgp

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// A part is a piece of a key to which is encrypted, and the signature by which
// the key calls it its own.
type part struct {
	key    *packet.PublicKey
	signed *packet.Signature
}

// partsOf returns every part of a key that encrypts at a time, the newest first,
// and the signature by which the key vouches for itself. To each is encrypted, as
// sq does. gpg takes the newest alone, and go-crypto the one that was signed last,
// which is the oldest where an owner extended all of them at once: which of them
// the owner still has, only they know.
func partsOf(e *openpgp.Entity, at time.Time, config *packet.Config) (*packet.Signature, []part, error) {
	self, err := vouched(e, at, config)
	if err != nil {
		return nil, nil, err
	}
	if err := usable(e.PrimaryKey, config); err != nil {
		return self, nil, err
	}
	var parts []part
	refused := ErrNoEncryption
	take := func(k *packet.PublicKey, signed *packet.Signature) {
		if !encrypts(k, signed) {
			return
		}
		if err := usable(k, config); err != nil {
			refused = err
			return
		}
		parts = append(parts, part{k, signed})
	}
	for i := range e.Subkeys {
		if signed, err := e.Subkeys[i].Verify(at, config); err == nil {
			take(e.Subkeys[i].PublicKey, signed)
		}
	}
	if len(parts) == 0 {
		take(e.PrimaryKey, self)
	}
	if len(parts) == 0 {
		return self, nil, refused
	}
	slices.SortStableFunc(parts, func(a, b part) int { return b.key.CreationTime.Compare(a.key.CreationTime) })
	return self, parts, nil
}

// vouched returns the signature by which a key vouches for itself: over a name of
// its, or, where it has none, over itself. A key of version 6 always has the
// latter; those of version 4 lose their names where their owner or a key server
// leaves them out.
func vouched(e *openpgp.Entity, at time.Time, config *packet.Config) (*packet.Signature, error) {
	if e.PrimaryKey.Version == 6 || len(e.Identities) > 0 {
		return e.VerifyPrimaryKey(at, config)
	}
	self, err := e.LatestValidDirectSignature(at, config)
	switch {
	case err != nil:
		return nil, err
	case e.Revoked(at):
		return self, pgperrors.ErrKeyRevoked
	case !at.IsZero() && (e.PrimaryKey.KeyExpired(self, at) || self.SigExpired(at)):
		return self, pgperrors.ErrKeyExpired
	}
	return self, nil
}

// encrypts reports whether a key may be encrypted to, as its owner said.
func encrypts(k *packet.PublicKey, signed *packet.Signature) bool {
	return k.PubKeyAlgo.CanEncrypt() && signed.FlagsValid &&
		(signed.FlagEncryptCommunications || signed.FlagEncryptStorage)
}

// usable reports why a key is too weak.
func usable(k *packet.PublicKey, config *packet.Config) error {
	if config.RejectPublicKeyAlgorithm(k.PubKeyAlgo) {
		return fmt.Errorf("%w: DSA or ElGamal; %s", ErrWeak, getAnother)
	}
	if n, isRSA := rsaBits(k); isRSA && n < int(config.MinimumRSABits()) {
		return fmt.Errorf("%w: RSA of %d bits, where 2048 are needed; %s", ErrWeak, n, getAnother)
	}
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoECDH, packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoECDSA:
		curve, err := k.Curve()
		if err != nil || config.RejectCurve(curve) {
			return fmt.Errorf("%w: the elliptic curve %s; %s", ErrWeak, curve, getAnother)
		}
		if k.Version == 6 && (curve == packet.Curve25519 || curve == packet.Curve448) {
			return fmt.Errorf("%w: a key of version 6 in the manner of version 4", ErrMalformed)
		}
	}
	return nil
}

// revokedByOther returns the fingerprint of a key that revoked this one, and which
// its owner had named to do that. Its signature cannot be verified without that
// key: where it is forged, a good key is refused, which its owner will hear of.
func revokedByOther(e *openpgp.Entity) (by []byte) {
	named := designated(e)
	for _, r := range e.Revocations {
		for _, fingerprint := range named {
			if r.Packet.IssuerKeyId != nil && *r.Packet.IssuerKeyId == keyIDOf(fingerprint) ||
				bytes.Equal(r.Packet.IssuerFingerprint, fingerprint) {
				return fingerprint
			}
		}
	}
	return nil
}

// designated returns the fingerprints of the keys that may revoke this one.
func designated(e *openpgp.Entity) (named [][]byte) {
	for _, s := range e.DirectSignatures {
		named = append(named, revokers(s.Packet)...)
	}
	for _, i := range e.Identities {
		for _, s := range i.SelfCertifications {
			named = append(named, revokers(s.Packet)...)
		}
	}
	return named
}

// keyIDOf is the key id of a fingerprint, by RFC 9580, section 5.5.4.
func keyIDOf(fingerprint []byte) (id uint64) {
	at := fingerprint[len(fingerprint)-8:]
	if len(fingerprint) == 32 {
		at = fingerprint[:8]
	}
	for _, b := range at {
		id = id<<8 | uint64(b)
	}
	return id
}

// The subpacket that names a revoker, by RFC 4880, section 5.2.3.15: a class, an
// algorithm, a fingerprint.
const subRevoker = 12

// revokers returns the fingerprints in a signature's hashed subpackets, which
// go-crypto does not read: they stand in what was hashed behind what was signed.
func revokers(s *packet.Signature) (named [][]byte) {
	b := s.HashSuffix
	head := 4 // version, type, algorithm, hash
	width := 2
	if s.Version == 6 {
		width = 4
	}
	if len(b) < head+width {
		return nil
	}
	n := 0
	for _, c := range b[head : head+width] {
		n = n<<8 | int(c)
	}
	b = b[head+width:]
	b = b[:min(max(n, 0), len(b))]
	for len(b) > 0 {
		var size int
		switch c := int(b[0]); {
		case c < 192:
			size, b = c, b[1:]
		case c < 255 && len(b) >= 2:
			size, b = (c-192)<<8+int(b[1])+192, b[2:]
		case len(b) >= 5:
			size, b = int(b[1])<<24|int(b[2])<<16|int(b[3])<<8|int(b[4]), b[5:]
		default:
			return named
		}
		if size < 1 || size > len(b) {
			return named
		}
		if sub := b[:size]; sub[0]&0x7f == subRevoker && (size == 3+20 || size == 3+32) {
			named = append(named, bytes.Clone(sub[3:]))
		}
		b = b[size:]
	}
	return named
}
