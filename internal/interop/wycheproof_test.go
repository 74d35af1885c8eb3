package interop_test

import (
	"bytes"
	"compress/gzip"
	"crypto/mlkem"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
)

// A vector is one test of Wycheproof's: of AES-GCM, HKDF, ML-KEM or RSA-OAEP.
type vector struct {
	ID                int `json:"tcId"`
	Comment, Result   string
	Key, IV, AAD, Msg hexBytes
	CT, Tag           hexBytes
	IKM, Salt, Info   hexBytes
	Size              int
	OKM               hexBytes
	Seed, EK          hexBytes
	C                 hexBytes `json:"c"`
	K                 hexBytes `json:"K"`
	Label             hexBytes

	PrivateKey hexBytes `json:"-"` // of its group, as PKCS #8
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vectors returns the tests in a file of testdata/wycheproof.
func vectors(t *testing.T, file string) []vector {
	t.Helper()
	f, err := os.Open("testdata/wycheproof/" + file + ".json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		NumberOfTests int
		TestGroups    []struct {
			PrivateKeyPkcs8 hexBytes
			Tests           []vector
		}
	}
	if err := json.NewDecoder(text).Decode(&all); err != nil {
		t.Fatal(err)
	}
	var vs []vector
	for _, group := range all.TestGroups {
		for _, v := range group.Tests {
			v.PrivateKey = group.PrivateKeyPkcs8
			vs = append(vs, v)
		}
	}
	if len(vs) == 0 || len(vs) != all.NumberOfTests {
		t.Fatalf("%s has %d vectors, and says %d", file, len(vs), all.NumberOfTests)
	}
	return vs
}

// A tally counts what came of the vectors of a file.
type tally struct{ right, refused, other, wrong int }

// check adds a vector: ok if it gave what it says, err if it was refused.
func (c *tally) check(t *testing.T, v vector, ok bool, err error) {
	t.Helper()
	switch {
	case v.Result == "valid" && err == nil && ok:
		c.right++
	case v.Result == "invalid" && err != nil:
		c.refused++
	default:
		c.wrong++
		t.Errorf("%d (%s) is %s: right %v, error %v", v.ID, v.Comment, v.Result, ok, err)
	}
}

func (c *tally) log(t *testing.T, name string) {
	t.Helper()
	if c.right == 0 || c.refused == 0 {
		t.Errorf("%d right, %d refused", c.right, c.refused)
	}
	t.Logf("GUARANTEE 15 wycheproof-%s: right=%d refused=%d not-representable=%d wrong=%d", name, c.right, c.refused, c.other, c.wrong)
}

// TestWycheproofGCM opens every vector with a key of 256 bits and a nonce of 96,
// which is all that package aead can be given.
func TestWycheproofGCM(t *testing.T) {
	var c tally
	for _, v := range vectors(t, "aes_gcm_test") {
		a, err := aead.New(v.Key)
		if len(v.Key) != aead.KeySize {
			if !errors.Is(err, aead.ErrKeySize) {
				t.Errorf("%d: a key of %d bytes: %v", v.ID, len(v.Key), err)
			}
			c.other++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(v.IV) != 12 {
			c.other++ // no nonce of another length is ever written
			continue
		}
		sealed := append(append(append([]byte{}, v.IV...), v.CT...), v.Tag...)
		got, err := a.Open(nil, sealed, v.AAD)
		if err != nil && !errors.Is(err, aead.ErrCorrupt) {
			t.Errorf("%d: %v", v.ID, err)
		}
		c.check(t, v, bytes.Equal(got, v.Msg), err)
	}
	c.log(t, "gcm")
}

// TestWycheproofHKDF derives what every vector says. What is over the limits of
// RFC 5869, or of aead.Derive's salt, panics.
func TestWycheproofHKDF(t *testing.T) {
	var c tally
	for _, v := range vectors(t, "hkdf_sha256_test") {
		okm, err := derive(v)
		if len(v.Salt) > 64 {
			v.Result = "invalid" // here
		}
		c.check(t, v, bytes.Equal(okm, v.OKM), err)
	}
	c.log(t, "hkdf")
}

func derive(v vector) (okm []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panicked")
		}
	}()
	return aead.Derive(v.IKM, v.Salt, string(v.Info), v.Size), nil
}

// TestWycheproofMLKEM: the post-quantum half of a slot's key, from the seed to
// the secret that a ciphertext gives, and the checks of what a record could
// hold in place of either.
func TestWycheproofMLKEM(t *testing.T) {
	var c tally
	for _, v := range vectors(t, "mlkem_768_test") {
		key, err := mlkem.NewDecapsulationKey768(v.Seed)
		var secret []byte
		if err == nil {
			if len(v.EK) > 0 && !bytes.Equal(key.EncapsulationKey().Bytes(), v.EK) {
				t.Errorf("%d (%s): another public key", v.ID, v.Comment)
			}
			secret, err = key.Decapsulate(v.C)
		}
		c.check(t, v, bytes.Equal(secret, v.K), err)
	}
	for _, v := range vectors(t, "mlkem_768_keygen_seed_test") {
		key, err := mlkem.NewDecapsulationKey768(v.Seed)
		c.check(t, v, err == nil && bytes.Equal(key.EncapsulationKey().Bytes(), v.EK), err)
	}
	for _, v := range vectors(t, "mlkem_768_encaps_test") {
		_, err := mlkem.NewEncapsulationKey768(v.EK)
		c.check(t, v, true, err)
	}
	c.log(t, "ml-kem-768")
}

// TestWycheproofOAEP: RSA-OAEP with SHA-256 as Azure Key Vault wraps by it, and
// its fake unwraps.
func TestWycheproofOAEP(t *testing.T) {
	var c tally
	for _, file := range []string{"rsa_oaep_2048_sha256_mgf1sha256_test", "rsa_oaep_3072_sha256_mgf1sha256_test", "rsa_oaep_4096_sha256_mgf1sha256_test"} {
		for _, v := range vectors(t, file) {
			key, err := x509.ParsePKCS8PrivateKey(v.PrivateKey)
			if err != nil {
				t.Fatal(err)
			}
			got, err := rsa.DecryptOAEP(sha256.New(), nil, key.(*rsa.PrivateKey), v.CT, v.Label)
			c.check(t, v, bytes.Equal(got, v.Msg), err)
		}
	}
	c.log(t, "rsa-oaep-256")
}
