package awskms

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sealwright/sealwright/kms"
)

// Type is the provider's name in blobs and errors.
const Type = "awskms"

// Config says which key to use, and as whom. It prints no secret, unless it
// stands in an unexported field of another struct, where package fmt reads the
// fields themselves.
type Config struct {
	// KeyID is the key: "arn:aws:kms:eu-west-1:111122223333:key/…", the id
	// alone, "arn:aws:kms:eu-west-1:111122223333:alias/name", or "alias/name".
	// It must be a symmetric key for encryption. The ARN of the key is the best
	// choice. Required.
	KeyID string

	// Region is the key's region, as "eu-west-1". "" means the ARN's, or that
	// of AWS, Client, or the environment. Another region than the ARN's is an
	// error.
	Region string

	// Endpoint is the address of KMS, as "https://kms-fips.us-east-1.amazonaws.com".
	// "" means the public one of the region. Without TLS it must be a loopback
	// address, as the keys would travel in the clear.
	Endpoint string

	// AccessKeyID and SecretAccessKey are long-lived or temporary credentials,
	// the temporary ones with a SessionToken.
	AccessKeyID     string
	SecretAccessKey string `json:"-"`
	SessionToken    string `json:"-"`

	// CredentialsFile is a file with access keys in the format of
	// ~/.aws/credentials. It is read on every call, so that a mounted secret may
	// be replaced.
	CredentialsFile string

	// Profile is the profile in CredentialsFile; "" means "default". With
	// AllowEnvironment and no CredentialsFile it is a profile of the SDK's own
	// files, of any kind.
	Profile string

	// WebIdentityTokenFile holds a token that STS exchanges for the role
	// RoleARN, as the service account of a pod has it in EKS. It is read
	// whenever the role's credentials are renewed.
	WebIdentityTokenFile string

	// RoleARN is the role to assume, with the web identity or with the other
	// credentials. "" means none.
	RoleARN string

	// RoleSessionName names the session in CloudTrail. "" means "sealwright".
	RoleSessionName string

	// AllowEnvironment lets the SDK find whatever is not set here in its own
	// places: variables, shared files, web identity, containers, the instance.
	// A variable that contradicts a field is an error. RoleARN is assumed from
	// the identity found, unless it is that identity's own AWS_ROLE_ARN. Without
	// AllowEnvironment nothing is read, not even HTTPS_PROXY.
	AllowEnvironment bool

	// AWS is the host's configuration of the SDK, with credentials. Its region
	// gives way to that of KeyID.
	AWS *aws.Config

	// Client is the host's own client. Its settings are used, but for its
	// retries, its clock correction and its logging. Only KeyID, and Timeout,
	// go with it.
	Client *awskms.Client

	// HTTPClient sends the requests to KMS and STS. nil means one of the SDK's.
	HTTPClient aws.HTTPClient

	// Timeout bounds a call whose context has no deadline, and every request
	// for credentials. 0 means 10 seconds.
	Timeout time.Duration
}

// New returns a Wrapper of the key. It reads files only where AllowEnvironment
// is set, and makes no request: whether key and credentials are right shows in
// the first call. The error is a [*kms.Error] of the kind
// [kms.ErrMisconfigured], and says which fields to change.
func New(cfg Config) (*Wrapper, error) {
	w, err := newWrapper(cfg)
	if err != nil {
		return nil, &kms.Error{Op: "configure", Type: Type, KeyID: cfg.KeyID, Kind: kms.ErrMisconfigured, Err: err}
	}
	return w, nil
}

func newWrapper(cfg Config) (*Wrapper, error) {
	key, err := parseKey(cfg.KeyID)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Client != nil {
		return fromClient(cfg, key)
	}
	base, err := cfg.base(key.arn.Region)
	if err != nil {
		return nil, err
	}
	base.Region, err = chooseRegion(cfg, key, base.Region)
	if err != nil {
		return nil, err
	}
	creds, err := newCredentials(cfg, base)
	if err != nil {
		return nil, err
	}
	base.Credentials = creds
	client := awskms.NewFromConfig(base, func(o *awskms.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
		harden(o)
	})
	if err := secure(client.Options().BaseEndpoint); err != nil {
		return nil, err
	}
	return &Wrapper{client: client, key: key, region: base.Region, timeout: cfg.Timeout, credentials: creds}, nil
}

func fromClient(cfg Config, key keyName) (*Wrapper, error) {
	o := cfg.Client.Options()
	if r := key.arn.Region; r != "" && r != o.Region {
		return nil, fmt.Errorf("the Client is for the region %q, and KeyID is in %q", o.Region, r)
	}
	if o.Region == "" {
		return nil, errors.New("the Client has no region")
	}
	creds := &credentials{provider: o.Credentials, timeout: cfg.Timeout}
	if o.Credentials != nil {
		o.Credentials = creds
	}
	return &Wrapper{client: awskms.New(o, harden), key: key, region: o.Region, timeout: cfg.Timeout, credentials: creds}, nil
}

// chooseRegion returns the one region that all sources agree on.
func chooseRegion(cfg Config, key keyName, found string) (string, error) {
	switch r := key.arn.Region; {
	case r != "" && cfg.Region != "" && r != cfg.Region:
		return "", fmt.Errorf("KeyID is in the region %q, and Region is %q", r, cfg.Region)
	case r != "":
		return r, nil
	case cfg.Region != "":
		return cfg.Region, nil
	case found != "":
		return found, nil
	}
	return "", errors.New("no region: write the ARN of the key as KeyID, or set Region")
}

// harden makes a call one honest request.
func harden(o *awskms.Options) {
	o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0
	o.DisableClockSkewCorrection = true
	o.ClientLogMode = 0 // the SDK logs whole bodies, and those of Encrypt and Decrypt hold keys
	o.HTTPClient = bounded{client: o.HTTPClient}
}

// String returns the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("awskms.Config{KeyID: %q, Region: %q, Endpoint: %q, AccessKeyID: %q, CredentialsFile: %q, Profile: %q, WebIdentityTokenFile: %q, RoleARN: %q, AllowEnvironment: %t, …}",
		c.KeyID, c.Region, c.Endpoint, c.AccessKeyID, c.CredentialsFile, c.Profile, c.WebIdentityTokenFile, c.RoleARN, c.AllowEnvironment)
}

// Format writes what String returns, for every verb.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue returns what String returns.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
