package awskms

import (
	"cmp"
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/sealwright/sealwright/kms/provider"
)

// credentials are the SDK's, with a bound on the time they take, an error that
// tells them from KMS, and another start after every failure: the caches of the
// SDK keep what a server refuses, and wait for ever on a request that hangs.
type credentials struct {
	timeout time.Duration
	load    func() (aws.CredentialsProvider, error) // nil: provider is the host's

	mu       sync.Mutex
	provider aws.CredentialsProvider // nil: load it
}

// credentialsError is what credentials fail with.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// Retrieve implements [aws.CredentialsProvider].
func (c *credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	p, err := c.current()
	if err != nil {
		return aws.Credentials{}, &credentialsError{err}
	}
	creds, err := p.Retrieve(ctx)
	if err != nil {
		c.forget()
		return aws.Credentials{}, &credentialsError{err}
	}
	if len(creds.SecretAccessKey) < minSecret && fips140.Enforced() {
		return aws.Credentials{}, &credentialsError{errors.New("a secret access key this short cannot sign in FIPS mode")}
	}
	return creds, nil
}

// minSecret is the length in bytes of the shortest secret access key for which
// crypto/hmac does not panic under GODEBUG=fips140=only: the SDK puts "AWS4" in
// front, and 112 bits are the least. AWS's have 40 bytes, those of other servers
// sometimes four.
const minSecret = 10

func (c *credentials) current() (aws.CredentialsProvider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provider == nil {
		p, err := c.load()
		if err != nil {
			return nil, err
		}
		c.provider = p
	}
	return c.provider, nil
}

// forget lets the next call find the credentials anew.
func (c *credentials) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.load != nil {
		c.provider = nil
	} else if cache, ok := c.provider.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
}

// newCredentials returns the credentials that cfg names. base is the SDK's
// configuration without them, or the host's with its own.
func newCredentials(cfg Config, base aws.Config) (*credentials, error) {
	c := &credentials{timeout: cfg.Timeout}
	if cfg.AWS != nil {
		c.provider = base.Credentials
		return c, nil
	}
	c.load = func() (aws.CredentialsProvider, error) {
		var found aws.Config
		if len(cfg.explicit()) == 0 {
			var err error
			if found, _, err = cfg.environment(base.Region); err != nil {
				return nil, err
			}
		}
		return cfg.provider(base, found.Credentials), nil
	}
	o := cfg.sts(base, nil).Options()
	if err := secure(o.BaseEndpoint); err != nil {
		return nil, fmt.Errorf("STS: %w", err)
	}
	if err := alone("STS", o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint); err != nil {
		return nil, err
	}
	_, err := c.current()
	return c, err
}

// provider returns what the fields of cfg name; found is what the environment
// holds, for a cfg that leaves the credentials to it.
func (cfg Config) provider(base aws.Config, found aws.CredentialsProvider) aws.CredentialsProvider {
	p := found
	switch {
	case cfg.AccessKeyID != "":
		p = static{aws.Credentials{AccessKeyID: cfg.AccessKeyID, SecretAccessKey: cfg.SecretAccessKey, SessionToken: cfg.SessionToken, Source: Type}}
	case cfg.Credentials != nil:
		p = cfg.Credentials
	case cfg.CredentialsFile != "":
		p = keyFile{cfg.CredentialsFile, cmp.Or(cfg.Profile, "default")}
	case cfg.WebIdentityTokenFile != "":
		return cached(stscreds.NewWebIdentityRoleProvider(cfg.sts(base, nil), cfg.RoleARN, tokenFile(cfg.WebIdentityTokenFile),
			func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = cfg.session() }))
	}
	own := aws.IsCredentialsProvider(found, (*stscreds.WebIdentityRoleProvider)(nil)) && cfg.RoleARN == os.Getenv("AWS_ROLE_ARN")
	if cfg.RoleARN == "" || own {
		return p
	}
	return cached(stscreds.NewAssumeRoleProvider(cfg.sts(base, p), cfg.RoleARN,
		func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = cfg.session() }))
}

// cached keeps the credentials of a role, but for their last minute, so that
// they do not end during a call.
func cached(p aws.CredentialsProvider) aws.CredentialsProvider {
	return aws.NewCredentialsCache(p, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute })
}

// sts returns a client of STS in the key's region, which asks as creds.
func (cfg Config) sts(base aws.Config, creds aws.CredentialsProvider) *sts.Client {
	base.Credentials = creds
	return sts.NewFromConfig(base, func(o *sts.Options) {
		o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0
		o.HTTPSignerV4 = signer{}
		// The cache waits without a deadline.
		o.HTTPClient = bounded{pinging(o.HTTPClient), cfg.Timeout}
	})
}

func (cfg Config) session() string {
	return cmp.Or(cfg.RoleSessionName, "sealwright")
}

// static is an access key.
type static struct{ value aws.Credentials }

func (s static) Retrieve(context.Context) (aws.Credentials, error) { return s.value, nil }

// keyFile is an access key in a file.
type keyFile struct{ path, profile string }

func (f keyFile) Retrieve(ctx context.Context) (aws.Credentials, error) {
	// The SDK takes a file that is not there for an empty one.
	content, err := provider.ReadFile("CredentialsFile", f.path)
	if err != nil {
		return aws.Credentials{}, err
	}
	clear(content)
	s, err := config.LoadSharedConfigProfile(ctx, f.profile, func(o *config.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles = []string{f.path}, []string{}
	})
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("CredentialsFile: %w", err)
	}
	if !s.Credentials.HasKeys() {
		return aws.Credentials{}, errors.New("CredentialsFile: the profile has no access key")
	}
	return s.Credentials, nil
}

// tokenFile is a web identity token in a file.
type tokenFile string

func (f tokenFile) GetIdentityToken() ([]byte, error) {
	return provider.ReadFile("WebIdentityTokenFile", string(f))
}
