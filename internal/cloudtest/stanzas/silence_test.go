package stanzas_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/seal/sealconf"
)

func TestNotes(t *testing.T) {
	setup := build(t, `
seal "azurekeyvault" {
  vault_name      = "v"
  key_name        = "k"
  subscription_id = "00000000-0000-0000-0000-000000000000"
}
seal "gcpckms" {
  project = "p"
  region = "r"
  key_ring = "k"
  crypto_key = "c"
  credentials = "file:///creds.json"
  user_agent = "x"
}
`, sealconf.Options{Providers: (&configs{}).providers()})
	setup.Notes = slices.DeleteFunc(setup.Notes, func(n string) bool { return strings.Contains(n, "unpinned") })
	want := []string{
		`seal "azurekeyvault": subscription_id is accepted and means nothing here`,
		`seal "gcpckms": user_agent is accepted and means nothing here`,
	}
	if diff := cmp.Diff(want, setup.Notes); diff != "" {
		t.Error(diff)
	}
}

// No secret of a configuration stands in any error or print of it.
func TestSilence(t *testing.T) {
	const canary = "canary7b1f0d9e5a3c"
	secrets := []string{
		"seal \"azurekeyvault\" {\n vault_name = \"v\"\n key_name = \"k\"\n tenant_id = \"t\"\n client_id = \"c\"\n client_secret = \"%s\"\n%s}",
		"seal \"awskms\" {\n kms_key_id = \"alias/a\"\n access_key = \"a\"\n secret_key = \"%s\"\n%s}",
		"seal \"transit\" {\n address = \"https://h\"\n key_name = \"k\"\n mount_path = \"m\"\n token = \"%s\"\n%s}",
		"seal \"static\" {\n current_key_id = \"i\"\n current_key = \"%s\"\n%s}",
	}
	broken := []string{"", "priority = 1\n", "pin = \"x\"\n", "disabled = true\n", "\nx", "unknown = 1\n", "disabled = 2\n", "name = \"%s\n", "key_name = [1,2]\n", "current_key_id = {}\n",
		"previous_key = 1\n", "access_key = \"b\"\n", "tls_skip_verify = 7\n", "x = x\n", "address = \"ftp://h\"\n"}
	t.Setenv("AZURE_CLIENT_SECRET", "another"+canary)
	t.Setenv("AWS_ACCESS_KEY_ID", "another"+canary)
	t.Setenv("VAULT_TOKEN", "another"+canary)
	t.Setenv("BAO_STATIC_SEAL_CURRENT_KEY", "another"+canary)
	said, errs := 0, 0
	for _, s := range secrets {
		for _, b := range broken {
			for _, value := range []string{canary, canary + "${x}", canary + "\\q", canary + "\n", strings.Repeat(canary, 3)[:32]} {
				for _, environment := range []bool{false, true} {
					text := fmt.Sprintf(s, value, b)
					stanzas, err := sealconf.Parse([]byte(text), "seal.hcl")
					var setup *sealconf.Setup
					if err == nil {
						setup, err = sealconf.Build(stanzas, sealconf.Options{Providers: (&configs{}).providers(), AllowEnvironment: environment})
					}
					var out strings.Builder
					fmt.Fprintf(&out, "%v %v %+v %#v %v %+v %#v", err, stanzas, stanzas, stanzas, setup, setup, setup)
					for _, s := range stanzas {
						fmt.Fprintf(&out, "%s %x %v", s, s, &s)
					}
					if setup != nil && len(setup.KMS) == 1 && setup.KMS["static"] != nil {
						fmt.Fprintf(&out, "%s %q %d", setup.KMS["static"], setup.KMS["static"], setup.KMS["static"])
					}
					slog.New(slog.NewTextHandler(&out, nil)).Info("x", "stanzas", stanzas, "setup", setup, "err", err)
					if b, err := json.Marshal(stanzas); err == nil {
						out.Write(b)
					}
					said++
					if err != nil {
						errs++
					}
					hexed := fmt.Sprintf("%x", canary)
					if strings.Contains(out.String(), canary[6:]) || strings.Contains(out.String(), hexed) {
						t.Fatalf("%s\n\n%s", text, out.String())
					}
				}
			}
		}
	}
	if errs < said/2 || said-errs < 20 {
		t.Errorf("%d of %d are errors", errs, said)
	}
	t.Logf("GUARANTEE 20 sealconf: configurations=%d errors=%d shown=0", said, errs)
}
