package named

import (
	"context"
	"errors"
	"slices"
)

// A Spec is what a key is made as.
type Spec struct {
	// Type is the key's type. Zero is [AES256].
	Type Type

	// KeySize is the length in bytes of an HMAC key, from 32 to 512. Zero is 32.
	KeySize int

	// Derived has each context have a key of its own, derived from this one: for
	// encrypting types and Ed25519.
	Derived bool

	// Convergent has equal plaintexts give equal ciphertexts in a context, so that
	// they can be searched for, and so that who sees them sees which are equal. It
	// needs Derived.
	Convergent bool

	// Settings are what can be changed later. The versions in it are zero.
	Settings
}

// Create makes a key, with one version.
//
// The errors are [ErrExists], [ErrInput], [ErrType], [ErrNotApproved],
// [ErrConfig], [keyring.ErrSealed] and the Store's.
func (k *Keys) Create(ctx context.Context, name string, spec Spec) (Info, error) {
	d, err := k.newDocument(name, &spec)
	if err != nil {
		return Info{}, wrap("create", name, err)
	}
	defer d.wipe()
	if err := k.absent(ctx, name); err != nil {
		return Info{}, wrap("create", name, err)
	}
	v, err := d.generate(k.cfg.Now())
	if err != nil {
		return Info{}, wrap("create", name, err)
	}
	d.Versions = []versionDoc{v}
	return k.add(ctx, "create", d, spec.Settings)
}

// newDocument returns a key without versions.
func (k *Keys) newDocument(name string, spec *Spec) (*document, error) {
	if spec.Type == "" {
		spec.Type = AES256
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := k.cfg.check(spec.Type); err != nil {
		return nil, err
	}
	if spec.Type == HMAC && spec.KeySize == 0 {
		spec.KeySize = minHMACKey
	}
	switch {
	case spec.Type == HMAC && (spec.KeySize < minHMACKey || spec.KeySize > maxHMACKey):
		return nil, because(ErrInput, "the key size is %d bytes, want %d to %d", spec.KeySize, minHMACKey, maxHMACKey)
	case spec.Type != HMAC && spec.KeySize != 0:
		return nil, because(ErrInput, "only keys of type %s have a key size", HMAC)
	case spec.Derived && !spec.Type.Derives():
		return nil, because(ErrType, "keys of type %s are not derived", spec.Type)
	case spec.Convergent && (!spec.Derived || !spec.Type.symmetric()):
		return nil, because(ErrType, "convergent encryption needs a derived key of an encrypting type")
	case spec.Convergent && inFIPS():
		return nil, because(ErrNotApproved, "convergent encryption derives its nonces")
	}
	d := &document{Name: name, Type: spec.Type, KeySize: spec.KeySize, Derived: spec.Derived, Convergent: spec.Convergent}
	if d.Derived {
		d.KDF = kdfHKDF
	}
	return d, nil
}

// absent returns nil if there is no such key, before one is made at some cost.
func (k *Keys) absent(ctx context.Context, name string) error {
	if _, err := k.cfg.Keyring.Active(); err != nil {
		return err
	}
	switch _, _, err := k.cfg.Store.Load(ctx, name); {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return ErrExists
}

// add stores a new key.
func (k *Keys) add(ctx context.Context, op string, d *document, s Settings) (Info, error) {
	if err := d.set(s); err != nil {
		return Info{}, wrap(op, d.Name, err)
	}
	d.Seq = 1
	defer k.invalidate(d.Name)
	_, err := k.put(ctx, d, "")
	if errors.Is(err, ErrConflict) {
		err = ErrExists
	}
	if err != nil {
		return Info{}, wrap(op, d.Name, err)
	}
	return d.info(), nil
}

// Read describes a key, as the store has it now.
func (k *Keys) Read(ctx context.Context, name string) (Info, error) {
	if err := checkName(name); err != nil {
		return Info{}, wrap("read", name, err)
	}
	d, _, err := k.fetch(ctx, name)
	if err != nil {
		return Info{}, wrap("read", name, err)
	}
	defer d.wipe()
	return d.info(), nil
}

// List returns at most limit names of keys that come after the given one, in the
// order of their bytes; "" is before all. Fewer are not the end; none are.
func (k *Keys) List(ctx context.Context, after string, limit int) ([]string, error) {
	if limit < 1 {
		return nil, wrap("list", "", because(ErrInput, "the limit is below 1"))
	}
	if _, err := k.cfg.Keyring.Active(); err != nil {
		return nil, wrap("list", "", err)
	}
	for {
		names, err := k.cfg.Store.List(ctx, after, limit)
		if err != nil || len(names) == 0 {
			return nil, wrap("list", "", err)
		}
		after = names[len(names)-1]
		names = slices.DeleteFunc(names, func(name string) bool { return checkName(name) != nil })
		if len(names) > 0 {
			return names, nil
		}
	}
}

// Rotate adds a version and makes it the latest. What older versions have
// encrypted still decrypts, until they are below min_decryption_version.
func (k *Keys) Rotate(ctx context.Context, name string) (Info, error) {
	return k.rotate(ctx, name, func(*document) error { return nil })
}

// A shape is what decides about a new version.
type shape struct {
	kind       Type
	size       int
	convergent int
}

// rotate makes the version once, however often others come between.
func (k *Keys) rotate(ctx context.Context, name string, check func(*document) error) (Info, error) {
	var fresh versionDoc
	var made shape // what fresh is of: the key may be made anew meanwhile
	defer func() { clear(fresh.Key); clear(fresh.MAC) }()
	return k.change(ctx, "rotate", name, func(d *document) error {
		if err := check(d); err != nil {
			return err
		}
		if err := k.cfg.check(d.Type); err != nil {
			return err
		}
		if d.Imported && !d.Rotatable {
			return because(ErrPolicy, "the key was imported, and allow_rotation is not set: import another version, or set it")
		}
		if is := (shape{d.Type, d.KeySize, d.last().Convergent}); made != is {
			v, err := d.generate(k.cfg.Now())
			if err != nil {
				return err
			}
			clear(fresh.Key)
			fresh, made = v, is
		}
		d.Versions = append(d.Versions, fresh.clone())
		d.Imported = false
		return nil
	})
}

// Configure changes a key's settings. The edit is given the present ones, and is
// called again if others change the key meanwhile; its error ends it.
func (k *Keys) Configure(ctx context.Context, name string, edit func(*Settings) error) (Info, error) {
	return k.change(ctx, "configure", name, func(d *document) error {
		s := d.settings()
		if err := edit(&s); err != nil {
			return err
		}
		return d.set(s)
	})
}

// replace stores a key in place of any that has the name.
func (k *Keys) replace(ctx context.Context, d *document) (Info, error) {
	defer k.invalidate(d.Name)
	for range maxTries {
		_, revision, err := k.cfg.Store.Load(ctx, d.Name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Info{}, err
		}
		d.Seq = 1
		if _, err = k.put(ctx, d, revision); err == nil {
			return d.info(), nil
		}
		if !errors.Is(err, ErrConflict) {
			return Info{}, err
		}
	}
	return Info{}, ErrConflict
}
