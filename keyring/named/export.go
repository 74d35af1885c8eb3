package named

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
)

// An ExportKind is what of a key is exported.
type ExportKind string

// The kinds.
const (
	EncryptionKey ExportKind = "encryption-key"
	SigningKey    ExportKind = "signing-key"
	MACKey        ExportKind = "hmac-key"
	PublicKey     ExportKind = "public-key" // of any key that has one, exportable or not
)

// LatestVersion is the version to export that is the latest.
const LatestVersion = -1

// Exported is one version of a key that leaves.
type Exported struct {
	Version int
	Key     Secret // base64, or PEM: RSA PRIVATE KEY, EC PRIVATE KEY or PUBLIC KEY
}

// Export returns a key in clear, as Vault does: a version, [LatestVersion], or
// with zero all from min_decryption_version on. What has left is out of anybody's
// hands: the key has to be Exportable, but for its public half.
//
// The errors are [ErrPolicy], [ErrType], [ErrVersion], [ErrInput] and those of
// [Keys.Key].
func (k *Keys) Export(ctx context.Context, name string, kind ExportKind, version int) ([]Exported, error) {
	if err := checkName(name); err != nil {
		return nil, wrap("export", name, err)
	}
	d, _, err := k.fetch(ctx, name)
	if err != nil {
		return nil, wrap("export", name, err)
	}
	defer d.wipe()
	out, err := d.export(kind, version)
	return out, wrap("export", name, err)
}

func (d *document) export(kind ExportKind, version int) ([]Exported, error) {
	if kind != PublicKey && !d.Exportable {
		return nil, because(ErrPolicy, "exportable is not set")
	}
	first, last := d.MinDecryption, d.latest()
	switch {
	case version == LatestVersion:
		first = last
	case version < 0:
		return nil, because(ErrInput, "the version is negative")
	case version > last:
		return nil, because(ErrVersion, "version %d: the latest is %d", version, last)
	case version != 0 && version < first:
		return nil, because(ErrMinDecryption, "version %d is below min_decryption_version, %d", version, first)
	case version != 0:
		first, last = version, version
	}
	var out []Exported
	for n := first; n <= last; n++ {
		text, err := d.exportOne(kind, &d.Versions[n-d.first()])
		if err != nil {
			return nil, err
		}
		out = append(out, Exported{n, newSecret(text)})
	}
	return out, nil
}

func (d *document) exportOne(kind ExportKind, v *versionDoc) (string, error) {
	none := because(ErrType, "%s keys have no %s", d.Type, kind)
	switch kind {
	case MACKey:
		if key := v.macKey(d.Type); len(key) > 0 {
			return base64.StdEncoding.EncodeToString(key), nil
		}
		return "", none
	case PublicKey:
		if !d.Type.public() {
			return "", none
		}
		if d.Derived {
			return "", because(ErrType, "a derived key has a public key in each context: read it there")
		}
		return exportedText(d.Type, formatPublic(d.Type, v.Public)), nil
	case EncryptionKey, SigningKey:
	default:
		return "", because(ErrInput, "unknown kind of export: want %s, %s, %s or %s", EncryptionKey, SigningKey, MACKey, PublicKey)
	}
	if kind == EncryptionKey && !d.Type.Encrypts() || kind == SigningKey && !d.Type.Signs() {
		return "", none
	}
	if len(v.Key) == 0 {
		return "", because(ErrPolicy, "a version has no private half here")
	}
	if d.Type.symmetric() || d.Type == Ed25519 {
		return base64.StdEncoding.EncodeToString(v.Key), nil
	}
	return exportPrivate(d.Type, v)
}

// exportPrivate returns a private key in the PEM of its kind.
func exportPrivate(t Type, v *versionDoc) (string, error) {
	p, err := parsePair(t, v)
	if err != nil {
		return "", err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY"}
	switch key := p.private.(type) {
	case *rsa.PrivateKey:
		block.Bytes = x509.MarshalPKCS1PrivateKey(key)
	case *ecdsa.PrivateKey:
		block.Type = "EC PRIVATE KEY"
		if block.Bytes, err = x509.MarshalECPrivateKey(key); err != nil {
			return "", because(ErrFormat, "the stored private key does not encode")
		}
	}
	defer clear(block.Bytes)
	return exportedText(t, string(pem.EncodeToMemory(block))), nil
}

// exportedText ends PEM as Vault does: of RSA keys with a newline, of others without.
func exportedText(t Type, text string) string {
	if t.rsaBits() > 0 {
		return text
	}
	return strings.TrimSpace(text)
}
