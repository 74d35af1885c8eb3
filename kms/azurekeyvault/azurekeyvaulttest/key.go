package azurekeyvaulttest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// KeyOptions say what key [Server.Create] creates.
type KeyOptions struct {
	// VaultURL is the vault or Managed HSM: any name in a domain of Azure's, or
	// in vault.sealwright.example, a private cloud. "" means the constant of
	// that name. A key in a Managed HSM is AES-256, unless Bits is set.
	VaultURL string
	// Bits is the length of an RSA key. 0 means 2048.
	Bits int
	// RSA is a key to import, in place of a new one. It is of the first version.
	RSA *rsa.PrivateKey
	// Operations are its key_ops. nil means all that its kind can do.
	Operations []string
}

// A key is what a short name stands for.
type key struct {
	name       string
	host       string
	bits       int // of RSA; 0 means AES
	operations []string
	versions   []*version // the last is the newest
	purge      time.Time  // when the key is deleted for good, if it waits for that
}

// A version holds its secret, which is made when it is first used.
type version struct {
	id       string
	disabled bool
	expires  time.Time
	aes      []byte
	rsa      *rsa.PrivateKey
	known    map[string][]byte // what is in RSA ciphertexts: to remember it is a thousand times cheaper
}

func (k *key) rsa() bool { return k.bits != 0 }

func (k *key) kty() string {
	switch hsm := strings.Contains(k.host, ".managedhsm."); {
	case !k.rsa():
		return "oct-HSM"
	case hsm:
		return "RSA-HSM"
	}
	return "RSA"
}

// Create creates a key, in place of any other of the name. It panics on options
// that make no key.
func (s *Server) Create(name string, o KeyOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.create(name, o)
}

// create adds a key. The caller holds the lock.
func (s *Server) create(name string, o KeyOptions) *key {
	if o.VaultURL == "" {
		o.VaultURL = VaultURL
	}
	u, err := url.Parse(o.VaultURL)
	domain := ""
	if err == nil {
		domain, _ = cloudOf(u.Host)
	}
	if domain == "" {
		panic("azurekeyvaulttest: no vault can have the URL " + o.VaultURL)
	}
	if o.RSA != nil {
		o.Bits = o.RSA.N.BitLen()
	}
	if o.Bits == 0 && !strings.HasPrefix(domain, "managedhsm.") {
		o.Bits = 2048
	}
	if o.Operations == nil {
		o.Operations = []string{"wrapKey", "unwrapKey", "encrypt", "decrypt"}
	}
	k := &key{name: name, host: u.Host, bits: o.Bits, operations: o.Operations}
	s.keys[name] = k
	s.rotate(k)
	k.versions[0].rsa = o.RSA
	return k
}

// rotate adds a version. Its id is that of no version before it, and the same in
// every Server. The caller holds the lock.
func (s *Server) rotate(k *key) {
	s.made[k.name]++
	seed := fmt.Sprintf("azurekeyvaulttest/%s/%d", k.name, s.made[k.name])
	id, secret := sha256.Sum256([]byte(seed)), sha256.Sum256([]byte(seed+"/secret"))
	v := &version{id: hex.EncodeToString(id[:16])}
	if !k.rsa() {
		v.aes = secret[:]
	}
	k.versions = append(k.versions, v)
}

// admin changes a key, which must exist.
func (s *Server) admin(name string, do func(*key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[name]
	if k == nil {
		panic("azurekeyvaulttest: there is no key " + name)
	}
	do(k)
}

// each changes a version of a key, or with "" all of them.
func (s *Server) each(name, id string, do func(*version)) {
	s.admin(name, func(k *key) {
		for _, v := range k.versions {
			if id == "" || v.id == id {
				do(v)
			}
		}
	})
}

// Rotate adds a version to the key and makes it the newest.
func (s *Server) Rotate(name string) { s.admin(name, s.rotate) }

// Disable switches a version off, or with "" all of them. It then refuses to
// unwrap, and still wraps.
func (s *Server) Disable(name, id string) {
	s.each(name, id, func(v *version) { v.disabled = true })
}

// Enable switches a version on again, or all.
func (s *Server) Enable(name, id string) {
	s.each(name, id, func(v *version) { v.disabled = false })
}

// Expire sets when a version expires, or all. It then refuses to wrap, and still
// unwraps.
func (s *Server) Expire(name, id string, at time.Time) {
	s.each(name, id, func(v *version) { v.expires = at })
}

// ScheduleDeletion deletes the key, so that it is purged at a time. Until then
// [Server.Recover] brings it back. The Server does not purge it then: Destroy
// does.
func (s *Server) ScheduleDeletion(name string, at time.Time) {
	s.admin(name, func(k *key) { k.purge = at })
}

// Recover takes a deletion back.
func (s *Server) Recover(name string) {
	s.admin(name, func(k *key) { k.purge = time.Time{} })
}

// Destroy purges the key. The name is free again.
func (s *Server) Destroy(name string) {
	s.admin(name, func(*key) { delete(s.keys, name) })
}

// Recreate replaces the key with another of the same name and kind.
func (s *Server) Recreate(name string) {
	s.admin(name, func(k *key) {
		k.versions = nil
		s.rotate(k)
	})
}

// Versions returns the ids of the key's versions, the newest last.
func (s *Server) Versions(name string) []string {
	var ids []string
	s.each(name, "", func(v *version) { ids = append(ids, v.id) })
	return ids
}

// private returns the RSA key of a version. The caller holds the lock.
func (v *version) private(bits int) *rsa.PrivateKey {
	if v.rsa == nil {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(fmt.Sprintf("azurekeyvaulttest: a key of %d bits: %v", bits, err))
		}
		v.rsa = key
	}
	return v.rsa
}

// An operation is the body of a request and of its answer.
type operation struct {
	Algorithm string `json:"alg,omitempty"`
	KID       string `json:"kid,omitempty"`
	Value     octets `json:"value"`
	IV        octets `json:"iv,omitempty"`
	Tag       octets `json:"tag,omitempty"`
	AAD       octets `json:"aad,omitempty"`
}

// errParameter is what Azure answers to everything that it cannot compute.
var errParameter = errors.New("The parameter is incorrect.")

// wrap computes WrapKey and Encrypt. The caller holds the lock.
func (k *key) wrap(v *version, in operation) (out operation, err error) {
	out = in
	switch {
	case in.Algorithm == "RSA-OAEP-256" && k.rsa():
		out.Value, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &v.private(k.bits).PublicKey, in.Value, nil)
		v.know(out.Value, in.Value)
	case in.Algorithm == "A256KW" && !k.rsa() && len(in.Value) >= 16 && len(in.Value)%8 == 0:
		out.Value = keyWrap(v.block(), in.Value)
	case in.Algorithm == "A256GCM" && !k.rsa() && in.IV == nil:
		all := v.gcm().Seal(nil, nil, in.Value, in.AAD)
		n := len(all) - 16
		out.IV, out.Value, out.Tag = all[:12], all[12:n], all[n:]
	default:
		err = errParameter
	}
	return out, err
}

// unwrap computes UnwrapKey and Decrypt. The caller holds the lock.
func (k *key) unwrap(v *version, in operation) (out operation, err error) {
	switch {
	case in.Algorithm == "RSA-OAEP-256" && k.rsa():
		out.Value, err = v.decrypt(k.bits, in.Value)
	case in.Algorithm == "A256KW" && !k.rsa() && len(in.Value) >= 24 && len(in.Value)%8 == 0:
		out.Value, err = keyUnwrap(v.block(), in.Value)
	case in.Algorithm == "A256GCM" && !k.rsa() && len(in.IV) == 12 && len(in.Tag) == 16:
		all := append(append(append([]byte(nil), in.IV...), in.Value...), in.Tag...)
		out.Value, err = v.gcm().Open(nil, nil, all, in.AAD)
	default:
		err = errParameter
	}
	return out, err
}

// decrypt opens an RSA ciphertext, if it is not known. The caller holds the lock.
func (v *version) decrypt(bits int, ciphertext []byte) ([]byte, error) {
	if plaintext, ok := v.known[string(ciphertext)]; ok {
		return bytes.Clone(plaintext), nil
	}
	plaintext, err := rsa.DecryptOAEP(sha256.New(), nil, v.private(bits), ciphertext, nil)
	v.know(ciphertext, plaintext)
	return plaintext, err
}

// know remembers what an RSA ciphertext holds; nil is not one. The caller holds
// the lock.
func (v *version) know(ciphertext, plaintext []byte) {
	if ciphertext == nil || plaintext == nil {
		return
	}
	if v.known == nil {
		v.known = make(map[string][]byte)
	}
	v.known[string(ciphertext)] = bytes.Clone(plaintext)
}

func (v *version) block() cipher.Block {
	b, err := aes.NewCipher(v.aes)
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	return b
}

func (v *version) gcm() cipher.AEAD {
	a, err := cipher.NewGCMWithRandomNonce(v.block())
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return a
}

const keyWrapIV = 0xa6a6a6a6a6a6a6a6

// keyWrap is RFC 3394, section 2.2.1.
func keyWrap(b cipher.Block, key []byte) []byte {
	out := binary.BigEndian.AppendUint64(nil, keyWrapIV)
	out = append(out, key...)
	buf := make([]byte, 16)
	n := len(key) / 8
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(buf, out[:8])
			copy(buf[8:], out[8*i:])
			b.Encrypt(buf, buf)
			binary.BigEndian.PutUint64(out, binary.BigEndian.Uint64(buf)^uint64(n*j+i))
			copy(out[8*i:], buf[8:])
		}
	}
	return out
}

// keyUnwrap is RFC 3394, section 2.2.2.
func keyUnwrap(b cipher.Block, in []byte) ([]byte, error) {
	out := append([]byte(nil), in...)
	buf := make([]byte, 16)
	n := len(in)/8 - 1
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(buf, binary.BigEndian.Uint64(out)^uint64(n*j+i))
			copy(buf[8:], out[8*i:8*i+8])
			b.Decrypt(buf, buf)
			copy(out, buf[:8])
			copy(out[8*i:], buf[8:])
		}
	}
	if binary.BigEndian.Uint64(out) != keyWrapIV {
		return nil, errParameter
	}
	return out[8:], nil
}
