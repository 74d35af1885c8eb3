package stanzas_test

import (
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
		if diff := cmp.Diff(map[string]seal.Spec{s.Name: seal.KMS{Wrapper: s.Name}}, setup.Slots); diff != "" {
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
