package pgp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

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
func packetsOf(b []byte) (*collected, error) {
	var own collected
	r := packet.NewOpaqueReader(bytes.NewReader(b))
	for {
		raw, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: it is no OpenPGP key, or a part of one (%w): %s", ErrMalformed, err, asPrinted)
		}
		if err := own.take(raw); err != nil {
			return nil, err
		}
	}
	switch {
	case own.stub:
		return nil, errStub
	case own.keys > 1:
		return nil, fmt.Errorf("%w: %d keys: export one alone", ErrMalformed, own.keys)
	}
	return &own, nil
}

// entity puts the packets together. go-crypto takes no key of version 4 without
// names; such a one is put together here.
func (c *collected) entity() (*openpgp.Entity, error) {
	if c.primary != nil && c.primary.Version == 4 && !c.named {
		return c.nameless()
	}
	r := packet.NewReader(bytes.NewReader(nil))
	for _, p := range slices.Backward(c.parsed) {
		r.Unread(p)
	}
	return openpgp.ReadEntity(r)
}

func (c *collected) nameless() (*openpgp.Entity, error) {
	if c.parsed[0] != packet.Packet(c.primary) || !c.primary.PubKeyAlgo.CanSign() {
		return nil, errors.New("it does not begin with a key that signs")
	}
	e := &openpgp.Entity{PrimaryKey: c.primary, Identities: map[string]*openpgp.Identity{}}
	unknown := false // whether the signatures that follow are of a subkey that is not read
	for _, p := range c.parsed[1:] {
		switch p := p.(type) {
		case *packet.PublicKey:
			unknown = false
			e.Subkeys = append(e.Subkeys, openpgp.Subkey{Primary: e, PublicKey: p})
		case *packet.UnsupportedPacket:
			unknown = true
		case *packet.Signature:
			if unknown {
				continue
			}
			sig := packet.NewVerifiableSig(p)
			switch n := len(e.Subkeys) - 1; {
			case n < 0 && p.SigType == packet.SigTypeKeyRevocation:
				e.Revocations = append(e.Revocations, sig)
			case n < 0 && p.SigType == packet.SigTypeDirectSignature:
				e.DirectSignatures = append(e.DirectSignatures, sig)
			case n >= 0 && p.SigType == packet.SigTypeSubkeyBinding:
				e.Subkeys[n].Bindings = append(e.Subkeys[n].Bindings, sig)
			case n >= 0 && p.SigType == packet.SigTypeSubkeyRevocation:
				e.Subkeys[n].Revocations = append(e.Subkeys[n].Revocations, sig)
			}
		}
	}
	return e, nil
}

// A collected key is what of its packets matters.
type collected struct {
	parsed  []packet.Packet
	primary *packet.PublicKey
	keys    int
	bytes   int
	named   bool
	stub    bool // whether it was a secret key without its secret
	picture bool // whether the signatures that follow are over one
}

// take adds a packet, or leaves it out: pictures and what signs them, and what
// strangers signed.
func (c *collected) take(raw *packet.OpaquePacket) error {
	switch raw.Tag {
	case 5, 7:
		if c.stub = isStub(raw.Contents); !c.stub {
			return errSecret
		}
		return nil
	case tagAttribute:
		c.picture = true
		return nil
	case tagSignature:
		if c.picture {
			return nil
		}
	case tagPublicKey, tagUserID, tagSubkey:
		c.picture = false
		c.named = c.named || raw.Tag == tagUserID
	default:
		if raw.Tag >= 40 || slices.Contains(ignored, raw.Tag) {
			return nil
		}
		return fmt.Errorf("%w: it holds a packet of kind %d, which no key has: %s", ErrMalformed, raw.Tag, asPrinted)
	}
	if raw.Tag == tagPublicKey {
		c.keys++
		if err := checkVersion(raw.Contents); err != nil {
			return err
		}
	}
	p, err := raw.Parse()
	var unsupported pgperrors.UnsupportedError
	switch {
	case err == nil:
		if c.stranger(p) {
			return nil
		}
	case !errors.As(err, &unsupported):
		return fmt.Errorf("%w: a part of it cannot be read (%w): %s", ErrMalformed, err, asPrinted)
	case raw.Tag == tagSubkey: // and its signatures
		p = &packet.UnsupportedPacket{IncompletePacket: &packet.PublicKey{IsSubkey: true}, Error: unsupported}
	case raw.Tag == tagPublicKey:
		return fmt.Errorf("%w: a part of it cannot be read (%w): %s", ErrMalformed, err, asPrinted)
	default:
		return nil
	}
	c.bytes += len(raw.Contents)
	if c.parsed = append(c.parsed, p); len(c.parsed) > maxPackets {
		return fmt.Errorf("%w: more than %d parts: %s", ErrTooLarge, maxPackets, export)
	}
	if c.bytes > maxOwn {
		return fmt.Errorf("%w: more than %d bytes without pictures and the signatures of others: %s", ErrTooLarge, maxOwn, export)
	}
	if k, ok := p.(*packet.PublicKey); ok && raw.Tag == tagPublicKey {
		c.primary = k
	}
	return nil
}

// stranger reports whether p is what somebody else says of the key's name.
func (c *collected) stranger(p packet.Packet) bool {
	sig, ok := p.(*packet.Signature)
	if !ok || c.primary == nil {
		return false
	}
	switch sig.SigType {
	case packet.SigTypeGenericCert, packet.SigTypePersonaCert, packet.SigTypeCasualCert, packet.SigTypePositiveCert, packet.SigTypeCertificationRevocation:
		return !sig.CheckKeyIdOrFingerprint(c.primary)
	}
	return false
}

// checkVersion says in whose manner a key is that is not read.
func checkVersion(contents []byte) error {
	switch {
	case len(contents) == 0, contents[0] == 4, contents[0] == 6:
		return nil // the parser's
	case contents[0] == 5:
		return fmt.Errorf("%w: it is of version 5, which LibrePGP alone has: make one of version 4, as gpg --quick-gen-key NAME does, and send that", ErrMalformed)
	case contents[0] < 4:
		return fmt.Errorf("%w: it is of version %d, of the nineties: make one of version 4, as gpg --quick-gen-key NAME does, and send that", ErrMalformed, contents[0])
	}
	return fmt.Errorf("%w: it is of version %d, which is not known here: send one of version 4 or 6", ErrMalformed, contents[0])
}

// isStub reports whether a secret key's packet says only where its secret is: on a
// card, or nowhere. GnuPG writes that in place of the secret, as the "S2K" 101
// with its name, 1 for nowhere, and 2 and the card's number.
func isStub(contents []byte) bool {
	const mark = "GNU"
	i := bytes.LastIndex(contents, []byte(mark))
	if i < 4 || contents[i-2] != 101 || contents[i-4] < 253 {
		return false
	}
	switch rest := contents[i+len(mark):]; {
	case len(rest) == 1:
		return rest[0] == 1
	case len(rest) >= 2:
		return rest[0] == 2 && int(rest[1]) == len(rest)-2
	}
	return false
}
