package pgp

import (
	"crypto"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// check reports why a key may not be used at a time. It reads the key anew for
// each question, as an entity remembers the verdicts on its signatures.
func check(b []byte, e *openpgp.Entity, now time.Time) error {
	strict := policy(now)
	key, err := e.EncryptionKeyWithError(now, strict)
	if err == nil {
		// go-crypto does not measure the keys of the old kind that is for
		// encryption alone.
		if n, isRSA := rsaBits(key.PublicKey); isRSA && n < minRSA {
			return fmt.Errorf("%w: RSA of %d bits, where 2048 are needed", ErrWeak, n)
		}
		return nil
	}
	if e.Revoked(now) {
		return ErrRevoked
	}
	lenient := &packet.Config{
		Time: strict.Time, MinRSABits: 1,
		RejectPublicKeyAlgorithms: map[packet.PublicKeyAlgorithm]bool{},
		RejectHashAlgorithms:      map[crypto.Hash]bool{},
		RejectCurves:              map[packet.Curve]bool{},
	}
	encrypts := func(at time.Time, config *packet.Config) bool {
		again, err := readEntity(b)
		if err != nil {
			return false
		}
		_, ok := again.EncryptionKey(at, config)
		return ok
	}
	switch {
	case encrypts(now, lenient):
		return weakness(encrypts, now)
	case encrypts(time.Time{}, lenient):
		return untimely(b, now, lenient)
	}
	again, err := readEntity(b)
	if err != nil {
		return err
	}
	if _, err := again.VerifyPrimaryKey(time.Time{}, lenient); err != nil {
		return fmt.Errorf("%w: it is not signed by itself", ErrMalformed)
	}
	return fmt.Errorf("%w: add a subkey that encrypts, or send another key", ErrNoEncryption)
}

// weakness says why a key that could be used is not.
func weakness(encrypts func(time.Time, *packet.Config) bool, now time.Time) error {
	old := policy(now)
	old.RejectHashAlgorithms = map[crypto.Hash]bool{}
	if encrypts(now, old) {
		return fmt.Errorf("%w: it is signed by itself with SHA-1 or older alone; sign it anew, as by setting its expiry with a gpg of today", ErrWeak)
	}
	return fmt.Errorf("%w: RSA below 2048 bits, DSA, ElGamal or secp256k1", ErrWeak)
}

// untimely says when a key is in force that is not.
func untimely(b []byte, now time.Time, lenient *packet.Config) error {
	const date = "2006-01-02 15:04 UTC"
	e, err := readEntity(b)
	if err != nil {
		return err
	}
	key, err := e.EncryptionKeyWithError(time.Time{}, lenient)
	if err != nil {
		return fmt.Errorf("%w: it expired", ErrExpired)
	}
	for _, part := range []struct {
		what string
		key  *packet.PublicKey
		sig  *packet.Signature
	}{{"it", e.PrimaryKey, key.PrimarySelfSignature}, {"its subkey for encryption", key.PublicKey, key.SelfSignature}} {
		switch {
		case part.key.CreationTime.After(now) || part.sig.CreationTime.After(now):
			return fmt.Errorf("%w: %s was made on %s, which is still to come: look at the clocks", ErrExpired, part.what, part.sig.CreationTime.UTC().Format(date))
		case part.key.KeyExpired(part.sig, now):
			end := part.key.CreationTime.Add(time.Duration(*part.sig.KeyLifetimeSecs) * time.Second)
			return fmt.Errorf("%w: %s expired on %s", ErrExpired, part.what, end.UTC().Format(date))
		}
	}
	return fmt.Errorf("%w: its signatures by itself expired", ErrExpired)
}

// rsaBits returns the size of an RSA key, and whether it is one.
func rsaBits(k *packet.PublicKey) (bits int, is bool) {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSAEncryptOnly, packet.PubKeyAlgoRSASignOnly:
		n, err := k.BitLength()
		return int(n), err == nil
	}
	return 0, false
}
