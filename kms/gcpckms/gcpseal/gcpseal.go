// Package gcpseal reads seal "gcpckms" stanzas: see packages sealconf, and
// gcpckms for permissions, limits and errors.
package gcpseal

import (
	"fmt"

	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// Provider returns the provider for [sealconf.Options]. Adjust, if it is not
// nil, may change what a stanza says before it is used: to give it the host's
// TLS, tokens, client, or what is to happen with stale blobs.
//
// Without credentials the default ones of the environment are used, if that is
// allowed.
func Provider(adjust func(*gcpckms.Config)) sealconf.Provider {
	return sealconf.Provider{
		Type: gcpckms.Type,
		Fields: []sealconf.Field{
			{Name: "project", Required: true, Ambient: []string{"GOOGLE_PROJECT"}},
			{Name: "region", Required: true, Ambient: []string{"GOOGLE_REGION"}},
			{Name: "key_ring", Required: true, Env: []string{"GCPCKMS_WRAPPER_KEY_RING", "VAULT_GCPCKMS_SEAL_KEY_RING"}},
			{Name: "crypto_key", Required: true, Env: []string{"GCPCKMS_WRAPPER_CRYPTO_KEY", "VAULT_GCPCKMS_SEAL_CRYPTO_KEY"}},
			{Name: "credentials", Ambient: []string{"GOOGLE_CREDENTIALS"}, Own: []string{"GOOGLE_APPLICATION_CREDENTIALS"}},
			{Name: "endpoint"},
		},
		Ignored: []string{"user_agent"},
		Renamed: map[string]string{"KeyID": "what project, region, key_ring and crypto_key make", "CredentialsFile": "credentials", "Endpoint": "endpoint"},
		Build:   func(v sealconf.Values) (sealconf.Made, error) { return build(v, adjust) },
	}
}

func build(v sealconf.Values, adjust func(*gcpckms.Config)) (sealconf.Made, error) {
	t, err := v.Texts("project", "region", "key_ring", "crypto_key", "endpoint")
	if err != nil {
		return sealconf.Made{}, err
	}
	credentials, err := v.Path("credentials")
	if err != nil {
		return sealconf.Made{}, err
	}
	cfg := gcpckms.Config{
		KeyID:           fmt.Sprintf("projects/%s/locations/%s/keyRings/%s/cryptoKeys/%s", t["project"], t["region"], t["key_ring"], t["crypto_key"]),
		CredentialsFile: credentials, Endpoint: t["endpoint"], AllowEnvironment: v.EnvironmentAllowed(),
	}
	if adjust != nil {
		adjust(&cfg)
	}
	w, err := gcpckms.New(cfg)
	if err != nil {
		return sealconf.Made{}, err
	}
	return sealconf.Made{Wrapper: w}, nil
}
