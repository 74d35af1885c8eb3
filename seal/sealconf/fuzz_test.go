package sealconf_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/seal/sealconf"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte("storage \"raft\" {\n  path = \"/data\"\n  retry_join {\n    a = \"b\"\n  }\n}\nseal \"transit\" {\n  address = \"https://vault:8200\" // here\n  token = \"s.x\",\n  key_name = \"k\"\n  mount_path = \"m/\"\n}\n"), false)
	f.Add([]byte(`{"seal": [{"shamir": {"shares": 3, "threshold": [2]}}]}`), true)
	f.Add([]byte("seal \"threshold\" {\n threshold = 2\n of = [\"a\", \"b\"]\n}"), false)
	f.Add([]byte("seal \"x\" {\n a = \"${b}\"\n c = <<E\nx\nE\n}"), false)
	f.Fuzz(func(t *testing.T, src []byte, json bool) {
		name := "f.hcl"
		if json {
			name = "f.json"
		}
		stanzas, err := sealconf.Parse(src, name)
		if err == nil {
			_, err = sealconf.Build(stanzas, sealconf.Options{})
		}
		if err != nil && !errors.Is(err, sealconf.ErrConfig) {
			t.Error(err)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, text := range []string{
		"azurekeyvault://v/k?tenant_id=t", "awskms:///alias/a?region=b", "gcpckms://p/r/k/c", "transit://h/m/k?token=env://T", "x:y", "://",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := sealconf.ParseURL(text)
		if err == nil {
			_, err = sealconf.Build([]sealconf.Stanza{s}, sealconf.Options{})
		}
		if err != nil && !errors.Is(err, sealconf.ErrConfig) {
			t.Error(err)
		}
	})
}
