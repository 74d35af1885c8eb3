package main_test

import (
	"io"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/sealwright/sealwright/kms/localkms"
)

func decryptAge(t *testing.T, r io.Reader, id age.Identity) string {
	t.Helper()
	plain, err := age.Decrypt(armor.NewReader(r), id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func createKey(t *testing.T, path string) {
	t.Helper()
	if err := localkms.Create(t.Context(), path); err != nil {
		t.Fatal(err)
	}
}
