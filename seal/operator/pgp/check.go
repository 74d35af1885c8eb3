package pgp

import (
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// check returns to what of a key is encrypted, or why it may not be used at a
// time. It reads the key anew for each question, as an entity remembers the
// verdicts on its signatures.
func check(b []byte, e *openpgp.Entity, now time.Time) ([]part, error) {
	strict := policy(now)
	_, parts, err := partsOf(e, now, strict)
	if err == nil {
		if by := revokedByOther(e); by != nil {
			return nil, fmt.Errorf("%w: by %x, whom its owner had named to do that: send another key", ErrRevoked, by)
		}
		return parts, nil
	}
	if e.Revoked(now) {
		return nil, fmt.Errorf("%w: send another key; %s", ErrRevoked, getAnother)
	}
	lenient := &packet.Config{
		Time: strict.Time, MinRSABits: 1,
		RejectPublicKeyAlgorithms: map[packet.PublicKeyAlgorithm]bool{},
		RejectHashAlgorithms:      map[crypto.Hash]bool{},
		RejectCurves:              map[packet.Curve]bool{},
	}
	could := func(at time.Time, config *packet.Config) bool {
		again, err := readEntity(b)
		if err != nil {
			return false
		}
		_, _, err = partsOf(again, at, config)
		return err == nil
	}
	switch {
	case errors.Is(err, ErrWeak):
		return nil, err
	case could(now, lenient):
		return nil, fmt.Errorf("%w: it is signed by itself with SHA-1 or older: sign it anew with gpg --cert-digest-algo SHA256 --quick-set-expire %[2]s 2y, "+
			"which signs the key, and gpg --cert-digest-algo SHA256 --quick-set-expire %[2]s 2y '*', which signs its subkeys (one that has expired is left out: "+
			"give its fingerprint in place of '*'), and export it again", ErrWeak, strings.ToUpper(fingerprintOf(e)))
	case could(time.Time{}, lenient):
		return nil, untimely(b, now, lenient)
	}
	again, err := readEntity(b)
	if err != nil {
		return nil, err
	}
	switch _, err := vouched(again, time.Time{}, lenient); {
	case err == nil:
		return nil, fmt.Errorf("%w: add a subkey that encrypts%s, or send another key", ErrNoEncryption, byGPG(e, "--quick-add-key %s default encr 2y", fingerprintOf(e)))
	case len(again.Identities) == 0 && len(again.DirectSignatures) == 0:
		return nil, fmt.Errorf("%w: it has neither a name nor a signature by itself, as key servers hand it out: export it from where it was made", ErrMalformed)
	}
	return nil, fmt.Errorf("%w: it is not signed by itself", ErrMalformed)
}

// untimely says when a key is in force that is not.
func untimely(b []byte, now time.Time, lenient *packet.Config) error {
	const date = "2006-01-02 15:04 UTC"
	e, err := readEntity(b)
	if err != nil {
		return err
	}
	self, parts, err := partsOf(e, time.Time{}, lenient)
	if err != nil {
		return fmt.Errorf("%w: it expired: send another key; %s", ErrExpired, getAnother)
	}
	for _, p := range []struct {
		what, extend string
		part
	}{
		{"it", "--quick-set-expire %s 2y", part{e.PrimaryKey, self}},
		{"its subkey for encryption", "--quick-set-expire %s 2y %s", parts[0]},
	} {
		switch {
		case p.key.CreationTime.After(now) || p.signed.CreationTime.After(now):
			return fmt.Errorf("%w: %s was made on %s, which is still to come: look at the clocks", ErrExpired, p.what, p.signed.CreationTime.UTC().Format(date))
		case p.key.KeyExpired(p.signed, now):
			end := p.key.CreationTime.Add(time.Duration(*p.signed.KeyLifetimeSecs) * time.Second)
			return fmt.Errorf("%w: %s expired on %s: extend it%s, or send another key", ErrExpired, p.what, end.UTC().Format(date), byGPG(e, p.extend, fingerprintOf(e), hex.EncodeToString(p.key.Fingerprint)))
		}
	}
	return fmt.Errorf("%w: its signatures by itself expired: send another key; %s", ErrExpired, getAnother)
}

// getAnother is how one comes to a key that is taken.
const getAnother = "gpg --quick-gen-key NAME makes one, and gpg --armor --export NAME prints it"

// byGPG is the command that mends a key, whose fingerprints the format takes as far
// as it wants them. No gpg has keys of version 6.
func byGPG(e *openpgp.Entity, format string, fingerprints ...string) string {
	if e.PrimaryKey.Version == 6 {
		return ""
	}
	var want []any
	for _, f := range fingerprints[:strings.Count(format, "%s")] {
		want = append(want, strings.ToUpper(f))
	}
	return fmt.Sprintf(" (gpg "+format+", and export it again)", want...)
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
