package pgp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// The largest key that is read. A key has 1 to 10 KiB of its own, and beside that
// pictures and the signatures of others, which are left out; each signature by
// itself is verified, and whoever sends keys may be a stranger.
const (
	maxText       = 1 << 20
	maxOwn        = 64 << 10 // bytes of what is left
	maxPackets    = 1000     // of those
	maxSignatures = 64
)

const export = "gpg --export --export-options export-minimal makes a small one"

// asPrinted is how a key comes out as it is taken.
const asPrinted = "send what gpg --armor --export NAME prints"

const (
	armorHead = "-----BEGIN "
	keyHead   = armorHead + "PGP PUBLIC KEY BLOCK-----"
)

// binaryOf returns the binary form of a key's text.
func binaryOf(key string) ([]byte, error) {
	if len(key) > maxText {
		return nil, fmt.Errorf("%w: %d bytes of text, where at most %d are read: %s", ErrTooLarge, len(key), maxText, export)
	}
	key = strings.TrimSpace(key)
	if key == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrMalformed)
	}
	if strings.HasPrefix(key, armorHead) {
		return unarmor([]byte(key))
	}
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		// The decoder's own error tells no more than a position.
		return nil, fmt.Errorf("%w: neither base64 nor armored: %s", ErrMalformed, asPrinted)
	}
	if bytes.HasPrefix(b, []byte(armorHead)) {
		return unarmor(b)
	}
	return b, nil
}

func unarmor(text []byte) ([]byte, error) {
	if n := bytes.Count(text, []byte(keyHead)); n > 1 {
		return nil, fmt.Errorf("%w: %d keys, one after the other: send one alone", ErrMalformed, n)
	}
	block, err := armor.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: its armor is broken (%w): %s", ErrMalformed, err, asPrinted)
	}
	switch block.Type {
	case openpgp.PublicKeyType:
	case openpgp.PrivateKeyType:
		return nil, errSecret
	default:
		return nil, fmt.Errorf("%w: the armor holds something else: %s", ErrMalformed, asPrinted)
	}
	b, err := io.ReadAll(block.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: its armor is broken (%w): %s", ErrMalformed, err, asPrinted)
	}
	return b, nil
}

var errSecret = fmt.Errorf("%w: it is a secret key, which has now left its owner: revoke it, and send the public one of another", ErrMalformed)

var errStub = fmt.Errorf("%w: it is what stands for a secret key that is elsewhere, as on a card: nothing secret is in it; send the public key, as gpg --export makes it", ErrMalformed)

// readEntity reads exactly one public key, whose signatures it does not verify.
func readEntity(b []byte) (*openpgp.Entity, error) {
	packets, err := packetsOf(b)
	if err != nil {
		return nil, err
	}
	e, err := packets.entity()
	if err != nil {
		return nil, fmt.Errorf("%w: %w: %s", ErrMalformed, err, asPrinted)
	}
	signatures := len(e.Revocations) + len(e.DirectSignatures)
	keys := []*packet.PublicKey{e.PrimaryKey}
	for _, i := range e.Identities {
		signatures += len(i.SelfCertifications) + len(i.Revocations)
	}
	for _, s := range e.Subkeys {
		signatures += len(s.Bindings) + len(s.Revocations)
		keys = append(keys, s.PublicKey)
	}
	if signatures > maxSignatures {
		return nil, fmt.Errorf("%w: %d signatures by itself, where at most %d are verified: %s", ErrTooLarge, signatures, maxSignatures, export)
	}
	for _, k := range keys {
		if n, isRSA := rsaBits(k); isRSA && n > maxRSA {
			return nil, fmt.Errorf("%w: RSA of %d bits, where at most %d are used", ErrTooLarge, n, maxRSA)
		}
	}
	return e, nil
}
