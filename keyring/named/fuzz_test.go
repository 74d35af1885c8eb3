package named_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"os"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// Whatever the text, there is an error or what was encrypted, and no panic.
func FuzzCiphertext(f *testing.F) {
	h, keys := open(f, nil), map[string]*named.Key{}
	for name, spec := range map[string]named.Spec{"aes": {}, "derived": {Derived: true}, "ed": {Type: named.Ed25519}, "ec": {Type: named.ECDSAP256}} {
		h.create(name, spec)
		keys[name] = h.key(name)
	}
	good := must(keys["aes"].Encrypt(named.Message{Plaintext: []byte("p")}))(f)
	for _, text := range []string{good, "vault:v1:", "vault:v0:AAAA", "vault:v99999999999999999999:AAAA", "vault:v-1:AAAA", "vault:", "", good + "=", good[:20] + "\n" + good[20:]} {
		f.Add(text, []byte("c"))
	}
	f.Fuzz(func(t *testing.T, text string, context []byte) {
		if n, err := named.Version(text); err == nil && n < 1 {
			t.Errorf("version %d", n)
		}
		plaintext, err := keys["aes"].Decrypt(named.Ciphertext{Text: text})
		if err == nil && string(plaintext) != "p" {
			t.Errorf("decrypted %q", plaintext)
		}
		if b, err := named.Binary(text); err == nil {
			if back, err := named.Text(b); err != nil {
				t.Error(err)
			} else if again, err := named.Binary(back); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%q becomes %q", text, back)
			}
		}
		keys["aes"].Decrypt(named.Ciphertext{Binary: []byte(text)})
		keys["derived"].Decrypt(named.Ciphertext{Text: text, Context: context})
		for _, in := range []named.Input{{Data: context}, {Data: context, Marshaling: "jws"}} {
			for _, name := range []string{"ed", "ec"} {
				if ok, _ := keys[name].Verify(in, text); ok {
					t.Error("forged")
				}
			}
		}
		if ok, _ := keys["ed"].VerifyMAC(named.Input{Data: context}, text); ok {
			t.Error("forged")
		}
	})
}

// Whatever is unwrapped or imported, there is an error or a key, and no panic.
func FuzzImport(f *testing.F) {
	_, private, _ := ed25519.GenerateKey(bytes.NewReader(make([]byte, 32)))
	der := must(x509.MarshalPKCS8PrivateKey(private))(f)
	kek := bytes.Repeat([]byte{1}, 32)
	f.Add(must(named.KWPWrap(kek, der))(f))
	f.Add(der)
	f.Add(must(os.ReadFile("testdata/wrapping-key.der"))(f))
	f.Fuzz(func(t *testing.T, in []byte) {
		if key, err := named.KWPUnwrap(kek, in); err == nil {
			if again := must(named.KWPWrap(kek, key))(t); !bytes.Equal(again, in) {
				t.Error("two wrappings of one key")
			}
		}
		named.ParsePrivate(in)
	})
}

// Whatever the backup, there is an error or a key that can be stored.
func FuzzBackup(f *testing.F) {
	all := recording(f)
	for name, r := range recordedKeys(all) {
		if name != "k-rsa-4096" && name != "k-rsa-3072" {
			f.Add(unbase64(f, r.backup(f)))
		}
	}
	for _, e := range all {
		if text := e.answer("backup"); text != "" {
			f.Add(unbase64(f, text))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text, err := named.ParseBackup(base64.StdEncoding.EncodeToString(in))
		if err == nil && len(text) == 0 {
			t.Error("no document")
		}
	})
}

// Whatever was stored, there is an error or a document that stays what it is.
func FuzzDocument(f *testing.F) {
	text, rest := goldenDocument(f)
	f.Add(documentOf(text, rest))
	f.Fuzz(func(t *testing.T, in []byte) {
		if text, err := named.ParseDocument("golden", in); err == nil {
			again, err := named.ParseDocument("golden", text)
			if err != nil || !bytes.Equal(again, text) {
				t.Errorf("%s becomes %s, %v", text, again, err)
			}
		}
	})
}
