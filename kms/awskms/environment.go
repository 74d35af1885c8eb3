package awskms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/smithy-go/logging"
)

// explicit returns the fields by which cfg names credentials; none leaves them
// to the environment.
func (cfg Config) explicit() (fields []string) {
	add := func(field string, set bool) {
		if set {
			fields = append(fields, field)
		}
	}
	add("AccessKeyID", cfg.AccessKeyID+cfg.SecretAccessKey+cfg.SessionToken != "")
	add("CredentialsFile", cfg.CredentialsFile != "")
	add("WebIdentityTokenFile", cfg.WebIdentityTokenFile != "")
	add("AWS", cfg.AWS != nil)
	add("Client", cfg.Client != nil)
	return fields
}

// validate checks that the fields agree with each other, and with the
// environment where it may be read.
func (cfg Config) validate() error {
	creds := cfg.explicit()
	host := cfg // what does not go with AWS or Client
	host.KeyID, host.Timeout, host.AWS, host.Client = "", 0, nil, nil
	if cfg.AWS != nil {
		host.Region, host.Endpoint, host.HTTPClient = "", "", nil
	}
	switch {
	case len(creds) > 1:
		return fmt.Errorf("%s and %s are both set: credentials come from one place", creds[0], creds[1])
	case len(creds) == 0 && !cfg.AllowEnvironment:
		return errors.New("no credentials: set AccessKeyID, CredentialsFile, WebIdentityTokenFile, AWS or Client, or AllowEnvironment for the SDK's own chain")
	case cfg.AWS != nil && host != Config{}:
		return errors.New("only KeyID, Region, Endpoint, HTTPClient and Timeout go with AWS")
	case cfg.Client != nil && host != Config{}:
		return errors.New("only KeyID and Timeout go with Client")
	case cfg.AWS != nil && cfg.AWS.Credentials == nil:
		return errors.New("AWS has no credentials")
	case (cfg.AccessKeyID == "") != (cfg.SecretAccessKey == ""), cfg.SessionToken != "" && cfg.AccessKeyID == "":
		return errors.New("AccessKeyID and SecretAccessKey go together, and SessionToken only with them")
	case cfg.Profile != "" && cfg.CredentialsFile == "" && (len(creds) > 0 || !cfg.AllowEnvironment):
		return errors.New("a Profile needs CredentialsFile, or AllowEnvironment for the SDK's own files")
	case cfg.WebIdentityTokenFile != "" && cfg.RoleARN == "":
		return errors.New("WebIdentityTokenFile needs RoleARN")
	case cfg.RoleSessionName != "" && cfg.RoleARN == "":
		return errors.New("RoleSessionName needs RoleARN")
	case cfg.Timeout < 0:
		return errors.New("the Timeout is negative")
	case cfg.AllowEnvironment:
		return cfg.contradicted()
	}
	return nil
}

// contradicted compares what is set here with what the environment says of the
// same. Credentials of one kind are contradicted by those of any other.
func (cfg Config) contradicted() error {
	creds, profile := "", ""
	if fields := cfg.explicit(); len(fields) > 0 {
		creds = fields[0]
	} else if cfg.Profile != "" {
		creds, profile = "Profile", cfg.Profile
	}
	for _, c := range []struct {
		field, value string
		set          bool
		variables    []string // the first that is set hides the others
	}{
		{"Region", cfg.Region, cfg.Region != "", []string{"AWS_REGION", "AWS_DEFAULT_REGION"}},
		{"Endpoint", cfg.Endpoint, cfg.Endpoint != "", []string{"AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"}},
		{creds, cfg.AccessKeyID, creds != "", []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"}},
		{creds, profile, creds != "", []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}},
		{creds, cfg.WebIdentityTokenFile, creds != "", []string{"AWS_WEB_IDENTITY_TOKEN_FILE"}},
		{creds, "", creds != "", []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"}},
	} {
		for _, name := range c.variables {
			if v := os.Getenv(name); v != "" {
				if c.set && v != c.value {
					return fmt.Errorf("%s and the environment's %s contradict each other: unset one, or AllowEnvironment", c.field, name)
				}
				break
			}
		}
	}
	return nil
}

// base returns the SDK's configuration but for the credentials, where they are
// not the host's. region is that of the key, if its name tells.
func (cfg Config) base(region string) (aws.Config, error) {
	var c aws.Config
	switch {
	case cfg.AWS != nil:
		c = cfg.AWS.Copy()
	case cfg.AllowEnvironment:
		var err error
		if c, err = cfg.environment(cmp.Or(region, cfg.Region)); err != nil {
			return c, err
		}
	default:
		c.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })
	}
	if cfg.HTTPClient != nil {
		c.HTTPClient = cfg.HTTPClient
	}
	return c, nil
}

// environment returns what the SDK finds there. Nothing is asked of a server
// before the credentials are used.
func (cfg Config) environment(region string) (aws.Config, error) {
	if err := checkContainerHost(os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")); err != nil {
		return aws.Config{}, err
	}
	timed := awshttp.NewBuildableClient().WithTimeout(cfg.Timeout)
	opts := []func(*config.LoadOptions) error{
		config.WithDefaultRegion(region),
		config.WithLogger(logging.Nop{}),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithDefaultsMode(aws.DefaultsModeStandard), // "auto" would ask the instance
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = timed }),
	}
	if cfg.HTTPClient == nil {
		opts = append(opts, config.WithHTTPClient(timed))
	} else {
		opts = append(opts, config.WithHTTPClient(bounded{cfg.HTTPClient, cfg.Timeout}))
	}
	if len(cfg.explicit()) == 0 { // otherwise the profile is one in CredentialsFile
		opts = append(opts, config.WithSharedConfigProfile(cfg.Profile))
	}
	c, err := config.LoadDefaultConfig(context.Background(), opts...)
	if err != nil {
		return c, fmt.Errorf("environment: %w", err)
	}
	// The requests to KMS have the deadline of their context alone.
	if b, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		c.HTTPClient = b.WithTimeout(0)
	}
	return c, nil
}

// checkContainerHost refuses a host name that the SDK would look up at once.
func checkContainerHost(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" || net.ParseIP(u.Hostname()) != nil {
		return nil // the SDK judges the rest
	}
	return errors.New("environment: AWS_CONTAINER_CREDENTIALS_FULL_URI must name its host by address, or use https")
}

// secure refuses an endpoint to which keys and tokens would travel in the clear.
func secure(endpoint *string) error {
	if endpoint == nil {
		return nil
	}
	u, err := url.Parse(*endpoint)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("the endpoint is not a URL as https://kms-fips.us-east-1.amazonaws.com")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && !ip.IsLoopback() {
		return errors.New("the endpoint needs https: keys would travel in the clear")
	}
	return nil
}
