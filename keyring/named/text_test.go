package named_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// The package's own base64 is the standard one, at every length and wherever it lies.
func TestBase64(t *testing.T) {
	for n := range 300 {
		for _, head := range []string{"", "vault:v1:"} {
			data := make([]byte, n)
			rand.Read(data)
			got := named.EncodeText([]byte("before"), head, data)
			if want := "before" + head + base64.StdEncoding.EncodeToString(data); string(got) != want {
				t.Fatalf("%d bytes: %q, want %q", n, got, want)
			}
		}
	}
	if got := named.EncodeText(nil, "", bytes.Repeat([]byte{0xff}, 3)); string(got) != "////" {
		t.Errorf("%s", got)
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]int{"vault:v1:AAAA": 1, "vault:v0:AAAA": 1, "vault:v17:": 17, "vault:v2147483647:": 1<<31 - 1} {
		if n, err := named.Version(text); n != want || err != nil {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	for text, words := range map[string]string{
		"hello": "has no prefix", "": "has no prefix", "vault:v": "has no version", "vault:v1": "has no version", "vault:vx:": "is no number",
		"vault:v-1:": "is no number", "vault:v2147483648:": "is no number", "vault:v+1:": "is no number",
	} {
		_, err := named.Version(text)
		wantError(t, err, named.ErrInput, words)
	}
}
