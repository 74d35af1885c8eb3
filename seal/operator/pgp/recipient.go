package pgp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/fips140"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/sealwright/sealwright/seal"
)

// Parse reads a public key, and returns to whom shares are then encrypted, for
// Config.ParseRecipient of package operator or for a [seal.Custodian], and the
// key's fingerprint. The recipient is safe for concurrent use.
func Parse(key string) (to seal.Recipient, fingerprint string, err error) {
	if fips140.Enforced() {
		return nil, "", fmt.Errorf("pgp: %w with GODEBUG=fips140=only: OpenPGP needs SHA-1 and CFB mode", errors.ErrUnsupported)
	}
	defer func() {
		// The bytes come from strangers, and the code that reads them is not
		// ours: at worst, the key is refused.
		if recover() != nil {
			to, fingerprint, err = nil, "", fmt.Errorf("%w: reading it failed", ErrMalformed)
		}
	}()
	r, err := parse(key, time.Now())
	if err != nil {
		return nil, "", err
	}
	return r, fingerprintOf(r.entity), nil
}

// A recipient is a key as it was in force when it was read: the parts of it to
// which is encrypted do not change after that.
type recipient struct {
	entity *openpgp.Entity
	parts  []part
	aead   bool // whether its holder's tools read what came with RFC 9580
	read   time.Time
}

// parse is Parse at a time, and may panic.
func parse(key string, now time.Time) (*recipient, error) {
	b, err := binaryOf(key)
	if err != nil {
		return nil, err
	}
	e, err := readEntity(b)
	if err != nil {
		return nil, err
	}
	parts, err := check(b, e, now)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, fingerprintOf(e))
	}
	return &recipient{entity: e, parts: parts, aead: e.PrimaryKey.Version == 6, read: now}, nil
}

// Encrypt implements [seal.Recipient].
//
// A key of version 4 gets what every gpg since 2000 reads, whatever its list of
// features says: Sequoia's new keys claim AEAD, which gpg does not open.
func (r *recipient) Encrypt(ctx context.Context, share string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err := r.encrypt(&out, share)
	if tool := r.opener(); err == nil && tool != "" {
		err = armored(&out, "open it with "+tool)
	}
	if err != nil {
		return nil, fmt.Errorf("pgp: encrypt to %s: %w", fingerprintOf(r.entity), err)
	}
	return out.Bytes(), nil
}

// opener names the tool that a holder needs, where it is not any.
func (r *recipient) opener() string {
	if r.entity.PrimaryKey.Version == 6 {
		return "sq decrypt, or a gpg that reads version 6: GnuPG 2.4 does not"
	}
	for _, p := range r.parts {
		switch curve, _ := p.key.Curve(); {
		case curve == packet.CurveBrainpoolP256, curve == packet.CurveBrainpoolP384, curve == packet.CurveBrainpoolP512:
			return "gpg -d: sq as Debian has it does not read Brainpool curves"
		case p.key.PubKeyAlgo == packet.PubKeyAlgoX448, curve == packet.Curve448:
			return "sq decrypt: gpg does not read Curve448 in a key of version 4"
		}
	}
	return ""
}

// armored puts a message into armor, which tools read like its binary form, and
// people too.
func armored(message *bytes.Buffer, comment string) error {
	var out bytes.Buffer
	w, err := armor.Encode(&out, "PGP MESSAGE", map[string]string{"Comment": comment})
	if err != nil {
		return err
	}
	_, err = w.Write(message.Bytes())
	if err = errors.Join(err, w.Close()); err == nil {
		*message = out
	}
	return err
}

func (r *recipient) encrypt(out *bytes.Buffer, share string) error {
	config := policy(r.read)
	key := make([]byte, packet.CipherAES256.KeySize())
	rand.Read(key)
	defer clear(key)
	for _, p := range r.parts {
		if err := packet.SerializeEncryptedKeyAEAD(out, p.key, packet.CipherAES256, r.aead, key, config); err != nil {
			return err
		}
	}
	suite := packet.CipherSuite{Cipher: packet.CipherAES256, Mode: packet.AEADModeOCB}
	body, err := packet.SerializeSymmetricallyEncrypted(out, packet.CipherAES256, r.aead, suite, key, config)
	if err != nil {
		return err
	}
	w, err := packet.SerializeLiteral(body, true, "", 0)
	if err != nil {
		return err
	}
	text := []byte(share)
	defer clear(text)
	_, err = w.Write(text)
	return errors.Join(err, w.Close()) // and the body
}

func fingerprintOf(e *openpgp.Entity) string { return hex.EncodeToString(e.PrimaryKey.Fingerprint) }

// The sizes of RSA keys that are accepted, in bits. A modulus may begin with a
// zero.
const (
	minRSA = 2047
	maxRSA = 8192
)

// policy is what a key must keep at a time, and how is encrypted to it. Where it
// says nothing, go-crypto refuses DSA, ElGamal and secp256k1.
func policy(at time.Time) *packet.Config {
	return &packet.Config{
		Time:          func() time.Time { return at },
		DefaultCipher: packet.CipherAES256,
		MinRSABits:    minRSA,
		RejectHashAlgorithms: map[crypto.Hash]bool{
			crypto.MD5: true, crypto.RIPEMD160: true, crypto.SHA1: true,
		},
	}
}
