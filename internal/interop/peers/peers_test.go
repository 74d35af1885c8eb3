package main

import (
	"bytes"
	"testing"
)

// What is measured is what it is taken for: it decrypts what it encrypted, and
// nothing that was changed.
func TestEncryptions(t *testing.T) {
	wrapping, err := wrappingEncryption()
	if err != nil {
		t.Fatal(err)
	}
	gocloud := gocloudEncryption()
	for _, e := range []struct {
		name             string
		encrypt, decrypt func(dst, in []byte) ([]byte, error)
	}{{wrapping.Name, wrapping.Encrypt, wrapping.Decrypt}, {gocloud.Name, gocloud.Encrypt, gocloud.Decrypt}} {
		ciphertext, err := e.encrypt(nil, []byte("value"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.decrypt(nil, ciphertext); err != nil || !bytes.Equal(got, []byte("value")) {
			t.Errorf("%s: decrypted %q, %v", e.name, got, err)
		}
		ciphertext[len(ciphertext)-1]++
		if _, err := e.decrypt(nil, ciphertext); err == nil {
			t.Errorf("%s: decrypted what was changed", e.name)
		}
	}
}
