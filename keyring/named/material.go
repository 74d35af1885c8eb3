package named

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"time"
)

const (
	macKeySize    = 32  // of the MAC key beside a key of another type
	minHMACKey    = 32  // bytes
	maxHMACKey    = 512 // bytes
	maxPublicSize = 1 << 10
	maxPrivate    = 4 << 10
)

// A pair is a key pair in memory. The private half may be elsewhere.
type pair struct {
	private crypto.Signer
	public  crypto.PublicKey
}

func (t Type) curve() elliptic.Curve {
	switch t {
	case ECDSAP256:
		return elliptic.P256()
	case ECDSAP384:
		return elliptic.P384()
	case ECDSAP521:
		return elliptic.P521()
	}
	return nil
}

// generate makes a version of a key of the document.
func (d *document) generate(now time.Time) (versionDoc, error) {
	v := versionDoc{Created: now.UTC()}
	if d.Convergent {
		v.Convergent = currentConvergent
		if len(d.Versions) > 0 && d.last().Convergent == 1 {
			v.Convergent = 1 // its callers bring their nonces
		}
	}
	if d.Type != HMAC {
		v.MAC = random(macKeySize)
	}
	switch t := d.Type; {
	case t.symmetric():
		v.Key = random(t.aeadKeySize())
	case t == HMAC:
		v.Key = random(d.KeySize)
	case t == Ed25519:
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return v, err
		}
		return v, v.setPrivate(t, private)
	case t.curve() != nil:
		private, err := ecdsa.GenerateKey(t.curve(), rand.Reader)
		if err != nil {
			return v, err
		}
		return v, v.setPrivate(t, private)
	default:
		private, err := rsa.GenerateKey(rand.Reader, t.rsaBits())
		if err != nil {
			return v, err
		}
		return v, v.setPrivate(t, private)
	}
	return v, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// setPrivate takes a private key over, if it is of the type.
func (v *versionDoc) setPrivate(t Type, private crypto.Signer) error {
	if err := checkPublic(t, private.Public()); err != nil {
		return err
	}
	public, err := encodePublic(private.Public())
	if err != nil {
		return err
	}
	if key, ok := private.(ed25519.PrivateKey); ok {
		v.Key, v.Public = key, public
		return nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return because(ErrInput, "the private key does not encode")
	}
	v.Key, v.Public = der, public
	return nil
}

// encodePublic returns a public key as it is stored.
func encodePublic(public crypto.PublicKey) ([]byte, error) {
	if key, ok := public.(ed25519.PublicKey); ok {
		return key, nil
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, because(ErrInput, "the public key does not encode")
	}
	return der, nil
}

// checkPublic refuses a public key of another type.
func checkPublic(t Type, public crypto.PublicKey) error {
	ok := false
	switch key := public.(type) {
	case ed25519.PublicKey:
		ok = t == Ed25519 && len(key) == ed25519.PublicKeySize
	case *ecdsa.PublicKey:
		ok = t.curve() != nil && key.Curve == t.curve()
	case *rsa.PublicKey:
		ok = t.rsaBits() > 0 && key.N.BitLen() == t.rsaBits()
	}
	if !ok {
		return because(ErrInput, "the key is not of type %s", t)
	}
	return nil
}

// formatPublic returns a stored public key as Vault shows it.
func formatPublic(t Type, public []byte) string {
	if t == Ed25519 {
		return base64.StdEncoding.EncodeToString(public)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
}

// checkMaterial refuses what can't be a version's key, by its size: to parse all
// versions each time the document is read would take too long.
func checkMaterial(t Type, v *versionDoc) error {
	key, public := len(v.Key), len(v.Public)
	ok := len(v.MAC) <= maxHMACKey
	switch {
	case t.symmetric():
		ok = ok && key == t.aeadKeySize() && public == 0
	case t == HMAC:
		ok = ok && key >= minHMACKey && key <= maxHMACKey && public == 0 && len(v.MAC) == 0
	case t == Ed25519:
		ok = ok && (key == ed25519.PrivateKeySize || key == 0) && public == ed25519.PublicKeySize
	default:
		ok = ok && key <= maxPrivate && public > 0 && public <= maxPublicSize
	}
	if !ok {
		return because(ErrInput, "the key is not of type %s", t)
	}
	return nil
}

// keys returns the version's key pair, parsed when it is first needed. The
// caller is inside the state.
func (v *version) keys(t Type) (*pair, error) {
	if p := v.pair.Load(); p != nil {
		return p, nil
	}
	p, err := parsePair(t, v.versionDoc)
	if err == nil {
		v.pair.Store(p)
	}
	return p, err
}

func parsePair(t Type, v *versionDoc) (*pair, error) {
	p := new(pair)
	if t == Ed25519 {
		p.public = ed25519.PublicKey(v.Public)
		if len(v.Key) > 0 {
			p.private = ed25519.PrivateKey(v.Key)
		}
		return p, nil
	}
	public, err := x509.ParsePKIXPublicKey(v.Public)
	if err != nil {
		return nil, because(ErrFormat, "the stored public key does not parse")
	}
	p.public = public
	if len(v.Key) > 0 {
		private, err := x509.ParsePKCS8PrivateKey(v.Key)
		signer, ok := private.(crypto.Signer)
		if err != nil || !ok {
			return nil, because(ErrFormat, "the stored private key does not parse")
		}
		p.private = signer
	}
	return p, checkPublic(t, p.public)
}
