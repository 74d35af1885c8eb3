package secret_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/secret/secrettest"
)

func TestFind(t *testing.T) {
	secret := []byte{0xfb, 0x00, 0x7f, 'a', 0x0a, '"', 0xff, 0x3e, 'z', 0x80, 0x01, 0x02, 0x10}
	long := append(append([]byte("in front"), secret...), "behind"...)
	for name, text := range map[string]string{
		"raw":                   string(long),
		"a part":                string(secret[5:]),
		"hex":                   fmt.Sprintf("%x", long),
		"hex in capitals":       fmt.Sprintf("%X", long),
		"hex with spaces":       fmt.Sprintf("% x", long),
		"list":                  fmt.Sprint(long),
		"list in JSON":          strings.ReplaceAll(fmt.Sprint(long), " ", ","),
		"Go syntax":             fmt.Sprintf("%#v", long),
		"wrong verb":            strings.ReplaceAll(fmt.Sprint(long), " ", ") %!t(uint8="),
		"octal":                 fmt.Sprintf("%o", long),
		"base64 at 0":           base64.StdEncoding.EncodeToString(secret),
		"base64 at 1":           base64.StdEncoding.EncodeToString(append([]byte("1"), long...)),
		"base64 at 2":           base64.StdEncoding.EncodeToString(append([]byte("22"), long...)),
		"base64 for URLs":       base64.URLEncoding.EncodeToString(long),
		"base64 unpadded":       base64.RawStdEncoding.EncodeToString(secret),
		"in the middle of text": "error: bad key " + fmt.Sprintf("%x", secret) + " given",
	} {
		if secrettest.Find(text, secret) == "" {
			t.Errorf("%s: not found", name)
		}
	}
	for name, text := range map[string]string{
		"nothing":     "",
		"other text":  "seal: share 3 of set 2: malformed",
		"seven bytes": string(secret[:7]),
		"reversed":    "10020180 7a3eff",
	} {
		if form := secrettest.Find(text, secret); form != "" {
			t.Errorf("%s: found as %s", name, form)
		}
	}
}

func TestFindAny(t *testing.T) {
	secrets := map[string][]byte{"one": []byte("first-secret"), "two": []byte("other-secret"), "three": []byte("one of neither")}
	text := fmt.Sprintf("%x and %s", secrets["one"], secrets["two"][1:])
	got := secrettest.FindAny(text, secrets)
	if len(got) != 2 || got["one"] != "hex" || got["two"] != "raw" {
		t.Errorf("found %v", got)
	}
}

// A cipher that is printed shows its key as words: AES's schedule begins with it.
// Nothing of a []byte stands in that.
func TestFindCipherWords(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{"block": block, "AEAD": aead, "in a struct": &struct{ held cipher.AEAD }{aead}} {
		found := 0
		for _, text := range secrettest.Sinks(value) {
			if secrettest.Find(text, secret) != "" {
				found++
			}
		}
		if found == 0 {
			t.Errorf("%s: no sink was found to show the key", name)
		}
	}
	var words [2][]uint32
	var long [2][]uint64
	for i := 0; i < 32; i += 4 {
		words[0] = append(words[0], binary.BigEndian.Uint32(secret[i:]))
		words[1] = append(words[1], binary.LittleEndian.Uint32(secret[i:]))
	}
	for i := 0; i < 32; i += 8 {
		long[0] = append(long[0], binary.BigEndian.Uint64(secret[i:]))
		long[1] = append(long[1], binary.LittleEndian.Uint64(secret[i:]))
	}
	for _, verb := range []string{"%v", "%d", "%x", "%X", "%#v", "%# x", "%s", "%o", "%b", "%U"} {
		for i, value := range []any{words[0], words[1], long[0], long[1]} {
			if text := fmt.Sprintf(verb, value); secrettest.Find(text, secret) == "" {
				t.Errorf("%s of words %d was not found: %.60s", verb, i, text)
			}
		}
	}
}
