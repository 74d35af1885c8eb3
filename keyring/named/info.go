package named

import "time"

const maxAutoRotate = 100 * 365 * 24 * time.Hour

// Settings are what of a key can be changed: [Keys.Configure]. The zero value is
// what a new key has unless told otherwise.
type Settings struct {
	// MinDecryptionVersion is the first version that decrypts and verifies.
	// Zero is the first there is.
	MinDecryptionVersion int

	// MinEncryptionVersion is the first version that encrypts, signs and makes
	// MACs. Zero: any, and the latest unless one is named.
	MinEncryptionVersion int

	// DeletionAllowed lets the key be deleted.
	DeletionAllowed bool

	// Exportable lets the key leave in clear. It is never taken back.
	Exportable bool

	// AllowPlaintextBackup lets the key be backed up in clear, if it is
	// Exportable too. It is never taken back.
	AllowPlaintextBackup bool

	// AllowRotation lets a key that was imported be rotated, and so have a
	// version that its origin does not know. Others are rotated anyway.
	AllowRotation bool

	// AutoRotatePeriod is the age at which the latest version is followed by
	// another, by [Keys.RotateDue]. Zero: never. Whole seconds, at least
	// [MinAutoRotate].
	AutoRotatePeriod time.Duration
}

// Info describes a key. It holds no secret.
type Info struct {
	Settings

	Name            string
	Type            Type
	KeySize         int           // of an HMAC key, in bytes
	Derived         bool          // each context has a key of its own
	KDF             string        // how: "hkdf_sha256", or what an old Vault did
	Convergent      bool          // equal plaintexts give equal ciphertexts in a context
	Imported        bool          // and not rotated since
	Latest          int           // the latest version
	MinAvailable    int           // the first version that was not trimmed; 0 if none was
	Versions        []VersionInfo // all that are available, in order
	Backup, Restore *Stamp        // the last of each; nil if never
}

// VersionInfo describes one version of a key.
type VersionInfo struct {
	Version           int
	Created           time.Time
	PublicKey         string // in PEM, of Ed25519 the 32 bytes in base64; empty of what has none, and of a derived key
	PublicOnly        bool   // the private half is elsewhere: it only verifies, or encrypts
	ConvergentVersion int    // 3 of all that is made today
}

// A Stamp says when something was done to a key, and what its latest version was.
type Stamp struct {
	Time    time.Time `json:"time"`
	Version int       `json:"version"`
}

func (d *document) settings() Settings {
	return Settings{
		MinDecryptionVersion: d.MinDecryption,
		MinEncryptionVersion: d.MinEncryption,
		DeletionAllowed:      d.Deletable,
		Exportable:           d.Exportable,
		AllowPlaintextBackup: d.Backupable,
		AllowRotation:        d.Rotatable,
		AutoRotatePeriod:     time.Duration(d.AutoRotate) * time.Second,
	}
}

// set takes settings over, except what may not be.
func (d *document) set(s Settings) error {
	first, latest := d.first(), d.latest()
	if s.MinDecryptionVersion == 0 {
		s.MinDecryptionVersion = first
	}
	switch {
	case s.MinDecryptionVersion < 0:
		return because(ErrInput, "min_decryption_version is negative")
	case s.MinDecryptionVersion > latest:
		return because(ErrVersion, "cannot set min_decryption_version to %d: the latest version is %d", s.MinDecryptionVersion, latest)
	case s.MinDecryptionVersion < first:
		return because(ErrVersion, "cannot set min_decryption_version to %d: versions before %d were trimmed", s.MinDecryptionVersion, first)
	case s.MinEncryptionVersion < 0:
		return because(ErrInput, "min_encryption_version is negative")
	case s.MinEncryptionVersion > latest:
		return because(ErrVersion, "cannot set min_encryption_version to %d: the latest version is %d", s.MinEncryptionVersion, latest)
	case s.MinEncryptionVersion != 0 && s.MinEncryptionVersion < s.MinDecryptionVersion:
		return because(ErrInput, "min_encryption_version (%d) is below min_decryption_version (%d)", s.MinEncryptionVersion, s.MinDecryptionVersion)
	case d.Exportable && !s.Exportable, d.Backupable && !s.AllowPlaintextBackup:
		return because(ErrPolicy, "exportable and allow_plaintext_backup are never taken back: who has a copy keeps it; make another key")
	case s.AutoRotatePeriod%time.Second != 0:
		return because(ErrInput, "auto_rotate_period is not of whole seconds")
	case s.AutoRotatePeriod != 0 && (s.AutoRotatePeriod < MinAutoRotate || s.AutoRotatePeriod > maxAutoRotate):
		return because(ErrInput, "auto_rotate_period is %v, want 0 to disable it, or from %v to 100 years", s.AutoRotatePeriod, MinAutoRotate)
	case s.AutoRotatePeriod != 0 && d.Imported && !s.AllowRotation:
		return because(ErrPolicy, "an imported key rotates by itself only with allow_rotation")
	}
	d.MinDecryption, d.MinEncryption = s.MinDecryptionVersion, s.MinEncryptionVersion
	d.Deletable, d.Exportable, d.Backupable, d.Rotatable = s.DeletionAllowed, s.Exportable, s.AllowPlaintextBackup, s.AllowRotation
	d.AutoRotate = int64(s.AutoRotatePeriod / time.Second)
	return nil
}

func (d *document) info() Info {
	i := Info{
		Settings: d.settings(), Name: d.Name, Type: d.Type, KeySize: d.KeySize, Derived: d.Derived, KDF: d.KDF,
		Convergent: d.Convergent, Imported: d.Imported, Latest: d.latest(), MinAvailable: d.MinAvailable,
	}
	if d.Backup != nil {
		i.Backup = &Stamp{d.Backup.Time, d.Backup.Version}
	}
	if d.Restore != nil {
		i.Restore = &Stamp{d.Restore.Time, d.Restore.Version}
	}
	for n := range d.Versions {
		v := &d.Versions[n]
		w := VersionInfo{Version: d.first() + n, Created: v.Created, PublicOnly: len(v.Key) == 0, ConvergentVersion: v.Convergent}
		if d.Type.public() && !d.Derived {
			w.PublicKey = formatPublic(d.Type, v.Public)
		}
		i.Versions = append(i.Versions, w)
	}
	return i
}
