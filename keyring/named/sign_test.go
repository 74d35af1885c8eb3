package named_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// What is signed is verified by the standard library with the public key that the
// key shows, as others will do.
func TestSign(t *testing.T) {
	h := open(t, nil)
	data, digest := []byte("the quick brown fox"), sha256.Sum256([]byte("the quick brown fox"))
	for _, kind := range []named.Type{named.Ed25519, named.ECDSAP256, named.ECDSAP384, named.ECDSAP521, named.RSA2048} {
		id := string(kind)
		if kind == named.RSA2048 && testing.Short() {
			h.rsa()
			id = "rsa"
		} else {
			h.create(id, named.Spec{Type: kind})
		}
		key := h.key(id)
		for name, in := range map[string]named.Input{
			"default":     {Data: data},
			"jws":         {Data: data, Marshaling: "jws"},
			"pkcs1v15":    {Data: data, Scheme: "pkcs1v15"},
			"salt hash":   {Data: data, SaltLength: "hash"},
			"salt 20":     {Data: data, SaltLength: "20"},
			"sha2-512":    {Data: data, Hash: "sha2-512"},
			"sha3-256":    {Data: data, Hash: "sha3-256"},
			"prehashed":   {Data: digest[:], Prehashed: true},
			"no hash":     {Data: digest[:], Prehashed: true, Scheme: "pkcs1v15", Hash: "none"},
			"all of them": {Data: data, Marshaling: "jws", Scheme: "pkcs1v15", Hash: "sha2-384", SaltLength: "auto"},
		} {
			if in.Hash == "none" && (kind != named.RSA2048 || fips140.Enabled()) {
				_, err := key.Sign(in)
				if kind != named.Ed25519 && err == nil {
					t.Errorf("%s, %s: signed", kind, name)
				}
				continue
			}
			if kind == named.ECDSAP521 && testing.Short() && name != "default" && name != "jws" && name != "all of them" {
				continue // it is the slowest of its kind
			}
			sig, err := key.Sign(in)
			if err != nil || !strings.HasPrefix(sig.Text, "vault:v1:") || sig.PublicKey != "" {
				t.Errorf("%s, %s: %v, %v", kind, name, sig, err)
				continue
			}
			verify(t, key, in, sig.Text, true)
			if name == "default" || name == "jws" || strings.HasPrefix(name, "salt") {
				verifyOutside(t, key, in, sig.Text)
			}
			in.Data = append([]byte{in.Data[0] ^ 1}, in.Data[1:]...)
			verify(t, key, in, sig.Text, false)
		}
	}
}

// verifyOutside verifies without this package.
func verifyOutside(t *testing.T, key *named.Key, in named.Input, text string) {
	t.Helper()
	public := must(key.PublicKey(0, nil))(t)
	encoding := base64.StdEncoding
	if in.Marshaling == "jws" {
		encoding = base64.RawURLEncoding
	}
	raw := must(encoding.DecodeString(strings.TrimPrefix(text, "vault:v1:")))(t)
	digest := sha256.Sum256(in.Data)
	if key.Info().Type == named.Ed25519 {
		if !ed25519.Verify(unbase64(t, public), in.Data, raw) {
			t.Error("crypto/ed25519 refuses it")
		}
		return
	}
	block, _ := pem.Decode([]byte(public))
	switch public := must(x509.ParsePKIXPublicKey(block.Bytes))(t).(type) {
	case *ecdsa.PublicKey:
		ok := ecdsa.VerifyASN1(public, digest[:], raw)
		if in.Marshaling == "jws" {
			half := len(raw) / 2
			ok = half == (public.Params().BitSize+7)/8 && ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:]))
		}
		if !ok {
			t.Errorf("crypto/ecdsa refuses what %s signed", key.Info().Type)
		}
	case *rsa.PublicKey:
		salt := map[string]int{"hash": rsa.PSSSaltLengthEqualsHash, "20": 20}[in.SaltLength] // else any
		if err := rsa.VerifyPSS(public, crypto.SHA256, digest[:], raw, &rsa.PSSOptions{SaltLength: salt}); err != nil {
			t.Errorf("crypto/rsa, with salt length %q: %v", in.SaltLength, err)
		}
	}
}

func TestSignRefused(t *testing.T) {
	h := open(t, nil)
	h.rsa()
	for name, kind := range map[string]named.Type{"ec": named.ECDSAP256, "ed": named.Ed25519, "aes": named.AES256} {
		h.create(name, named.Spec{Type: kind})
	}
	must(h.Rotate(t.Context(), "ed"))(t)
	must(h.Configure(t.Context(), "ed", func(s *named.Settings) error { s.MinEncryptionVersion = 2; return nil }))(t)
	digest := sha512.Sum512(nil)
	for _, tc := range []struct {
		key   string
		in    named.Input
		kind  error
		words string
	}{
		{"aes", named.Input{}, named.ErrType, "aes256-gcm96 keys do not sign"},
		{"rsa", named.Input{Hash: "md5"}, named.ErrInput, "unknown hash algorithm"},
		{"rsa", named.Input{Scheme: "raw"}, named.ErrInput, "pss or pkcs1v15"},
		{"rsa", named.Input{Marshaling: "der"}, named.ErrInput, "asn1 or jws"},
		{"rsa", named.Input{Hash: "none"}, named.ErrInput, "prehashed input"},
		{"rsa", named.Input{SaltLength: "many"}, named.ErrInput, "unknown salt length"},
		{"rsa", named.Input{SaltLength: "-2"}, named.ErrInput, "unknown salt length"},
		{"rsa", named.Input{SaltLength: "223"}, named.ErrInput, "does not fit"},
		{"rsa", named.Input{Data: digest[:], Prehashed: true}, named.ErrInput, "64 bytes, and the hash algorithm has 32"},
		{"ec", named.Input{Prehashed: true}, named.ErrInput, "is empty"},
		{"ec", named.Input{Context: []byte("c")}, named.ErrInput, "not derived"},
		{"ed", named.Input{Version: 1}, named.ErrPolicy, "below min_encryption_version"},
		{"ed", named.Input{Version: 3}, named.ErrVersion, "1 to 2"},
		{"ed", named.Input{Data: make([]byte, named.MaxMessage+1)}, named.ErrLimit, "prehashed"},
	} {
		_, err := h.key(tc.key).Sign(tc.in)
		wantError(t, err, tc.kind, tc.words)
	}
	for text, tc := range map[string]struct {
		key   string
		kind  error
		words string
	}{
		"vault:v9:AAAA": {"ec", named.ErrVersion, "too new"},
		"vault:v1:AAAA": {"ec", named.ErrInput, "not in ASN.1"},
		"vault:v1:%%%%": {"ec", named.ErrInput, "not in base64"},
		"AAAA":          {"ec", named.ErrInput, "no prefix"},
	} {
		_, err := h.key(tc.key).Verify(named.Input{}, text)
		wantError(t, err, tc.kind, tc.words)
	}
	verify(t, h.key("ec"), named.Input{Marshaling: "jws"}, "vault:v1:AAAA", false)
	verify(t, h.key("ec"), named.Input{Marshaling: "jws"}, "vault:v1:"+strings.Repeat("A", 86), false)
	verify(t, h.key("rsa"), named.Input{}, "vault:v1:AAAA", false)
	verify(t, h.key("ed"), named.Input{}, "vault:v1:AAAA", false)
	_, err := h.key("aes").PublicKey(0, nil)
	wantError(t, err, named.ErrType, "no public half")
	_, err = h.key("ed").PublicKey(7, nil)
	wantError(t, err, named.ErrVersion, "1 to 2")
	if fips140.Enabled() {
		_, err := h.key("rsa").Sign(named.Input{Hash: "sha1"})
		wantError(t, err, named.ErrNotApproved, "choose sha2-256")
		_, err = h.key("rsa").MAC(named.Input{Hash: "sha1"})
		wantError(t, err, named.ErrNotApproved, "choose sha2-256")
		_, err = named.Hash("sha1", nil)
		wantError(t, err, named.ErrNotApproved, "choose sha2-256")
	}
}

func TestDerivedSignatures(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{Type: named.Ed25519, Derived: true})
	key := h.key("k")
	one := named.Input{Data: []byte("d"), Context: []byte("tenant 1")}
	sig := must(key.Sign(one))(t)
	if sig.PublicKey == "" || sig.PublicKey != must(key.PublicKey(0, one.Context))(t) || sig.PublicKey == must(key.PublicKey(0, []byte("tenant 2")))(t) {
		t.Errorf("the public keys of the contexts are wrong: %v", sig)
	}
	verify(t, key, one, sig.Text, true)
	verify(t, key, named.Input{Data: one.Data, Context: []byte("tenant 2")}, sig.Text, false)
	if key.Info().Versions[0].PublicKey != "" {
		t.Error("half of what everything is derived from is shown")
	}
	_, err := key.Sign(named.Input{})
	wantError(t, err, named.ErrInput, "context is missing")
}

func TestMAC(t *testing.T) {
	h := open(t, nil)
	h.create("hmac", named.Spec{Type: named.HMAC, KeySize: 64})
	h.create("aes", named.Spec{})
	for _, name := range []string{"hmac", "aes"} {
		must(h.Rotate(t.Context(), name))(t)
		key := h.key(name)
		for _, hash := range []string{"", "sha2-224", "sha2-256", "sha2-384", "sha2-512", "sha3-224", "sha3-256", "sha3-384", "sha3-512"} {
			in := named.Input{Data: []byte("d"), Hash: hash}
			mac := must(key.MAC(in))(t)
			if ok, err := key.VerifyMAC(in, mac); !ok || err != nil || !strings.HasPrefix(mac, "vault:v2:") {
				t.Errorf("%s, %s: %s is valid: %v, %v", name, hash, mac, ok, err)
			}
			if ok, err := key.VerifyMAC(named.Input{Data: []byte("e"), Hash: hash}, mac); ok || err != nil {
				t.Errorf("%s, %s: another input is valid: %v, %v", name, hash, ok, err)
			}
		}
	}
	key := h.key("hmac")
	_, err := key.MAC(named.Input{Hash: "none"})
	wantError(t, err, named.ErrInput, "unknown hash")
	_, err = key.VerifyMAC(named.Input{}, "vault:v3:AAAA")
	wantError(t, err, named.ErrVersion, "too new")
	_, err = key.VerifyMAC(named.Input{}, "AAAA")
	wantError(t, err, named.ErrInput, "the hmac has no prefix")
	_, err = key.MAC(named.Input{Data: make([]byte, named.MaxMessage+1)})
	wantError(t, err, named.ErrLimit, "more than")
	if key.Info().KeySize != 64 {
		t.Errorf("%+v", key.Info())
	}
}

func TestHashAndRandom(t *testing.T) {
	if sum := must(named.Hash("", []byte("abc")))(t); sum[0] != 0xba || len(sum) != 32 {
		t.Errorf("%x", sum)
	}
	_, err := named.Hash("md5", nil)
	wantError(t, err, named.ErrInput, "unknown hash")
	_, err = named.Hash("", make([]byte, named.MaxMessage+1))
	wantError(t, err, named.ErrLimit, "more than")
	if b := must(named.Random(named.MaxRandom))(t); len(b) != named.MaxRandom {
		t.Errorf("%d bytes", len(b))
	}
	_, err = named.Random(0)
	wantError(t, err, named.ErrInput, "below 1")
	_, err = named.Random(named.MaxRandom + 1)
	wantError(t, err, named.ErrLimit, "131072")
}
