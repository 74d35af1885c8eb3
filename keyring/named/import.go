package named

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
)

// wrappingKey is the name of the key that imports are wrapped with: none that a
// caller can name.
const wrappingKey = ".wrapping-key"

// wrappedKeySize is the length of what RSA-OAEP makes of the AES key.
const wrappedKeySize = 4096 / 8

// Material is a key that is imported: one of its fields but for Hash.
type Material struct {
	// Wrapped is the key as [WrapKey] makes it: the RSA-OAEP of a random AES-256
	// key under the [Keys.WrappingKey], and behind it the key, wrapped with that by
	// AES-KWP (RFC 5649). A symmetric key is its bytes, any other its PKCS #8.
	Wrapped []byte

	// Hash is that of OAEP: "SHA256", the default, SHA1, SHA224, SHA384 or SHA512.
	Hash string

	// PublicKey is the public half alone, in PEM: such a version only verifies or
	// encrypts.
	PublicKey string
}

// WrappingKey returns the public RSA key, in PEM, that keys to import are wrapped
// for. It is made when it is first asked for, and stays.
func (k *Keys) WrappingKey(ctx context.Context) (string, error) {
	d, err := k.wrappingDocument(ctx)
	if err != nil {
		return "", wrap("wrapping key", "", err)
	}
	defer d.wipe()
	return formatPublic(d.Type, d.last().Public), nil
}

func (k *Keys) wrappingDocument(ctx context.Context) (*document, error) {
	d, _, err := k.fetch(ctx, wrappingKey)
	if !errors.Is(err, ErrNotFound) {
		return d, err
	}
	if _, err := k.cfg.Keyring.Active(); err != nil {
		return nil, err
	}
	d = &document{Name: wrappingKey, Seq: 1, Type: RSA4096, MinDecryption: 1}
	v, err := d.generate(k.cfg.Now())
	if err != nil {
		return nil, err
	}
	d.Versions = []versionDoc{v}
	if _, err = k.put(ctx, d, ""); errors.Is(err, ErrConflict) {
		d.wipe()
		d, _, err = k.fetch(ctx, wrappingKey) // another process was first
	}
	return d, err
}

// WrapKey wraps a key for [Material]: a symmetric one, or the PKCS #8 of another.
// It is what a client does, with the text that [Keys.WrappingKey] returns.
func WrapKey(wrappingKey string, key []byte) ([]byte, error) {
	public, err := parsePublicPEM(wrappingKey)
	if err != nil {
		return nil, wrap("wrap", "", err)
	}
	to, ok := public.(*rsa.PublicKey)
	if !ok || to.Size() != wrappedKeySize {
		return nil, wrap("wrap", "", because(ErrInput, "the wrapping key is no RSA key of 4096 bits"))
	}
	kek := random(32)
	defer clear(kek)
	inner, err := kwpWrap(kek, key)
	if err != nil {
		return nil, wrap("wrap", "", err)
	}
	outer, err := rsa.EncryptOAEP(crypto.SHA256.New(), rand.Reader, to, kek, nil)
	if err != nil {
		return nil, wrap("wrap", "", because(ErrInput, "RSA-OAEP refuses the wrapping key"))
	}
	return append(outer, inner...), nil
}

// Import makes a key of material from elsewhere. It is rotated only if the
// settings say AllowRotation, and is never convergent.
//
// The errors are [ErrExists], [ErrInput], [ErrCorrupt], [ErrType] and those of
// [Keys.Create].
func (k *Keys) Import(ctx context.Context, name string, spec Spec, m Material) (Info, error) {
	info, err := k.importKey(ctx, name, spec, m)
	return info, wrap("import", name, err)
}

func (k *Keys) importKey(ctx context.Context, name string, spec Spec, m Material) (Info, error) {
	d, err := k.newDocument(name, &spec)
	switch {
	case err != nil:
		return Info{}, err
	case spec.Convergent:
		return Info{}, because(ErrType, "a convergent key is not imported")
	}
	defer d.wipe()
	if err := k.absent(ctx, name); err != nil {
		return Info{}, err
	}
	v, err := k.material(ctx, d, m)
	if err != nil {
		return Info{}, err
	}
	d.Imported, d.Versions = true, []versionDoc{v}
	if d.Type == HMAC {
		d.KeySize = len(v.Key)
	}
	return k.add(ctx, "import", d, spec.Settings)
}

// ImportVersion adds a version from elsewhere to an imported key, or with another
// version than zero, the private half to a version that has only the public one.
// Without a version the private half goes to the latest, if that lacks it.
func (k *Keys) ImportVersion(ctx context.Context, name string, version int, m Material) (Info, error) {
	if err := checkName(name); err != nil {
		return Info{}, wrap("import", name, err)
	}
	d, _, err := k.fetch(ctx, name)
	if err != nil {
		return Info{}, wrap("import", name, err)
	}
	d.wipe()
	v, err := k.material(ctx, d, m)
	if err != nil {
		return Info{}, wrap("import", name, err)
	}
	defer func() { clear(v.Key); clear(v.MAC) }()
	return k.change(ctx, "import", name, func(now *document) error {
		if now.Type != d.Type {
			return because(ErrConflict, "the key was made anew")
		}
		return now.importVersion(version, &v)
	})
}

func (d *document) importVersion(version int, v *versionDoc) error {
	switch {
	case !d.Imported:
		return because(ErrPolicy, "the key was not imported, or was rotated here since")
	case d.Convergent:
		return because(ErrType, "a convergent key is not imported")
	case version < 0 || version > d.latest() || version > 0 && version < d.first():
		return because(ErrVersion, "version %d: the key has %d to %d", version, d.first(), d.latest())
	}
	at := d.last()
	if version > 0 {
		at = &d.Versions[version-d.first()]
	}
	if len(at.Key) == 0 && len(v.Key) > 0 && bytes.Equal(at.Public, v.Public) {
		at.Key = bytes.Clone(v.Key)
		return nil
	}
	switch {
	case version == 0:
		d.Versions = append(d.Versions, v.clone())
		return nil
	case len(at.Key) > 0:
		return because(ErrExists, "version %d has its private half: import another version", version)
	}
	return because(ErrInput, "the key is not the private half of version %d", version)
}

// material reads what is imported, as a version of the key.
func (k *Keys) material(ctx context.Context, d *document, m Material) (versionDoc, error) {
	v := versionDoc{Created: k.cfg.Now().UTC()}
	if d.Type != HMAC {
		v.MAC = random(macKeySize)
	}
	switch {
	case (len(m.Wrapped) > 0) == (m.PublicKey != ""):
		return v, because(ErrInput, "want the wrapped key or the public key, one of the two")
	case m.PublicKey != "":
		return v, v.importPublic(d, m.PublicKey)
	}
	key, err := k.unwrap(ctx, m)
	if err != nil {
		return v, err
	}
	if d.Type.symmetric() || d.Type == HMAC {
		v.Key = key
		return v, checkMaterial(d.Type, &v)
	}
	defer clear(key)
	private, err := parsePrivate(key)
	if err != nil {
		return v, err
	}
	return v, v.setPrivate(d.Type, private)
}

func (v *versionDoc) importPublic(d *document, text string) error {
	switch {
	case !d.Type.public():
		return because(ErrType, "%s keys have no public half", d.Type)
	case d.Derived:
		return because(ErrType, "a derived key needs its private half")
	}
	public, err := parsePublicPEM(text)
	if err != nil {
		return err
	}
	if err := checkPublic(d.Type, public); err != nil {
		return err
	}
	v.Public, err = encodePublic(public)
	return err
}

func parsePublicPEM(text string) (crypto.PublicKey, error) {
	if len(text) > 16<<10 {
		return nil, because(ErrLimit, "the public key is longer than any")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, because(ErrInput, "the public key is not in PEM, as a PUBLIC KEY")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, because(ErrInput, "the public key does not parse")
	}
	return public, nil
}

// unwrap returns the bytes of a wrapped key, for the caller to wipe.
func (k *Keys) unwrap(ctx context.Context, m Material) ([]byte, error) {
	if len(m.Wrapped) <= wrappedKeySize || len(m.Wrapped) > wrappedKeySize+8+maxWrapped {
		return nil, because(ErrInput, "the wrapped key has %d bytes, want %d and then what AES-KWP makes of the key", len(m.Wrapped), wrappedKeySize)
	}
	h, err := oaepHash(m.Hash)
	if err != nil {
		return nil, err
	}
	d, err := k.wrappingDocument(ctx)
	if err != nil {
		return nil, err
	}
	defer d.wipe()
	p, err := parsePair(d.Type, d.last())
	if err != nil {
		return nil, err
	}
	kek, err := rsa.DecryptOAEP(h.New(), nil, p.private.(*rsa.PrivateKey), m.Wrapped[:wrappedKeySize], nil)
	if err != nil || len(kek) != 32 {
		clear(kek)
		return nil, because(ErrCorrupt, "its first %d bytes are not 32 under the wrapping key by RSA-OAEP with %v", wrappedKeySize, h)
	}
	defer clear(kek)
	return kwpUnwrap(kek, m.Wrapped[wrappedKeySize:])
}

func oaepHash(name string) (crypto.Hash, error) {
	h, ok := map[string]crypto.Hash{"": crypto.SHA256, "SHA1": crypto.SHA1, "SHA224": crypto.SHA224, "SHA256": crypto.SHA256, "SHA384": crypto.SHA384, "SHA512": crypto.SHA512}[strings.ToUpper(name)]
	if !ok {
		return 0, because(ErrInput, "unknown hash function: want SHA256, or SHA1, SHA224, SHA384 or SHA512")
	}
	if h == crypto.SHA1 && inFIPS() {
		return 0, because(ErrNotApproved, "SHA-1: choose SHA256")
	}
	return h, nil
}

// oidPSS marks RSA keys that OpenSSL makes for PSS alone; crypto/x509 does not
// know it.
var oidPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}

// parsePrivate reads a private key in PKCS #8.
func parsePrivate(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		var pss struct {
			Version    int
			Algorithm  pkix.AlgorithmIdentifier
			PrivateKey []byte
		}
		if _, e := asn1.Unmarshal(der, &pss); e == nil && pss.Algorithm.Algorithm.Equal(oidPSS) {
			defer clear(pss.PrivateKey)
			parsed, err = x509.ParsePKCS1PrivateKey(pss.PrivateKey)
		}
	}
	switch private := parsed.(type) {
	case ed25519.PrivateKey:
		return private, nil
	case crypto.Signer:
		if err == nil {
			return private, nil
		}
	}
	return nil, because(ErrInput, "the key is no private key in PKCS #8")
}
