package pgp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// The largest key that is read. An exported key without the signatures of
// others has 1 to 10 KiB; each signature by itself is verified, and whoever
// sends keys may be a stranger.
const (
	maxText       = 64 << 10
	maxPackets    = 1000
	maxSignatures = 64
)

const export = "gpg --export --export-options export-minimal makes a small one"

const armorHead = "-----BEGIN "

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
		return nil, fmt.Errorf("%w: neither base64 nor armored", ErrMalformed)
	}
	if bytes.HasPrefix(b, []byte(armorHead)) {
		return unarmor(b)
	}
	return b, nil
}

func unarmor(text []byte) ([]byte, error) {
	block, err := armor.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch block.Type {
	case openpgp.PublicKeyType:
	case openpgp.PrivateKeyType:
		return nil, errSecret
	default:
		return nil, fmt.Errorf("%w: the armor holds something else", ErrMalformed)
	}
	b, err := io.ReadAll(block.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return b, nil
}

var errSecret = fmt.Errorf("%w: it is a secret key, which has now left its owner: revoke it, and send the public one of another", ErrMalformed)

// The packets that a public key has, by RFC 9580, section 5.
const (
	tagSignature = 2
	tagPublicKey = 6
	tagUserID    = 13
	tagSubkey    = 14
	tagAttribute = 17 // a picture
)

// ignored are packets that may stand in a key and say nothing: marker, trust,
// padding. So may those from 40 on.
var ignored = []uint8{10, 12, 21}

// packetsOf returns the packets of one public key. Each is taken out before it
// is parsed, and only what a public key is made of ever is: go-crypto's own
// reader takes what a packet's parser leaves over for the next packet, and
// allocates as much for a secret key as its head claims, up to 4 GiB.
func packetsOf(b []byte) (*packet.Reader, error) {
	var parsed []packet.Packet
	keys := 0
	r := packet.NewOpaqueReader(bytes.NewReader(b))
	for n := 0; ; n++ {
		raw, err := r.Next()
		if err == io.EOF {
			break
		}
		if n == maxPackets {
			return nil, fmt.Errorf("%w: more than %d parts: %s", ErrTooLarge, maxPackets, export)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		switch raw.Tag {
		case 5, 7:
			return nil, errSecret
		case tagPublicKey:
			keys++
		case tagAttribute:
			parsed = append(parsed, raw)
			continue
		case tagSignature, tagUserID, tagSubkey:
		default:
			if raw.Tag >= 40 || slices.Contains(ignored, raw.Tag) {
				continue
			}
			return nil, fmt.Errorf("%w: it holds a packet of kind %d", ErrMalformed, raw.Tag)
		}
		p, err := raw.Parse()
		var unsupported pgperrors.UnsupportedError
		switch {
		case err == nil:
			parsed = append(parsed, p)
		case !errors.As(err, &unsupported):
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		case raw.Tag == tagSubkey: // and its signatures
			parsed = append(parsed, &packet.UnsupportedPacket{IncompletePacket: &packet.PublicKey{IsSubkey: true}, Error: unsupported})
		case raw.Tag == tagPublicKey:
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	if keys > 1 {
		return nil, fmt.Errorf("%w: %d keys: export one alone", ErrMalformed, keys)
	}
	out := packet.NewReader(bytes.NewReader(nil))
	for _, p := range slices.Backward(parsed) {
		out.Unread(p)
	}
	return out, nil
}

// readEntity reads exactly one public key, whose signatures it does not verify.
func readEntity(b []byte) (*openpgp.Entity, error) {
	packets, err := packetsOf(b)
	if err != nil {
		return nil, err
	}
	e, err := openpgp.ReadEntity(packets)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
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
