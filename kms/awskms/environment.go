package awskms

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/smithy-go/logging"

	"github.com/sealwright/sealwright/kms/provider"
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
	add("Credentials", cfg.Credentials != nil)
	add("CredentialsFile", cfg.CredentialsFile != "")
	add("WebIdentityTokenFile", cfg.WebIdentityTokenFile != "")
	add("AWS", cfg.AWS != nil)
	add("Client", cfg.Client != nil)
	return fields
}

// validate checks that the fields agree with each other. Variables that say
// something else than a field do not count: EKS sets AWS_REGION in every pod.
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
		return errors.New("no credentials: set AccessKeyID, Credentials, CredentialsFile, WebIdentityTokenFile, AWS or Client, or AllowEnvironment for the SDK's own chain")
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
	}
	return nil
}

// paths returns cfg with the paths that its fields mean, and refuses the content
// of a file in place of its path, also in the variables that the SDK reads: it
// would show it.
func (cfg Config) paths() (Config, error) {
	for _, f := range []struct {
		name  string
		value *string
	}{
		{"CredentialsFile", &cfg.CredentialsFile},
		{"WebIdentityTokenFile", &cfg.WebIdentityTokenFile},
	} {
		path, err := provider.Path(f.name, *f.value, cfg.AllowEnvironment)
		if err != nil {
			return cfg, err
		}
		*f.value = path
	}
	if !cfg.AllowEnvironment {
		return cfg, nil
	}
	for _, name := range []string{caVariable, "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"} {
		switch value := os.Getenv(name); {
		case strings.Contains(value, "://"):
			return cfg, fmt.Errorf("environment: %s must be a path: the SDK knows no file:// and no env://", name)
		case provider.IsContent(value):
			_, err := provider.Path(name, value, true)
			return cfg, fmt.Errorf("environment: %w", err)
		}
	}
	if cfg.HTTPClient != nil && os.Getenv(caVariable) != "" {
		return cfg, fmt.Errorf("HTTPClient is set, and the environment's %s cannot change whom it trusts: unset one, or let the HTTPClient trust that CA", caVariable)
	}
	return cfg, nil
}

// base returns the SDK's configuration but for the credentials, where they are
// not the host's, and the CA in it. region is that of the key, if its name tells.
func (cfg Config) base(region string) (c aws.Config, ca bundle, err error) {
	switch {
	case cfg.AWS != nil:
		c = cfg.AWS.Copy()
	case cfg.AllowEnvironment:
		if c, ca, err = cfg.environment(cmp.Or(region, cfg.Region)); err != nil {
			return c, ca, err
		}
	default:
		c.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })
	}
	if cfg.HTTPClient != nil {
		c.HTTPClient = cfg.HTTPClient
	}
	return c, ca, nil
}

// environment returns what the SDK finds there, and the CA that it names.
// Nothing is asked of a server before the credentials are used.
func (cfg Config) environment(region string) (c aws.Config, ca bundle, err error) {
	if err := checkContainerHost(os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")); err != nil {
		return c, ca, err
	}
	timed := awshttp.NewBuildableClient().WithTimeout(cfg.Timeout)
	opts := []func(*config.LoadOptions) error{
		config.WithDefaultRegion(region),
		config.WithLogger(logging.Nop{}),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithDefaultsMode(aws.DefaultsModeStandard), // "auto" would ask the instance
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = timed }),
	}
	if path := os.Getenv(caVariable); path != "" {
		var pem []byte
		if ca, pem, err = readBundle(caVariable, path); err != nil {
			return c, ca, err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return c, ca, &fileError{provider.FileError(caVariable, path, errors.New("there is no certificate in it"))}
		}
		opts = append(opts, config.WithCustomCABundle(bytes.NewReader(pem)))
	}
	if cfg.HTTPClient == nil {
		opts = append(opts, config.WithHTTPClient(timed))
	} else {
		opts = append(opts, config.WithHTTPClient(bounded{cfg.HTTPClient, cfg.Timeout}))
	}
	profile := ""
	if len(cfg.explicit()) == 0 { // otherwise the profile is one in CredentialsFile
		profile = cfg.Profile
		opts = append(opts, config.WithSharedConfigProfile(profile))
	} else { // and those of the environment are not even put together
		opts = append(opts, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	if err := cfg.checkProfile(profile); err != nil {
		return c, ca, err
	}
	if c, err = config.LoadDefaultConfig(context.Background(), opts...); err != nil {
		return c, ca, ofFile(fmt.Errorf("environment: %w", err))
	}
	if ca.path == "" {
		if ca, err = profileBundle(c); err != nil {
			return c, ca, err
		}
	}
	// The requests to KMS have the deadline of their context alone.
	if b, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		c.HTTPClient = b.WithTimeout(0)
	}
	return c, ca, nil
}

// checkProfile refuses a CA of the profile beside an HTTPClient, which the SDK
// would do in words of its types, and one that cannot be read.
func (cfg Config) checkProfile(name string) error {
	name = cmp.Or(name, os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"), "default")
	shared, err := config.LoadSharedConfigProfile(context.Background(), name, func(o *config.LoadSharedConfigOptions) {
		o.Logger = logging.Nop{}
		if f := os.Getenv("AWS_CONFIG_FILE"); f != "" {
			o.ConfigFiles = []string{f}
		}
		if f := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); f != "" {
			o.CredentialsFiles = []string{f}
		}
	})
	if err != nil || shared.CustomCABundle == "" || os.Getenv(caVariable) != "" {
		return nil // the SDK says what is wrong, where that matters
	}
	if cfg.HTTPClient != nil {
		return errors.New("HTTPClient is set, and ca_bundle of the profile cannot change whom it trusts: take one away, or let the HTTPClient trust that CA")
	}
	if provider.IsContent(shared.CustomCABundle) {
		return &fileError{errors.New("environment: ca_bundle of the profile must be the path of a file")}
	}
	_, _, err = readBundle("ca_bundle", shared.CustomCABundle)
	return err
}

// ofFile marks what the SDK says of the content of its files.
func ofFile(err error) error {
	_, profile := errors.AsType[config.SharedConfigProfileNotExistError](err)
	_, load := errors.AsType[config.SharedConfigLoadError](err)
	_, role := errors.AsType[config.SharedConfigAssumeRoleError](err)
	if profile || load || role {
		return &fileError{err}
	}
	return err
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
