package awsseal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/awskms/awsseal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

func build(text string) (*sealconf.Setup, error) {
	stanzas, err := sealconf.Parse([]byte(text), "test.hcl")
	if err != nil {
		return nil, err
	}
	return sealconf.Build(stanzas, sealconf.Options{Providers: []sealconf.Provider{awsseal.Provider(nil)}})
}

// TestKeysInFiles: keys given by file:// are read when a request is signed. One
// that is missing does not keep a server from starting that people could open,
// and one that is replaced counts from the next call on.
func TestKeysInFiles(t *testing.T) {
	s := awskmstest.NewServer()
	defer s.Close()
	dir := t.TempDir()
	id, secret := filepath.Join(dir, "id"), filepath.Join(dir, "secret")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setup, err := build(fmt.Sprintf("seal \"awskms\" {\n kms_key_id = %q\n endpoint = %q\n access_key = \"file://%s\"\n secret_key = \"file://%s\"\n}", s.CreateKey(), s.URL, id, secret))
	if err != nil {
		t.Fatal(err)
	}
	w := setup.KMS["awskms"]
	wrap := func() error {
		_, err := w.Wrap(context.Background(), make([]byte, 32), kms.Binding{Store: "s"})
		return err
	}
	says := func(err error, words ...string) {
		t.Helper()
		if !errors.Is(err, kms.ErrUnauthenticated) {
			t.Errorf("the error is %v", err)
		}
		for _, word := range words {
			if !strings.Contains(fmt.Sprint(err), word) {
				t.Errorf("the error is %v, without %q", err, word)
			}
		}
	}
	says(wrap(), "access_key", id)
	write(id, awskmstest.AccessKeyID)
	says(wrap(), "secret_key", secret)
	write(secret, "mistyped-secret")
	says(wrap(), "InvalidSignatureException")
	write(secret, awskmstest.SecretAccessKey+"\n")
	if err := wrap(); err != nil {
		t.Error(err)
	}
	s.SetAccessKey(awskmstest.AccessKeyID, "")
	s.SetAccessKey("AKIASECOND", "another-secret")
	says(wrap())
	write(id, "AKIASECOND")
	write(secret, "another-secret")
	if err := wrap(); err != nil {
		t.Error(err)
	}
	if _, err := build("seal \"awskms\" {\n kms_key_id = \"alias/a\"\n access_key = \"file:///id\"\n}"); err == nil || !strings.Contains(err.Error(), "access_key and secret_key go together") {
		t.Errorf("half a key: %v", err)
	}
}

// TestFieldsInTheStanzasWords: the errors of the provider name the stanza's
// fields, and show nothing of what stands in them.
func TestFieldsInTheStanzasWords(t *testing.T) {
	_, err := build("seal \"awskms\" {\n kms_key_id = \"alias/a\"\n access_key = \"file:///id\"\n secret_key = \"canary\"\n shared_creds_filename = \"/f\"\n}")
	if err == nil || !strings.Contains(err.Error(), "access_key and shared_creds_filename are both set") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}
