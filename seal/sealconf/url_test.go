package sealconf_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/sealconf"
)

func TestURLRefused(t *testing.T) {
	for text, words := range map[string]string{
		"":                                       "TYPE://",
		"awskms":                                 "TYPE://",
		"awskms:alias/a":                         "TYPE://",
		"awskms:///alias/a#x":                    "TYPE://",
		"a b://c":                                "TYPE://",
		"awskms:///a?x=%zz":                      "name=value",
		"awskms://alias/a":                       "three slashes",
		"awskms:///":                             "names kms_key_id",
		"awskms:///a?kms_key_id=b":               "kms_key_id stands twice",
		"awskms:///a?region=b&region=c":          "region stands twice",
		"awskms:///a?secret_key=canary":          "secret_key is a secret",
		"azurekeyvault://user:canary@v/k":        "holds no credentials",
		"azurekeyvault://v":                      "names vault_name, key_name",
		"azurekeyvault://v/k?client_secret=cana": "client_secret=file:///path",
		"gcpckms://p/r/k":                        "names project, region, key_ring, crypto_key",
		"gcpckms://p/r/k/c/1":                    "names project",
		"transit://h/k":                          "names address, mount_path, key_name",
		"transit:///m/k":                         "names address",
		"transit://h/m/k?token=canary":           "token is a secret",
		"static://x/y":                           "no URL form",
		"awskms:///a?disabled=maybe":             "disabled is true or false",
	} {
		_, err := sealconf.ParseURL(text)
		failed(t, err, words)
		if err != nil && strings.Contains(err.Error(), "cana") {
			t.Error("shows a secret:", err)
		}
	}
}
