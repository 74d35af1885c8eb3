package named_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/keyring/named"
)

// RSA keys of 2048 bits, for all tests: those of the recording, since they take long to make.
var (
	rsaKey      = sync.OnceValues(func() (*rsa.PrivateKey, error) { return recordedRSA("1") })
	otherRSAKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return recordedRSA("2") })
)

// imports returns keys that have a wrapping key already.
func imports(t *testing.T) (*house, string) {
	h := open(t, nil)
	if err := h.putWrappingKey(); err != nil {
		t.Fatal(err)
	}
	return h, must(h.WrappingKey(t.Context()))(t)
}

func pkcs8(t *testing.T, key any) []byte { return must(x509.MarshalPKCS8PrivateKey(key))(t) }

func publicPEM(t *testing.T, key crypto.Signer) string {
	der := must(x509.MarshalPKIXPublicKey(key.Public()))(t)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// A key of every type comes in wrapped, and does what it did where it comes from.
func TestImport(t *testing.T) {
	h, to := imports(t)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	ec := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	rs := must(rsaKey())(t)
	for kind, raw := range map[named.Type][]byte{
		named.AES128: bytes.Repeat([]byte{1}, 16), named.AES256: bytes.Repeat([]byte{2}, 32), named.HMAC: bytes.Repeat([]byte{3}, 33),
		named.Ed25519: pkcs8(t, ed), named.ECDSAP384: pkcs8(t, ec), named.RSA2048: pkcs8(t, rs),
	} {
		wrapped := must(named.WrapKey(to, raw))(t)
		info, err := h.Import(t.Context(), string(kind), named.Spec{Type: kind, Settings: named.Settings{Exportable: true}}, named.Material{Wrapped: wrapped})
		if err != nil || !info.Imported || info.Latest != 1 {
			t.Fatalf("%s: %+v, %v", kind, info, err)
		}
		key := h.key(string(kind))
		switch {
		case kind == named.HMAC:
			if out := must(h.Export(t.Context(), string(kind), named.MACKey, 0))(t); out[0].Key.Reveal() != base64.StdEncoding.EncodeToString(raw) || info.KeySize != 33 {
				t.Errorf("%s: another key came in", kind)
			}
		case kind.Signs():
			sig := must(key.Sign(named.Input{Data: []byte("d")}))(t)
			verify(t, key, named.Input{Data: []byte("d")}, sig.Text, true)
		default:
			if out := must(h.Export(t.Context(), string(kind), named.EncryptionKey, 0))(t); out[0].Key.Reveal() != base64.StdEncoding.EncodeToString(raw) {
				t.Errorf("%s: another key came in", kind)
			}
		}
		if testing.Short() && kind != named.AES256 && kind != named.Ed25519 {
			continue // each version is an operation with a private half of 4096 bits
		}
		// It is not rotated here unless it may be, and then takes no more versions.
		_, err = h.Rotate(t.Context(), string(kind))
		wantError(t, err, named.ErrPolicy, "allow_rotation is not set")
		must(h.ImportVersion(t.Context(), string(kind), 0, named.Material{Wrapped: wrapped}))(t)
		must(h.Configure(t.Context(), string(kind), func(s *named.Settings) error { s.AllowRotation = true; return nil }))(t)
		if info := must(h.Rotate(t.Context(), string(kind)))(t); info.Imported || info.Latest != 3 {
			t.Errorf("%s: %+v", kind, info)
		}
		_, err = h.ImportVersion(t.Context(), string(kind), 0, named.Material{Wrapped: wrapped})
		wantError(t, err, named.ErrPolicy, "was rotated here since")
	}
}

// A public key verifies and encrypts; its private half may come later.
func TestImportPublic(t *testing.T) {
	h, to := imports(t)
	rs, other := must(rsaKey())(t), must(otherRSAKey())(t)
	info := must(h.Import(t.Context(), "k", named.Spec{Type: named.RSA2048}, named.Material{PublicKey: publicPEM(t, rs)}))(t)
	if !info.Versions[0].PublicOnly || info.Versions[0].PublicKey != publicPEM(t, rs) {
		t.Errorf("%+v", info.Versions)
	}
	text := must(h.key("k").Encrypt(named.Message{Plaintext: []byte("p")}))(t)
	_, err := h.key("k").Decrypt(named.Ciphertext{Text: text})
	wantError(t, err, named.ErrPolicy, "only encrypts")
	_, err = h.key("k").Sign(named.Input{})
	wantError(t, err, named.ErrPolicy, "only verifies")
	_, err = h.ImportVersion(t.Context(), "k", 1, named.Material{Wrapped: must(named.WrapKey(to, pkcs8(t, other)))(t)})
	wantError(t, err, named.ErrInput, "not the private half")
	private := named.Material{Wrapped: must(named.WrapKey(to, pkcs8(t, rs)))(t)}
	if info := must(h.ImportVersion(t.Context(), "k", 0, private))(t); info.Latest != 1 || info.Versions[0].PublicOnly {
		t.Errorf("%+v", info)
	}
	if got, err := h.key("k").Decrypt(named.Ciphertext{Text: text}); string(got) != "p" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_, err = h.ImportVersion(t.Context(), "k", 1, private)
	wantError(t, err, named.ErrExists, "has its private half")
	_, err = h.ImportVersion(t.Context(), "k", 2, private)
	wantError(t, err, named.ErrVersion, "1 to 1")
}

func TestImportRefused(t *testing.T) {
	h, to := imports(t)
	good := must(named.WrapKey(to, make([]byte, 32)))(t)
	cut, bent := good[:600], bytes.Clone(good)
	bent[len(bent)-1] ^= 1
	outer := bytes.Clone(good)
	outer[0] ^= 1
	h.create("there", named.Spec{})
	for _, tc := range []struct {
		name  string
		spec  named.Spec
		m     named.Material
		kind  error
		words string
	}{
		{"there", named.Spec{}, named.Material{Wrapped: good}, named.ErrExists, "exists already"},
		{"k", named.Spec{}, named.Material{}, named.ErrInput, "one of the two"},
		{"k", named.Spec{}, named.Material{Wrapped: good, PublicKey: "p"}, named.ErrInput, "one of the two"},
		{"k", named.Spec{}, named.Material{Wrapped: good[:512]}, named.ErrInput, "want 512 and then"},
		{"k", named.Spec{}, named.Material{Wrapped: cut[:len(cut)-1]}, named.ErrCorrupt, "does not unwrap"},
		{"k", named.Spec{}, named.Material{Wrapped: bent}, named.ErrCorrupt, "does not unwrap"},
		{"k", named.Spec{}, named.Material{Wrapped: outer}, named.ErrCorrupt, "RSA-OAEP with SHA-256"},
		{"k", named.Spec{}, named.Material{Wrapped: good, Hash: "SHA512"}, named.ErrCorrupt, "RSA-OAEP with SHA-512"},
		{"k", named.Spec{}, named.Material{Wrapped: good, Hash: "MD5"}, named.ErrInput, "unknown hash function"},
		{"k", named.Spec{Type: named.AES128}, named.Material{Wrapped: good}, named.ErrInput, "not of type aes128-gcm96"},
		{"k", named.Spec{Type: named.RSA2048}, named.Material{Wrapped: good}, named.ErrInput, "PKCS #8"},
		{"k", named.Spec{Derived: true, Convergent: true}, named.Material{Wrapped: good}, named.ErrType, "convergent"},
		{"k", named.Spec{}, named.Material{PublicKey: to}, named.ErrType, "no public half"},
		{"k", named.Spec{Type: named.RSA2048}, named.Material{PublicKey: to}, named.ErrInput, "not of type rsa-2048"},
		{"k", named.Spec{Type: named.RSA2048}, named.Material{PublicKey: "hello"}, named.ErrInput, "not in PEM"},
		{"k", named.Spec{Type: named.Ed25519, Derived: true}, named.Material{PublicKey: to}, named.ErrType, "needs its private half"},
	} {
		if fips140.Enabled() && tc.spec.Convergent {
			continue
		}
		if bytes.Equal(tc.m.Wrapped, cut[:len(cut)-1]) && len(good) < 600 {
			tc.m.Wrapped, tc.kind, tc.words = good[:len(good)-1], named.ErrInput, "in eights"
		}
		_, err := h.Import(t.Context(), tc.name, tc.spec, tc.m)
		wantError(t, err, tc.kind, tc.words)
	}
	_, err := h.ImportVersion(t.Context(), "there", 0, named.Material{Wrapped: good})
	wantError(t, err, named.ErrPolicy, "was not imported")
	_, err = h.ImportVersion(t.Context(), "nowhere", 0, named.Material{Wrapped: good})
	wantError(t, err, named.ErrNotFound, "no such key")
	for words, args := range map[string]struct {
		to  string
		key []byte
	}{"not in PEM": {"x", []byte("k")}, "4096 bits": {publicPEM(t, must(rsaKey())(t)), []byte("k")}, "0 bytes": {to, nil}} {
		_, err := named.WrapKey(args.to, args.key)
		wantError(t, err, named.ErrInput, words)
	}
	if fips140.Enabled() {
		_, err := h.Import(t.Context(), "k", named.Spec{}, named.Material{Wrapped: good, Hash: "sha1"})
		wantError(t, err, named.ErrNotApproved, "choose SHA256")
	}
}

// RSA keys that OpenSSL marks for PSS alone come in too.
func TestImportPSSKey(t *testing.T) {
	key := must(rsaKey())(t)
	der := must(asn1.Marshal(struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}}, x509.MarshalPKCS1PrivateKey(key)}))(t)
	h, to := imports(t)
	must(h.Import(t.Context(), "k", named.Spec{Type: named.RSA2048}, named.Material{Wrapped: must(named.WrapKey(to, der))(t)}))(t)
	if public := must(h.key("k").PublicKey(0, nil))(t); public != publicPEM(t, key) {
		t.Error("another key came in")
	}
}

// The wrapping key is made once, is the same for all replicas, and is no key that
// callers can name.
func TestWrappingKey(t *testing.T) {
	testlevel.NeedsWhole(t, "makes an RSA key of 4096 bits")
	h := open(t, nil)
	other := open(t, func(c *named.Config) { c.Keyring, c.Store = h.ring.Keyring, h.store })
	one, two := must(h.WrappingKey(t.Context()))(t), must(other.WrappingKey(t.Context()))(t)
	if one != two || !strings.HasPrefix(one, "-----BEGIN PUBLIC KEY-----") {
		t.Errorf("two wrapping keys:\n%s%s", one, two)
	}
	if _, err := h.Key(t.Context(), named.WrappingKeyName); err == nil {
		t.Error("it is a key that callers can name")
	}
}
