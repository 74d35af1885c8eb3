package sealconf_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

const hexKey = "7d5f8c5e2b0a4f1c9d3e6b7a8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3"

// What Vault's parser takes stopped the start here: one stanza, written in every
// way that there is. Each opens what the first wrapped.
func TestWrittenAsVaultReadsIt(t *testing.T) {
	ctx, b := context.Background(), kms.Binding{Store: "s"}
	var first *kms.Blob
	for _, c := range []struct{ name, text string }{
		{"plain", "seal \"static\" {\n current_key_id = \"1\"\n current_key = \"KEY\"\n}"},
		{"commas behind fields", "seal \"static\" {\n current_key_id = \"1\",\n current_key = \"KEY\",\n}"},
		{"on one line", "seal \"static\" { current_key_id = \"1\", current_key = \"KEY\" }"},
		{"on one line, without commas", "seal \"static\" { current_key_id = \"1\" current_key = \"KEY\" }"},
		{"a brace on the next line", "seal \"static\"\n{\n current_key_id = \"1\"\n current_key = \"KEY\"\n}"},
		{"quoted names", "\"seal\" \"static\" {\n \"current_key_id\" = \"1\"\n \"current_key\" = \"KEY\"\n}"},
		{"a type without quotes", "seal static {\n current_key_id = \"1\"\n current_key = \"KEY\"\n}"},
		{"an upper case block", "Seal \"static\" {\n current_key_id = \"1\"\n current_key = \"KEY\"\n}"},
		{"an upper case type", "seal \"Static\" {\n current_key_id = \"1\"\n current_key = \"KEY\"\n}"},
		{"a kms", "kms \"static\" {\n current_key_id = \"1\"\n current_key = \"KEY\"\n purpose = [\"a\", \"b\"]\n}"},
		{"numbers and comments", "# x\n// y\n/* seal \"awskms\" {\n */ seal \"static\" {\n current_key_id = 1 # one\n current_key = \"KEY\"\n}"},
		{"a text of lines", "seal \"static\" {\n current_key_id = \"1\"\n current_key = <<EOF\nKEY\nEOF\n}"},
		{"an indented one", "seal \"static\" {\n current_key_id = \"1\"\n current_key = <<-EOF\n  KEY\n  EOF\n}"},
		{"Windows", "seal \"static\" {\r\n current_key_id = \"1\"\r\n current_key = \"KEY\"\r\n}\r\n"},
		{"a mark in front", "\ufeffseal \"static\" {\n current_key_id = \"1\"\n current_key = \"KEY\"\n}"},
		{"escapes", "seal \"static\" {\n current_key_id = \"\\u0031\"\n current_key = \"\\x37dREST\"\n}"},
		{"JSON", `{"seal": {"static": {"current_key_id": 1, "current_key": "KEY"}}}`},
		{"JSON, lists", `{"seal": [{"static": [{"current_key_id": "1", "current_key": "KEY"}]}]}`},
		{"JSON, null", ` {"Seal": {"static": {"current_key_id": "1", "current_key": "KEY", "previous_key": null, "previous_key_id": ""}}}`},
		{"empty fields", "seal \"static\" {\n name = \"\"\n pin = \"\"\n disabled = \"\"\n current_key_id = \"1\"\n current_key = \"KEY\"\n previous_key = \"\"\n previous_key_id = \"\"\n}"},
		{"among others", "a = [1, [2, \"x\", {b = true}], ]\nlistener \"tcp\" { x { y = -1.5 } }\nb = \"${env(\"X\")} {\"\nseal \"static\" { current_key_id = \"1\", current_key = \"KEY\" }\nc = 0x1F"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.NewReplacer("KEY", hexKey, "REST", hexKey[2:]).Replace(c.text)
			setup := build(t, text, sealconf.Options{})
			if diff := cmp.Diff(map[string]seal.Spec{"static": seal.KMS{Wrapper: "static"}}, setup.Slots); diff != "" {
				t.Fatal(diff)
			}
			w := setup.KMS["static"]
			if first == nil {
				var err error
				if first, err = w.Wrap(ctx, make([]byte, 32), b); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Unwrap(ctx, first, b); err != nil {
				t.Error(err)
			}
		})
	}
}

// A name in any case, and a block kms, came up as a store of people's shares.
func TestNeverSilentlyAnotherSeal(t *testing.T) {
	for _, block := range []string{"seal", "Seal", "SEAL", "kms", "Kms", "hsm", "\"seal\""} {
		for _, typ := range []string{"pkcs11", "awskms", "alicloudkms", "kmip"} {
			_, err := try(fmt.Sprintf("%s %q {\n lib = \"/usr/lib/x.so\"\n}", block, typ), sealconf.Options{})
			failed(t, err, "unknown seal type", typ, "localkms, shamir, static")
		}
	}
}

// No text of a broken file stands in its error, wherever it breaks.
func TestBrokenAnywhere(t *testing.T) {
	const canary = "canary7b1f0d9e5a3c"
	for _, whole := range []string{
		"seal \"static\" {\n current_key_id = \"1\"\n current_key = \"" + canary + canary + "\"\n a = [\"" + canary + "\", { b = <<E\n" + canary + "\nE\n }]\n}\n",
		`{"seal": {"static": {"current_key_id": "1", "current_key": "` + canary + `", "a": ["` + canary + `", {"b": 1}]}}}`,
	} {
		broken, fine := 0, 0
		for i := range len(whole) {
			for _, text := range []string{whole[:i], whole[:i] + whole[i+1:], whole[:i] + "\"" + whole[i:], whole[:i] + "}" + whole[i:], whole[:i] + "\\" + whole[i:], whole[:i] + "\x00" + whole[i:]} {
				_, err := try(text, sealconf.Options{})
				if err == nil {
					fine++
					continue
				}
				broken++
				failed(t, err)
				if strings.Contains(err.Error(), "b1f0d9") {
					t.Fatalf("%s\nshows %v", text, err)
				}
			}
		}
		if broken < 4*len(whole) {
			t.Errorf("%d of %d were broken", broken, broken+fine)
		}
	}
}
