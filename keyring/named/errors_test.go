package named_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// TestFinerKinds: who answers in words of its own tells the finer kinds apart, and
// nobody else need know of them.
func TestFinerKinds(t *testing.T) {
	h := open(t, nil)
	ctx := context.Background()
	h.create("aes", named.Spec{})
	h.create("derived", named.Spec{Derived: true})
	h.rsa()
	old := must(h.key("aes").Encrypt(named.Message{Plaintext: []byte("x")}))(t)
	must(h.Rotate(ctx, "aes"))(t)
	must(h.Configure(ctx, "aes", func(s *named.Settings) error {
		s.MinDecryptionVersion, s.MinEncryptionVersion = 2, 2
		return nil
	}))(t)

	all := []error{named.ErrMinEncryption, named.ErrMinDecryption, named.ErrContext, named.ErrText, named.ErrShort, named.ErrDigest}
	of := func(_ any, err error) error { return err }
	aes, derived, rsa := h.key("aes"), h.key("derived"), h.key("rsa")
	short := named.Input{Data: []byte("short"), Prehashed: true}
	for name, test := range map[string]struct{ err, fine, kind error }{
		"encrypt with an old version": {of(aes.Encrypt(named.Message{Version: 1})), named.ErrMinEncryption, named.ErrPolicy},
		"decrypt an old version":      {of(aes.Decrypt(named.Ciphertext{Text: old})), named.ErrMinDecryption, named.ErrPolicy},
		"encrypt without a context":   {of(derived.Encrypt(named.Message{})), named.ErrContext, named.ErrInput},
		"no prefix":                   {of(aes.Decrypt(named.Ciphertext{Text: "x"})), named.ErrText, named.ErrInput},
		"no version":                  {of(aes.Decrypt(named.Ciphertext{Text: "vault:v1"})), named.ErrText, named.ErrInput},
		"a version of letters":        {of(aes.Decrypt(named.Ciphertext{Text: "vault:vx:"})), named.ErrText, named.ErrInput},
		"no base64":                   {of(aes.Decrypt(named.Ciphertext{Text: "vault:v2:%"})), named.ErrText, named.ErrInput},
		"binary of no version":        {of(aes.Decrypt(named.Ciphertext{Binary: make([]byte, 40)})), named.ErrText, named.ErrInput},
		"a MAC of no base64":          {of(aes.VerifyMAC(named.Input{}, "vault:v2:%")), named.ErrText, named.ErrInput},
		"a short text":                {of(aes.Decrypt(named.Ciphertext{Text: "vault:v2:QUJD"})), named.ErrShort, named.ErrInput},
		"short in binary":             {of(aes.Decrypt(named.Ciphertext{Binary: []byte{0, 0}})), named.ErrShort, named.ErrInput},
		"sign no digest":              {of(rsa.Sign(short)), named.ErrDigest, named.ErrInput},
		"verify no digest":            {of(rsa.Verify(short, "vault:v1:")), named.ErrDigest, named.ErrInput},
	} {
		if !errors.Is(test.err, test.kind) {
			t.Errorf("%s: %v, want an %v", name, test.err, test.kind)
		}
		for _, fine := range all {
			if errors.Is(test.err, fine) != (fine == test.fine) {
				t.Errorf("%s: %v is another of the finer kinds", name, test.err)
			}
		}
	}
}
