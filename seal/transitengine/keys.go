package transitengine

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sealwright/sealwright/keyring/named"
)

func isType(t named.Type) bool { return slices.Contains(named.Types(), t) }

// errType does not repeat what was sent: it might not be a type at all.
func errType() error {
	return badRequest("unknown key type: there are %v", named.Types())
}

// list answers with the keys' names: those behind the name "after", at most
// "limit" of them, where the query has these.
func list(c *call) error {
	query := c.r.URL.Query()
	limit, after := 0, query.Get("after")
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return badType("limit", "a whole number")
		}
		limit = max(n, 0)
	}
	const page = 1000
	names := []string{}
	for limit == 0 || len(names) < limit {
		want := page
		if limit > 0 {
			want = min(page, limit-len(names))
		}
		more, err := c.h.Keys.List(c.ctx, after, want)
		if err != nil {
			return stored{err}
		}
		if len(more) == 0 {
			break
		}
		names, after = append(names, more...), more[len(more)-1]
	}
	if len(names) == 0 {
		return errNothing
	}
	return c.data(map[string]any{"keys": names})
}

// create makes a key. One that is there already is left as it is, and a warning
// says so.
func create(c *call) error {
	spec, err := c.spec()
	if err != nil {
		return err
	}
	info, err := c.h.Keys.Create(c.ctx, c.name, spec)
	if errors.Is(err, named.ErrExists) {
		c.notes = append(c.notes, "key "+c.name+" already existed")
		info, err = c.h.Keys.Read(c.ctx, c.name)
	}
	if err != nil {
		return stored{err}
	}
	return c.describe(info, nil)
}

// spec is the key that a request wants.
func (c *call) spec() (spec named.Spec, err error) {
	text, err := c.field("type").string("type")
	if err != nil {
		return spec, err
	}
	spec.Type = named.Type(text)
	if text != "" && !isType(spec.Type) {
		return spec, errType()
	}
	for name, into := range map[string]*bool{
		"derived": &spec.Derived, "convergent_encryption": &spec.Convergent, "exportable": &spec.Exportable,
		"allow_plaintext_backup": &spec.AllowPlaintextBackup,
	} {
		if *into, err = c.field(name).bool(name); err != nil {
			return spec, err
		}
	}
	if spec.KeySize, err = c.field("key_size").int("key_size"); err != nil {
		return spec, err
	}
	if spec.AutoRotatePeriod, err = c.period(); err != nil {
		return spec, err
	}
	switch {
	case spec.Convergent && !spec.Derived:
		return spec, badRequest("convergent encryption requires derivation to be enabled")
	case spec.KeySize != 0 && spec.Type != named.HMAC:
		return spec, badRequest("key_size is not valid for algorithm %s", spec.Type)
	case spec.KeySize < 0:
		return spec, badRequest("invalid key_size %d", spec.KeySize)
	}
	return spec, nil
}

func (c *call) period() (time.Duration, error) {
	d, err := c.field("auto_rotate_period").duration("auto_rotate_period")
	if err == nil && d != 0 && d < named.MinAutoRotate {
		err = badRequest("auto rotate period must be 0 to disable or at least an hour")
	}
	return d, err
}

func read(c *call) error {
	info, err := c.h.Keys.Read(c.ctx, c.name)
	if err != nil {
		return missing(stored{err}, "")
	}
	text := c.r.URL.Query().Get("context")
	if text == "" || !info.Derived || info.Type != named.Ed25519 {
		return c.describe(info, nil)
	}
	context, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return badRequest("failed to base64-decode context")
	}
	k, err := c.key(noKey)
	if err != nil {
		return err
	}
	return c.describe(info, func(version int) (string, error) { return k.PublicKey(version, context) })
}

// remove deletes a key, if its settings let it.
func remove(c *call) error {
	err := c.h.Keys.Delete(c.ctx, c.name)
	switch {
	case errors.Is(err, named.ErrNotFound):
		return badRequest("error deleting policy %s: could not delete key; not found", c.name)
	case errors.Is(err, named.ErrPolicy):
		return badRequest("error deleting policy %s: deletion is not allowed for this key", c.name)
	case err != nil:
		return stored{err}
	}
	return nil
}

func rotate(c *call) error {
	info, err := c.h.Keys.Rotate(c.ctx, c.name)
	if err != nil {
		return missing(stored{err}, "key not found")
	}
	return c.describe(info, nil)
}

func trim(c *call) error {
	n, err := c.field("min_available_version").int("min_available_version")
	if err != nil {
		return err
	}
	if c.fields.get("min_available_version").kind == 0 {
		return badRequest("missing min_available_version")
	}
	info, err := c.h.Keys.Trim(c.ctx, c.name, n)
	if err != nil {
		return missing(stored{err}, "invalid key name")
	}
	return c.describe(info, nil)
}

// configure changes the settings that are named. What lets a key leave is never
// taken back: as in Vault, false changes nothing there.
func configure(c *call) error {
	change, err := c.settings()
	if err != nil {
		return err
	}
	info, err := c.h.Keys.Configure(c.ctx, c.name, change)
	if err != nil {
		return missing(stored{err}, fmt.Sprintf("no existing key named %s could be found", c.name))
	}
	return c.describe(info, nil)
}

func (c *call) settings() (func(*named.Settings) error, error) {
	flags, versions := map[string]bool{}, map[string]int{}
	for _, name := range []string{"exportable", "allow_plaintext_backup", "deletion_allowed"} {
		v := c.field(name)
		b, err := v.bool(name)
		if err != nil {
			return nil, err
		}
		if v.kind != 0 {
			flags[name] = b
		}
	}
	for _, name := range []string{"min_decryption_version", "min_encryption_version"} {
		v := c.field(name)
		n, err := v.int(name)
		if err != nil {
			return nil, err
		}
		if v.kind != 0 {
			versions[name] = n
		}
	}
	period, err := c.period()
	if err != nil {
		return nil, err
	}
	if n, ok := versions["min_decryption_version"]; ok && n == 0 {
		versions["min_decryption_version"] = 1
		c.notes = append(c.notes, "since Vault 0.3 (prior to the OpenBao fork), transit key numbering starts at 1; forcing minimum to 1")
	}
	latest := 0
	if len(versions) > 0 {
		info, err := c.h.Keys.Read(c.ctx, c.name)
		if err != nil {
			return nil, missing(stored{err}, fmt.Sprintf("no existing key named %s could be found", c.name))
		}
		latest = info.Latest
	}
	for name, kind := range map[string]string{"min_decryption_version": "decryption", "min_encryption_version": "encryption"} {
		switch n := versions[name]; {
		case n < 0:
			return nil, badRequest("min %s version cannot be negative", kind)
		case n > latest:
			return nil, badRequest("cannot set min %s version of %d, latest key version is %d", kind, n, latest)
		}
	}
	return func(s *named.Settings) error {
		s.Exportable = s.Exportable || flags["exportable"]
		s.AllowPlaintextBackup = s.AllowPlaintextBackup || flags["allow_plaintext_backup"]
		if b, ok := flags["deletion_allowed"]; ok {
			s.DeletionAllowed = b
		}
		if n, ok := versions["min_decryption_version"]; ok {
			s.MinDecryptionVersion = n
		}
		if n, ok := versions["min_encryption_version"]; ok {
			s.MinEncryptionVersion = n
		}
		if c.fields.get("auto_rotate_period").kind != 0 {
			s.AutoRotatePeriod = period
		}
		if s.MinEncryptionVersion > 0 && s.MinEncryptionVersion < s.MinDecryptionVersion {
			return badRequest("cannot set min encryption/decryption values; min encryption version of %d must be greater than or equal to min decryption version of %d", s.MinEncryptionVersion, s.MinDecryptionVersion)
		}
		return nil
	}, nil
}

// describe answers with what is known of a key, as Vault shows it. Public, if
// there is one, returns the public key that a version has in a context.
func (c *call) describe(info named.Info, public func(version int) (string, error)) error {
	out := map[string]any{
		"name": info.Name, "type": info.Type, "derived": info.Derived, "deletion_allowed": info.DeletionAllowed,
		"min_available_version": info.MinAvailable, "min_decryption_version": info.MinDecryptionVersion,
		"min_encryption_version": info.MinEncryptionVersion, "latest_version": info.Latest, "exportable": info.Exportable,
		"allow_plaintext_backup": info.AllowPlaintextBackup, "supports_encryption": info.Type.Encrypts(),
		"supports_decryption": info.Type.Encrypts(), "supports_signing": info.Type.Signs(), "supports_derivation": info.Type.Derives(),
		"auto_rotate_period": int64(info.AutoRotatePeriod / time.Second), "imported_key": info.Imported, "soft_deleted": false,
	}
	if info.KeySize != 0 {
		out["key_size"] = info.KeySize
	}
	if info.Imported {
		out["imported_key_allow_rotation"] = info.AllowRotation
	}
	if info.Backup != nil {
		out["backup_info"] = info.Backup
	}
	if info.Restore != nil {
		out["restore_info"] = info.Restore
	}
	if info.Derived {
		out["kdf"], out["convergent_encryption"] = info.KDF, info.Convergent
		if info.Convergent {
			out["convergent_encryption_version"] = -1 // each version has its own
		}
	}
	keys, err := versions(info, public)
	if err != nil {
		return err
	}
	if keys != nil {
		out["keys"] = keys
	}
	return c.data(out)
}

// versions are those that decrypt: of what has a public half with that, of an
// HMAC key none.
func versions(info named.Info, public func(version int) (string, error)) (map[string]any, error) {
	if info.Type == named.HMAC {
		return nil, nil
	}
	out := map[string]any{}
	for _, v := range info.Versions {
		if v.Version < info.MinDecryptionVersion {
			continue
		}
		n := strconv.Itoa(v.Version)
		if !info.Type.Signs() {
			out[n] = v.Created.Unix()
			continue
		}
		key := v.PublicKey
		if public != nil {
			var err error
			if key, err = public(v.Version); err != nil {
				return nil, err
			}
		}
		out[n] = map[string]any{"name": curveName(info.Type), "public_key": key, "creation_time": v.Created, "certificate_chain": ""}
	}
	return out, nil
}

// curveName is how Vault calls the kind of a public key.
func curveName(t named.Type) string {
	switch t {
	case named.ECDSAP256:
		return "P-256"
	case named.ECDSAP384:
		return "P-384"
	case named.ECDSAP521:
		return "P-521"
	}
	return string(t)
}
