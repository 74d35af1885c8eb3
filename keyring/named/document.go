package named

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"
)

// documentFormat is the number of the format that FORMAT.md describes.
const documentFormat = 1

// A document is a key as it is stored, before it is encrypted.
type document struct {
	Format     int    `json:"format"`
	Name       string `json:"name"`
	Seq        uint64 `json:"seq"`
	Type       Type   `json:"type"`
	KeySize    int    `json:"key_size,omitempty"`
	Derived    bool   `json:"derived,omitempty"`
	KDF        string `json:"kdf,omitempty"`
	Convergent bool   `json:"convergent,omitempty"`
	Imported   bool   `json:"imported,omitempty"`

	MinAvailable  int   `json:"min_available,omitempty"`
	MinDecryption int   `json:"min_decryption"`
	MinEncryption int   `json:"min_encryption,omitempty"`
	Deletable     bool  `json:"deletable,omitempty"`
	Exportable    bool  `json:"exportable,omitempty"`
	Backupable    bool  `json:"backupable,omitempty"`
	Rotatable     bool  `json:"rotatable,omitempty"`
	AutoRotate    int64 `json:"auto_rotate,omitempty"` // seconds

	Backup   *Stamp       `json:"backup,omitempty"`
	Restore  *Stamp       `json:"restore,omitempty"`
	Versions []versionDoc `json:"versions"`
}

// A versionDoc is one version. Of what the key is, FORMAT.md says by type.
type versionDoc struct {
	Key        []byte    `json:"key,omitempty"`
	Public     []byte    `json:"public,omitempty"`
	MAC        []byte    `json:"mac,omitempty"`
	Convergent int       `json:"convergent,omitempty"`
	Created    time.Time `json:"created"`
}

// How a key is derived from another.
const (
	kdfHKDF    = "hkdf_sha256"
	kdfCounter = "hmac_sha256_counter" // of keys that old versions of Vault made
)

// currentConvergent is the version of convergent encryption that new versions have.
const currentConvergent = 3

// first is the number of the first version that is there.
func (d *document) first() int { return max(1, d.MinAvailable) }

// latest is the number of the last one.
func (d *document) latest() int { return d.first() + len(d.Versions) - 1 }

func (d *document) last() *versionDoc { return &d.Versions[len(d.Versions)-1] }

func (d *document) wipe() {
	for i := range d.Versions {
		clear(d.Versions[i].Key)
		clear(d.Versions[i].MAC)
	}
}

// encode returns the document's JSON, for the caller to wipe.
func (d *document) encode() ([]byte, error) {
	d.Format = documentFormat
	if err := d.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, because(ErrInput, "the key does not encode")
	}
	if len(text) > MaxDocument {
		clear(text)
		return nil, because(ErrLimit, "the key would take more than %d bytes: trim its old versions, or rotate it less often", MaxDocument)
	}
	return text, nil
}

// parseDocument reads what encode wrote. Errors hold nothing of the text.
func parseDocument(name string, text []byte) (*document, error) {
	var head struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(text, &head) == nil && head.Format > documentFormat {
		return nil, because(ErrFormat, "format %d, this version reads %d", head.Format, documentFormat)
	}
	d := new(document)
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(d); err != nil {
		d.wipe()
		return nil, ErrFormat
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) || d.Format != documentFormat {
		d.wipe()
		return nil, ErrFormat
	}
	if d.Name != name {
		d.wipe()
		return nil, because(ErrCorrupt, "it is another key's")
	}
	if err := d.check(); err != nil {
		d.wipe()
		return nil, because(ErrFormat, "%v", err)
	}
	return d, nil
}

// check refuses a document that is none, such as one that others wrote.
func (d *document) check() error {
	switch {
	case !slices.Contains(Types(), d.Type):
		return because(ErrInput, "unknown key type")
	case len(d.Versions) == 0:
		return because(ErrInput, "the key has no versions")
	case len(d.Versions) > MaxVersions:
		return because(ErrLimit, "the key would have more than %d versions: trim the old ones, or rotate it less often", MaxVersions)
	case d.MinAvailable < 0 || d.MinAvailable > 1<<30:
		return because(ErrInput, "the first version is out of range")
	case d.MinDecryption < d.first() || d.MinDecryption > d.latest():
		return because(ErrInput, "min_decryption_version is %d, want %d to %d", d.MinDecryption, d.first(), d.latest())
	case d.MinEncryption != 0 && (d.MinEncryption < d.MinDecryption || d.MinEncryption > d.latest()):
		return because(ErrInput, "min_encryption_version is %d, want 0 or from min_decryption_version (%d) to the latest (%d)", d.MinEncryption, d.MinDecryption, d.latest())
	case d.Derived && !d.Type.Derives():
		return because(ErrType, "a key of type %s is not derived", d.Type)
	case d.Derived != (d.KDF != "") || d.KDF != "" && d.KDF != kdfHKDF && d.KDF != kdfCounter:
		return because(ErrInput, "unknown derivation")
	case d.Convergent && (!d.Derived || !d.Type.symmetric()):
		return because(ErrType, "convergent encryption needs a derived key of an encrypting type")
	case d.AutoRotate != 0 && (d.AutoRotate < int64(MinAutoRotate/time.Second) || d.AutoRotate > int64(maxAutoRotate/time.Second)):
		return because(ErrInput, "auto_rotate_period is not 0 and not from %v to 100 years", MinAutoRotate)
	}
	return d.checkVersions()
}

func (d *document) checkVersions() error {
	for i := range d.Versions {
		v := &d.Versions[i]
		if err := checkMaterial(d.Type, v); err != nil {
			return because(err, "version %d", d.first()+i)
		}
		if d.Convergent != (v.Convergent != 0) || v.Convergent < 0 || v.Convergent > currentConvergent {
			return because(ErrInput, "version %d is of no convergent version", d.first()+i)
		}
	}
	return nil
}

func (v *versionDoc) clone() versionDoc {
	w := *v
	w.Key, w.Public, w.MAC = bytes.Clone(v.Key), bytes.Clone(v.Public), bytes.Clone(v.MAC)
	return w
}
