package keyring_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring"
)

func TestText(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	k := o.Keyring()
	aad := keyring.AAD("users", "token", "7")
	for _, plaintext := range []string{"", "x", "plaintext", strings.Repeat("long ", 1000)} {
		text, err := k.EncryptString(plaintext, aad)
		if err != nil || !strings.HasPrefix(text, "sw1.") || strings.ContainsAny(text, "+/= \n") {
			t.Fatalf("EncryptString = %q, %v", text, err)
		}
		if got, err := k.DecryptString(text, aad); err != nil || got != plaintext {
			t.Errorf("DecryptString = %q, %v", got, err)
		}
		if term, err := keyring.TermOfString(text); err != nil || term != 1 {
			t.Errorf("TermOfString = %d, %v", term, err)
		}
		same, changed, err := k.RewrapString(text, aad)
		if err != nil || changed || same != text {
			t.Errorf("RewrapString of the active term = %q, %v, %v", same, changed, err)
		}
	}
	text, err := k.EncryptString("plaintext", aad)
	if err != nil {
		t.Fatal(err)
	}
	install(t, o, terms(2, 2))
	next, changed, err := k.RewrapString(text, aad)
	if err != nil || !changed {
		t.Fatalf("RewrapString: %v, %v", changed, err)
	}
	if term, err := keyring.TermOfString(next); err != nil || term != 2 {
		t.Errorf("TermOfString = %d, %v", term, err)
	}
	if got, err := k.DecryptString(next, aad); err != nil || got != "plaintext" {
		t.Errorf("DecryptString = %q, %v", got, err)
	}

	// 78 bytes end on a whole group of four characters, 77 do not: its last
	// character has four bits that must be zero.
	odd, err := k.EncryptString("12345678", aad)
	if err != nil {
		t.Fatal(err)
	}
	last := strings.IndexByte(base64url, odd[len(odd)-1])
	corrupt := "corrupt: the data was altered, or its associated data is other"
	format := "unknown format: not encrypted, or by a newer version"
	for name, c := range map[string]struct {
		text string
		kind error
		says string
	}{
		"empty":           {"", keyring.ErrFormat, format},
		"plain":           {"postgres://user:password@host/db", keyring.ErrFormat, format},
		"prefix in part":  {"sw1", keyring.ErrFormat, format},
		"newer prefix":    {"sw2." + text[4:], keyring.ErrFormat, format},
		"newer version":   {"sw1.CQ", keyring.ErrFormat, format},
		"prefix alone":    {"sw1.", keyring.ErrCorrupt, corrupt},
		"short":           {"sw1.AQID", keyring.ErrCorrupt, corrupt},
		"newline":         {text + "\n", keyring.ErrCorrupt, corrupt},
		"newline within":  {text[:20] + "\r\n" + text[20:], keyring.ErrCorrupt, corrupt},
		"space":           {text + " ", keyring.ErrCorrupt, corrupt},
		"padding":         {odd + "=", keyring.ErrCorrupt, corrupt},
		"other alphabet":  {text[:20] + "+/" + text[22:], keyring.ErrCorrupt, corrupt},
		"other last bits": {odd[:len(odd)-1] + base64url[last+1:last+2], keyring.ErrCorrupt, corrupt},
		"other row":       {next, keyring.ErrCorrupt, "term 2: " + corrupt},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := k.DecryptString(c.text, []byte("other"))
			wantError(t, err, c.kind, "keyring: decrypt: "+c.says)
			if name == "other row" {
				return
			}
			_, _, err = k.RewrapString(c.text, aad)
			wantError(t, err, c.kind, "keyring: rewrap: "+c.says)
			_, err = keyring.TermOfString(c.text)
			wantError(t, err, c.kind, "keyring: read the term: "+c.says)
		})
	}
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
