package gcpckms_test

import (
	"crypto/tls"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
)

func TestConfig(t *testing.T) {
	const key = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
	environment(t)
	file := filepath.Join(t.TempDir(), "credentials.json")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	good := func(change func(*gcpckms.Config)) gcpckms.Config {
		cfg := gcpckms.Config{KeyID: key, Token: token("x")}
		change(&cfg)
		return cfg
	}
	named := func(id string) gcpckms.Config {
		return good(func(c *gcpckms.Config) { c.KeyID = id })
	}
	long := func(project, location, ring, key int) string {
		x := func(n int) string { return strings.Repeat("x", n) }
		return "projects/" + x(project) + "/locations/" + x(location) + "/keyRings/" + x(ring) + "/cryptoKeys/" + x(key)
	}
	for name, c := range map[string]struct {
		cfg   gcpckms.Config
		words string // empty: the Config is good
	}{
		"token":                      {good(func(*gcpckms.Config) {}), ""},
		"project with a domain":      {named("projects/example.com:p-1/locations/eur4/keyRings/R_1/cryptoKeys/K-1"), ""},
		"host":                       {good(func(c *gcpckms.Config) { c.Endpoint = "cloudkms.europe-west3.rep.googleapis.com" }), ""},
		"host and port":              {good(func(c *gcpckms.Config) { c.Endpoint = "[::1]:8443" }), ""},
		"file":                       {gcpckms.Config{KeyID: key, CredentialsFile: "/elsewhere"}, ""},
		"file, as the environment":   {gcpckms.Config{KeyID: key, CredentialsFile: file, AllowEnvironment: true}, ""},
		"environment":                {gcpckms.Config{KeyID: key, AllowEnvironment: true}, ""},
		"client":                     {gcpckms.Config{KeyID: key, Client: stub{}, Timeout: time.Second, Stale: func(*kms.Blob) {}}, ""},
		"nothing":                    {gcpckms.Config{}, "KeyID must read projects/"},
		"no credentials":             {gcpckms.Config{KeyID: key}, "set CredentialsFile, Token, Client or AllowEnvironment"},
		"version":                    {named(key + "/cryptoKeyVersions/3"), "names a version"},
		"short name":                 {named("k"), "KeyID must read projects/"},
		"leading slash":              {named("/" + key), "KeyID must read projects/"},
		"line break":                 {named(key + "\n"), "KeyID must read projects/"},
		"name too long":              {named(key + strings.Repeat("k", 63)), "KeyID must read projects/"},
		"longest names":              {named(long(100, 63, 63, 63)), ""},
		"project too long":           {named(long(101, 63, 63, 63)), "KeyID must read projects/"},
		"location too long":          {named(long(100, 64, 63, 63)), "KeyID must read projects/"},
		"key ring too long":          {named(long(100, 63, 64, 63)), "KeyID must read projects/"},
		"key too long":               {named(long(100, 63, 63, 64)), "KeyID must read projects/"},
		"empty project":              {named(long(0, 63, 63, 63)), "KeyID must read projects/"},
		"negative timeout":           {good(func(c *gcpckms.Config) { c.Timeout = -1 }), "Timeout is negative"},
		"URL":                        {good(func(c *gcpckms.Config) { c.Endpoint = "https://cloudkms.googleapis.com" }), "not a URL"},
		"two credentials":            {good(func(c *gcpckms.Config) { c.CredentialsFile = "x" }), "CredentialsFile and Token are both set"},
		"file against environment":   {gcpckms.Config{KeyID: key, CredentialsFile: "/elsewhere", AllowEnvironment: true}, ""},
		"token against environment":  {good(func(c *gcpckms.Config) { c.AllowEnvironment = true }), ""},
		"client and file":            {gcpckms.Config{KeyID: key, Client: stub{}, CredentialsFile: "x"}, "only KeyID, Timeout and Stale go with Client"},
		"client and token":           {good(func(c *gcpckms.Config) { c.Client = stub{} }), "only KeyID, Timeout and Stale go with Client"},
		"client and endpoint":        {gcpckms.Config{KeyID: key, Client: stub{}, Endpoint: "x"}, "only KeyID, Timeout and Stale go with Client"},
		"client and TLS":             {gcpckms.Config{KeyID: key, Client: stub{}, TLS: &tls.Config{}}, "only KeyID, Timeout and Stale go with Client"},
		"client and the environment": {gcpckms.Config{KeyID: key, Client: stub{}, AllowEnvironment: true}, "only KeyID, Timeout and Stale go with Client"},
	} {
		w, err := gcpckms.New(c.cfg)
		if c.words == "" {
			if err != nil || w == nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		e, ok := errors.AsType[*kms.Error](err)
		if w != nil || !ok || e.Kind != kms.ErrMisconfigured || e.Op != "configure" || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
	}
}
