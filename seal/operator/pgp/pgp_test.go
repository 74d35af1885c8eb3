package pgp

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

const share = "sw1qxrr95h8xz3qvlcew3jcjfjuvxzlxl0zqqqqqqyqqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszq8mdul"

// today is when the tests are: a day that is over, after the fixtures of 2024.
var today = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	if fips140.Enforced() {
		_, _, err := Parse("")
		if !errors.Is(err, errors.ErrUnsupported) {
			panic("Parse in FIPS mode: " + err.Error())
		}
		os.Stdout.WriteString("skipped: OpenPGP needs algorithms that GODEBUG=fips140=only refuses\n")
		return
	}
	os.Exit(m.Run())
}

// RSAKey is the key of each who has one of RSA: to make one takes long.
var RSAKey = sync.OnceValues(func() (*openpgp.Entity, error) {
	return openpgp.NewEntity("Ada", "", "ada@example.com", &packet.Config{
		Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, DefaultCipher: packet.CipherAES256,
		Time: func() time.Time { return today.Add(-time.Hour) },
	})
})

// newKey returns a key made now, and its public part as the tools send it.
func newKey(t testing.TB, c packet.Config) (*openpgp.Entity, string) {
	t.Helper()
	if c.Algorithm == 0 {
		c.Algorithm = packet.PubKeyAlgoEdDSA
	}
	c.DefaultCipher = packet.CipherAES256
	if c.Time == nil {
		c.Time = func() time.Time { return today.Add(-time.Hour) }
	}
	made := RSAKey
	if c.Algorithm != packet.PubKeyAlgoRSA {
		made = func() (*openpgp.Entity, error) { return openpgp.NewEntity("Ada", "", "ada@example.com", &c) }
	}
	e, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return e, textOf(t, e)
}

func textOf(t testing.TB, e *openpgp.Entity) string {
	t.Helper()
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".asc"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// binaryMessage reads a message as a tool does, also in armor.
func binaryMessage(message []byte) io.Reader {
	if block, err := armor.Decode(bytes.NewReader(message)); err == nil {
		return block.Body
	}
	return bytes.NewReader(message)
}

// open decrypts a message with a key.
func open(t testing.TB, e *openpgp.Entity, message []byte) (string, *openpgp.MessageDetails) {
	t.Helper()
	config := policy(today)
	config.CacheSessionKey = true
	details, err := openpgp.ReadMessage(binaryMessage(message), openpgp.EntityList{e}, nil, config)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(details.UnverifiedBody)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), details
}

func TestEncrypt(t *testing.T) {
	for name, c := range map[string]packet.Config{
		"EdDSA and ECDH":      {},
		"RSA 2048":            {Algorithm: packet.PubKeyAlgoRSA},
		"ECDSA P-521":         {Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP521},
		"Ed448, version 6":    {Algorithm: packet.PubKeyAlgoEd448, V6Keys: true, AEADConfig: &packet.AEADConfig{}},
		"Ed25519, version 6":  {Algorithm: packet.PubKeyAlgoEd25519, V6Keys: true, AEADConfig: &packet.AEADConfig{}},
		"ML-KEM-768 + X25519": {Algorithm: packet.PubKeyAlgoMldsa65Ed25519, V6Keys: true, AEADConfig: &packet.AEADConfig{}},
	} {
		t.Run(name, func(t *testing.T) {
			e, text := newKey(t, c)
			r, err := parse(text, today)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fingerprintOf(r.entity), fingerprintOf(e); got != want || len(got) > 64 || strings.ToLower(got) != got {
				t.Errorf("fingerprint %q, want %q", got, want)
			}
			var before []byte
			for range 2 {
				message, err := r.Encrypt(t.Context(), share)
				if err != nil {
					t.Fatal(err)
				}
				got, details := open(t, e, message)
				if got != share || !details.IsEncrypted || details.IsSigned {
					t.Errorf("the message holds %q", got)
				}
				if len(details.SessionKey) != 32 {
					t.Errorf("a key of %d bytes, where the holder can read AES-256", len(details.SessionKey))
				}
				if bytes.Contains(message, []byte(share)[:8]) || bytes.Equal(message, before) {
					t.Error("the message shows the share, or is that of before")
				}
				before = message
			}
		})
	}
}

// TestTogether: a recipient serves several at once.
func TestTogether(t *testing.T) {
	e, text := newKey(t, packet.Config{})
	r, err := parse(text, today)
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan []byte)
	for range 8 {
		go func() {
			message, err := r.Encrypt(t.Context(), share)
			if err != nil {
				t.Error(err)
			}
			messages <- message
		}()
	}
	for range 8 {
		if got, _ := open(t, e, <-messages); got != share {
			t.Errorf("got %q", got)
		}
	}
}

// TestForms: one key in every form that the tools or curl send.
func TestForms(t *testing.T) {
	_, text := newKey(t, packet.Config{})
	b, _ := base64.StdEncoding.DecodeString(text)
	var armored strings.Builder
	w, err := armor.Encode(&armored, openpgp.PublicKeyType, map[string]string{"Comment": "hers"})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	want, err := parse(text, today)
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]string{
		"white space":       "\n " + text + "\r\n",
		"lines":             text[:64] + "\n" + text[64:128] + "\r\n" + text[128:],
		"armored":           armored.String(),
		"armored for DOS":   strings.ReplaceAll(armored.String(), "\n", "\r\n"),
		"armored, encoded":  base64.StdEncoding.EncodeToString([]byte(armored.String())),
		"a file of base 64": text + "\n",
	} {
		r, err := parse(form, today)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if fingerprintOf(r.entity) != fingerprintOf(want.entity) {
			t.Errorf("%s: another key", name)
		}
	}
}

func TestKeysOfGnuPG(t *testing.T) {
	for name, want := range map[string]struct {
		is   error
		says string
	}{
		"ed25519":        {},
		"rsa3072":        {},
		"rsa-single":     {},
		"nistp384":       {},
		"brainpool":      {},
		"expired":        {ErrExpired, "it expired on 2024-06-01"},
		"expired-subkey": {ErrExpired, "its subkey for encryption expired on 2024-06-01"},
		"future":         {ErrExpired, "made on 2099-01-01 00:00 UTC, which is still to come: look at the clocks"},
		"revoked":        {ErrRevoked, "revoked"},
		"revoked-subkey": {ErrNoEncryption, "add a subkey"},
		"sign-only":      {ErrNoEncryption, "add a subkey"},
		"sha1":           {ErrWeak, "SHA-1"},
		"rsa1024":        {ErrWeak, "RSA of 1024 bits"},
		"rsa1024-subkey": {ErrWeak, "RSA of 1024 bits"},
		"dsa":            {ErrWeak, "DSA"},
		"secp256k1":      {ErrWeak, "SecP256k1"},
		"two":            {ErrMalformed, "2 keys: export one alone"},
	} {
		r, err := parse(fixture(t, name), today)
		if !errors.Is(err, want.is) || want.is != nil && !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, want.is, want.says)
		}
		if err != nil {
			continue
		}
		if message, err := r.Encrypt(t.Context(), share); err != nil || len(message) < len(share) {
			t.Errorf("%s: %d bytes, %v", name, len(message), err)
		}
	}
}

func TestBadKeys(t *testing.T) {
	e, good := newKey(t, packet.Config{})
	var secret bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&secret, nil); err != nil {
		t.Fatal(err)
	}
	var armored strings.Builder
	w, _ := armor.Encode(&armored, openpgp.PrivateKeyType, nil)
	w.Write(secret.Bytes())
	w.Close()

	renamed, _ := newKey(t, packet.Config{})
	for _, i := range renamed.Identities {
		i.UserId.Id = "Eve"
	}
	many, _ := newKey(t, packet.Config{})
	for _, i := range many.Identities {
		for len(i.SelfCertifications) < maxSignatures {
			i.SelfCertifications = append(i.SelfCertifications, i.SelfCertifications[0])
		}
	}
	tooMany := textOf(t, many)
	for _, i := range many.Identities {
		i.SelfCertifications = i.SelfCertifications[1:]
	}
	if _, err := parse(textOf(t, many), today); err != nil {
		t.Errorf("%d signatures: %v", maxSignatures, err)
	}
	_, short := newKey(t, packet.Config{KeyLifetimeSecs: 1800})

	sent := regexp.MustCompile(`\b(?i:ada)\b`) // a whole word: three letters of a fingerprint may be the same
	for name, c := range map[string]struct {
		text, says string
		is         error
	}{
		"empty":         {"", "empty", ErrMalformed},
		"white space":   {" \n", "empty", ErrMalformed},
		"words":         {"-pgp-keys is a flag!", "neither base64 nor armored", ErrMalformed},
		"keybase":       {"keybase:ada", "neither base64 nor armored", ErrMalformed},
		"base64":        {"AAAA", "not a public key", ErrMalformed},
		"armor, cut":    {fixture(t, "ed25519")[:200], "not a public key", ErrMalformed},
		"a message":     {strings.ReplaceAll(fixture(t, "ed25519"), "PUBLIC KEY BLOCK", "MESSAGE"), "something else", ErrMalformed},
		"secret":        {base64.StdEncoding.EncodeToString(secret.Bytes()), "secret key", ErrMalformed},
		"secret, armor": {armored.String(), "secret key", ErrMalformed},
		"cut":           {good[:100], "not a public key", ErrMalformed},
		"another's":     {textOf(t, renamed), "not signed by itself", ErrMalformed},
		"long":          {strings.Repeat("A", maxText+1), "export-minimal", ErrTooLarge},
		"many":          {tooMany, "65 signatures by itself", ErrTooLarge},
		"huge RSA":      {withRSASubkey(t, 16384), "RSA of 16384 bits", ErrTooLarge},
		"weak RSA":      {withRSASubkey(t, 1024), "RSA of 1024 bits", ErrWeak},
		"expired":       {short, "it expired on 2026-06-01 11:30 UTC", ErrExpired},
	} {
		r, err := parse(c.text, today)
		if r != nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.is, c.says)
		}
		if sent.MatchString(err.Error()) {
			t.Errorf("%s: the error shows what was sent: %v", name, err)
		}
		if _, _, outer := Parse(c.text); outer == nil {
			t.Errorf("%s: Parse took it", name)
		}
	}
}

// withRSASubkey is a good key with a subkey for encryption alone, in the
// oldest way to say so, of any number for a modulus.
func withRSASubkey(t *testing.T, bits int) string {
	t.Helper()
	e, _ := newKey(t, packet.Config{})
	n := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(bits)), big.NewInt(1))
	pub := packet.NewRSAPublicKey(today.Add(-time.Hour), &rsa.PublicKey{N: n, E: 65537})
	pub.PubKeyAlgo, pub.IsSubkey = packet.PubKeyAlgoRSAEncryptOnly, true
	sig := &packet.Signature{
		Version: 4, SigType: packet.SigTypeSubkeyBinding, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256,
		CreationTime: today.Add(-time.Minute), IssuerKeyId: &e.PrimaryKey.KeyId,
		FlagsValid: true, FlagEncryptStorage: true, FlagEncryptCommunications: true,
	}
	if err := sig.SignKey(pub, e.PrivateKey, policy(today)); err != nil {
		t.Fatal(err)
	}
	e.Subkeys = []openpgp.Subkey{{Primary: e, PublicKey: pub, Bindings: []*packet.VerifiableSignature{packet.NewVerifiableSig(sig)}}}
	return textOf(t, e)
}

// TestExpiresMeanwhile: a key that was in force when an operation began serves
// it to the end.
func TestExpiresMeanwhile(t *testing.T) {
	e, text := newKey(t, packet.Config{KeyLifetimeSecs: 3700})
	r, err := parse(text, today)
	if err != nil {
		t.Fatal(err)
	}
	later := today.Add(time.Hour)
	if _, err := parse(text, later); !errors.Is(err, ErrExpired) {
		t.Fatalf("an hour later: %v", err)
	}
	message, err := r.Encrypt(t.Context(), share)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := open(t, e, message); got != share {
		t.Errorf("got %q", got)
	}
}
