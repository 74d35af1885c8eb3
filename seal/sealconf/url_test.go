package sealconf_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

func TestURL(t *testing.T) {
	var made configs
	for _, text := range []string{
		"azurekeyvault://hc-vault/vault-key?tenant_id=46646709-b63e-4747-be42-516edeaf1e14&client_id=03dc33fc-16d9-4b77-8152-3ec568f8af6e&client_secret=file:///run/secrets/azure&name=az",
		"awskms:///alias/prod?region=eu-west-1&shared_creds_filename=/run/aws",
		"awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234?shared_creds_filename=/run/aws",
		"gcpckms://p/global/ring/key?credentials=/run/gcp.json",
		"transit://vault:8200/deep/mount/key?token=file:///run/token",
	} {
		s, err := sealconf.ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		setup, err := sealconf.Build([]sealconf.Stanza{s}, sealconf.Options{Providers: made.providers()})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]seal.Spec{s.Name: seal.KMS{Name: s.Name}}, setup.Slots); diff != "" {
			t.Error(diff)
		}
	}
	got := []string{made.azure[0].VaultName, made.azure[0].KeyName, made.azure[0].ClientSecretFile,
		made.aws[0].KeyID, made.aws[0].Region, made.aws[1].KeyID, made.gcp[0].KeyID}
	want := []string{"hc-vault", "vault-key", "/run/secrets/azure", "alias/prod", "eu-west-1",
		"arn:aws:kms:eu-west-1:111122223333:key/1234", "projects/p/locations/global/keyRings/ring/cryptoKeys/key"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

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
