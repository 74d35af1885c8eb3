package transitengine

import "github.com/sealwright/sealwright/keyring/named"

// wrappingKey answers with the public key that keys to import are wrapped for.
func wrappingKey(c *call) error {
	text, err := c.h.Keys.WrappingKey(c.ctx)
	if err != nil {
		return stored{err}
	}
	return c.data(map[string]any{"public_key": text})
}

// importKey makes a key of one that came from elsewhere, wrapped for this server.
func importKey(c *call) error {
	spec, err := c.spec()
	if err != nil {
		return err
	}
	if spec.AllowRotation, err = c.field("allow_rotation").bool("allow_rotation"); err != nil {
		return err
	}
	m, err := c.material()
	if err != nil {
		return err
	}
	_, err = c.h.Keys.Import(c.ctx, c.name, spec, m)
	return err
}

// importVersion adds a version to a key that was imported.
func importVersion(c *call) error {
	version, err := c.field("version").int("version")
	if err != nil {
		return err
	}
	m, err := c.material()
	if err != nil {
		return err
	}
	_, err = c.h.Keys.ImportVersion(c.ctx, c.name, version, m)
	return missing(err, "no key found with name "+c.name+"; to import a new key, use the import/ endpoint")
}

// material is what a request brings along.
func (c *call) material() (m named.Material, err error) {
	if m.Hash, err = c.field("hash_function").string("hash_function"); err != nil {
		return m, err
	}
	if m.PublicKey, err = c.field("public_key").string("public_key"); err != nil {
		return m, err
	}
	got, err := c.decode(c.field("ciphertext"))
	m.Wrapped = got[0]
	switch {
	case err != nil:
		return m, badRequest("failed to base64-decode ciphertext")
	case len(m.Wrapped) == 0 && m.PublicKey == "":
		return m, badRequest("either ciphertext or public_key must be provided")
	}
	return m, nil
}
