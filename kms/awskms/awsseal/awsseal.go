// Package awsseal reads seal "awskms" stanzas: see packages sealconf, and awskms
// for permissions, limits and errors.
package awsseal

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// Provider returns the provider for [sealconf.Options]. Adjust, if it is not
// nil, may change what a stanza says before it is used: to give it the host's
// HTTP client or timeout.
//
// The region is that of the key's ARN, else us-east-1, as in Vault; where the
// environment is allowed it is the SDK's, if that has one. Without any credentials the SDK's own
// chain is used, which needs the environment to be allowed.
func Provider(adjust func(*awskms.Config)) sealconf.Provider {
	return sealconf.Provider{
		Type: awskms.Type,
		Fields: []sealconf.Field{
			{Name: "kms_key_id", Required: true, Env: []string{"AWSKMS_WRAPPER_KEY_ID", "VAULT_AWSKMS_SEAL_KEY_ID"}},
			{Name: "endpoint", Ambient: []string{"AWS_KMS_ENDPOINT", "AWSKMS_ENDPOINT"}, Own: []string{"AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"}},
			// The SDK reads the variables of what follows by itself.
			{Name: "region", Own: []string{"AWS_REGION", "AWS_DEFAULT_REGION"}},
			{Name: "access_key", Own: []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"}},
			{Name: "secret_key", Own: []string{"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"}},
			{Name: "session_token", Own: []string{"AWS_SESSION_TOKEN"}},
			{Name: "shared_creds_filename", Own: []string{"AWS_SHARED_CREDENTIALS_FILE"}},
			{Name: "shared_creds_profile", Own: []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}},
			{Name: "role_arn", Own: []string{"AWS_ROLE_ARN"}},
			{Name: "role_session_name", Own: []string{"AWS_ROLE_SESSION_NAME"}},
			{Name: "web_identity_token_file", Own: []string{"AWS_WEB_IDENTITY_TOKEN_FILE"}},
		},
		Renamed: map[string]string{
			"KeyID": "kms_key_id", "Region": "region", "Endpoint": "endpoint", "AccessKeyID": "access_key",
			"SecretAccessKey": "secret_key", "SessionToken": "session_token", "Credentials": "access_key", "CredentialsFile": "shared_creds_filename",
			"Profile": "shared_creds_profile", "WebIdentityTokenFile": "web_identity_token_file", "RoleARN": "role_arn",
			"RoleSessionName": "role_session_name",
		},
		Ignored: []string{"max_retries"},
		Build:   func(v sealconf.Values) (sealconf.Made, error) { return build(v, adjust) },
	}
}

const vaultsRegion = "us-east-1"

func build(v sealconf.Values, adjust func(*awskms.Config)) (sealconf.Made, error) {
	t, err := v.Texts("kms_key_id", "region", "endpoint", "shared_creds_profile", "role_arn", "role_session_name")
	if err != nil {
		return sealconf.Made{}, err
	}
	p, err := v.Paths("shared_creds_filename", "web_identity_token_file")
	if err != nil {
		return sealconf.Made{}, err
	}
	cfg := awskms.Config{
		KeyID: t["kms_key_id"], Region: t["region"], Endpoint: t["endpoint"],
		CredentialsFile: p["shared_creds_filename"], Profile: t["shared_creds_profile"],
		WebIdentityTokenFile: p["web_identity_token_file"], RoleARN: t["role_arn"], RoleSessionName: t["role_session_name"],
		AllowEnvironment: v.EnvironmentAllowed(),
	}
	if err := accessKey(v, &cfg); err != nil {
		return sealconf.Made{}, err
	}
	if cfg.Region == "" && !cfg.AllowEnvironment && !strings.HasPrefix(cfg.KeyID, "arn:") {
		cfg.Region = vaultsRegion
	}
	if adjust != nil {
		adjust(&cfg)
	}
	w, err := awskms.New(cfg)
	if err != nil && cfg.Region == "" && cfg.AllowEnvironment && !strings.HasPrefix(cfg.KeyID, "arn:") {
		// Where the SDK finds no region either it is Vault's.
		vaults := cfg
		vaults.Region = vaultsRegion
		if other, failed := awskms.New(vaults); failed == nil {
			w, err = other, nil
		}
	}
	if err != nil {
		return sealconf.Made{}, err
	}
	alias := strings.HasPrefix(cfg.KeyID, "alias/") || strings.Contains(cfg.KeyID, ":alias/")
	return sealconf.Made{Wrapper: w, Forgeable: alias}, nil // of an alias, whoever brings a blob brings the key
}

// accessKey sets what access_key, secret_key and session_token say. Where one of
// them is in a file all are read for each request.
func accessKey(v sealconf.Values, cfg *awskms.Config) error {
	names := []string{"access_key", "secret_key", "session_token"}
	if !slices.ContainsFunc(names, func(name string) bool { _, file := v.File(name); return file }) {
		t, err := v.Texts(names...)
		cfg.AccessKeyID, cfg.SecretAccessKey, cfg.SessionToken = t[names[0]], t[names[1]], t[names[2]]
		return err
	}
	if !v.Has("access_key") || !v.Has("secret_key") {
		return errors.New("access_key and secret_key go together, and session_token only with them")
	}
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		t, err := v.Texts(names...)
		return aws.Credentials{AccessKeyID: t[names[0]], SecretAccessKey: t[names[1]], SessionToken: t[names[2]], Source: awskms.Type}, err
	})
	return nil
}
