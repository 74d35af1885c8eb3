package named

import (
	"bytes"
	"encoding/binary"
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

	Backup   *Stamp        `json:"backup,omitempty"`
	Restore  *Stamp        `json:"restore,omitempty"`
	Heads    []versionHead `json:"versions"`
	Versions []versionDoc  `json:"-"`
}

// A versionHead is what the JSON has of a version: how many bytes of it stand
// behind the JSON. Keys do not go through encoding/json, which leaves copies of
// what it reads and writes in memory.
type versionHead struct {
	Key        int       `json:"key,omitempty"`
	Public     int       `json:"public,omitempty"`
	MAC        int       `json:"mac,omitempty"`
	Convergent int       `json:"convergent,omitempty"`
	Created    time.Time `json:"created"`
}

// A versionDoc is one version. Of what the key is, FORMAT.md says by type.
type versionDoc struct {
	Key, Public, MAC []byte
	Convergent       int
	Created          time.Time
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

// encode returns the document's bytes, for the caller to wipe.
func (d *document) encode() ([]byte, error) {
	d.Format, d.Heads = documentFormat, nil
	if err := d.check(); err != nil {
		return nil, err
	}
	size := 0
	for i := range d.Versions {
		v := &d.Versions[i]
		h := versionHead{len(v.Key), len(v.Public), len(v.MAC), v.Convergent, v.Created}
		d.Heads = append(d.Heads, h)
		size += h.Key + h.Public + h.MAC
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, because(ErrInput, "the key does not encode")
	}
	size += headSize + len(text)
	if size > MaxDocument {
		return nil, because(ErrLimit, "the key would take more than %d bytes: trim its old versions, or rotate it less often", MaxDocument)
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(len(text)))
	out = append(out, text...)
	for i := range d.Versions {
		v := &d.Versions[i]
		out = append(append(append(out, v.Key...), v.Public...), v.MAC...)
	}
	return out, nil
}

// headSize is how many bytes the length of the JSON takes.
const headSize = 4

// parseDocument reads what encode wrote. Errors hold nothing of it.
func parseDocument(name string, in []byte) (*document, error) {
	if len(in) < headSize || uint64(len(in)-headSize) < uint64(binary.BigEndian.Uint32(in)) {
		return nil, ErrFormat
	}
	n := headSize + int(binary.BigEndian.Uint32(in))
	d, err := parseHead(in[headSize:n])
	if err != nil {
		return nil, err
	}
	if d.Name != name {
		return nil, because(ErrCorrupt, "it is another key's")
	}
	if err := d.takeKeys(in[n:]); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		d.wipe()
		return nil, because(ErrFormat, "%v", err)
	}
	return d, nil
}

func parseHead(text []byte) (*document, error) {
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
		return nil, ErrFormat
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) || d.Format != documentFormat {
		return nil, ErrFormat
	}
	return d, nil
}

// takeKeys copies what stands behind the JSON: all of it, as its heads say.
func (d *document) takeKeys(rest []byte) error {
	size := 0
	for _, h := range d.Heads {
		for _, n := range []int{h.Key, h.Public, h.MAC} {
			if n < 0 || n > MaxDocument {
				return ErrFormat
			}
			size += n
		}
	}
	if size != len(rest) || len(d.Heads) > MaxVersions {
		return ErrFormat
	}
	take := func(n int) (b []byte) {
		if n > 0 {
			b = bytes.Clone(rest[:n])
		}
		rest = rest[n:]
		return b
	}
	for _, h := range d.Heads {
		d.Versions = append(d.Versions, versionDoc{take(h.Key), take(h.Public), take(h.MAC), h.Convergent, h.Created})
	}
	d.Heads = nil
	return nil
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
