package transitengine

import (
	"bytes"
	"errors"

	"github.com/sealwright/sealwright/keyring/named"
)

const noKey = "encryption key not found"

func encrypt(c *call) error {
	if batch := c.field("batch_input"); batch.kind != 0 {
		items, err := c.items(batch, "plaintext", "missing plaintext to encrypt")
		if err != nil {
			return err
		}
		k, err := c.keyOrNew(len(items[0].context.text) > 0)
		if err != nil {
			return err
		}
		return c.batch(items, "", func(b []byte, in *item) ([]byte, error) { return c.encryptOne(b, k, in) })
	}
	in, err := c.item(c.field)
	switch {
	case err != nil:
		return err
	case in.plaintext.kind == 0:
		return badRequest("missing plaintext to encrypt")
	}
	m, err := c.message(&in) // before a key is made for it
	if err != nil {
		return err
	}
	k, err := c.keyOrNew(len(in.context.text) > 0)
	if err != nil {
		return err
	}
	return c.end(encryptMessage(c.begin(), k, m))
}

// begin returns where a result is appended, with its brace.
func (c *call) begin() []byte {
	if c.result == nil {
		c.result = c.h.buffer()
	}
	return append((*c.result)[:0], '{')
}

// end answers with a result, which lacks its other brace.
func (c *call) end(b []byte, err error) error {
	if err != nil {
		return err
	}
	c.out = append(b, '}')
	if cap(c.out) > cap(*c.result) {
		clear((*c.result)[:cap(*c.result)])
	}
	*c.result = c.out
	return nil
}

// one answers with what f appends.
func (c *call) one(f func(b []byte) ([]byte, error)) error { return c.end(f(c.begin())) }

func (c *call) encryptOne(b []byte, k *named.Key, in *item) ([]byte, error) {
	m, err := c.message(in)
	if err != nil {
		return nil, err
	}
	return encryptMessage(b, k, m)
}

func encryptMessage(b []byte, k *named.Key, m named.Message) ([]byte, error) {
	b = append(b, `"ciphertext":"`...)
	from := len(b)
	b, err := k.AppendEncrypt(b, m)
	if err != nil {
		return nil, plainWords(err, k, "encrypt")
	}
	return appendVersion(append(b, '"'), from), nil
}

// appendVersion appends the version that a text names, which begins there.
func appendVersion(b []byte, from int) []byte {
	digits, _, _ := bytes.Cut(bytes.TrimPrefix(b[from:], []byte("vault:v")), []byte(":"))
	b = append(b, `,"key_version":`...)
	return append(b, digits...)
}

// key returns the key of the request.
func (c *call) key(absent string, texts ...string) (*named.Key, error) {
	k, err := c.h.Keys.Key(c.ctx, c.name, texts...)
	if err != nil {
		return nil, missing(stored{err}, absent)
	}
	return k, nil
}

// keyOrNew returns the key of the request, and makes it if it is not there and
// the host lets the sender make keys: derived, if a context was given.
func (c *call) keyOrNew(derived bool) (*named.Key, error) {
	kind := c.field("type")
	converges, err := c.field("convergent_encryption").bool("convergent_encryption")
	if err != nil {
		return nil, err
	}
	k, err := c.h.Keys.Key(c.ctx, c.name)
	if !errors.Is(err, named.ErrNotFound) {
		if err != nil {
			err = stored{err}
		}
		return k, err
	}
	if err := c.authorize(Create); err != nil {
		return nil, err
	}
	text, err := kind.string("type")
	if err != nil {
		return nil, err
	}
	spec := named.Spec{Type: named.Type(text), Derived: derived, Convergent: converges}
	switch {
	case converges && !derived:
		return nil, badRequest("convergent encryption requires derivation to be enabled, so context is required")
	case spec.Type == "" || spec.Type.TakesAAD():
	case isType(spec.Type):
		return nil, badRequest("key type %s not supported for this operation", spec.Type)
	default:
		return nil, errType()
	}
	_, err = c.h.Keys.Create(c.ctx, c.name, spec)
	if err != nil && !errors.Is(err, named.ErrExists) {
		return nil, err
	}
	if err == nil && c.h.OnEvent != nil {
		c.h.emit(c.r, Create, c.name, nil)
	}
	return c.key(noKey)
}

func decrypt(c *call) error {
	if batch := c.field("batch_input"); batch.kind != 0 {
		items, k, err := c.sealedBatch(batch)
		if err != nil {
			return err
		}
		return c.batch(items, `"plaintext":"",`, func(b []byte, in *item) ([]byte, error) { return c.decryptOne(b, k, in) })
	}
	in, k, err := c.sealedItem()
	if err != nil {
		return err
	}
	return c.end(c.decryptOne(c.begin(), k, in))
}

// sealedItem is the one ciphertext of a request, with its key.
func (c *call) sealedItem() (*item, *named.Key, error) {
	in, err := c.item(c.field)
	if err != nil {
		return nil, nil, err
	}
	text, err := c.sealedText(&in)
	if err != nil {
		return nil, nil, err
	}
	k, err := c.key(noKey, text.Text)
	return &in, k, err
}

// sealedBatch are the ciphertexts of a batch, with their key.
func (c *call) sealedBatch(batch value) ([]item, *named.Key, error) {
	items, err := c.items(batch, "ciphertext", "missing ciphertext to decrypt")
	if err != nil {
		return nil, nil, err
	}
	texts := make([]string, 0, len(items))
	for i := range items {
		texts = append(texts, string(items[i].ciphertext.text))
	}
	k, err := c.key(noKey, texts...)
	return items, k, err
}

func (c *call) decryptOne(b []byte, k *named.Key, in *item) ([]byte, error) {
	text, err := c.sealedText(in)
	if err != nil {
		return nil, err
	}
	plaintext, err := k.Decrypt(text)
	if err != nil {
		return nil, cipherWords(err, k, text.Text)
	}
	defer clear(plaintext)
	return appendBase64(append(b, `"plaintext":`...), plaintext), nil
}

func rewrap(c *call) error {
	if batch := c.field("batch_input"); batch.kind != 0 {
		items, k, err := c.sealedBatch(batch)
		if err != nil {
			return err
		}
		err = c.batch(items, "", func(b []byte, in *item) ([]byte, error) { return c.rewrapOne(b, k, in) })
		c.code = 0 // as Vault: each item says how it went
		return err
	}
	in, k, err := c.sealedItem()
	if err != nil {
		return err
	}
	return c.one(func(b []byte) ([]byte, error) { return c.rewrapOne(b, k, in) })
}

func (c *call) rewrapOne(b []byte, k *named.Key, in *item) ([]byte, error) {
	text, err := c.sealedText(in)
	if err != nil {
		return nil, err
	}
	out, err := k.Rewrap(text)
	if err != nil {
		return nil, cipherWords(err, k, text.Text)
	}
	b = append(b, `"ciphertext":"`...)
	from := len(b)
	return appendVersion(append(append(b, out...), '"'), from), nil
}

func plainDataKey(c *call) error { return c.newDataKey(true) }
func dataKey(c *call) error      { return c.newDataKey(false) }

func (c *call) newDataKey(show bool) error {
	in, err := c.item(c.field)
	if err != nil {
		return err
	}
	bits, err := c.field("bits").int("bits")
	if err != nil {
		return err
	}
	if bits != 0 && bits != 128 && bits != 256 && bits != 512 {
		return badRequest("invalid bit length")
	}
	in.plaintext = value{}
	m, err := c.message(&in)
	if err != nil {
		return err
	}
	k, err := c.key(noKey)
	if err != nil {
		return err
	}
	key, text, err := k.DataKey(bits, m)
	if err != nil {
		return plainWords(err, k, "encrypt")
	}
	defer clear(key)
	return c.one(func(b []byte) ([]byte, error) {
		b = append(b, `"ciphertext":"`...)
		from := len(b)
		b = appendVersion(append(append(b, text...), '"'), from)
		if show {
			b = appendBase64(append(b, `,"plaintext":`...), key)
		}
		return b, nil
	})
}
