package pgp

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

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

// A recipient is a key that was in force when it was read. Encrypting selects
// the part of it and the algorithms as of then.
type recipient struct {
	mu     sync.Mutex // the entity remembers which signatures it verified
	entity *openpgp.Entity
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
	if err := check(b, e, now); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, fingerprintOf(e))
	}
	return &recipient{entity: e, read: now}, nil
}

// Encrypt implements [seal.Recipient].
func (r *recipient) Encrypt(share string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out bytes.Buffer
	w, err := openpgp.Encrypt(&out, []*openpgp.Entity{r.entity}, nil, nil, nil, policy(r.read))
	if err != nil {
		return nil, fmt.Errorf("pgp: encrypt to %s: %w", fingerprintOf(r.entity), err)
	}
	text := []byte(share)
	defer clear(text)
	_, err = w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("pgp: encrypt to %s: %w", fingerprintOf(r.entity), err)
	}
	return out.Bytes(), nil
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
