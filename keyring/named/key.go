package named

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"unsafe"
)

// A Key is a named key as it was when [Keys.Key] returned it. Its methods do no
// I/O and are safe for concurrent use. Once the keyring is sealed they return
// [keyring.ErrSealed], also after the next unseal: ask for another Key.
type Key struct {
	cfg   *Config
	state *state
}

// Info describes the key.
func (k *Key) Info() Info { return k.state.doc.info() }

// Format writes the key's name, whatever the verb.
func (k *Key) Format(f fmt.State, _ rune) { io.WriteString(f, "named.Key("+k.state.doc.Name+")") }

// A Message is what a key encrypts.
type Message struct {
	Plaintext []byte // at most MaxMessage bytes; of RSA what OAEP takes
	AAD       []byte // associated data: bound to the ciphertext, and not in it
	Context   []byte // of a derived key, required there
	Nonce     []byte // of convergent version 1, required there and forbidden elsewhere
	Version   int    // of the key; zero is the latest
}

// A Ciphertext is what a key decrypts or rewraps.
type Ciphertext struct {
	Text    string // as Encrypt returned it
	Binary  []byte // or as EncryptBinary did
	AAD     []byte // as it was given to Encrypt; so are the next two
	Context []byte
	Nonce   []byte
	Version int // of the key, to rewrap under; zero is the latest
}

// Encrypt returns the ciphertext, which begins with "vault:v" and the version,
// and is what Vault's transit engine makes with the same key. See [Key.AppendEncrypt].
func (k *Key) Encrypt(m Message) (string, error) {
	text, err := k.AppendEncrypt(nil, m)
	return unsafe.String(unsafe.SliceData(text), len(text)), err // nobody else has it
}

// AppendEncrypt appends the ciphertext to dst, which must not overlap what is in
// the message, and allocates nothing if there is room.
//
// The errors are [keyring.ErrSealed], [ErrType], [ErrVersion], [ErrPolicy],
// [ErrInput], [ErrLimit], [ErrExhausted], [ErrNotApproved] and [ErrConfig].
func (k *Key) AppendEncrypt(dst []byte, m Message) ([]byte, error) {
	if err := k.state.enter(); err != nil {
		return nil, k.fail("encrypt", err)
	}
	defer k.state.leave()
	out, err := k.encrypt(dst, &m, asText)
	if err != nil {
		return nil, k.fail("encrypt", err)
	}
	return out, nil
}

// EncryptBinary is [Key.AppendEncrypt] for a column of bytes: the version in four
// bytes, and what is in base64 otherwise, which costs more than to encrypt what is
// long. [Text] makes the one of the other.
func (k *Key) EncryptBinary(dst []byte, m Message) ([]byte, error) {
	if err := k.state.enter(); err != nil {
		return nil, k.fail("encrypt", err)
	}
	defer k.state.leave()
	out, err := k.encrypt(dst, &m, asBinary)
	if err != nil {
		return nil, k.fail("encrypt", err)
	}
	return out, nil
}

func (k *Key) fail(op string, err error) error { return wrap(op, k.state.doc.Name, err) }

// spentLimit is how many messages one process encrypts under one version with
// random nonces of 96 bits: NIST SP 800-38D, section 8.3.
const spentLimit = 1 << 32

func (k *Key) encrypt(dst []byte, m *Message, f form) ([]byte, error) {
	d := k.state.doc
	v, err := k.state.active(m.Version)
	if err != nil {
		return nil, err
	}
	if len(m.Plaintext) > MaxMessage || len(m.AAD) > MaxMessage {
		return nil, because(ErrLimit, "more than %d bytes: split it, or encrypt it under a data key", MaxMessage)
	}
	if len(m.Context)+len(m.Nonce) > 0 {
		if err := d.checkContext(m.Context, m.Nonce); err != nil {
			return nil, err
		}
	}
	switch {
	case d.Type.rsaBits() > 0:
		return d.encryptRSA(dst, v, m, f)
	case !d.Type.symmetric():
		return nil, because(ErrType, "%s keys do not encrypt", d.Type)
	case d.Convergent:
		return k.cfg.converge(dst, d, v, m, f)
	case d.Derived:
		key, err := d.derive(v, m.Context, d.Type.aeadKeySize())
		if err != nil {
			return nil, err
		}
		defer clear(key)
		b, err := k.cfg.newCipher(d.Type, key)
		if err != nil {
			return nil, err
		}
		defer b.wipe()
		return b.append(dst, v, m, f), nil
	}
	b, err := v.box(k.cfg, d.Type)
	if err != nil {
		return nil, err
	}
	if d.Type != XChaCha20Poly1305 && v.spent.Add(1) > spentLimit {
		return nil, ErrExhausted
	}
	return b.append(dst, v, m, f), nil
}

func (b *cipherBox) append(dst []byte, v *version, m *Message, f form) []byte {
	n := len(m.Plaintext) + b.overhead()
	out, body, sealed := v.room(dst, n, f)
	b.seal(sealed, m.Plaintext, m.AAD)
	encode(body, n)
	return out
}

func (d *document) encryptRSA(dst []byte, v *version, m *Message, f form) ([]byte, error) {
	if len(m.AAD) > 0 {
		return nil, because(ErrType, "%s keys take no associated data", d.Type)
	}
	p, err := v.keys(d.Type)
	if err != nil {
		return nil, err
	}
	public := p.public.(*rsa.PublicKey)
	if most := public.Size() - 2*sha256.Size - 2; len(m.Plaintext) > most {
		return nil, because(ErrLimit, "%s keys encrypt %d bytes at most: encrypt a data key with it", d.Type, most)
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, m.Plaintext, nil)
	if err != nil {
		return nil, because(ErrInput, "RSA-OAEP refuses the key")
	}
	out, body, into := v.room(dst, len(sealed), f)
	copy(into, sealed)
	encode(body, len(sealed))
	return out, nil
}

// Decrypt returns the plaintext, which the caller owns.
//
// The errors are [ErrCorrupt] and those of [Key.AppendEncrypt]. [ErrVersion] may
// also mean that the Key is older than the ciphertext: hand the text to [Keys.Key].
func (k *Key) Decrypt(c Ciphertext) ([]byte, error) {
	if err := k.state.enter(); err != nil {
		return nil, k.fail("decrypt", err)
	}
	defer k.state.leave()
	plaintext, err := k.decrypt(&c)
	if err != nil {
		return nil, k.fail("decrypt", err)
	}
	return plaintext, nil
}

func (k *Key) decrypt(c *Ciphertext) ([]byte, error) {
	d := k.state.doc
	if !d.Type.Encrypts() {
		return nil, because(ErrType, "%s keys do not decrypt", d.Type)
	}
	n, sealed, err := c.split()
	if err != nil {
		return nil, err
	}
	v, err := k.state.passive(n)
	if err != nil {
		return nil, err
	}
	if len(c.Context)+len(c.Nonce) > 0 {
		if err := d.checkContext(c.Context, c.Nonce); err != nil {
			return nil, err
		}
	}
	if d.Type.rsaBits() > 0 {
		return d.decryptRSA(v, c, sealed)
	}
	b, err := k.opener(v, c)
	if err != nil {
		return nil, err
	}
	if d.Derived {
		defer b.wipe()
	}
	if v.Convergent == 1 {
		if len(c.Nonce) != b.nonce {
			return nil, because(ErrInput, "the nonce has %d bytes, want the %d it was encrypted with", len(c.Nonce), b.nonce)
		}
		sealed = append(append(make([]byte, 0, len(c.Nonce)+len(sealed)), c.Nonce...), sealed...)
	}
	return b.open(sealed, c.AAD)
}

// split returns the version, and what is encrypted in memory of its own.
func (c *Ciphertext) split() (version int, sealed []byte, err error) {
	if c.Binary == nil {
		return decodeText("ciphertext", c.Text, base64.StdEncoding)
	}
	if c.Text != "" {
		return 0, nil, because(ErrInput, "a ciphertext is text or binary, not both")
	}
	version, sealed, err = splitBinary(c.Binary)
	return version, bytes.Clone(sealed), err
}

// opener returns the cipher of a version, or of a derived key that of the context.
func (k *Key) opener(v *version, c *Ciphertext) (*cipherBox, error) {
	d := k.state.doc
	if !d.Derived {
		return v.box(k.cfg, d.Type)
	}
	key, err := d.derive(v, c.Context, d.Type.aeadKeySize())
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return k.cfg.newCipher(d.Type, key)
}

func (d *document) decryptRSA(v *version, c *Ciphertext, sealed []byte) ([]byte, error) {
	if len(c.AAD) > 0 {
		return nil, because(ErrType, "%s keys take no associated data", d.Type)
	}
	p, err := v.keys(d.Type)
	if err != nil {
		return nil, err
	}
	if p.private == nil {
		return nil, because(ErrPolicy, "version %d has no private half here: it only encrypts", v.n)
	}
	plaintext, err := rsa.DecryptOAEP(sha256.New(), nil, p.private.(*rsa.PrivateKey), sealed, nil)
	if err != nil {
		return nil, ErrCorrupt
	}
	return plaintext, nil
}

// active returns the version to encrypt or sign with; zero is the latest.
func (s *state) active(n int) (*version, error) {
	d := s.doc
	switch {
	case n == 0:
		n = d.latest()
	case n < 0:
		return nil, because(ErrInput, "the version is negative")
	case n < d.MinEncryption:
		return nil, because(ErrMinEncryption, "version %d is below min_encryption_version, %d", n, d.MinEncryption)
	}
	if v := s.version(n); v != nil {
		return v, nil
	}
	return nil, because(ErrVersion, "version %d: the key has %d to %d", n, d.first(), d.latest())
}

// passive returns the version to decrypt or verify with.
func (s *state) passive(n int) (*version, error) {
	d := s.doc
	if n < d.MinDecryption {
		return nil, because(ErrMinDecryption, "version %d is below min_decryption_version, %d", n, d.MinDecryption)
	}
	if v := s.version(n); v != nil {
		return v, nil
	}
	return nil, because(ErrVersion, "version %d is too new: the latest is %d", n, d.latest())
}
