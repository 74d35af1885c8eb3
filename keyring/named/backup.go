package named

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// maxBackup bounds a backup, in bytes of its text.
const maxBackup = 8 * MaxDocument

// Backup returns a key in clear, in the format of Vault's backups: its transit
// engine restores it, and [Keys.Restore]. The key has to be Exportable and
// AllowPlaintextBackup. It is noted in the key when that was.
func (k *Keys) Backup(ctx context.Context, name string) (Secret, error) {
	var text []byte
	_, err := k.change(ctx, "backup", name, func(d *document) error {
		clear(text)
		if !d.Exportable || !d.Backupable {
			return because(ErrPolicy, "a backup needs exportable and allow_plaintext_backup")
		}
		d.Backup = &Stamp{k.cfg.Now().UTC(), d.latest()}
		b, err := d.toVault()
		if err != nil {
			return err
		}
		plain, err := json.Marshal(b)
		if err != nil {
			return because(ErrFormat, "the key does not encode")
		}
		defer clear(plain)
		text = base64.StdEncoding.AppendEncode(nil, plain)
		return nil
	})
	defer clear(text)
	if err != nil {
		return Secret{}, err
	}
	return newSecret(string(text)), nil
}

// Restore makes a key of a backup, of this package's or Vault's, under a name of
// its own; "" is the name in the backup. With replace, a key that is there is
// given up for it: what that one alone encrypted is lost.
//
// The errors are [ErrExists], [ErrInput], [ErrLimit] and those of a change.
func (k *Keys) Restore(ctx context.Context, name, backup string, replace bool) (Info, error) {
	info, err := k.restore(ctx, name, backup, replace)
	return info, wrap("restore", name, err)
}

func (k *Keys) restore(ctx context.Context, name, backup string, replace bool) (Info, error) {
	if _, err := k.cfg.Keyring.Active(); err != nil {
		return Info{}, err
	}
	d, err := parseBackup(backup)
	if err != nil {
		return Info{}, err
	}
	defer d.wipe()
	if name != "" {
		d.Name = name
	}
	if err := checkName(d.Name); err != nil {
		return Info{}, err
	}
	d.Restore = &Stamp{k.cfg.Now().UTC(), d.latest()}
	if !replace {
		return k.add(ctx, "restore", d, d.settings())
	}
	return k.replace(ctx, d)
}

// parseBackup reads a backup, and refuses what is no key.
func parseBackup(text string) (*document, error) {
	if len(text) > maxBackup {
		return nil, because(ErrLimit, "the backup is longer than any")
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, because(ErrInput, "the backup is not in base64")
	}
	defer clear(plain)
	var b vaultBackup
	if err := json.Unmarshal(plain, &b); err != nil || b.Policy == nil {
		return nil, because(ErrInput, "the backup is no key of a transit engine")
	}
	d, err := b.document()
	if err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		d.wipe()
		return nil, because(ErrInput, "the backup: %v", err)
	}
	return d, nil
}

// toVault returns the document as Vault writes it down.
func (d *document) toVault() (*vaultBackup, error) {
	p := &vaultPolicy{
		Name: d.Name, KeySize: d.KeySize, Keys: map[string]vaultKey{},
		Derived: d.Derived, Convergent: d.Convergent, Exportable: d.Exportable,
		MinDecryption: d.MinDecryption, MinEncryption: d.MinEncryption, Latest: d.latest(),
		ArchiveVersion: d.latest(), ArchiveMin: d.MinAvailable, MinAvailable: d.MinAvailable,
		Deletable: d.Deletable, Type: d.Type.vault(), Backup: d.Backup, Restore: d.Restore, Backupable: d.Backupable,
		AutoRotate: time.Duration(d.AutoRotate) * time.Second, Imported: d.Imported, Rotatable: d.Rotatable,
	}
	if d.KDF == kdfHKDF {
		p.KDF = 1
	}
	if d.Convergent {
		p.ConvergentVersion = -1
		if d.last().Convergent == 1 {
			p.ConvergentVersion = 1
		}
	}
	archive := &vaultArchive{}
	if d.MinAvailable == 0 {
		archive.Keys = append(archive.Keys, vaultKey{}) // there is no version 0
	}
	for i := range d.Versions {
		key, err := d.Versions[i].toVault(d.Type)
		if err != nil {
			return nil, err
		}
		archive.Keys = append(archive.Keys, key)
		if n := d.first() + i; n >= d.MinDecryption {
			p.Keys[strconv.Itoa(n)] = key
		}
	}
	return &vaultBackup{p, archive}, nil
}

// document returns what Vault wrote down as a document, unchecked.
func (b *vaultBackup) document() (*document, error) {
	p := b.Policy
	if p.Latest == 0 {
		p.Latest = len(p.Keys) // of before there was an archive
	}
	t, err := p.keyType()
	if err != nil {
		return nil, err
	}
	switch {
	case p.SoftDeleted:
		return nil, because(ErrPolicy, "the key was soft-deleted: restore it where it comes from, and back it up again")
	case p.VersionTemplate != "" && p.VersionTemplate != "vault:v{{version}}:":
		return nil, because(ErrInput, "the key's ciphertexts begin otherwise than with vault:v")
	case p.AutoRotate%time.Second != 0:
		return nil, because(ErrInput, "auto_rotate_period is not of whole seconds")
	case p.MinAvailable < 0 || p.Latest < 1 || p.Latest-p.MinAvailable > MaxVersions || p.Latest > 1<<30:
		return nil, because(ErrInput, "the key has no versions, or too many")
	}
	d := &document{
		Name: p.Name, Type: t, KeySize: p.KeySize, Derived: p.Derived, Convergent: p.Convergent, Imported: p.Imported,
		MinAvailable: p.MinAvailable, MinDecryption: max(p.MinDecryption, p.MinAvailable, 1), MinEncryption: p.MinEncryption,
		Deletable: p.Deletable, Exportable: p.Exportable, Backupable: p.Backupable, Rotatable: p.Rotatable,
		AutoRotate: int64(p.AutoRotate / time.Second), Backup: p.Backup,
	}
	if d.Derived {
		d.KDF = kdfCounter
		if p.KDF == 1 {
			d.KDF = kdfHKDF
		}
	}
	for n := d.first(); n <= p.Latest; n++ {
		key, ok := p.Keys[strconv.Itoa(n)]
		if i := n - p.MinAvailable; !ok && b.Archive != nil && i < len(b.Archive.Keys) {
			key, ok = b.Archive.Keys[i], true
		}
		if !ok {
			d.wipe()
			return nil, because(ErrInput, "the backup has no version %d", n)
		}
		v, err := key.document(d, p.ConvergentVersion)
		if err != nil {
			d.wipe()
			return nil, because(err, "version %d", n)
		}
		d.Versions = append(d.Versions, v)
	}
	return d, nil
}
