package secrettest_test

import (
	"encoding/base64"
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
