package awskms_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
)

// FuzzUnwrap gives a Wrapper blobs from anywhere, before a KMS that answers.
func FuzzUnwrap(f *testing.F) {
	s := start(f)
	w := open(f, with(s, s.CreateKey()))
	good := wrap(f, w)
	if _, err := w.Unwrap(f.Context(), good, home); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Type, good.KeyID, good.Version, good.Ciphertext)
	f.Add(good.Type, good.KeyID, "", good.Ciphertext)
	f.Add(good.Type, strings.Replace(good.KeyID, ":key/", ":alias/", 1), good.Version, good.Ciphertext)
	f.Add("gcpckms", "arn:", "\r\n", []byte{})
	f.Fuzz(func(t *testing.T, typ, id, version string, ciphertext []byte) {
		blob := &kms.Blob{Type: typ, KeyID: id, Version: version, Ciphertext: ciphertext}
		got, err := w.Unwrap(t.Context(), blob, home)
		if err != nil {
			if e, ok := errors.AsType[*kms.Error](err); !ok || e.Kind == nil || got != nil || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%d bytes, %q", len(got), err)
			}
			return
		}
		if typ != good.Type || id != good.KeyID || !bytes.Equal(got, secretKey) {
			t.Errorf("forged: %+v opens", blob)
		}
	})
}
